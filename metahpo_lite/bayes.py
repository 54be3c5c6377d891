"""Bayesian optimization: a Gaussian process says what it believes, expected improvement chooses.

Fit the process to the trials so far, ask it about candidates, try the one that promises most
(Jones et al., 1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from scipy.special import erfcx, ndtr
from scipy.stats import norm, qmc

from metahpo_lite.arguments import as_floats, as_list, as_score, check_rng, whole_number
from metahpo_lite.gaussian_process import GaussianProcess, squared_differences
from metahpo_lite.spaces import MOST, Config, SearchSpace
from metahpo_lite.storage import config_key


def expected_improvement(mean: np.ndarray, std: np.ndarray, best: float | np.ndarray) -> np.ndarray:
    """Expected gain over `best` under N(mean, std**2), elementwise (Jones et al., 1998).

    Parameters
    ----------
    mean, std : arrays of one shape
        What is believed of each candidate; `std` above 0.
    best : float
        The incumbent's score.

    Returns
    -------
    numpy.ndarray of the same shape
        In the unit of the scores. Some 38 standard deviations below the best it is 0 in floating
        point: `log_expected_improvement` still tells such candidates apart.

    Raises
    ------
    ValueError
        If a number is not finite, `std` is not above 0, or the shapes do not fit.
    """
    mean, std, best = _checked_belief(mean, std, best)
    z = (mean - best) / std
    return (mean - best) * ndtr(z) + std * (np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))


def log_expected_improvement(
    mean: np.ndarray, std: np.ndarray, best: float | np.ndarray
) -> np.ndarray:
    """Logarithm of `expected_improvement`, finite however small that is (Ament et al., 2023).

    Parameters
    ----------
    mean, std : arrays of one shape
        Of what is believed of each candidate.
    best : float
        The incumbent's score.

    Returns
    -------
    numpy.ndarray of that shape

    Raises
    ------
    ValueError
        As `expected_improvement`.
    """
    mean, std, best = _checked_belief(mean, std, best)
    z = (mean - best) / std
    near, far = np.maximum(z, -1), np.minimum(z, -1)
    u = -far / math.sqrt(2)
    # far below, pdf(z) + z cdf(z) cancels: 1 - sqrt(pi) u erfcx(u) does not, up to 1e4; then 1/z^2
    rest = np.where(u < 1e4, 1 - math.sqrt(math.pi) * u * erfcx(u), far**-2.0)
    log_h = np.where(
        z > -1,
        np.log(norm.pdf(near) + near * norm.cdf(near)),
        norm.logpdf(far) + np.log(rest),
    )
    return log_h + np.log(std)


def _checked_belief(mean, std, best) -> list[np.ndarray]:
    """Return the three as arrays, or raise a ValueError."""
    given = {"mean": mean, "std": std, "best": best}
    found = [as_floats(argument, values) for argument, values in given.items()]
    for argument, values in zip(given, found, strict=True):
        if not np.isfinite(values).all() or (argument == "std" and not (values > 1e-100).all()):
            raise ValueError(f"{argument}: accepted are finite numbers, and std above 1e-100")
    try:
        np.broadcast_shapes(*(values.shape for values in found))
    except ValueError:
        shapes = [values.shape for values in found]
        raise ValueError(f"mean, std, best: got shapes {shapes}, accepted is one") from None
    return found


def standardise(scores: np.ndarray) -> np.ndarray:
    """Clip disasters, then scale to mean 0 and standard deviation 1.

    The scores of most learners are skewed to the left: a few configurations fail badly, and a
    process that must explain how badly has no eyes for the differences at the top. So no score is
    farther below the median than the best is above it. On our own experience this lowers regret
    more than a warp by ranks or logarithms. A failed trial counts as the worst that did not fail.

    Parameters
    ----------
    scores : array of shape (n,)
        Higher is better; NaN where a trial failed.

    Returns
    -------
    numpy.ndarray of shape (n,)
        All 0 where all scores are the same.
    """
    scores = as_floats("scores", scores)
    if scores.ndim != 1 or not scores.size:
        raise ValueError(f"scores: got shape {scores.shape}, accepted is a row of one or more")
    known = np.isfinite(scores)
    y = np.where(known, scores, np.min(scores, initial=np.inf, where=known) if known.any() else 0)
    middle = np.median(y)
    if y.max() > middle:  # else at least half of them are the best
        y = np.maximum(y, 2 * middle - y.max())
    if y.std() <= 1e-12 * np.abs(y).max():  # but for rounding, all are the same
        return np.zeros(len(y))
    return (y - y.mean()) / y.std()


class Candidates:
    """What a searcher was told, what it may still propose, and how it finds the best of that.

    Parameters
    ----------
    space : SearchSpace
    rng : numpy.random.Generator
    pool : sequence of dict, optional
        Search among these alone; else in the whole space: among `N_SAMPLES` random configurations
        and what lies around the most promising, ever closer.

    Raises
    ------
    KeyError, ValueError
        If the pool is empty, or a configuration of it is not valid.
    """

    N_SAMPLES = 500
    STEPS = (0.1, 0.03)  # of the search around the most promising, in the unit cube

    def __init__(
        self, space: SearchSpace, rng: np.random.Generator, pool: Sequence[Config] | None = None
    ):
        check_rng(rng)
        if not isinstance(space, SearchSpace):
            raise TypeError(f"space: got {space!r}, accepted is a SearchSpace")
        self.space, self.rng = space, rng
        self.pool = None
        if pool is not None:
            self.pool = [space.check(c) for c in as_list("pool", pool, "a list of configurations")]
        if self.pool is not None:
            if not self.pool:
                raise ValueError("pool: got no configuration, accepted are one or more")
            self.pool_points = space._encode(self.pool)  # checked above
            self.pool_keys = [config_key(config) for config in self.pool]
        self.categorical = space.categorical
        self.known: set[str] = set()  # what was proposed or tried
        self.points = np.empty((0, len(space)))  # of the trials, (t, d)
        self.scores = np.empty(0)

    def update(self, config: Config, score: float) -> None:
        """Keep a trial, whose configuration is never proposed again; NaN is one that failed."""
        config, score = self.space.check(config), as_score(score)
        self.known.add(config_key(config))
        self.points = np.vstack([self.points, self.space.encode(config)])
        self.scores = np.append(self.scores, score)

    @property
    def left(self) -> list[int]:
        """The numbers of what is left of the pool."""
        return [i for i, key in enumerate(self.pool_keys) if key not in self.known]

    def best(self, value: Callable[[np.ndarray], np.ndarray], near: Iterable = ()) -> Config:
        """Return the candidate with the largest value, never again; StopIteration if none is left.

        Parameters
        ----------
        value : function of an array of shape (n, d)
            The value of each point.
        near : sequence of points of shape (d,)
            In the whole space: where to look beside random points and the best trials.
        """
        top = self.points[np.argsort(-self.scores, kind="stable")[:5]]  # NaN last
        return self._take(value, np.vstack([top, *near]))

    def nearest(self, point: np.ndarray) -> Config:
        """Return the candidate nearest to a point of shape (d,); else as `best`.

        Nearest to the configuration that the point stands for, as `squared_differences` has it.
        """
        _, near = self.space.snap(point)  # there, what is inactive has no say
        return self._take(
            lambda points: -squared_differences(points, near, self.categorical).sum(axis=(0, 2)),
            near,
        )

    def _take(self, value: Callable[[np.ndarray], np.ndarray], near: np.ndarray) -> Config:
        config = self._best(value, near)
        self.known.add(config_key(config))
        return config

    def _best(self, value: Callable[[np.ndarray], np.ndarray], near: np.ndarray) -> Config:
        if self.pool is not None:
            if not (left := self.left):
                raise StopIteration
            return self.pool[left[int(value(self.pool_points[left]).argmax())]]
        sample = self.rng.random((self.N_SAMPLES, len(self.space)))
        configs, points = self._new(np.vstack([near, self._around(near, self.STEPS[0]), sample]))
        if not configs:
            raise StopIteration
        values = value(points)
        for step in self.STEPS:
            top = points[np.argsort(-values, kind="stable")[:5]]
            more, closer = self._new(self._around(top, step))
            configs, points = configs + more, np.vstack([points, closer])
            values = np.append(values, value(closer))
        return configs[int(values.argmax())]

    def _around(self, points: np.ndarray, step: float) -> np.ndarray:
        points = points.repeat(20, axis=0)
        return np.clip(points + step * self.rng.normal(size=points.shape), 0, 1)

    def _new(self, points: np.ndarray) -> tuple[list[Config], np.ndarray]:
        """Return the configurations at these points that were neither proposed nor tried."""
        configs, points = self.space.snap(points)
        new = [i for i, config in enumerate(configs) if config_key(config) not in self.known]
        return [configs[i] for i in new], points[new]


class BayesianSearch:
    """Bayesian optimization: a Gaussian process and expected improvement (Jones et al., 1998).

    The first trials are spread evenly (Sobol, 1967). Then, before each trial, a process is fitted
    to all trials, and the candidate with the largest expected improvement is proposed. Candidates
    are the pool; or, in the whole space, random configurations and what lies around the most
    promising of these and of the trials, ever closer. No configuration is proposed twice.

    Parameters
    ----------
    space : SearchSpace
    rng : numpy.random.Generator
    pool : sequence of dict, optional
        Search among these configurations alone: those that a replayed task knows.
    initial : int
        The number of trials before the process is asked. Trials of which `update` tells count,
        whoever proposed them.

    Raises
    ------
    ValueError
        If `initial` is not from 1 to 1,000,000, or the pool is empty.
    KeyError, ValueError
        If a configuration of the pool is not valid.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        pool: Sequence[Config] | None = None,
        initial: int = 5,
    ):
        self.space, self.initial = space, whole_number("initial", initial, 1, MOST)
        self.candidates = Candidates(space, rng, pool)
        log2 = math.ceil(math.log2(self.initial))
        self.design = qmc.Sobol(len(space), rng=rng).random_base2(log2)
        self.process: GaussianProcess | None = None

    def suggest(self) -> Config:
        """Propose the most promising configuration; StopIteration when none is left."""
        X, trial = self.candidates.points, len(self.candidates.scores)
        if trial < self.initial:
            return self.candidates.nearest(self.design[trial])
        y = standardise(self.candidates.scores)
        process = GaussianProcess.fit(X, y, self.candidates.categorical, self.process)
        self.process = process
        return self.candidates.best(
            lambda points: log_expected_improvement(*process.predict(points), y.max())
        )

    def update(self, config: Config, score: float) -> None:
        """Learn how a configuration did; NaN is a failed trial."""
        self.candidates.update(config, score)
