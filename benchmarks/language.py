"""Language: tiny Shakespeare, character by character.

    python benchmarks/language.py --model gru_256             # also gru_512
    python benchmarks/language.py --model gru_256 --seed 1

Protocol (TARGETS): 1,115,394 characters, 65 different ones, of which the first 90 % are trained on and the rest is
judged, all of it but the first character, by the weights of the last epoch: nats per character. Models read 32 lanes in
windows of 100 characters, states carried from window to window in training and in judging; each lane begins anew. Adam,
clipped to a norm of 1 for each weight, at a rate that falls along a cosine to 0. Settings are those of the literature;
none was chosen by results here.

Results, with a text that the model wrote, are merged into benchmarks/results/language.json.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import results_file
from reviews import DATA

import keras_seq as ks

LANES = 32
SETTINGS = {
    "gru_256": {
        "length": 100,
        "epochs": 20,
        "peak_rate": 4e-3,
        "model": {"encoder": "gru", "units": 256, "embedding_dim": 64, "dropout": 0.2, "lanes": LANES},
    },
    "gru_512": {
        "length": 100,
        "epochs": 25,
        "peak_rate": 3e-3,
        "model": {"encoder": "gru", "units": 512, "embedding_dim": 64, "dropout": 0.4, "lanes": LANES},
    },
}


def run(name, seed):
    """One training, and what it is judged by."""
    settings = SETTINGS[name]
    keras.utils.set_random_seed(seed)
    text = (DATA / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    tokenizer = ks.data.tokenizer([text], split="characters", keep_spaces=True)
    ids = ks.data.token_stream(text, tokenizer)
    cut = len(ids) * 9 // 10
    train = ks.data.stream_dataset(ids[:cut], settings["length"], LANES)
    held = ks.data.stream_dataset(ids[cut:], settings["length"], LANES, pad=True)
    rate = ks.schedules.CosineDecay(settings["peak_rate"], steps=len(train) * settings["epochs"], warmup=100)
    model = ks.models.language_model(tokenizer, learning_rate=rate, **settings["model"])
    started = time.perf_counter()
    history = model.fit(train, epochs=settings["epochs"], validation_data=held, verbose=2).history
    seconds = time.perf_counter() - started
    judged = model.evaluate(held, verbose=0, return_dict=True)
    return {
        "nats": judged["loss"],
        "accuracy": judged["token_accuracy"],
        "train_nats": history["loss"][-1],
        "validation_by_epoch": [round(value, 4) for value in history["val_loss"]],
        "characters": {"train": cut, "judged": len(ids) - cut - 1},
        "vocabulary": len(tokenizer.vocabulary),
        "parameters": model.count_params(),
        "train_seconds": round(seconds, 1),
        "written": model.generate(["ROMEO:\n"], max_length=300, temperature=0.7, seed=0)[0],
        "settings": settings,
        "versions": ks.saving.versions(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SETTINGS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    result = {"model": arguments.model, "seed": arguments.seed, **run(arguments.model, arguments.seed)}
    results_file.merge("language", result, ("model", "seed"), __doc__)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
