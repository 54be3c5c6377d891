"""What `benchmarks.perf` measures, with the references, and how the seconds are taken."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from numpy.random import default_rng
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from metahpo_lite import (
    BayesianSearch,
    GaussianProcess,
    LiveTask,
    MetaDataset,
    MetaSampler,
    MetaSearchCV,
    RandomSearch,
    WarmStart,
    collect_experience,
    draw_configs,
    meta_features,
    run,
)

ROOT = Path(__file__).resolve().parents[1]
SLACK = 1.6  # below 2, so that no doubling passes unseen
TASK, TRIALS = "german", 25  # what is searched on replayed trials, and the budget

Pair = Callable[[], tuple[float, float]]  # the seconds of what is measured, and of its reference


@dataclass(frozen=True)
class Measure:
    """Something measured, its reference, and the ratio of their seconds when the bound was set."""

    name: str
    what: str
    reference: str
    now: float
    prepare: Callable[[], Pair]
    within: int = 0  # 1 where the reference is a part of what is measured
    pairs: int = 7

    @property
    def bound(self) -> float:
        """The largest ratio that passes."""
        return self.within + SLACK * (self.now - self.within)


# ---------------------------------------------------------------------- ways to take the time


def in_turn(ours: Callable, reference: Callable) -> Pair:
    """Call both in this process, by turns."""

    def seconds(function: Callable) -> float:
        gc.collect()  # what was done before is not to be cleared away here
        start = time.process_time()
        function()
        return time.process_time() - start

    def pair() -> tuple[float, float]:
        theirs = seconds(reference)
        return seconds(ours), theirs

    pair()  # what is loaded or kept at the first call
    return pair


def fresh(code: str, *arguments: str) -> list[float]:
    """Run code in a new process, and return the numbers in the last line that it prints."""
    command = [sys.executable, "-c", code, *arguments]
    # else each process of a fresh clone compiles what the one before it had compiled
    env = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{' '.join(code.split())}: {done.stderr.strip()}")
    return [float(number) for number in done.stdout.splitlines()[-1].split()]


def importing(ours: str, reference: str) -> Pair:
    """Run two pieces of code that import in new processes; the start of Python is not counted."""
    code = (
        "import importlib, sys, time; t = time.process_time(); {}; print(time.process_time() - t)"
    )
    fresh(code.format(ours))  # compiled, and read from the disk
    return lambda: tuple(fresh(code.format(line))[0] for line in (ours, reference))


# ---------------------------------------------------------------------- what is measured
# The first line of each docstring is what the report says of it.


def import_package() -> Pair:
    """Import of metahpo_lite, 50 times: once is too short for a clock."""
    again = "sys.modules.pop('metahpo_lite', None), __import__('metahpo_lite')"
    return importing(f"[({again}) for _ in range(50)]", "import numpy, pandas")


def import_search() -> Pair:
    """Import of MetaSearchCV and recommend from metahpo_lite."""
    ours = "from metahpo_lite import MetaSearchCV, recommend"
    return importing(ours, "import sklearn.model_selection, pandas")


@cache
def experience() -> MetaDataset:
    """Return what is shipped of svc."""
    return MetaDataset.load("svc")


def others() -> tuple[MetaDataset, pd.Series]:
    """Return the experience without the task that is searched, and the task's meta-features."""
    known = experience()
    return known.without(known.families[TASK]), known.meta_features.loc[TASK]


def table() -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table of numbers, and its three classes."""
    X, y = make_classification(2000, 30, n_informative=8, n_classes=3, random_state=0)
    return pd.DataFrame(X).add_prefix("x"), y


def trials(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first configurations of the experience as points, and their scaled scores."""
    scores = experience().replay(TASK).scores[:n]
    return experience().points[:n], (scores - scores.mean()) / scores.std()


def peer(X: np.ndarray, y: np.ndarray) -> GaussianProcessRegressor:
    """Fit scikit-learn's Gaussian process with the same kernel: a signal, scales and noise."""
    kernel = ConstantKernel() * Matern(np.ones(X.shape[1]), nu=2.5) + WhiteKernel()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianProcessRegressor(kernel, random_state=0).fit(X, y)


def peer_search() -> None:
    """Do with scikit-learn's process what a search does: fit to the trials, ask about the pool."""
    X, y = trials(TRIALS)
    for n in range(5, TRIALS):
        peer(X[:n], y[:n]).predict(experience().points, return_std=True)


def gaussian_process() -> Pair:
    """GaussianProcess.fit to 50 trials."""
    X, y = trials(50)
    return in_turn(lambda: GaussianProcess.fit(X, y), lambda: peer(X, y))


def run_loop() -> Pair:
    """run(...) by random search, 4,020 trials of a replayed task."""
    task = experience().replay(TASK)
    pool = list(task.pool) * 20

    def ours() -> None:
        run(RandomSearch(task.space, default_rng(0), pool), task, len(pool))

    return in_turn(ours, lambda: [task.evaluate(config) for config in pool])


def bayesian_search() -> Pair:
    """BayesianSearch, 25 trials on a replayed task."""
    task = experience().replay(TASK)

    def ours() -> None:
        run(BayesianSearch(task.space, default_rng(0), task.pool), task, TRIALS)

    return in_turn(ours, peer_search)


def warm_start() -> Pair:
    """WarmStart made of all other tasks, and 25 trials of it."""
    task, (known, described) = experience().replay(TASK), others()

    def ours() -> None:
        run(WarmStart(task.space, default_rng(0), known, described, task.pool), task, TRIALS)

    return in_turn(ours, peer_search)


def meta_sampler() -> Pair:
    """MetaSampler in an Optuna study of 25 trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known, described = others()

    def objective(trial) -> float:
        return -np.abs(known.space.encode(known.space.suggest(trial)) - 0.3).sum()

    def study(sampler) -> None:
        optuna.create_study(direction="maximize", sampler=sampler).optimize(objective, TRIALS)

    return in_turn(
        lambda: study(MetaSampler(known, described, seed=0)),
        lambda: [study(optuna.samplers.TPESampler(seed=seed)) for seed in range(5)],
    )


def search_cv() -> tuple[float, float]:
    """Search on digits; return the seconds of all but fits, scores and refit, and of these two."""
    X, y = load_digits(return_X_y=True)
    start = time.perf_counter()
    found = MetaSearchCV("svc", random_state=0).fit(X, y)
    whole, results = time.perf_counter() - start, found.cv_results_
    evaluations = found.n_splits_ * (results["mean_fit_time"] + results["mean_score_time"]).sum()
    return whole - found.refit_time_ - evaluations, evaluations


def first_search_cv() -> Pair:
    """MetaSearchCV on digits in a new process: all but fits, scores and refit."""
    code = "from benchmarks.perf_measures import search_cv; print(*search_cv())"
    return lambda: tuple(fresh(code))


def later_search_cv() -> Pair:
    """MetaSearchCV on digits once more in a process: all but fits, scores and refit."""
    search_cv()
    return search_cv


def collection() -> Pair:
    """collect_experience on two small tables, one evaluation at a time."""
    names, configs = ["iris", "wine"], draw_configs("svc", 40)

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder, joblib.parallel_config(n_jobs=1):
            collect_experience("svc", names, configs, folder, time_limit=None, progress=False)

    def reference() -> None:
        for name in names:
            task = LiveTask(name, "svc")
            for config in configs:
                task.evaluate(config)

    return in_turn(ours, reference)


def describe() -> Pair:
    """meta_features of a table of 2,000 x 30."""
    X, y = table()
    return in_turn(
        lambda: [meta_features(X, y) for _ in range(3)],
        lambda: [cross_val_score(LogisticRegression(), X, y, cv=5) for _ in range(3)],
    )


def recommend() -> Pair:
    """The command `recommend`, for a file of 2,000 x 30."""
    X, y = table()
    content = X.assign(y=y).to_csv(index=False)
    ours = (
        "import atexit, runpy, time; atexit.register(lambda: print(time.process_time())); "
        "runpy.run_module('metahpo_lite', run_name='__main__')"
    )
    needed = (
        "import time, pandas, pyarrow.parquet, scipy.stats, sklearn.svm, sklearn.ensemble, "
        "sklearn.neural_network; print(time.process_time())"
    )

    def pair() -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "table.csv")
            file.write_text(content, encoding="utf-8")
            seconds = fresh(ours, "recommend", str(file), "--target", "y", "--learner", "svc")
        return seconds[0], fresh(needed)[0]

    pair()
    return pair


def load() -> Pair:
    """MetaDataset.load of what is shipped of svc."""
    files = sorted((ROOT / "data" / "svc").glob("*.parquet"))
    return in_turn(
        lambda: [MetaDataset.load("svc") for _ in range(10)],
        lambda: [pd.read_parquet(file) for _ in range(10) for file in files],
    )


def kept(prepare: Callable[[], Pair], reference: str, now: float, **options) -> Measure:
    """Name a measure as its function, and describe it by the docstring."""
    what = prepare.__doc__.splitlines()[0].rstrip(".")
    return Measure(prepare.__name__, what, reference, now, prepare, **options)


PROCESS = "scikit-learn's GaussianProcessRegressor, fitted before each of 20 trials"
LEARNERS = "a process that imports pandas, pyarrow, scipy and scikit-learn's models"
MEASURES = [
    kept(import_package, "import numpy, pandas", 0.015),
    kept(import_search, "import sklearn.model_selection, pandas", 1.17, within=1),
    kept(run_loop, "the same evaluations in a plain loop", 1.17, within=1, pairs=15),
    kept(gaussian_process, "scikit-learn's GaussianProcessRegressor.fit to the same", 0.225),
    kept(bayesian_search, PROCESS, 0.178),
    kept(warm_start, PROCESS, 0.71),
    kept(meta_sampler, "five such studies by Optuna's TPESampler", 2.55),
    kept(first_search_cv, "its fits and scores", 0.047, pairs=5),
    kept(later_search_cv, "its fits and scores", 0.034, pairs=5),
    kept(collection, "the same evaluations in a plain loop", 1.07, within=1, pairs=9),
    kept(describe, "five folds of a logistic regression on it", 1.3),
    kept(recommend, LEARNERS, 1.45, within=1),
    kept(load, "pandas.read_parquet of the same files", 2.3, pairs=9),
]
