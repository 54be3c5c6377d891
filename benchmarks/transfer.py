"""What lesson 12 reads of transfer learning: weights and hyperparameters from one task to another.

    python -m benchmarks.transfer

It takes about five minutes on one core, and writes ``benchmarks/transfer.csv``: the accuracy (%) on
rows that took no part in anything, a row a panel (task), line (way) and x (examples a class), with
its 95 % interval over splits of the rows; and where x is missing, the points won against
``neither``, mean over the numbers of examples. `DRAWS` draws of examples and weights a split.

The old task: the digits 0 to 4 of scikit-learn. The new ones: the digits 5 to 9, and 0 to 4 again
(other pictures), moved by half a pixel. Ways: ``weights`` of a network trained on the old task,
fine-tuned; ``hyperparameters``, of `CONFIGS` Sobol points and the default those that were best on
the old task, trained from few of its rows and judged on others; ``both``; ``neither``. Each split
of the rows has a search of its own.
"""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import default_rng
from sklearn.datasets import load_digits

from benchmarks import TENSORFLOW
from metahpo_lite import Categorical, Float, Int, SearchSpace, bootstrap_interval
from metahpo_lite.networks import side_by_side
from metahpo_lite.spaces import Config
from metahpo_lite.storage import write_file

SPACE = SearchSpace([
    Int("layers", 1, 3),
    Int("units", 16, 256, log=True),
    Categorical("activation", ["relu", "tanh"]),
    Float("rate", 1e-4, 1e-1, log=True),
])  # fmt: skip
DEFAULT = {"layers": 2, "units": 64, "activation": "relu", "rate": 1e-3}  # rate: that of Keras
SPLITS, CONFIGS, DRAWS, SHOTS = 10, 16, 3, (5, 10, 50)
BATCH, STEPS, OLD_STEPS = 25, 100, 300
OLD, TEST = 450, 150  # rows to learn the old task from; to test a new one, or to judge a trial
OTHER, SAME = "other classes", "half a pixel aside"
RESULTS = Path(__file__).with_name("transfer.csv")

digits = load_digits()
_image = np.float32(digits.images / 16)
_aside = (_image + np.roll(_image, 1, axis=2)) / 2
X = np.concatenate([_image, _aside]).reshape(-1, 64)
y = np.tile(digits.target % 5, 2)  # five classes each


def network(n: int, config: Config, seed: int):
    """Return `n` networks of a configuration, side by side."""
    sizes = [X.shape[1], *config["layers"] * [config["units"]], 5]
    return side_by_side(n, sizes, config["activation"], config["rate"], seed)


def train(net, rows: list[np.ndarray], seed: int, steps: int = STEPS):
    """Train network i on batches drawn from rows[i]."""
    rng = default_rng(seed)
    batches = np.transpose([rng.choice(r, BATCH * steps) for r in rows])
    net.fit(X[batches], y[batches], batch_size=BATCH, shuffle=False, verbose=0)
    return net


def balanced(rows: np.ndarray) -> np.ndarray:
    """Order rows so that each beginning has as many of each digit, but for the last round."""
    rounds = pd.Series(rows).groupby(digits.target[rows]).cumcount()
    return rows[np.argsort(rounds, kind="stable")]


def few(rows: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw k rows of each class."""
    rows = rng.permutation(rows)
    found = np.concatenate([rows[y[rows] == c][:k] for c in range(5)])
    if len(found) < 5 * k:
        raise ValueError(f"rows: a class has fewer than {k}")
    return found


def accuracy(net, rows: np.ndarray) -> np.ndarray:
    """Return the share of right answers of each network on its rows, of shape (n, m)."""
    return (net(X[rows.T]).numpy().argmax(axis=2) == y[rows.T]).mean(axis=0)


def searched(old: np.ndarray, seed: int) -> Config:
    """Return what learns the old task best from few examples."""
    learn_from, judge_on = old[TEST:], old[:TEST]

    def judged(config: Config) -> float:
        rng = default_rng(seed)
        rows = [few(learn_from, k, rng) for k in SHOTS for _ in range(5)]
        net = train(network(len(rows), config, seed), rows, seed)
        return accuracy(net, np.tile(judge_on, (len(rows), 1))).mean()

    return max([DEFAULT, *SPACE.sobol(CONFIGS, default_rng(seed))], key=judged)


def compete(config: Config, old: np.ndarray, new: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """Return accuracies on the new tasks, from drawn and from carried weights.

    Returns
    -------
    numpy.ndarray of shape (n_tasks, n_shots, 2, DRAWS)
    """
    learned = network(DRAWS, config, seed)
    learned = train(learned, DRAWS * [old], seed, OLD_STEPS).get_weights()
    cases = list(product(new, SHOTS, (False, True), range(DRAWS)))
    net = network(len(cases), config, 1000 + seed)
    weights = net.get_weights()
    for w, wise in zip(weights, learned, strict=True):
        for i, (name, _, carried, draw) in enumerate(cases):
            if carried and (name == SAME or w.shape[-1] != 5):  # other classes, new outputs
                w[i] = wise[draw]
    net.set_weights(weights)
    rows = [few(new[name][TEST:], k, default_rng([seed, draw])) for name, k, _, draw in cases]
    found = accuracy(train(net, rows, seed), np.array([new[c[0]][:TEST] for c in cases]))
    return found.reshape(len(new), len(SHOTS), 2, DRAWS)


def main() -> None:
    """Run all, and write the results."""
    os.environ |= TENSORFLOW  # before it is imported
    table = []
    for split in range(SPLITS):
        order = balanced(default_rng(split).permutation(len(digits.target)))
        low, high = (order[(digits.target[order] < 5) == c] for c in (True, False))
        old, new = low[:OLD], {OTHER: high, SAME: low[OLD:] + len(order)}  # no picture in both
        best = searched(old, split)
        print(split, best, flush=True)
        plain, tuned = (compete(c, old, new, split).mean(axis=-1) for c in (DEFAULT, best))
        for (i, task), (j, k) in product(enumerate(new), enumerate(SHOTS)):
            ways = {"neither": plain[i, j, 0], "weights": plain[i, j, 1],
                    "hyperparameters": tuned[i, j, 0], "both": tuned[i, j, 1]}  # fmt: skip
            table += [(split, task, k, way, value) for way, value in ways.items()]
    columns = ["split", "panel", "x", "line", "accuracy"]
    write_file(RESULTS, summary(pd.DataFrame(table, columns=columns)).to_csv(index=False))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Average over splits, with intervals."""
    wide = 100 * table.pivot_table("accuracy", ["panel", "x", "split"], "line", sort=False)
    rows = []
    for way in ("neither", "weights", "hyperparameters", "both"):
        for (task, k), t in wide[way].groupby(level=[0, 1], sort=False):
            rows.append((task, way, k, *_interval(t)))
    for task, t in (wide.sub(wide["neither"], axis=0)).groupby(level=0, sort=False):
        won = t.groupby(level="split").mean()
        rows += [(task, way, None, *_interval(won[way])) for way in won if way != "neither"]
    return pd.DataFrame(rows, columns=["panel", "line", "x", "middle", "low", "high"]).round(2)


def _interval(values: pd.Series) -> tuple:
    return bootstrap_interval(values.to_numpy(), range(len(values)), default_rng(0))


if __name__ == "__main__":
    main()
