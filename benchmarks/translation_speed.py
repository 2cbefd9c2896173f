"""How fast a trained translation model is in use.

    python benchmarks/translation_speed.py --task multi30k_gru      # also multi30k_transformer, dates_gru

The model is the one that `benchmarks/translation.py --task …` has left (seed 0). On the first sentences of test 2016
(of the held-out dates), in turns, medians:

- 32 sentences at beam 4: `model.translate` in the process, and the signature of its SavedModel;
- 1,000 sentences, greedy, in batches of 64 of like length: `model.translate(beam_width=1)`, and the loop of Keras's
  tutorials, which calls the model for each token on all tokens so far (`predict_on_batch`), until all sentences of the
  batch have ended. What both say is compared.
"""

import argparse
import json
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results_file
import tensorflow as tf
from stopwatch import in_turns
from translation import pairs_of
from translation_settings import SETTINGS

import keras_seq as ks
from keras_seq.data.batches import padded
from keras_seq.data.text import vectorized
from keras_seq.layers.tokenizer import END, START

BATCH = 64


def keras_loop(model, texts):
    """Greedy translations by a call of the model for each token."""
    rows = vectorized(texts, model.source_vectorizer)
    order = np.argsort([len(row) for row in rows], kind="stable")
    said = [None] * len(rows)
    for first in range(0, len(rows), BATCH):
        places = order[first : first + BATCH]
        source = padded([rows[i] for i in places], max(len(rows[i]) for i in places))
        target = np.full((len(places), 1), START, "int32")
        while target.shape[1] <= model.network.max_length and not np.all((target == END).any(axis=1)):
            logits = model.predict_on_batch({"source": source, "target": target})[:, -1]
            logits[:, :END] = -np.inf
            target = np.concatenate([target, logits.argmax(axis=1)[:, None].astype("int32")], axis=1)
        texts_of_batch = model.target_vectorizer.detokenize(target).numpy()
        for i, text in zip(places, texts_of_batch, strict=True):
            said[i] = text.decode()
    return said


def measure(task, seconds):
    model = keras.saving.load_model(results_file.RESULTS / f"{task}_0.training" / "model.keras")
    texts = pairs_of(task)["test"]["source"].tolist()[:1000]
    few = texts[:32]
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, beam_width=4)
        loaded = tf.saved_model.load(folder)
        strings = tf.constant(few)
        beams = {
            "in_process": lambda: model.translate(few, beam_width=4),
            "exported": lambda: loaded.signatures["translate"](strings)["text"].numpy(),
        }
        same = [a == b.decode() for a, b in zip(beams["in_process"](), beams["exported"](), strict=True)]
        beam = in_turns(beams, seconds)
    greedy = {
        "translate": lambda: model.translate(texts, beam_width=1, batch_size=BATCH),
        "keras_loop": lambda: keras_loop(model, texts),
    }
    said = {name: function() for name, function in greedy.items()}
    spent = in_turns(greedy, seconds, turns=3)
    return {
        "sentences": {"beam": len(few), "greedy": len(texts)},
        "beam_milliseconds": {name: one["wall"] for name, one in beam.items()},
        "greedy_milliseconds": {name: one["wall"] for name, one in spent.items()},
        "same_text": {
            "beam": float(np.mean(same)),
            "greedy": float(np.mean([a == b for a, b in zip(*said.values(), strict=True)])),
        },
        "parameters": model.count_params(),
        "versions": ks.saving.versions(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=SETTINGS, required=True)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each contestant")
    arguments = parser.parse_args()
    result = {"task": arguments.task, **measure(arguments.task, arguments.seconds)}
    results_file.merge("translation_speed", result, ["task"], __doc__)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
