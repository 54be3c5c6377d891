"""Warm starts: what other tasks taught comes before the first trial, and goes on to count after it.

`WarmStart` makes them the prior of a Gaussian process, and learns from each trial how far it may
trust them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_softmax, softmax

from metahpo_lite.bayes import Candidates, expected_improvement, standardise
from metahpo_lite.distances import TaskDistance
from metahpo_lite.gaussian_process import SCALE, GaussianProcess, matern52, squared_differences
from metahpo_lite.inputs import normal_ranks
from metahpo_lite.learned_distance import LearnedDistance
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.metric_based import NearestTasks, first_weights
from metahpo_lite.spaces import Config, SearchSpace, check_same_space

# Chosen on our own experience, families left out. Variances are in units of the tasks' own
OWN = 0.5  # of the new task's deviation from the mean, this share is its own: no source's
SMOOTH = 0.3  # of that, this part of the variance is smooth; the rest varies as the sources do
LENGTH = 1.0  # the length scale of the smooth part, in the unit cube
NOISE = 0.05  # of a score
OFFSET = 100.0  # of the level of a task, which is as good as unknown
SIZE = 2.0  # trials' worth of belief that the responses of tasks are of one size
FLAT = 0.2  # the least size of what the tried configurations let expect
LOG = 0.2  # the view by logarithms tells regrets below this share of the range well apart
COLD = 0.03  # of the belief, before the first trial: the new task is like none of the sources
DRAWS = 16  # sets of length scales that it may have then
NEAR = 10  # sources that meta-features favour before the first trial
FADE = 2.0  # trials that halve the say of meta-features
KNOWN = 20  # trials in the whole space that are made where the sources' scores are known
UNLIKELY = 1e-3  # of the belief; hypotheses below it have no say


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
    covariance is that of the sources, as in HyperBO (Wang et al., 2024); to keep the sources apart
    is this course's own. The unit is the sources' standard deviation about m.

    Attributes
    ----------
    points : numpy.ndarray of shape (m, d)
        Configurations, in the unit cube.
    categorical : bool array of shape (d,)
        Which dimensions have no order.
    mean : numpy.ndarray of shape (m,)
    deviations : numpy.ndarray of shape (n_tasks, m)
    """

    points: np.ndarray
    categorical: np.ndarray
    mean: np.ndarray
    deviations: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, categorical: np.ndarray, scores: np.ndarray) -> View:
        """Describe the sources by their scores, shape (n_tasks, m), in this view."""
        mean = scores.mean(axis=0)
        unit = np.sqrt(((scores - mean) ** 2).mean()) or 1.0
        return cls(points, categorical, mean / unit, (scores - mean) / unit)

    def __getitem__(self, some) -> View:
        """Return the same for some of the configurations."""
        mean, deviations = self.mean[some], self.deviations[:, some]
        return View(self.points[some], self.categorical, mean, deviations)

    def like_each(self) -> np.ndarray:
        """What to expect if the new task is like each source, (n_tasks, m)."""
        return self.mean + np.sqrt(1 - OWN**2) * self.deviations

    def smooth(self, other: View, scales: np.ndarray) -> np.ndarray:
        """Matern's correlations with others, (g, m, n), for length scales (g, d)."""
        return matern52(squared_differences(self.points, other.points, self.categorical), scales)

    def together(self, other: View) -> np.ndarray:
        """How sources deviate from the mean together, here and at others, (1, m, n)."""
        common = self.deviations.T @ other.deviations / len(self.deviations)
        smooth = self.smooth(other, np.full((1, len(self.categorical)), LENGTH))
        return (1 - SMOOTH) * common + SMOOTH * smooth

    def covariance(self, other: View) -> np.ndarray:
        """Of the response at these configurations with that at others, (1, m, n)."""
        return OWN**2 * self.together(other) + OFFSET

    def variance(self) -> np.ndarray:
        """Of the response at each configuration, shape (m,)."""
        return OWN**2 * ((1 - SMOOTH) * (self.deviations**2).mean(axis=0) + SMOOTH) + OFFSET


@dataclass(eq=False)
class Hypotheses:
    """Gaussian processes with g covariances and k means: what the trials make of each.

    Parameters
    ----------
    g : int
    covariance : function of (View of m, View of n, which of the g)
        Returns an array of shape (g, m, n).
    variance : function of a View of m
        Returns an array of shape (m,), or one number.
    pool : View, optional
        Candidates that stay the same: what is known of them is kept.

    Attributes
    ----------
    tried : View
        The trials.
    W : numpy.ndarray of shape (g, t, t)
        The inverse Cholesky factors, L^-1, of their covariances, noise included.
    V : numpy.ndarray of shape (g, t or more, m)
        L^-1 times their covariance with the pool, and room for more trials.
    c : numpy.ndarray of shape (g, k)
        The most probable factor of their scores.
    e : numpy.ndarray of shape (g, k, t)
        How far their scores are from what was expected, whitened: L^-1 (c z - mean).
    """

    g: int
    covariance: Callable
    variance: Callable
    pool: View | None = None

    def __post_init__(self):
        self.W = np.empty((self.g, 0, 0))
        self.V = np.empty((self.g, 0, 0 if self.pool is None else len(self.pool.mean)))

    def add(self, tried: View) -> None:
        """Add the last of the trials: a row of each factor (Rasmussen & Williams, 2006, A.4)."""
        self.tried, old, new, t = tried, tried[:-1], tried[-1:], self.W.shape[1]
        row = (self.W @ self.covariance(old, new, ...)).transpose(0, 2, 1)  # of L
        end = np.sqrt(self.variance(new) + NOISE - (row**2).sum(axis=2, keepdims=True))
        if self.pool is not None:
            if t == self.V.shape[1]:  # make room
                self.V = np.pad(self.V, [(0, 0), (0, 16), (0, 0)])
            cross = self.covariance(new, self.pool, ...)
            self.V[:, t : t + 1] = (cross - row @ self.V[:, :t]) / end
        self.W = np.pad(self.W, [(0, 0), (0, 1), (0, 1)])
        self.W[:, t:, :t], self.W[:, t:, t:] = -row @ self.W[:, :t, :t] / end, 1 / end

    def judge(self, means: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return how probable each hypothesis makes the scores z (t,), as logarithms, (g, k).

        `means` (k, t) are those at the trials. The scores are z up to a factor c > 0, of which
        `SIZE` trials' worth of belief says that it is 1; the most probable one has a closed form.
        """
        white, t = np.vstack([z, means]) @ self.W.transpose(0, 2, 1), len(z)
        u, q = white[:, :1], white[:, 1:]
        A, B = (u**2).sum(axis=2) + SIZE, (u * q).sum(axis=2)
        self.c = (B + np.sqrt(B**2 + 4 * A * (t + SIZE))) / (2 * A)
        self.e = self.c[:, :, None] * u - q
        volume = -np.log(np.diagonal(self.W, axis1=1, axis2=2)).sum(axis=1, keepdims=True)
        misfit = ((self.e**2).sum(axis=2) + SIZE * self.c**2) / 2
        return (t + SIZE) * np.log(self.c) - volume - misfit

    def improvement(
        self, belief: np.ndarray, means: np.ndarray, candidates: View, best: float
    ) -> np.ndarray:
        """Add up the expected improvements at m candidates, by the belief in each of (g, k).

        `means` (k, m) are those at the candidates; `best` is the incumbent's z.
        """
        g, k = (np.flatnonzero(belief.max(axis=axis) > UNLIKELY) for axis in (1, 0))
        if candidates is self.pool:
            V = self.V[g, : len(self.W[0])]
        else:
            V = self.W[g] @ self.covariance(self.tried, candidates, g)
        some = np.ix_(g, k)
        variance = self.variance(candidates) + NOISE - (V**2).sum(axis=1)
        std = np.sqrt(np.maximum(variance, 1e-9))[:, None]
        gain = expected_improvement(
            means[k] + self.e[some] @ V, std, best * self.c[some][:, :, None]
        )
        return np.tensordot(belief[some], gain, 2)


class WarmStart:
    """Bayesian optimization whose prior is experience, and which learns how far to trust it.

    A mixture: the new task is like one of the sources, plus something of its own (`View`); or it
    is like none of them, a smooth function of unknown length scales. Each trial says which are
    probable; what meta-features say of it fades with the trials. The first trial is what does best
    on the sources; then the configuration with the largest expected improvement, over both views
    of the scores.

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
        Search among these configurations alone: those that a replayed task knows. If not given,
        the first `KNOWN` trials (a quarter of the configurations at most) are of the experience's
        own, whose scores there are known and not interpolated; then the whole space is searched.
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
        check_same_space(space, experience.space)
        n = len(experience.tasks)
        self.prior = np.full(n, 1 / n)
        if meta_features is not None:
            k = min(NEAR, n)
            self.prior = first_weights(space, rng, experience, meta_features, distance, k)
        self.known = None if pool is not None else min(KNOWN, len(experience.configs) // 4)
        self.candidates = Candidates(space, rng, experience.configs if pool is None else pool)
        self.space, self.trust_ = space, 1 - COLD
        regrets, self.points = experience.regrets.to_numpy(), experience.points
        self.start = self.points[int((self.prior @ regrets).argmin())]
        self.views = [View.of(self.points, space.categorical, scores)
                      for scores in (normal_ranks(-regrets), log_regrets(regrets))]  # fmt: skip
        self.number = {point.tobytes(): i for i, point in enumerate(self.points)}
        self.interpolator: tuple[GaussianProcess, np.ndarray] | None = None
        self.pool = self._describe(self.candidates.pool_points)
        scale, spread = SCALE[0] * np.sqrt(len(space)), SCALE[1]
        scales = scale * np.exp(spread * rng.normal(size=(DRAWS, len(space))))
        self.alike = [
            Hypotheses(1, lambda a, b, _: a.covariance(b), View.variance, view)
            for view in self.pool
        ]
        self.unlike = Hypotheses(
            DRAWS, lambda a, b, g: a.smooth(b, scales[g]) + OFFSET, lambda _: 1 + OFFSET,
            self.pool[0],
        )  # fmt: skip

    def suggest(self) -> Config:
        """Propose the most promising configuration; StopIteration when none is left."""
        if self.known is not None and len(self.candidates.scores) >= self.known:
            self.candidates.pool = None
        if not len(self.candidates.scores):
            return self.candidates.nearest(self.start)
        return self.candidates.best(self._promise)

    def update(self, config: Config, score: float) -> None:
        """Learn how a configuration did; NaN is a failed trial."""
        self.candidates.update(config, score)
        tried, self.y = self._describe(self.candidates.points), standardise(self.candidates.scores)
        t, self.beliefs = len(self.y), []
        prior = np.log(1 - COLD) + log_softmax(np.log(self.prior) / (1 + t / FADE))
        self.unlike.add(tried[0])
        cold = np.log(COLD / DRAWS) + self.unlike.judge(np.zeros((1, t)), self.y)[:, 0]
        for alike, view in zip(self.alike, tried, strict=True):
            alike.add(view)
            unit = max(view.mean.std(), FLAT)  # of y, in that of the view
            z = self.y * unit + view.mean.mean()
            warm = prior + alike.judge(view.like_each(), z)[0]
            belief = softmax([*warm, *cold - t * np.log(unit)])  # densities of one z
            self.beliefs.append((z.max(), belief[None, : len(prior)], belief[len(prior) :, None]))
        self.trust_ = float(np.mean([like.sum() for _, like, _ in self.beliefs]))

    def _promise(self, points: np.ndarray) -> np.ndarray:
        """Add up the expected improvements of both views, each scaled to at most 1."""
        views: list[View] = self.pool
        left: slice | list[int] = slice(None)  # all
        if self.candidates.pool is None:
            views = self._describe(points)
        else:
            left = self.candidates.left
        promise, flat = np.zeros(len(points)), np.zeros((1, len(views[0].mean)))
        for view, alike, (best, like, unlike) in zip(views, self.alike, self.beliefs, strict=True):
            value = alike.improvement(like, view.like_each(), view, best)
            value = value + self.unlike.improvement(unlike, flat, views[0], self.y.max())
            promise += value[left] / max(value[left].max(), 1e-300)
        return promise

    def _describe(self, points: np.ndarray) -> list[View]:
        """Say what both views hold of some points: what the sources scored, or would have."""
        numbers = np.array([self.number.get(point.tobytes(), -1) for point in points])
        views, new = [view[numbers] for view in self.views], numbers < 0
        if new.any():
            self.interpolator = self.interpolator or self._interpolator()
            process, weights = self.interpolator
            found = np.split((process.covariance(points[new]).T @ weights).T, 2)
            for view, (mean, *deviations) in zip(views, found, strict=True):
                view.points[new], view.mean[new] = points[new], mean
                view.deviations[:, new] = deviations
        return views

    def _interpolator(self) -> tuple[GaussianProcess, np.ndarray]:
        """Fit one process to both views, which share length scales; the weights K^-1 y are kept."""
        y = np.vstack([row for v in self.views for row in (v.mean, *v.deviations)]).T
        some = slice(0, 100)  # are enough for length scales
        ranks = self.views[0].deviations.T
        process = GaussianProcess.fit(self.points[some], ranks[some], self.space.categorical)
        process = replace(process, X=self.points, y=y)
        K = process.covariance(self.points) + process.noise * np.eye(len(y))
        return process, cho_solve(cho_factor(K), y)
