"""Metric-based meta-learning: which tasks are near a new one, and what they would try.

`NearestTasks` tries what is good on the near ones; after each trial the new task itself says who is
near: whoever ranks the tried configurations as it does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.neighbors import KNeighborsRegressor
from threadpoolctl import threadpool_limits

from metahpo_lite.arguments import whole_number
from metahpo_lite.bayes import Candidates
from metahpo_lite.distances import METRICS, TaskDistance, expected_regrets, neighbour_weights
from metahpo_lite.gaussian_process import squared_differences
from metahpo_lite.learned_distance import LearnedDistance
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.spaces import Config, SearchSpace, check_same_space
from metahpo_lite.storage import config_key

AGREEMENT = 2.0  # how fast trials of the new task outweigh the distance


def mean_of_neighbours(
    experience: MetaDataset, meta_features: pd.Series, distance: TaskDistance | LearnedDistance,
    k: int,
) -> Config:  # fmt: skip
    """Average the best configurations of the k nearest tasks, as points of the unit cube.

    The classical example, by scikit-learn's `KNeighborsRegressor`. Two good kernels average to a
    third: lessons 07 and 09 show it.

    Parameters
    ----------
    experience : MetaDataset
        That the distance was fitted to.
    meta_features : Series
        Of the new task.
    distance : TaskDistance or LearnedDistance
        A cosine distance is taken between points at length 1.
    k : int
        From 1 to the number of tasks.

    Returns
    -------
    dict
        A valid configuration.

    Raises
    ------
    ValueError
        If `k` is out of range, or the meta-features are not those of the experience.
    """
    points, new = distance.points_, distance.embed(meta_features)
    whole_number("k", k, 1, len(points))
    metric = METRICS[getattr(distance, "metric", "euclidean")]
    best = experience.points[experience.regrets.to_numpy().argmin(axis=1)]
    near = KNeighborsRegressor(n_neighbors=k, metric=metric).fit(points, best)
    with threadpool_limits(1):  # of one row, threads cost more than they save
        configs, _ = experience.space.snap(near.predict(new))
    return configs[0]


def first_weights(
    space: SearchSpace,
    rng: np.random.Generator,
    experience: MetaDataset,
    meta_features: pd.Series | None,
    distance: TaskDistance | LearnedDistance | None = None,
    k: int | None = None,
) -> np.ndarray:
    """Say how much each task counts before the first trial: see `neighbour_weights`.

    Parameters
    ----------
    space, rng, experience, meta_features, distance, k
        As for `NearestTasks`.

    Returns
    -------
    numpy.ndarray of shape (n_tasks,)

    Raises
    ------
    TypeError, ValueError
        As `NearestTasks` does.
    """
    check_same_space(space, experience.space)
    n_tasks = len(experience.tasks)
    if k is not None:
        whole_number("k", k, 1, n_tasks)
    if distance is None and experience.meta_features is not None:
        distance = LearnedDistance(seed=int(rng.integers(2**32))).fit(experience)
    if distance is None and meta_features is not None:
        raise ValueError("meta_features: got some, accepted is None: the experience has none")
    far = np.zeros((1, n_tasks)) if distance is None else distance(meta_features)
    if far.shape != (1, n_tasks):
        raise ValueError(
            f"distance: got one of {far.shape[0]} task(s) to {far.shape[1]}, accepted is one "
            f"of the new task to the {n_tasks} of the experience, which it was fitted to"
        )
    return neighbour_weights(far, getattr(distance, "k_", None) if k is None else k)[0]


class NearestTasks:
    """Tries what does best on near tasks, and asks after each trial who is near.

    Each task of the experience has a weight, by its distance (`neighbour_weights`). The next
    trial is the configuration that lowers the weighted mean of what the regret would be most, as
    in a greedy portfolio. After each trial a task's weight is multiplied by exp(beta sqrt(t) a):
    a, from -1 to 1, is the share of pairs of the t trials that it ranks as the new task does,
    minus the share of those that it ranks the other way (Kendall's tau).

    Parameters
    ----------
    space : SearchSpace
        That of the experience.
    rng : numpy.random.Generator
    experience : MetaDataset
        Of other families than the new task's.
    meta_features : Series or None
        Of the new task; None if the experience has none: then all tasks are as near, until trials
        tell.
    distance : TaskDistance or LearnedDistance, optional
        Fitted to the experience. If not given, a `LearnedDistance` is fitted.
    k : int, optional
        About how many near tasks count; that of the distance if not given.
    pool : sequence of dict, optional
        Search among these configurations alone: those that a replayed task knows.

    Attributes
    ----------
    weights : numpy.ndarray of shape (n_tasks,)
        How much each task counts now; with sum 1.

    Raises
    ------
    ValueError
        If the experience has another space or the distance was fitted to other tasks; `k` is out
        of range; or the pool is empty.
    TypeError, KeyError, ValueError
        If the meta-features or a configuration of the pool are not valid.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        experience: MetaDataset,
        meta_features: pd.Series | None,
        distance: TaskDistance | LearnedDistance | None = None,
        k: int | None = None,
        pool: Sequence[Config] | None = None,
    ):
        self.near = first_weights(space, rng, experience, meta_features, distance, k)
        self.weights = self.near
        self.space, self.candidates = space, Candidates(space, rng, pool)
        self.regrets, self.points = experience.regrets.to_numpy(), experience.points
        self.number = {config_key(config): i for i, config in enumerate(experience.configs)}
        self.agreement = np.zeros(len(self.near))  # pairs ranked alike minus pairs ranked otherwise
        self.tried: list[int] = []  # their numbers in the experience

    def suggest(self) -> Config:
        """Propose the most promising configuration; StopIteration when none is left."""
        best = self.regrets[:, self.tried].min(axis=1, initial=2.0)  # worse than the worst
        value = expected_regrets(self.weights, self.regrets, best)
        value[self.tried] = np.inf
        return self.candidates.nearest(self.points[int(value.argmin())])

    def update(self, config: Config, score: float) -> None:
        """Learn how a configuration did; NaN is a failed trial."""
        self.candidates.update(config, score)
        *_, point = self.candidates.points
        now = self.number.get(config_key(self.space.check(config)))
        if now is None:  # the experience does not know it: the nearest stands for it
            gaps = squared_differences(point[None], self.points, self.space.categorical)
            now = int(gaps.sum(axis=(0, 1)).argmin())
        ranks = rankdata(np.nan_to_num(self.candidates.scores, nan=-np.inf))
        here = np.sign(ranks[:-1] - ranks[-1])  # two failures are equal
        there = np.sign(self.regrets[:, [now]] - self.regrets[:, self.tried])
        self.agreement += there @ here
        self.tried.append(now)
        t = len(self.tried)
        if t > 1:
            tau = self.agreement / (t * (t - 1) / 2)
            self.weights = self.near * np.exp(AGREEMENT * np.sqrt(t) * (tau - tau.max()))
            self.weights = self.weights / self.weights.sum()
