"""Tables made up, and a learner that does what it is told, for the tests of tasks."""

import hashlib
import os
import signal
import time

import numpy as np
import pandas as pd
import psutil
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.tree import DecisionTreeClassifier

from metahpo_lite import Categorical, SearchSpace
from metahpo_lite.datasets import Dataset, load_dataset
from metahpo_lite.learners import LEARNERS, Learner

SVC, TREES = LEARNERS["svc"], LEARNERS["hist_gradient_boosting"]
SLOW = 30.0  # a limit that nothing here reaches, also on a busy machine
RNG = np.random.default_rng(0)


def table(*counts, features=3, name="made up"):
    """A table with so many rows of each class, in random order."""
    y = RNG.permutation(np.repeat([f"class {i}" for i in range(len(counts))], counts))
    X = pd.DataFrame(RNG.normal(size=(len(y), features))).add_prefix("x")
    X["x0"] += pd.Series(y).str[-1].astype(int)
    return Dataset.from_frame(X.assign(y=y), "y", name=name)


# ------------------------------------------------------------------ odd learners

WHAT = SearchSpace(
    [Categorical("do", ["tree", "hash", "raise", "timeout", "odd", "exit", "grow", "pid"])]
)


class OwnError(Exception):
    """An error that takes more than a message."""

    def __init__(self, code, reason):
        super().__init__(code, reason)


class Odd(ClassifierMixin, BaseEstimator):
    """Does what it is told: works, computes for minutes in C, raises, dies, grows."""

    kept: list = []  # noqa: RUF012 - shared on purpose

    def __init__(self, do="tree"):
        self.do = do

    def fit(self, X, y):
        if self.do == "hash":  # one call of C that no signal ends
            hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 2**30)
        elif self.do == "raise":
            raise ZeroDivisionError("what was wrong")
        elif self.do == "timeout":
            raise TimeoutError("the model's own")
        elif self.do == "odd":
            raise OwnError(3, "reason")
        elif self.do == "exit":
            os.kill(os.getpid(), signal.SIGKILL)  # as a system does that is out of memory
        elif self.do == "grow":
            Odd.kept.append(np.ones(50_000_000))  # 400 MB
            time.sleep(0.4)
        self.classes_ = np.unique(y)
        self.tree_ = DecisionTreeClassifier(random_state=0).fit(X, y)
        return self

    def predict(self, X):
        if self.do == "pid":  # the share of the process number, so that the score tells
            return np.repeat(self.classes_[0], len(X))
        return self.tree_.predict(X)


def odd_model(config, seed):
    return Odd(config["do"])


ODD = Learner("odd", WHAT, {"do": "tree"}, SVC.preprocess, odd_model)
IRIS = load_dataset("iris")


def workers() -> set[psutil.Process]:
    """The processes below this one, without those that Python keeps to clean up."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if "resource_tracker" not in " ".join(process.cmdline()):
                found.add(process)
        except psutil.Error:  # gone, or a zombie: for wait_procs to tell
            found.add(process)
    return found


def none_left(before: set[psutil.Process]) -> bool:
    return not psutil.wait_procs(workers() - before, timeout=3)[1]
