"""For the benchmark's tests: tables from elsewhere, short runs, and a method that spies."""

import numpy as np
import pandas as pd

from benchmarks.methods import Setting
from benchmarks.runner import run_benchmark
from metahpo_lite import Categorical, Float, MetaDataset, SearchSpace

QUICK = [
    "random",
    "random_2x",
    "grid",
    "default",
    "portfolio",
    "gp_bo",
    "portfolio_gp_bo",
    "rank_weighted",
    "warm_start_no_meta",
]


def trials(n_tasks=5, n_configs=12, shared=True, seed=0):
    """A table from elsewhere: a categorical one, a number, and one that needs the choice b."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n_tasks):
        draw = np.random.default_rng(1) if shared else rng
        for choice, x, y in zip(
            draw.integers(3, size=n_configs), *draw.random((2, n_configs)), strict=True
        ):
            row = {"task": f"t{i}", "kind=a": 0.0, "kind=b": 0.0, "kind=c": 0.0, "x": x}
            row[f"kind={'abc'[choice]}"] = 1.0
            row["y"] = y if choice == 1 else -0.25
            row["score"] = -((x - 0.6) ** 2) + 0.3 * (choice == 1) * y + 0.05 * rng.random()
            rows.append(row)
    return pd.DataFrame(rows)


def write(folder, table, families=None, meta_features=None):
    folder.mkdir(parents=True)
    table.to_parquet(folder / "trials.parquet", index=False)
    if families is not None:
        frame = pd.DataFrame({"task": list(families), "family": list(families.values())})
        frame.to_parquet(folder / "tasks.parquet")
    if meta_features is not None:
        meta_features.to_parquet(folder / "meta_features.parquet")
    return folder


def our_experience():
    space = SearchSpace([Float("C", 0.1, 10, log=True), Categorical("kernel", ["rbf", "linear"])])
    configs, rng = space.sample(np.random.default_rng(0), 10), np.random.default_rng(1)
    names = [f"t{i}" for i in range(4)]
    table = pd.DataFrame({
        "task": np.repeat(names, 10), "config": np.tile(range(10), 4), "score": rng.random(40)
    })  # fmt: skip
    table.loc[[3, 14], "score"] = np.nan  # failed
    tasks = pd.DataFrame({"family": ["f0", "f0", "f1", "f2"]}, index=pd.Index(names, name="task"))
    return MetaDataset(space, configs, table, tasks)


def cells_of(folder, out, names, **options):
    return run_benchmark([folder], out, names, **{"n_seeds": 2, "n_jobs": 1, **options})[1]


# ---------------------------------------------------------------------- nothing leaks


class Spy:
    def __init__(self, setting):
        self.setting, self.left = setting, list(setting.pool)
        seen.append(setting)

    def suggest(self):
        return self.left.pop()

    def update(self, config, score):
        pass


seen: list[Setting] = []
