"""Wrong answers to the exercises of lesson 03: what was done, the answer, a part of its hint."""

import numpy as np
from numpy.random import default_rng
from scipy.stats import norm

from metahpo_lite import expected_improvement, run


def decrease(gain=1, z=1, luck=1, unit=True):
    def expected_decrease(mean, std, best):
        at = z * (best - mean) / std
        spread = std if unit else 1
        return gain * (best - mean) * norm.cdf(at) + luck * spread * norm.pdf(at)

    return expected_decrease


def density(fit=0.5, determinant=0.5, constant=0.5, log_det=lambda K: np.linalg.slogdet(K)[1]):
    def log_density(K, y):
        terms = y @ np.linalg.solve(K, y), log_det(K), len(y) * np.log(2 * np.pi)
        return -np.dot(terms, (fit, determinant, constant))

    return log_density


def versus_of(of=lambda h: h["incumbent"].iloc[-1], scale=100, error=None, more=0, shared=False):
    """Compare two searchers, with a mistake."""

    def versus(first, second, task, n_trials, seeds):
        ends = []
        for seed in seeds:
            rngs = [default_rng(seed), default_rng(seed)]
            if shared:
                rngs = rngs[:1] * 2
            a = run(first(task.space, rngs[0]), task, n_trials)
            b = run(second(task.space, rngs[1]), task, n_trials + more)
            ends.append(scale * (of(a) - of(b)))
        spread = error or (lambda gaps: np.std(gaps, ddof=1) / np.sqrt(len(gaps)))
        return np.mean(ends), spread(np.array(ends))

    return versus


def one_seed(first, second, task, n_trials, seeds):
    return versus_of(error=lambda gaps: 0.0)(first, second, task, n_trials, seeds[:1])


def swapped(mean, std, best):
    z = (best - mean) / std
    return (best - mean) * norm.pdf(z) + std * norm.cdf(z)


WRONG = {
    "03-1": [
        ("still upwards", expected_improvement, "*below* best"),
        ("the mean alone", lambda mean, std, best: np.maximum(best - mean, 0), "the mean alone"),
        ("swapped", swapped, "swapped"),
        ("sign of std", decrease(luck=-1), "std has no sign"),
        ("without std", decrease(unit=False), "lacks its unit"),
        ("sign of the gain", decrease(gain=-1), "never negative"),
        ("sign of z", decrease(z=-1), "How likely is a gain"),
        ("twice the luck", decrease(luck=2), "average what each gains"),
    ],
    "03-2": [
        ("no margin", lambda m, s, b, margin: norm.cdf((m - b) / s), "changes nothing"),
        ("sign", lambda m, s, b, margin: norm.cdf((m - b + margin) / s), "*plus* the margin"),
        ("below", lambda m, s, b, margin: norm.cdf((b + margin - m) / s), "to stay below"),
        ("density", lambda m, s, b, margin: norm.pdf((m - b - margin) / s), "the density"),
        ("no std", lambda m, s, b, margin: norm.cdf(m - b - margin), "in standard deviations"),
        ("variance", lambda m, s, b, margin: norm.cdf((m - b - margin) / s**2), "the variance"),
        ("in std", lambda m, s, b, margin: norm.cdf((m - b) / s - margin), "unit of the score"),
        ("gain", lambda m, s, b, margin: expected_improvement(m, s, b + margin) / 9, "and count"),
    ],
    "03-3": [
        ("sign", density(-0.5, -0.5, -0.5), "sign of the whole"),
        ("no determinant", density(determinant=0), "determinant is missing"),
        ("sign of it", density(determinant=-0.5), "determinant's term"),
        ("no constant", density(constant=0), "last term is missing"),
        ("no half", density(determinant=1), "one half"),
        ("not inverse", lambda K, y: density(fit=0)(K, y) - y @ K @ y / 2, "*inverse*"),
        ("log10", density(log_det=lambda K: np.log10(np.linalg.det(K))), "natural"),
        ("det is 0", density(log_det=lambda K: np.log(np.linalg.det(K))), "slogdet"),
        ("density", lambda K, y: np.exp(density()(K, y)), "density itself"),
    ],
    "03-4": [
        ("shares", versus_of(scale=1), "a hundredth"),
        ("sign", versus_of(scale=-100), "first minus second"),
        ("one seed", one_seed, "for each of the seeds"),
        ("more trials", versus_of(more=4), "not fair"),
        ("all trials", versus_of(of=lambda h: h["score"].mean()), "of all trials"),
        ("the last", versus_of(of=lambda h: h["score"].dropna().iloc[-1]), "last trial"),
        ("NaN", versus_of(of=lambda h: h["score"].to_numpy().max()), "your result is NaN"),
        ("one generator", versus_of(shared=True), "a generator of its own"),
        ("deviation", versus_of(error=lambda gaps: gaps.std(ddof=1)), "square root of n"),
        ("ddof", versus_of(error=lambda gaps: gaps.std() / len(gaps) ** 0.5), "ddof=1"),
        ("n", versus_of(error=lambda gaps: gaps.std(ddof=1) / len(gaps)), "variance over n"),
    ],
}
