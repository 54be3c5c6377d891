"""Methods: every searcher that is compared, one line each in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pandas as pd

from benchmarks import peers
from metahpo_lite.bayes import BayesianSearch, Candidates
from metahpo_lite.config_predictor import ConfigPredictor
from metahpo_lite.distances import TaskDistance
from metahpo_lite.learned_distance import LearnedDistance
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.metric_based import NearestTasks
from metahpo_lite.model_based import MetaModelSearch, PerformancePredictor
from metahpo_lite.portfolio import Portfolio, greedy_portfolio, warm_start
from metahpo_lite.search import RandomSearch, Searcher
from metahpo_lite.spaces import Config, SearchSpace
from metahpo_lite.warmstart import RankWeighted, WarmStart

WARM = 5  # configurations of the portfolio before another searcher goes on


@dataclass(frozen=True, eq=False)
class Setting:
    """All that a searcher may know before its first trial.

    Attributes
    ----------
    space : SearchSpace
    pool : sequence of dict
        The configurations that can be tried.
    experience : MetaDataset
        The same configurations, in the same order, on the tasks of all other families.
    meta_features : Series or None
        Of the task itself.
    n_trials : int
    rng : numpy.random.Generator
    """

    space: SearchSpace
    pool: Sequence[Config] = field(repr=False)
    experience: MetaDataset = field(repr=False)
    meta_features: pd.Series | None = field(repr=False)
    n_trials: int
    rng: np.random.Generator = field(repr=False)


class InOrder:
    """Given configurations, one after the other."""

    def __init__(self, configs: Sequence[Config]):
        self.left = list(configs)[::-1]

    def suggest(self) -> Config:
        """Return the next one; StopIteration after the last."""
        if not self.left:
            raise StopIteration
        return self.left.pop()

    def update(self, config: Config, score: float) -> None:
        """The order is fixed before the first trial."""


def grid_of_pool(space: SearchSpace, pool: Sequence[Config], budget: int, rng) -> list[Config]:
    """Return the finest full grid for the budget, in random order, as configurations of the pool.

    Each point is taken as the nearest configuration that was not taken before.
    """
    candidates = Candidates(space, rng, pool)
    points = rng.permutation(space.encode(space.grid(budget)))
    return [candidates.nearest(point) for point in points[: len(pool)]]


def best_mean_rank(experience: MetaDataset) -> Config:
    """Return the configuration with the best mean rank over tasks.

    Equal scores share their average rank; a failed trial ranks last.
    """
    ranks = experience.scores.rank(axis=1, ascending=False, na_option="bottom")
    return experience.configs[int(ranks.mean().to_numpy().argmin())]


def after_portfolio(s: Setting, searcher: Searcher) -> Searcher:
    """Begin with the portfolio, then go on with the searcher."""
    return warm_start(searcher, greedy_portfolio(s.experience, min(WARM, s.n_trials)))


@lru_cache(maxsize=4)
def fitted(experience: MetaDataset, kind: type, **settings):
    """Fit a meta-model to experience: once for all seeds of a task."""
    return kind(**settings).fit(experience)


def by_config(s: Setting) -> Searcher:
    """Try what is predicted to be the best configuration, then what is nearest to it."""
    config = fitted(s.experience, ConfigPredictor).predict(s.meta_features)
    candidates, point = Candidates(s.space, s.rng, s.pool), s.space.encode(config)
    return InOrder([candidates.nearest(point) for _ in s.pool[: s.n_trials]])


def by_performance(s: Setting, **settings) -> Searcher:
    """Try what is predicted to do best, and ask again after each trial."""
    predictor = fitted(s.experience, PerformancePredictor, **settings)
    return MetaModelSearch(s.space, s.rng, s.experience, s.meta_features, s.pool, predictor)


def by_distance(s: Setting, kind: type) -> Searcher:
    """Try what does best on near tasks; without meta-features all are as near at first."""
    distance = None if s.meta_features is None else fitted(s.experience, kind)
    return NearestTasks(
        s.space, s.rng, s.experience, s.meta_features, distance, pool=s.pool
    )  # fmt: skip


def by_experience(s: Setting, meta_features: pd.Series | None) -> Searcher:
    """Optimize with the experience as the prior."""
    distance = None if meta_features is None else fitted(s.experience, LearnedDistance)
    return WarmStart(s.space, s.rng, s.experience, meta_features, s.pool, distance)


METHODS: dict[str, Callable[[Setting], Searcher]] = {
    "random": lambda s: RandomSearch(s.space, s.rng, s.pool),
    "random_2x": lambda s: RandomSearch(s.space, s.rng, s.pool),
    "grid": lambda s: InOrder(grid_of_pool(s.space, s.pool, s.n_trials, s.rng)),
    "default": lambda s: InOrder([best_mean_rank(s.experience)]),
    "gp_bo": lambda s: BayesianSearch(s.space, s.rng, s.pool),
    "portfolio": lambda s: Portfolio(s.experience, s.n_trials),
    "portfolio_gp_bo": lambda s: after_portfolio(s, BayesianSearch(s.space, s.rng, s.pool)),
    "portfolio_tpe": lambda s: after_portfolio(s, peers.OptunaTPE(s.space, s.rng, s.pool, WARM)),
    "optuna_tpe": lambda s: peers.OptunaTPE(s.space, s.rng, s.pool),
    "config_predictor": by_config,
    "meta_model": by_performance,
    "meta_model_mse_raw": lambda s: by_performance(s, loss="raw"),
    "nearest_tasks": lambda s: by_distance(s, TaskDistance),
    "learned_distance": lambda s: by_distance(s, LearnedDistance),
    "rank_weighted": lambda s: RankWeighted(s.space, s.rng, s.experience, s.pool),
    "warm_start": lambda s: by_experience(s, s.meta_features),
    "warm_start_no_meta": lambda s: by_experience(s, None),
    "syne_tune_zero_shot": lambda s: peers.SyneTuneZeroShot(s.rng, s.experience),
    "syne_tune_cts": lambda s: peers.SyneTuneCTS(s.space, s.rng, s.experience),
    "openbox_rgpe": lambda s: peers.OpenBoxRGPE(s.space, s.rng, s.experience),
    "skopt_gp": lambda s: peers.SkoptGP(s.space, s.rng, s.pool),
}
DRAWS = {"random_2x": 2}  # how many configurations count as one trial, if not one
NEEDS = {  # the packages of the extra `bench`; in capitals, a variable that names a program
    "portfolio_tpe": ["optuna"],
    "optuna_tpe": ["optuna"],
    "syne_tune_zero_shot": ["syne_tune", "huggingface_hub"],
    "syne_tune_cts": ["syne_tune", "huggingface_hub"],
    "openbox_rgpe": ["OPENBOX_PYTHON"],
    "skopt_gp": ["skopt"],
    "config_predictor": ["keras", "tensorflow"],
}
