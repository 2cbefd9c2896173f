"""Serve an exported forecaster with TensorFlow alone: neither keras_seq nor keras is imported.

python saved_models/serve_load.py saved_models/load recent.csv

The file has the columns ds, y and temperature, and a row for each hour: of the week before, with the load y, and of the
24 hours to come, where y is not read. `ks.data.load().tail(192).to_csv("recent.csv")` writes one.
"""

import csv
import sys
from datetime import datetime, timedelta

import tensorflow as tf

directory, file = sys.argv[1:]
serve = tf.saved_model.load(f"{directory}/saved_model").signatures["serving_default"]
shapes = serve.structured_input_signature[1]
lookback, steps = shapes["past"].shape[1], shapes["time"].shape[1]
with open(file, encoding="utf-8") as opened:
    rows = list(csv.DictReader(opened))[-steps:]


def column(name):
    return [float(row[name]) if row[name] else float("nan") for row in rows]


stamps = [datetime.fromisoformat(row["ds"]) for row in rows]
answer = serve(
    past=tf.constant(column("y")[:lookback])[None, :, None],
    known=tf.constant(column("temperature"))[None, :, None],
    time=tf.constant([(stamp - datetime(1970, 1, 1)) // timedelta(microseconds=1) for stamp in stamps], tf.int64)[None],
)
print("ds,y,lower_80,upper_80")
forecast = [answer[name].numpy().ravel() for name in ("forecast", "lower_80", "upper_80")]
for stamp, values in zip(stamps[lookback:], zip(*forecast, strict=True), strict=True):
    print(stamp, *(f"{value:.4f}" for value in values), sep=",")
