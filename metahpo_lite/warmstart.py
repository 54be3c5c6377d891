"""Warm starts: what other tasks taught comes before the first trial, and goes on to count after it.

A portfolio tries first what did well on other tasks. `WarmStart` makes them the prior of a
Gaussian process, and learns from each trial how far it may trust them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax

from metahpo_lite.bayes import (
    SCALE,
    Candidates,
    GaussianProcess,
    expected_improvement,
    matern52,
    squared_differences,
    standardise,
)
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.metric_based import (
    LearnedDistance,
    NearestTasks,
    TaskDistance,
    expected_regrets,
    first_weights,
)
from metahpo_lite.model_based import normal_ranks
from metahpo_lite.search import Searcher
from metahpo_lite.spaces import Config, SearchSpace, whole_number

# Chosen on our own experience, families left out. Variances are in units of the tasks' own
OWN = 0.5  # of the new task's deviation from the mean, this share is its own: no source's
SMOOTH = 0.3  # of that, this part of the variance is smooth; the rest varies as the sources do
LENGTH = 1.0  # the length scale of the smooth part, in the unit cube
NOISE = 0.05  # of a score
OFFSET = 100.0  # of the level of a task, which is as good as unknown
SIZE = 2.0  # trials' worth of belief that the responses of tasks are of one size
FLAT = 0.2  # the least size of what the tried configurations let expect
LOG = 0.2  # the view by logarithms tells regrets below this share of the range well apart
COLD = 0.3  # of the belief, before the first trial: the new task is like none of the sources
DRAWS = 32  # sets of length scales that it may have then
UNLIKELY = 1e-3  # of the belief; hypotheses below it have no say


def greedy_portfolio(
    experience: MetaDataset, n: int, weights: np.ndarray | None = None
) -> list[Config]:
    """Choose `n` configurations that together do well on every task of the experience.

    Each is the one that lowers the mean regret of the best so far most, given those before it
    (Wistuba et al., 2015). The gain is submodular, so that n greedy ones are within 1 - 1/e of
    the best n (Nemhauser et al., 1978).

    Parameters
    ----------
    experience : MetaDataset
    n : int
        All configurations at most.
    weights : array of shape (n_tasks,), optional
        How much each task counts, 0 or more; all alike if not given.

    Returns
    -------
    list of dict
        The best first.

    Raises
    ------
    ValueError
        If `n` is below 1, or the weights are not one number for each task, 0 or more, not all 0.
    """
    regrets = experience.regrets.to_numpy()  # (n_tasks, n_configs)
    weights = np.ones(len(regrets)) if weights is None else np.asarray(weights, dtype=float)
    if weights.shape != (len(regrets),) or not (weights.min() >= 0 and 0 < weights.sum() < np.inf):
        raise ValueError(
            f"weights: got {weights}, accepted is a number for each of the {len(regrets)} tasks, "
            "0 or more, not all 0"
        )
    chosen, best = [], np.full(len(regrets), 2.0)  # worse than the worst
    for _ in range(min(whole_number("n", n), regrets.shape[1])):
        mean = expected_regrets(weights, regrets, best)
        mean[chosen] = np.inf  # each once
        chosen.append(int(mean.argmin()))
        best = np.minimum(best, regrets[:, chosen[-1]])
    return [experience.configs[i] for i in chosen]


class Portfolio:
    """The greedy portfolio as a searcher: its configurations in order, whatever they score.

    Parameters
    ----------
    experience : MetaDataset
    n : int
        How many configurations.
    weights : array of shape (n_tasks,), optional
        How much each task counts (see `greedy_portfolio`).
    """

    def __init__(self, experience: MetaDataset, n: int, weights: np.ndarray | None = None):
        self.left = greedy_portfolio(experience, n, weights)[::-1]

    def suggest(self) -> Config:
        """Return the next configuration; StopIteration when all were tried."""
        if not self.left:
            raise StopIteration
        return self.left.pop()

    def update(self, config: Config, score: float) -> None:
        """A portfolio is fixed before the first trial."""


def warm_start(searcher: Searcher, configs: Sequence[Config]) -> Searcher:
    """Begin a searcher with given configurations; it is told how they did.

    Parameters
    ----------
    searcher : Searcher
        One that learns from trials it did not propose, as `BayesianSearch` does.
    configs : sequence of dict
        Tried first, in this order.

    Returns
    -------
    Searcher
        With the same two methods.
    """
    return _WarmStarted(searcher, list(configs)[::-1])


@dataclass
class _WarmStarted:
    searcher: Searcher
    left: list[Config]

    def suggest(self) -> Config:
        return self.left.pop() if self.left else self.searcher.suggest()

    def update(self, config: Config, score: float) -> None:
        self.searcher.update(config, score)


# ---------------------------------------------------------------------- experience as a prior


class RankWeighted(NearestTasks):
    """Transfer without meta-features: a source counts by how often it ranks pairs as the new task.

    `NearestTasks` from all sources alike, so that trials alone say who is near; after Wistuba et
    al. (2016) and Feurer et al. (2018).

    Parameters
    ----------
    space : SearchSpace
    rng : numpy.random.Generator
    experience : MetaDataset
    pool : sequence of dict, optional
        Search among these configurations alone.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        experience: MetaDataset,
        pool: Sequence[Config] | None = None,
    ):
        super().__init__(space, rng, replace(experience, meta_features=None), None, pool=pool)


def log_regrets(regrets: np.ndarray) -> np.ndarray:
    """Turn regrets into scores that tell small regrets well apart: 1 for regret 0, 0 for 1.

    Parameters
    ----------
    regrets : array of shape (n_tasks, n_configs)
        From 0 to 1.

    Returns
    -------
    numpy.ndarray of shape (n_tasks, n_configs)
    """
    return 1 - np.log1p(regrets / LOG) / np.log1p(1 / LOG)


@dataclass(eq=False)
class View:
    """One way to look at the scores of all sources: a prior over the response of a new task.

    The new task responds like one of the sources, k, and has something of its own:

        g | k ~ N(m + sqrt(1 - h^2) D_k,  h^2 [(1 - a) D'D / n_tasks + a Matern] + noise),

    with m the mean over sources and D_k what source k deviates from it, so that over all k the
    covariance is that of the sources. The unit is the sources' standard deviation about m.

    Attributes
    ----------
    mean : numpy.ndarray of shape (m,)
    deviations : numpy.ndarray of shape (n_tasks, m)
    """

    mean: np.ndarray
    deviations: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray) -> View:
        """Describe the sources by their scores, shape (n_tasks, m), in this view."""
        mean = scores.mean(axis=0)
        unit = np.sqrt(((scores - mean) ** 2).mean()) or 1.0
        return cls(mean / unit, (scores - mean) / unit)

    def __getitem__(self, some) -> View:
        """Return the same for some of the configurations."""
        return View(self.mean[some], self.deviations[:, some])

    def like_each(self) -> np.ndarray:
        """What to expect if the new task is like each source, (n_tasks, m)."""
        return self.mean + np.sqrt(1 - OWN**2) * self.deviations

    def covariance(self, other: View, smooth: np.ndarray) -> np.ndarray:
        """Of the response at these configurations with that at others; `smooth` is Matern's."""
        common = self.deviations.T @ other.deviations / len(self.deviations)
        return OWN**2 * ((1 - SMOOTH) * common + SMOOTH * smooth) + OFFSET

    def variance(self) -> np.ndarray:
        """Of the response at each configuration, shape (m,)."""
        return OWN**2 * ((1 - SMOOTH) * (self.deviations**2).mean(axis=0) + SMOOTH) + OFFSET


@dataclass(eq=False)
class Hypotheses:
    """What g covariances and k means make of the trials: g times k hypotheses.

    The trials are z up to a factor c > 0, of which `SIZE` trials' worth of belief says that it is
    1; the most probable factor has a closed form.

    Attributes
    ----------
    L : numpy.ndarray of shape (g, t, t)
        The Cholesky factors of the covariances of t trials, noise included.
    c : numpy.ndarray of shape (g, k)
        The most probable factor.
    e : numpy.ndarray of shape (g, k, t)
        How far the trials are from what was expected, whitened: L^-1 (c z - mean).
    log_weight : numpy.ndarray of shape (g, k)
        The logarithm of the prior times how probable this makes the trials.
    """

    L: np.ndarray
    c: np.ndarray
    e: np.ndarray
    log_weight: np.ndarray

    @classmethod
    def judge(cls, S: np.ndarray, means: np.ndarray, z: np.ndarray, prior) -> Hypotheses:
        """Judge covariances (g, t, t) with means (k, t) by trials (t,); `prior` has logarithms."""
        L, t = np.linalg.cholesky(S), len(z)
        white = np.linalg.solve(L, np.vstack([z, means]).T).transpose(0, 2, 1)
        u, q = white[:, :1], white[:, 1:]
        A, B = (u**2).sum(axis=2) + SIZE, (u * q).sum(axis=2)
        c = (B + np.sqrt(B**2 + 4 * A * (t + SIZE))) / (2 * A)
        e = c[:, :, None] * u - q
        volume = np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1, keepdims=True)
        misfit = ((e**2).sum(axis=2) + SIZE * c**2) / 2
        return cls(L, c, e, prior + (t + SIZE) * np.log(c) - volume - misfit)

    def improvement(
        self, belief: np.ndarray, cross: Callable, means: np.ndarray, variance, best: float
    ) -> np.ndarray:
        """Add up the expected improvements of the hypotheses, by the belief in them (g, k).

        `cross(g)` is the covariance of the trials with m candidates, for some of the g; `means`
        (k, m) and `variance` are those of the candidates; `best` is the incumbent's z.
        """
        g, k = (np.flatnonzero(belief.max(axis=axis) > UNLIKELY) for axis in (1, 0))
        if not len(g):
            return np.zeros(means.shape[1])
        some = np.ix_(g, k)
        V = np.linalg.solve(self.L[g], cross(g))  # (g, t, m)
        mean = means[k] + self.e[some] @ V
        std = np.sqrt(np.maximum(variance - (V**2).sum(axis=1), 1e-9))
        gain = expected_improvement(mean, std[:, None], best * self.c[some][:, :, None])
        return np.tensordot(belief[some], gain, 2)


class WarmStart:
    """Bayesian optimization whose prior is experience, and which learns how far to trust it.

    A mixture: the new task is like one of the sources, plus something of its own (`View`); or it
    is like none of them, a smooth function of unknown length scales. Each trial says which are
    probable. The first trial is what does best on the sources; then the configuration with the
    largest expected improvement, over both views of the scores.

    Parameters
    ----------
    space : SearchSpace
        That of the experience.
    rng : numpy.random.Generator
    experience : MetaDataset
        Of other families than the new task's.
    meta_features : Series, optional
        Of the new task: near sources are then more probable at first.
    pool : sequence of dict, optional
        Search among these configurations alone: those that a replayed task knows.
    distance : TaskDistance or LearnedDistance, optional
        Fitted to the experience. If not given, and there are meta-features, a `LearnedDistance`
        is fitted.

    Attributes
    ----------
    trust_ : float
        The probability, after the trials so far, that the new task is like one of the sources.

    Raises
    ------
    ValueError
        If the experience has another space or the distance was fitted to other tasks; or the pool
        is empty.
    TypeError, KeyError, ValueError
        If the meta-features or a configuration of the pool are not valid.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        experience: MetaDataset,
        meta_features: pd.Series | None = None,
        pool: Sequence[Config] | None = None,
        distance: TaskDistance | LearnedDistance | None = None,
    ):
        if meta_features is None:
            experience, distance = replace(experience, meta_features=None), None
        self.prior = first_weights(space, rng, experience, meta_features, distance)
        self.space, self.candidates, self.trust_ = space, Candidates(space, rng, pool), 1 - COLD
        regrets, self.points = experience.regrets.to_numpy(), experience.points
        self.start = self.points[int((self.prior @ regrets).argmin())]
        self.views = [View.of(normal_ranks(-regrets)), View.of(log_regrets(regrets))]
        self.number = {point.tobytes(): i for i, point in enumerate(self.points)}
        self.interpolator = None
        if pool is not None:
            self.pool = self._describe(self.candidates.pool_points)
        self.tried = [view[[]] for view in self.views]
        scale, spread = SCALE[0] * np.sqrt(len(space)), SCALE[1]
        self.scales = scale * np.exp(spread * rng.normal(size=(DRAWS, len(space))))

    def suggest(self) -> Config:
        """Propose the most promising configuration; StopIteration when none is left."""
        if not len(self.candidates.scores):
            return self.candidates.nearest(self.start)
        return self.candidates.best(self._promise)

    def update(self, config: Config, score: float) -> None:
        """Learn how a configuration did; NaN is a failed trial."""
        self.candidates.update(config, score)
        X = self.candidates.points
        self.tried = [
            View(np.append(a.mean, b.mean), np.hstack([a.deviations, b.deviations]))
            for a, b in zip(self.tried, self._describe(X[-1:]), strict=True)
        ]
        differences = squared_differences(X, X, self.space.categorical)
        noise, y = NOISE * np.eye(len(X)), standardise(self.candidates.scores)
        smooth = matern52(differences, np.full(len(self.space), LENGTH))
        own = matern52(differences, self.scales) + OFFSET + noise
        self.beliefs = []
        for tried in self.tried:
            z = y * max(tried.mean.std(), FLAT) + tried.mean.mean()
            S = tried.covariance(tried, smooth)[None] + noise
            warm = Hypotheses.judge(S, tried.like_each(), z, np.log((1 - COLD) * self.prior))
            cold = Hypotheses.judge(own, np.zeros((1, len(z))), z, np.log(COLD / DRAWS))
            belief = softmax([*warm.log_weight[0], *cold.log_weight[:, 0]])
            belief, rest = belief[None, : len(self.prior)], belief[len(self.prior) :, None]
            self.beliefs.append((z.max(), warm, belief, cold, rest))
        self.trust_ = float(np.mean([belief.sum() for _, _, belief, _, _ in self.beliefs]))

    def _promise(self, points: np.ndarray) -> np.ndarray:
        """Add up the expected improvements of both views, each scaled to at most 1."""
        if self.candidates.pool is None:
            candidates = self._describe(points)
        else:
            left = self.candidates.left
            candidates = [view[left] for view in self.pool]
        far = squared_differences(self.candidates.points, points, self.space.categorical)
        smooth = matern52(far, np.full(len(self.space), LENGTH))
        promise, flat = np.zeros(len(points)), np.zeros((1, len(points)))
        for tried, new, (best, warm, belief, cold, rest) in zip(
            self.tried, candidates, self.beliefs, strict=True
        ):
            value = warm.improvement(
                belief, lambda _, a=tried, b=new: a.covariance(b, smooth)[None],
                new.like_each(), new.variance() + NOISE, best,
            ) + cold.improvement(
                rest, lambda g: matern52(far, self.scales[g]) + OFFSET,
                flat, 1 + OFFSET + NOISE, best,
            )  # fmt: skip
            promise += value / max(value.max(), 1e-300)
        return promise

    def _describe(self, points: np.ndarray) -> list[View]:
        """Say what both views hold of some points: what the sources scored, or would have."""
        numbers = np.array([self.number.get(point.tobytes(), -1) for point in points])
        views = [view[numbers] for view in self.views]
        new = numbers < 0
        if new.any():
            weights = self._weights(points[new])
            for view, known in zip(views, self.views, strict=True):
                view.mean[new] = known.mean @ weights
                view.deviations[:, new] = known.deviations @ weights
        return views

    def _weights(self, points: np.ndarray) -> np.ndarray:
        """Interpolate: the weight of each configuration of the experience at each point, (n, m)."""
        if self.interpolator is None:
            X, Y = self.points, self.views[0].deviations.T
            some = slice(0, 100)  # are enough for length scales
            process = GaussianProcess.fit(X[some], Y[some], self.space.categorical)
            process = replace(process, X=X, y=Y)
            K = process.covariance(X) + process.noise * np.eye(len(X))
            self.interpolator = process, cho_factor(K)
        process, factor = self.interpolator
        return cho_solve(factor, process.covariance(points))
