"""NLinear and DLinear on ETTh1 in PyTorch, by the published recipe: what seeds alone change.

    pip install -e .[peers] && python benchmarks/forecasting_peer.py --seeds 7

Zeng et al. (2022, arXiv 2205.13504): look-back 336, Adam at 5e-3, halved each epoch after the second, batches of 32, at
most 10 epochs, patience 3 on the validation loss, whole batches alone in all three parts (the metric `mse` is of those;
`all_windows` of all). Rows 0 - 8640 - 11520 - 14400, z-scores of the training part. Nothing of keras_seq is in it: it
is there to be compared with what benchmarks/forecasting.py makes of the same recipe.

Results are merged into benchmarks/results/forecasting_peer.json, one entry a task and seed; what is there is not run
again.
"""

import argparse
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import results_file
import torch
from reviews import DATA
from torch import nn

LOOKBACK, BATCH, RATE, EPOCHS, PATIENCE = 336, 32, 5e-3, 10, 3
BORDERS = (0, 8640, 11520, 14400)


class NLinear(nn.Module):
    def __init__(self, horizon):
        super().__init__()
        self.map = nn.Linear(LOOKBACK, horizon)

    def forward(self, x):  # (B, T, C)
        last = x[:, -1:]
        return self.map((x - last).mT).mT + last


class DLinear(nn.Module):
    def __init__(self, horizon):
        super().__init__()
        self.seasonal, self.trend = nn.Linear(LOOKBACK, horizon), nn.Linear(LOOKBACK, horizon)

    def forward(self, x):
        padded = torch.cat([x[:, :1].repeat(1, 12, 1), x, x[:, -1:].repeat(1, 12, 1)], dim=1)
        trend = nn.functional.avg_pool1d(padded.mT, 25, stride=1)
        return (self.seasonal(x.mT - trend) + self.trend(trend)).mT


def scaled_series():
    values = pd.read_csv(DATA / "ett" / "ETTh1.csv.gz").iloc[: BORDERS[-1], 1:].to_numpy()
    train = values[: BORDERS[1]]
    return torch.tensor((values - train.mean(0)) / train.std(0), dtype=torch.float32)


def windows(series, first_targets, horizon):
    past = torch.stack([series[at - LOOKBACK : at] for at in first_targets])
    return past, torch.stack([series[at : at + horizon] for at in first_targets])


def error(model, series, first_targets, horizon):
    """The mean squared error over these windows, batch by batch."""
    total = 0.0
    with torch.no_grad():
        for some in np.split(first_targets, range(BATCH, len(first_targets), BATCH)):
            past, targets = windows(series, some, horizon)
            total += len(some) * float(((model(past) - targets) ** 2).mean())
    return total / len(first_targets)


def whole(rows):
    return rows[: len(rows) // BATCH * BATCH]


def run(make, horizon, seed):
    torch.manual_seed(seed)
    rng, series = np.random.default_rng(seed), scaled_series()
    parts = [np.arange(max(begin, LOOKBACK), end - horizon + 1) for begin, end in pairwise(BORDERS)]
    train, validation, test = parts
    model, best, waited = make(horizon), float("inf"), 0
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    for epoch in range(EPOCHS):
        optimizer.param_groups[0]["lr"] = RATE * 0.5 ** max(0, epoch - 1)
        for some in whole(rng.permutation(train)).reshape(-1, BATCH):
            past, targets = windows(series, some, horizon)
            optimizer.zero_grad()
            ((model(past) - targets) ** 2).mean().backward()
            optimizer.step()
        now = error(model, series, whole(validation), horizon)
        waited = 0 if now < best else waited + 1
        if now < best:
            best, weights = now, {name: value.clone() for name, value in model.state_dict().items()}
        if waited == PATIENCE:
            break
    model.load_state_dict(weights)
    metrics = {
        "mse": error(model, series, whole(test), horizon),
        "all_windows": error(model, series, test, horizon),
    }
    return {"metrics": metrics, "validation_loss": best, "epochs": epoch + 1}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    for make in (NLinear, DLinear):
        for horizon in (96, 720):
            for seed in range(arguments.seeds):
                entry = {"task": f"ETTh1_{horizon}_{make.__name__.lower()}", "seed": seed}
                if any(entry.items() <= done.items() for done in results_file.read("forecasting_peer")):
                    continue
                started = time.perf_counter()
                result = run(make, horizon, seed)
                told = {
                    "train_seconds": round(time.perf_counter() - started, 1),
                    "versions": {"torch": torch.__version__},
                }
                results_file.merge("forecasting_peer", {**entry, **result, **told}, ("task", "seed"), __doc__)
                print({**entry, **result})


if __name__ == "__main__":
    main()
