"""Wrong answers to the exercises of lesson 08: what was done, the answer, a part of its hint."""

from itertools import count

import numpy as np
import pandas as pd
from numpy.random import default_rng
from scipy.stats import rankdata

from metahpo_lite import PerformancePredictor, meta_features
from metahpo_lite.inputs import normal_ranks


def by_order(scores):
    """Ranks by argsort: ties are told apart."""
    return np.exp(normal_ranks(np.argsort(np.argsort(scores, axis=1), axis=1)))


def standardised_top(scores):
    """Divides by a spread that may be 0."""
    z = np.nan_to_num(scores, nan=-1e6)
    z = z - np.min(z, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.exp(3 * z / z.std(axis=1, keepdims=True))


def failed_in_the_middle(scores):
    r = rankdata(scores, axis=1, nan_policy="omit")
    return np.exp(3 * np.nan_to_num(r, nan=30) / scores.shape[1])


def greedy(score, again=False):
    """A list of configurations, each with the highest score(views, best so far)."""

    def hedged(views, n):
        chosen, best = [], np.full(len(views), -np.inf)
        for _ in range(n):
            value = score(views, best)
            if not again:
                value[chosen] = -np.inf
            chosen.append(int(value.argmax()))
            best = np.maximum(best, views[:, chosen[-1]])
        return chosen

    return hedged


def rise(views, best):
    return np.maximum(views, best[:, None]).mean(axis=0)


def least(views, best):
    return rise(views, best) if np.isinf(best[0]) else -rise(views, best)


def from_zero(views, best):
    return np.maximum(views, np.maximum(best, 0)[:, None]).mean(axis=0)


def proposing(leave_out=True, order=lambda f, n: np.argsort(-f)[:n], seed=lambda: 0, dicts=True):
    """The right answer but for what is given."""

    def propose(table, experience, n):
        rest = experience
        if leave_out and table.family in set(rest.families):
            rest = rest.without(table.family)
        f = PerformancePredictor(seed=seed()).fit(rest)
        f = f.predict(meta_features(table), rest.configs)
        return [rest.configs[i] if dicts else i for i in order(f, n)]

    return propose


def always_without(table, experience, n):
    return proposing(leave_out=False)(table, experience.without(table.family), n)


def random_order(f, n):
    return default_rng(0).permutation(len(f))[:n]


WRONG = {
    "08-1": [
        ("other axis", lambda y: y.mean(axis=0).var() / y.var(), "which axis"),
        ("the rest", lambda y: y.var(axis=1).mean() / y.var(), "share of the rest"),
        ("no squares", lambda y: y.mean(axis=1).std() / y.std(), "standard deviations"),
        ("within", lambda y: y.mean(axis=1).var() / y.var(axis=1).mean(), "within the tasks"),
        ("pandas", lambda y: pd.DataFrame(y).mean(axis=1).var() / y.var(ddof=1), "pandas"),
        ("something else", lambda y: abs(y.mean(axis=1)).mean(), "lesson's example"),
    ],
    "08-2": [
        ("raw scores", lambda y: np.exp(y), "how hard the task is"),
        ("only centred", lambda y: y - y.mean(axis=1, keepdims=True), "multiplied"),
        ("over all", lambda y: normal_ranks(y.reshape(1, -1)).reshape(y.shape), "how hard"),
        ("over tasks", lambda y: np.exp(normal_ranks(normal_ranks(y).T)).T, "the other tasks"),
        ("ranks of the best", lambda y: -np.exp(-normal_ranks(-y)), "Upside down"),
        ("ties told apart", by_order, "Let ties share one"),
        ("NaN goes through", lambda y: np.exp(3 * rankdata(y, axis=1) / 60), "no label"),
        ("NaN in the middle", failed_in_the_middle, "higher label"),
        ("no spread", standardised_top, "spread of 0"),
        ("normal ranks", normal_ranks, "The bottom is stretched"),
    ],
    "08-3": [
        ("a low opinion", greedy(lambda v, b: -v.mean(axis=0)), "high opinion"),
        ("ranking", lambda v, n: np.argsort(-v.mean(axis=0))[:n], "second of the ranking"),
        ("least", greedy(least), "adds least"),
        ("twice", greedy(rise, again=True), "comes twice"),
        ("from 0", greedy(from_zero), "below 0"),
        ("one", lambda v, n: [int(v.mean(axis=0).argmax())], "numbers are expected"),
    ],
    "08-4": [
        ("own family known", proposing(leave_out=False), "it had read the answers"),
        ("always left out", always_without, "nothing to leave out"),
        ("worst first", proposing(order=lambda f, n: np.argsort(f)[:n]), "begins with the worst"),
        ("best last", proposing(order=lambda f, n: np.argsort(f)[-n:]), "begins with the worst"),
        ("cut, then sorted", proposing(order=lambda f, n: np.argsort(-f[:n])), "five best"),
        ("no order", proposing(order=random_order), "does not show it"),
        ("numbers", proposing(dicts=False), "not their numbers"),
        ("no seed", proposing(seed=count().__next__), "a seed"),
    ],
}
