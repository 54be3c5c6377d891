"""Wrong answers to the exercises of lesson 11: what was done, the answer, a part of its hint."""

import numpy as np
from numpy.random import default_rng
from scipy.stats import multivariate_normal as normal

from metahpo_lite import BayesianSearch, WarmStart, run
from metahpo_lite.warmstart import COLD, NOISE


def gaps(leak=False, error=np.abs, back=1, subtract=1, noise=NOISE, covariance=np.cov):
    def answer(f, t):
        found = []
        for i, new in enumerate(f):
            others = f if leak else np.delete(f, i, axis=0)
            m, C = others.mean(axis=0), covariance(others.T)
            after = back * m + C[t] / (C[t, t] + noise) * (new[t] - subtract * m[t])
            found.append([error(m - new).mean(), error(after - new).mean()])
        return found

    return answer


def portfolio(value, start=1.0, once=True):
    def answer(regrets, seconds, n):
        chosen, best = [], np.full((len(regrets), 1), start)
        for _ in range(n):
            left = np.minimum(best, regrets).mean(axis=0)
            worth = value(best.mean(), left, seconds)
            if once:
                worth[chosen] = -np.inf
            chosen.append(int(worth.argmax()))
            best = np.minimum(best, regrets[:, chosen[-1:]])
        return chosen

    return answer


def by_all_seconds(regrets, seconds, n):
    chosen, best = [], np.ones((len(regrets), 1))
    for _ in range(n):
        gain = best.mean() - np.minimum(best, regrets).mean(axis=0)
        worth = gain / (seconds[chosen].sum() + seconds)
        worth[chosen] = -np.inf
        chosen.append(int(worth.argmax()))
        best = np.minimum(best, regrets[:, chosen[-1:]])
    return chosen


def trust(share=lambda cold, n: ((1 - cold) / n, cold), volume=1.0, mean=False, count=np.sum):
    def answer(S, M, S_cold, z, cold=COLD):
        M = M.mean(axis=0, keepdims=True) if mean else M
        each, none = share(cold, len(M))
        factor = [np.linalg.det(K) ** ((1 - volume) / 2) for K in (S, S_cold)]
        like = np.array([each * normal.pdf(z, m, S) * factor[0] for m in M])
        none = none * normal.pdf(z, 0 * z, S_cold) * factor[1]
        return count(like) / (like.sum() + none)

    return answer


def lead(sign=1, column="incumbent", seeds_used=slice(None), cold_trials=1, leave=None, last=False):
    def answer(task, experience, n_trials, seeds):
        name = task.name
        if leave and name in experience.tasks.index:
            experience = leave(experience, name)
        found = []
        for seed in seeds:
            warm = WarmStart(task.space, default_rng(seed), experience)
            cold = BayesianSearch(task.space, default_rng(seed))
            a, b = run(warm, task, n_trials), run(cold, task, cold_trials * n_trials)
            found.append(sign * (a[column] - b[column][:n_trials]))
        found = np.mean(found[seeds_used], axis=0)
        return found[-1] if last else found

    return answer


def without_family(experience, name):
    return experience.without(experience.families[name])


def without_task(experience, name):
    return experience.subset([task for task in experience.tasks.index if task != name])


WRONG = {
    "11-1": [
        ("rows", lambda r, chosen: np.minimum.accumulate(r[chosen]).mean(axis=0), "You took rows"),
        ("no mean", lambda r, chosen: r[:, chosen].min(axis=1), "Average over tasks"),
        (
            "best of the means",
            lambda r, chosen: np.minimum.accumulate(r[:, chosen].mean(axis=0)),
            "lowest of the means",
        ),
        ("each trial alone", lambda r, chosen: r[:, chosen].mean(axis=0), "by itself"),
        (
            "down the tasks",
            lambda r, chosen: np.minimum.accumulate(r[:, chosen], axis=0).mean(axis=0),
            "down the tasks",
        ),
        (
            "sorted",
            lambda r, chosen: np.minimum.accumulate(r[:, sorted(chosen)], axis=1).mean(axis=0),
            "order of `chosen`",
        ),
        (
            "largest",
            lambda r, chosen: np.maximum.accumulate(r[:, chosen], axis=1).mean(axis=0),
            "smallest",
        ),
    ],
    "11-2": [
        ("leak", gaps(leak=True), "in its own prior"),
        ("squared", gaps(error=np.square), "squared"),
        ("mean not added", gaps(back=0), "Add the prior mean back"),
        ("mean not subtracted", gaps(subtract=0), "Subtract that first"),
        ("no noise", gaps(noise=0), "A score has noise"),
        ("correlation", gaps(covariance=np.corrcoef), "correlations"),
        ("exchanged", lambda f, t: np.array(gaps()(f, t))[:, ::-1], "First the gap before"),
        ("on its side", lambda f, t: np.transpose(gaps()(f, t)), "on its side"),
        ("one place", lambda f, t: gaps()(f, 3), "At another place"),
    ],
    "11-3": [
        ("all seconds so far", by_all_seconds, "all trials so far"),
        ("no seconds", portfolio(lambda best, left, s: best - left), "Seconds have no say"),
        ("times seconds", portfolio(lambda best, left, s: (best - left) * s), "likes slow"),
        ("from 2", portfolio(lambda best, left, s: (best - left) / s, 2.0), "and not 2"),
        ("regret", portfolio(lambda best, left, s: -left / s), "*lowers*"),
        ("twice", portfolio(lambda best, left, s: (best - left) / s, once=False), "stands in"),
        ("fastest", lambda r, s, n: np.argsort(s)[:n], "the fastest ones"),
        ("alone", lambda r, s, n: np.argsort((r.mean(axis=0) - 1) / s)[:n], "gains alone"),
    ],
    "11-4": [
        ("none", lambda *given: 1 - trust()(*given), "share of *none*"),
        ("no determinant", trust(volume=0), "its determinant counts"),
        ("whole determinant", trust(volume=2), "*square root*"),
        ("not shared", trust(lambda cold, n: (1 - cold, cold)), "divide by n"),
        ("all alike", trust(lambda cold, n: (1, 1)), "All five hypotheses"),
        ("one mean", trust(mean=True), "a task that nobody has"),
        ("the best", trust(count=np.max), "Add up all of them"),
        ("one covariance", lambda S, M, K, z, cold=COLD: trust()(S, M, S, z), "its own covariance"),
        ("a fixed share", lambda S, M, K, z, cold=COLD: trust()(S, M, K, z), "another `cold`"),
        ("no logarithms", trust(), "Stay with logarithms"),
    ],
    "11-5": [
        ("points", lead(100, leave=without_family), "These are points"),
        ("turned around", lead(-1, leave=without_family), "Turn it around"),
        ("scores", lead(column="score", leave=without_family), "the best so far"),
        ("one seed", lead(seeds_used=slice(1), leave=without_family), "one of the seeds"),
        ("twice the budget", lead(cold_trials=2, leave=without_family), "more trials"),
        ("the end", lead(last=True, leave=without_family), "This is one number"),
        ("leak", lead(), "leave it out"),
        ("family", lead(leave=without_task), "leave out the family"),
    ],
}
