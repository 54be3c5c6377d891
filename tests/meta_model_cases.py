"""Experience that is made up, and models of it, for the tests of meta-models."""

from functools import cache

import numpy as np
import pandas as pd

from metahpo_lite import MetaDataset, PerformancePredictor
from metahpo_lite.hyperparameters import Categorical, Float, Int
from metahpo_lite.spaces import SearchSpace

SPACE = SearchSpace([
    Categorical("kernel", ["rbf", "poly", "linear"]),
    Float("gamma", 0.01, 1, log=True, when={"kernel": ["rbf", "poly"]}),
    Int("degree", 2, 4, when={"kernel": ["poly"]}),
])  # fmt: skip
CONFIG = ("network", "tree", "forest")
PERFORMANCE = (("trees", "ranks"), ("trees", "raw"), ("network", "ranks"), ("network", "raw"),
               ("network", "listwise"))  # fmt: skip


@cache
def made(n_tasks=40, n_configs=30, families=None, seed=0):
    """Experience of which the first meta-feature tells the kernel, the second gamma."""
    rng = np.random.default_rng(seed)
    configs = []
    while len(configs) < n_configs:
        config = SPACE.sample(rng)
        if config not in configs:
            configs.append(config)
    features = pd.DataFrame(rng.uniform(-1, 1, (n_tasks, 3)), columns=["kind", "width", "noise"])
    features.index = [f"t{i}" for i in range(n_tasks)]
    points = SPACE.encode(configs)
    rows = []
    for name, (kind, width, _) in features.iterrows():
        wanted = "rbf" if kind > 0 else "linear"
        level = rng.normal(scale=5)
        for i, config in enumerate(configs):
            score = level + (config["kernel"] == wanted)
            if "gamma" in config:
                score -= (points[i, 1] - (width + 1) / 2) ** 2
            rows.append((name, i, score))
    trials = pd.DataFrame(rows, columns=["task", "config", "score"])
    names = features.index if families is None else [f"f{i % families}" for i in range(n_tasks)]
    tasks = pd.DataFrame({"family": list(names)}, index=features.index)
    return MetaDataset(SPACE, configs, trials, tasks, features, {"learner": "made"})


@cache
def performance(model, loss):
    return PerformancePredictor(model, loss).fit(made().subset(list(made().tasks.index[10:])))


@cache
def some(learner, every=4):
    experience = MetaDataset.load(learner)
    return experience.subset(list(experience.tasks.index[::every]))


NEW = pd.Series({"kind": 0.8, "width": -0.5, "noise": 0.0})


# ------------------------------------------------------------------ bad input


def predictors():
    return [performance("trees", "ranks"), performance("network", "listwise")]
