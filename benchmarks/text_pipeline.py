"""An epoch of IMDB: the factory's model in length buckets, and the same network in stock keras.layers, padded.

    python benchmarks/text_pipeline.py             # writes benchmarks/results/text_pipeline.json

Both read the same ids (25,000 training reviews, the first 400 words of each, 20,000 words), in batches of 32, one LSTM
of 64 units in each direction, Adam with clipnorm. Stock: rows padded to 400. A batch for each shape of graph is trained
first, so that the epoch holds no tracing; the seconds of that are given, too. Neither pipeline is tuned by `tf.data`
while it runs (`prefetched` in keras_seq/data/batches.py says why). Each epoch is a process of its own; the two take
turns. Reading and vectorising is timed by itself, with no model.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results_file
from reviews import imdb_frame

import keras_seq as ks
from keras_seq.data.batches import prefetched

LENGTH, WORDS, BATCH, UNITS, EMBEDDING, DROPOUT, RATE, SEED = 400, 20_000, 32, 64, 64, 0.3, 1e-3, 0
LABELS = ["negative", "positive"]


def vectorize(rows):
    """Seconds and memory of reading the file, making the vocabulary, and turning the texts into ids."""
    before, wall, cpu = peak_gigabytes(), time.perf_counter(), time.process_time()
    read(rows)
    return {
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_gigabytes": peak_gigabytes(),
        "of_which_imports": before,
    }


def read(rows):
    frame = imdb_frame("train").sample(frac=1, random_state=0)[:rows]
    vectorizer = ks.data.text_vectorizer(frame["text"], max_tokens=WORDS, max_length=LENGTH)
    return frame, vectorizer, ks.data.text_dataset(frame, vectorizer, labels=LABELS, batch_size=BATCH)


def ours(rows):
    keras.utils.set_random_seed(SEED)
    _, vectorizer, dataset = read(rows)
    model = ks.models.sentiment_model(
        vectorizer,
        LABELS,
        encoder="lstm",
        units=UNITS,
        bidirectional=True,
        embedding_dim=EMBEDDING,
        dropout=DROPOUT,
        learning_rate=RATE,
    )
    return epoch(model, model.network, dataset, dataset.take(2))


def stock(rows):
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    _, vectorizer, dataset = read(rows)
    ids = keras.utils.pad_sequences(dataset.batches.rows, LENGTH, padding="post")
    labels = dataset.batches.columns[0]
    layers = [
        keras.Input((None,), dtype="int32"),
        keras.layers.Embedding(vectorizer.vocabulary_size(), EMBEDDING, mask_zero=True),
        keras.layers.Dropout(DROPOUT),
        keras.layers.Bidirectional(keras.layers.LSTM(UNITS)),
        keras.layers.Dropout(DROPOUT),
        keras.layers.Dense(2, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(RATE, clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    data = prefetched(tf.data.Dataset.from_tensor_slices((ids, labels)).shuffle(len(ids), seed=SEED).batch(BATCH))
    return epoch(model, model, data, data.take(2))


def epoch(model, network, dataset, first):
    """Train on a few batches, then on all, and say what the second took."""
    traces = count_calls(network)
    started = time.perf_counter()
    model.fit(first, verbose=0)
    warm_up = time.perf_counter() - started
    wall, cpu = time.perf_counter(), time.process_time()
    history = model.fit(dataset, verbose=0).history
    seconds = time.perf_counter() - wall, time.process_time() - cpu
    shapes = [tuple(x.shape) for x, _ in dataset]
    return {
        "wall_seconds": round(seconds[0], 1),
        "cpu_seconds": round(seconds[1], 1),
        "warm_up_seconds": round(warm_up, 1),
        "peak_gigabytes": peak_gigabytes(),
        "shapes_of_batches": len(set(shapes)),
        "traced_graphs": len(traces),
        "mean_length": round(float(np.mean([length for _, length in shapes])), 1),
        "parameters": model.count_params(),
        "loss": round(history["loss"][0], 4),
    }


def count_calls(network):
    """A list that grows each time the network is traced."""
    calls, call = [], network.call

    def counted(*args, **kwargs):
        calls.append(None)
        return call(*args, **kwargs)

    network.call = counted
    return calls


def peak_gigabytes():
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 3)


ROLES = {"vectorize": vectorize, "ours": ours, "stock": stock}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=2, help="how many epochs of each")
    parser.add_argument("--rows", type=int, default=25_000, help="fewer, to try it with --role")
    parser.add_argument("--role", choices=ROLES, help="only this, as JSON on standard output")
    arguments = parser.parse_args()
    if arguments.role:
        print(json.dumps(ROLES[arguments.role](arguments.rows)))
        return
    runs = {name: [] for name in ROLES}
    for _ in range(arguments.turns):
        for role in ROLES:
            command = [sys.executable, __file__, "--role", role, "--rows", str(arguments.rows)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            runs[role].append(json.loads(done.stdout.splitlines()[-1]))
            print(role, runs[role][-1], flush=True)
    middle = {role: statistics.median(run["wall_seconds"] for run in runs[role]) for role in ROLES}
    content = {
        "protocol": __doc__,
        "rows": arguments.rows,
        "seed": SEED,
        "versions": ks.saving.versions(),
        "cores": os.cpu_count(),
        "runs": runs,
        "ratio_of_wall_seconds": round(middle["ours"] / middle["stock"], 3),
    }
    results_file.write("text_pipeline", content)


if __name__ == "__main__":
    main()
