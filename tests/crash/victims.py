"""What is killed: a learner that does what it is told, and collections of it."""

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from collect_cases import preprocess
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import GaussianNB
from tqdm.auto import tqdm

from metahpo_lite import Categorical, SearchSpace
from metahpo_lite import collect as collecting
from metahpo_lite.hyperparameters import Int
from metahpo_lite.learners import Learner
from metahpo_lite.storage import LOG

slow = pytest.mark.skipif(not os.environ.get("METAHPO_CRASH"), reason="slow: make crash")
root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs root")

MANY = 60 if os.environ.get("METAHPO_CRASH") else 15  # how often something is ended


class Victim(ClassifierMixin, BaseEstimator):
    """Does in fit what it is told."""

    def __init__(self, do="fine", n=0, after=0):
        self.do, self.n, self.after = do, n, after

    def fit(self, X, y):
        if len(X) > self.after:  # of a search: only the refit has all rows
            DEED[self.do]()
        self.model_ = GaussianNB(var_smoothing=10.0**-self.n).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(X)


def memory():
    raise MemoryError("no room for an array")


def full():
    raise OSError(28, "No space left on device")


DEED = {
    "fine": lambda: None,
    "segfault": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),  # as a system does that lacks memory
    "memory": memory,
    "allocate": lambda: np.ones(1 << 40),  # 8 TiB
    "exit": lambda: sys.exit(3),
    "full": full,
    "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
    "sleep": lambda: time.sleep(60),
}


def model(config, seed):
    return Victim(**config)


SPACE = SearchSpace([Categorical("do", list(DEED)), Int("n", 0, 9)])
VICTIM = Learner("victim", SPACE, {"do": "fine", "n": 0}, preprocess, model)


def finished(folder):
    """All evaluations that a folder holds; none is there twice."""
    log, scores, rows = folder / LOG, folder / "scores.parquet", []
    stored = pq.read_table(scores).to_pylist() if scores.exists() else []
    if log.exists():
        lines = log.read_bytes().splitlines(keepends=True)
        rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
        rows = [row for row in rows if "config" in row]
    assert len({(row["task"], row["config"]) for row in rows}) == len(rows)
    return {(row["task"], row["config"]): row for row in [*rows, *stored]}


def counting(notes, function, *args, **options):
    """Call a function that collects, in a process of its own, and note what it evaluates."""
    evaluate = collecting.evaluate

    def noted(job, number, config):
        with open(notes, "a") as file:
            file.write(f"{job.task} {number}\n")
        return evaluate(job, number, config)

    # tqdm's own lock is shared with all forks: one that is killed holding it would stop the others
    tqdm.set_lock(threading.RLock())
    collecting.evaluate = noted
    function(*args, **options)


@contextlib.contextmanager
def silent():
    """Let a child say nothing on the terminal."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
