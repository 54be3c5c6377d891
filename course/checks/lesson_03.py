"""Let a surrogate choose: Bayesian optimization."""

from types import SimpleNamespace

import numpy as np
from numpy.random import default_rng
from scipy.stats import multivariate_normal, norm

from course.checking import hint, numbers
from metahpo_lite import Float, SearchSpace, expected_improvement


def check_1(expected_decrease):
    """Ask what a trial that ends at `score` gains. Then go through the formula of the lesson, and turn what has to turn."""
    rng = default_rng(0)
    mean, std, best = rng.normal(size=50), rng.uniform(0.2, 2, size=50), 0.3
    found = numbers(expected_decrease(mean.copy(), std.copy(), best), (50,))
    hint(
        np.allclose(found, expected_improvement(mean, std, best)),
        "This is the gain of a score that should be high. A mean *below* best promises a gain now.",
    )
    hint(
        np.allclose(found, best - mean) or np.allclose(found, np.maximum(best - mean, 0)),
        "This looks at the mean alone. A candidate whose mean promises nothing can still fall below best: std says how easily.",
    )
    z = (best - mean) / std
    gain, luck = (best - mean) * norm.cdf(z), std * norm.pdf(z)
    hint(
        np.allclose(found, gain - luck),
        "Not knowing is worth something here too: std has no sign to turn.",
    )
    hint(
        np.allclose(found, gain + norm.pdf(z)),
        "The second part lacks its unit: the density is multiplied by std.",
    )
    hint(
        np.allclose(found, (best - mean) * norm.pdf(z) + std * norm.cdf(z)),
        "Density and distribution function are swapped: `norm.cdf` says how likely a gain is.",
    )
    hint(
        np.allclose(found, (best - mean) * norm.cdf(-z) + luck),
        "The sign of z is that of a score that should be high. How likely is a gain where the mean is far below best?",
    )
    hint(
        found < 0,
        "A gain is never negative, as a worse score counts as 0. Are all signs turned, that in z too?",
    )
    draws = rng.normal(mean, std, size=(4000, 50))
    gains = np.maximum(best - draws, 0)
    hint(
        np.abs(found - gains.mean(axis=0)) > 6 * gains.std(axis=0) / np.sqrt(4000) + 1e-3,
        "Draw many scores of one candidate with `rng.normal(mean, std, 1000)`, average what each gains, and compare.",
    )
    hint(
        not np.allclose(found, gain + luck, rtol=1e-4, atol=1e-6),
        "Close, but not exact. The formula of the lesson needs no draws.",
    )


def check_2(probability_of_gain):
    """How many standard deviations lie between the mean and best + margin? `norm` knows the rest."""
    rng = default_rng(1)
    mean, std, best = rng.normal(size=50), rng.uniform(0.2, 2, size=50), 0.3
    found = numbers(probability_of_gain(mean.copy(), std.copy(), best, 0.4), (50,))
    z = (mean - best - 0.4) / std
    hint((found < 0) | (found > 1), "A probability is between 0 and 1.")
    hint(
        np.allclose(found, norm.cdf((mean - best) / std)),
        "The margin changes nothing in your function.",
    )
    hint(
        np.allclose(found, norm.cdf((mean - best + 0.4) / std)),
        "Your margin makes it easier. The score must be above best *plus* the margin.",
    )
    hint(
        np.allclose(found, norm.cdf(-z)),
        "This is the probability to stay below. Both add up to 1.",
    )
    hint(
        np.allclose(found, norm.pdf(z)),
        "This is the density. A probability is the area under it: see the distribution function.",
    )
    hint(
        np.allclose(found, norm.cdf(mean - best - 0.4)),
        "The distance must be measured in standard deviations of the candidate.",
    )
    hint(
        np.allclose(found, norm.cdf(z * std / std**2)),
        "You divide by the variance. `std` is its square root already.",
    )
    hint(
        np.allclose(found, norm.cdf((mean - best) / std - 0.4)),
        "The margin is in the unit of the score: add it to best before you divide by std.",
    )
    draws = rng.normal(mean, std, size=(4000, 50))
    share = (draws > best + 0.4).mean(axis=0)
    hint(
        np.abs(found - share) > 0.06,
        "Draw many scores of one candidate with `rng.normal(mean, std, 1000)`, and count those above best + margin.",
    )
    hint(
        not np.allclose(found, norm.cdf(z), rtol=1e-4, atol=1e-6),
        "Close, but not exact: take the distribution function in place of draws.",
    )


def check_3(log_density):
    """Three terms: `np.linalg.solve(K, y)` is the inverse of K times y, without inverting K."""
    rng = default_rng(2)
    A = rng.normal(size=(4, 4))
    K, y = A @ A.T + np.eye(4), rng.normal(size=4)
    with np.errstate(all="ignore"):
        found = numbers(log_density(K.copy(), y.copy()))
    hint(found.size != 1, f"Here one number is expected, and this has shape {found.shape}.")
    found = found.item()
    fit, determinant = y @ np.linalg.solve(K, y), np.linalg.slogdet(K)[1]
    constant = 4 * np.log(2 * np.pi)
    hint(np.isclose(found, (fit + determinant + constant) / 2), "The sign of the whole is turned.")
    hint(
        np.isclose(found, np.exp(-(fit + determinant + constant) / 2)),
        "This is the density itself. It soon becomes too small for a computer: its logarithm is asked for.",
    )
    hint(
        np.isclose(found, -(fit + constant) / 2),
        "The determinant is missing. Without it nothing speaks against a length scale that makes everything possible.",
    )
    hint(
        np.isclose(found, -(fit - determinant + constant) / 2),
        "The sign of the determinant's term is turned.",
    )
    hint(
        np.isclose(found, -(fit + determinant) / 2),
        "The last term is missing. It is the same for all length scales, but it belongs to the density.",
    )
    hint(
        np.isclose(found, -(fit + determinant + constant / 4) / 2),
        "The last term counts each of the n scores.",
    )
    hint(
        np.isclose(found, -(fit + constant) / 2 - determinant)
        or np.isclose(found, -fit - (determinant + constant) / 2)
        or np.isclose(found, -(fit + determinant + constant)),
        "A factor of one half is missing: each of the three terms has one.",
    )
    hint(
        np.isclose(found, -(y @ K @ y + determinant + constant) / 2),
        "The first term has the *inverse* of K.",
    )
    hint(
        np.isclose(found, -(fit + determinant / np.log(10) + constant) / 2),
        "All logarithms are natural ones: `np.log`.",
    )
    right = multivariate_normal(np.zeros(4), K).logpdf(y)
    hint(
        not np.isclose(found, right),
        "Compute the three terms one by one for K = 2 in one dimension, K = np.array([[2.0]]), and y = np.array([2.0]): the first is -1.",
    )
    large, many = 0.01 * np.eye(300), 0.1 * rng.normal(size=300)
    with np.errstate(all="ignore"):
        found = log_density(large.copy(), many.copy())
    hint(
        not np.all(np.isfinite(found)),
        "A determinant of 300 small numbers is 0 to a computer. Take its logarithm without it: see `np.linalg.slogdet`.",
    )
    hint(
        not np.isclose(found, norm.logpdf(many, scale=0.1).sum()),
        "It is right for 4 scores and not for 300.",
    )


def check_4(versus):
    """For each seed, two runs with `run`, and the last value of the column incumbent of each."""
    space = SearchSpace([Float("x", 0, 1)])
    calls = []

    def evaluate(config):
        calls.append(config["x"])
        return float("nan") if config["x"] > 0.9 else 0.5 + config["x"] / 2

    task = SimpleNamespace(space=space, evaluate=evaluate)
    seeds, n = [3, 1, 4, 15, 9, 2], 8

    def ends(low, high):
        tries = np.array([default_rng(seed).uniform(low, high, size=n) for seed in seeds])
        scores = np.where(tries > 0.9, np.nan, 0.5 + tries / 2)
        return np.nanmax(scores, axis=1), scores

    (a, all_a), (b, all_b) = ends(0.1, 0.8), ends(0.0, 1.0)
    gaps = 100 * (a - b)
    found = versus(_Draws(0.1, 0.8), _Draws(0.0, 1.0), task, n, list(seeds))
    hint(
        np.shape(found) != (2,),
        "Return two numbers: the mean difference and its standard error.",
    )
    hint(
        np.isnan(np.asarray(found, dtype=float)),
        "Some trials fail here, with the score NaN, and your result is NaN. Use the column incumbent, or leave them out.",
    )
    mean, error = numbers(found, (2,))
    budget = len(calls) / (2 * len(seeds))
    hint(
        len(calls) == 2 * n,
        "You ran each searcher once. Run both again for each of the seeds.",
    )
    hint(
        budget != n,
        "Some run has more or fewer than n_trials trials. At other budgets the comparison is not fair.",
    )
    hint(np.isclose(mean, gaps.mean() / 100), "These are shares. A point is a hundredth.")
    hint(np.isclose(mean, -gaps.mean()), "The sign is turned: it is first minus second.")
    hint(
        np.isclose(mean, 100 * (np.nanmean(all_a) - np.nanmean(all_b)))
        or np.isclose(mean, 100 * np.mean(np.nanmean(all_a, 1) - np.nanmean(all_b, 1))),
        "This is the mean score of all trials. A search is judged by its incumbent at the end.",
    )
    last = [100 * np.mean([row[np.isfinite(row)][-1] for row in s]) for s in (all_a, all_b)]
    hint(
        np.isclose(mean, last[0] - last[1]),
        "This is the score of the last trial. The incumbent is the best so far.",
    )
    hint(
        np.isclose(mean, 100 * (a.max() - b.max())),
        "This compares the best run of each. Take the difference seed by seed, then the mean.",
    )
    hint(
        not np.isclose(mean, gaps.mean()),
        "The mean is another one. Does each run have a generator of its own, `default_rng(seed)`, made anew for each searcher?",
    )
    hint(
        np.isclose(error, gaps.std(ddof=1)) or np.isclose(error, gaps.std()),
        "This is how far one difference is from another. The mean of n differences is surer than one: by the square root of n.",
    )
    hint(
        np.isclose(error, gaps.std() / np.sqrt(6)),
        "Nearly. With few runs the standard deviation is too small unless you divide by n - 1: `ddof=1`.",
    )
    hint(
        np.isclose(error, gaps.var(ddof=1) / 6) or np.isclose(error, gaps.std(ddof=1) / 6),
        "Divide the standard deviation by the square root of n, or take the square root of variance over n.",
    )
    hint(
        np.isclose(error, 100 * np.hypot(a.std(ddof=1), b.std(ddof=1)) / np.sqrt(6)),
        "Both searchers had the same seeds: take the standard deviation of the differences, not those of both.",
    )
    hint(
        not np.isclose(error, gaps.std(ddof=1) / np.sqrt(6)),
        "The mean is right. The standard error is the standard deviation of the differences, over the square root of their number.",
    )


class _Draws:
    """A searcher that draws from a part of the range: a class would be called in the same way."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def __call__(self, space, rng, *_):
        return SimpleNamespace(
            suggest=lambda: {"x": float(rng.uniform(self.low, self.high))},
            update=lambda config, score: None,
        )
