"""Throughput of a collection against a bare joblib loop over the same calls, in one run.

``python benchmarks/collect.py`` evaluates 400 times for about 50 ms on two workers, three times
each way, in turns; it exits with 1 if the collection reaches less than 95 %.
"""

import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier

from metahpo_lite import Dataset, LiveTask, collect_experience
from metahpo_lite.hyperparameters import Float
from metahpo_lite.learners import Learner, get_learner
from metahpo_lite.spaces import SearchSpace

FOLDS, SECONDS = 2, 0.05


class Busy(DummyClassifier):
    """A model whose fit takes a known time, whatever else the machine does."""

    def fit(self, X, y):
        """Wait."""
        time.sleep(SECONDS / FOLDS)
        return super().fit(X, y)


def _model(config, seed):
    return Busy()


def _preprocess():
    return get_learner("svc").preprocess()


def _evaluate(task, config):
    return task.evaluate(config)


def main() -> int:
    """Run both ways in turns, and print the evaluations per second of each."""
    space = SearchSpace([Float("x", 0, 1)])
    learner = Learner("busy", space, {"x": 0.5}, _preprocess, _model)
    configs = space.sobol(100, np.random.default_rng(0))
    y = np.arange(500) % 2
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(500, 20))).add_prefix("x")
    tables = [Dataset.from_frame(frame.assign(y=y), "y", f"table{i}") for i in range(4)]
    rates = {"bare": [], "collect": [], "collect with a time limit": []}
    with joblib.parallel_config(n_jobs=2):
        for turn in range(4):
            tasks = [LiveTask(table, learner, folds=FOLDS) for table in tables]
            _ = [task.prepared for task in tasks]  # a favour to the bare loop: not in its time
            start = time.perf_counter()
            calls = [joblib.delayed(_evaluate)(t, c) for t in tasks for c in configs]
            joblib.Parallel()(calls)
            seconds = [time.perf_counter() - start]
            for limit in (None, 20.0):
                with tempfile.TemporaryDirectory() as folder:
                    start = time.perf_counter()
                    collect_experience(
                        learner, tables, configs, Path(folder), folds=FOLDS, time_limit=limit
                    )
                    seconds.append(time.perf_counter() - start)
            if turn:  # the first one starts the workers
                for name, s in zip(rates, seconds, strict=True):
                    rates[name].append(len(calls) / s)
    median = {name: float(np.median(values)) for name, values in rates.items()}
    for name, rate in median.items():
        spread = f"{min(rates[name]):.1f} to {max(rates[name]):.1f}"
        share = f"{rate / median['bare']:.1%} of the bare loop"
        print(f"{name:26}{rate:6.1f} evaluations per second ({spread}), {share}")
    return int(median["collect"] < 0.95 * median["bare"])


if __name__ == "__main__":
    sys.exit(main())
