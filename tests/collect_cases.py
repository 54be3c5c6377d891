"""A quick collection, in this process or in a copy that may be killed, for its tests."""

import contextlib
import io
import multiprocessing
import os
import re
import signal
import time
import warnings

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.naive_bayes import GaussianNB

from metahpo_lite import Dataset, draw_configs, get_learner
from metahpo_lite.collect import collect_experience
from metahpo_lite.hyperparameters import Categorical, Float, Int
from metahpo_lite.learners import Learner
from metahpo_lite.spaces import SearchSpace

SPACE = SearchSpace(
    [
        Categorical("kind", [None, True, 1, "1", 0.5]),
        Float("smoothing", 1e-9, 1.0, log=True, when={"kind": [None, True, "1"]}),
        Int("n", 1, 9, when={"kind": [1]}),
    ]
)
DEFAULT = {"kind": None, "smoothing": 1e-9}


def model(config, seed):
    if config["kind"] == 0.5:
        raise ArithmeticError("no half model")
    if config.get("n") == 9:
        time.sleep(60)
    return GaussianNB(var_smoothing=config.get("smoothing", 1e-3))


def preprocess():
    return get_learner("mlp").preprocess()


LEARNER = Learner("naive_bayes", SPACE, DEFAULT, preprocess, model)


# without those that sleep

CONFIGS = [c for c in draw_configs(LEARNER, 60) if c.get("n") != 9][:40]


def table(name, rows=60, columns=3, shift=1.0):
    rng = np.random.default_rng(len(name) + rows)
    y = np.arange(rows) % 3
    X = rng.normal(size=(rows, columns)) + shift * y[:, None]
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(columns)])
    return Dataset.from_frame(frame.assign(y=y), "y", name, licence="none")


TABLES = [table("one"), table("two", 90), table("three", 75, 5)]


def describe(dataset):
    return pd.Series({"rows": len(dataset.X), "nothing": np.nan})


def collect(folder, tables=TABLES, configs=CONFIGS, learner=LEARNER, **options):
    options = {"time_limit": None, "describe": describe, "progress": False, **options}
    return collect_experience(learner, tables, configs, folder, **options)


def contents(folder):
    """All files as bytes, the scores without the seconds; and any day, as midnight may pass."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in {"space.json", "README.md"} & set(files):
        files[name] = re.sub(rb"\b20\d\d-\d\d-\d\d\b", b"a day", files[name])
    scores = pq.read_table(folder / "scores.parquet").drop_columns("seconds")
    buffer = io.BytesIO()
    pq.write_table(scores, buffer)
    return {**files, "scores.parquet": buffer.getvalue()}


# ---- interruptions

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@contextlib.contextmanager
def forked(target, *args):
    """Run a function in a copy of this process; kill it at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads in a process that forks
        process = multiprocessing.get_context("fork").Process(target=target, args=args)
        process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()


# ---- what is refused


def snapshot(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
