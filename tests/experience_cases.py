"""Experience that is made up: one of its meta-features says where the best is."""

from pathlib import Path

import numpy as np
import pandas as pd

from metahpo_lite import Categorical, Float, MetaDataset, SearchSpace

SPACE = SearchSpace([Float("x", 0, 1), Categorical("kind", ["a", "b"])])


def dataset(configs, scores: np.ndarray, features: pd.DataFrame | None) -> MetaDataset:
    names = [f"t{i}" for i in range(len(scores))]
    trials = pd.DataFrame(
        [(name, i, s) for name, row in zip(names, scores, strict=True) for i, s in enumerate(row)],
        columns=["task", "config", "score"],
    )
    tasks = pd.DataFrame({"family": names}, index=pd.Index(names, name="task"))
    if features is not None:
        features = features.set_axis(tasks.index)
    return MetaDataset(SPACE, configs, trials, tasks, features)


def study_file(path: Path) -> Path:
    """Make a storage with a study of four trials, and leave it closed."""
    import optuna

    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    study = optuna.create_study(storage=storage, study_name="s")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 4)
    storage.remove_session()
    storage.engine.dispose()
    return path


def described(experience: MetaDataset, features: pd.DataFrame | None) -> MetaDataset:
    return dataset(experience.configs, experience.scores.to_numpy(), features)


def made(n_tasks=40, n_configs=30, seed=0, shuffled=False) -> MetaDataset:
    """The first of three meta-features says where the best x is; the others are noise."""
    rng = np.random.default_rng(seed)
    where = rng.random(n_tasks)
    configs = SPACE.sample(rng, n_configs)
    x = np.array([config["x"] for config in configs])
    scores = 1 - (x - where[:, None]) ** 2 + 0.02 * rng.normal(size=(n_tasks, n_configs))
    features = pd.DataFrame(
        {"where": where, "noise": rng.normal(size=n_tasks), "more": rng.normal(size=n_tasks)}
    )
    if shuffled:
        features = features.iloc[rng.permutation(n_tasks)]
    return dataset(configs, scores, features)


NEW = pd.Series({"where": 0.3, "noise": 0.0, "more": 0.0})
