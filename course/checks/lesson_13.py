"""Know the limits, and what comes next."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy.random import default_rng
from sklearn.dummy import DummyRegressor
from sklearn.neighbors import KNeighborsRegressor

from course.checking import hint, numbers
from metahpo_lite import Float, MetaDataset, SearchSpace, TaskDistance, task_distances
from metahpo_lite.inputs import normal_ranks


def check_1(searches_to_pay):
    """Begin with one number: after how many trials does the cold search get as low as warm[9]."""
    warm, cold = 0.5 * 0.8 ** np.arange(40), 0.5 * 0.9 ** np.arange(40)
    needed = int(np.argmax(cold <= warm[9])) + 1
    found = searches_to_pay(30, 50, warm, cold)
    hint(
        _infinite(found),
        "Here the cold search does get there, and later than after ten trials: it saves some, and the number is finite.",
    )
    found = float(numbers(found, ()))
    price, right = 30 * 50, np.ceil(30 * 50 / (needed - 10))
    hint(
        found == np.ceil(price / needed),
        "You divide by all trials of the cold search. A search saves those beyond its ten.",
    )
    hint(
        np.isclose(found * price, right) or np.isclose(found, (needed - 10) / price),
        "Upside down: divide the price by what one search saves.",
    )
    hint(found in (np.ceil(30 / (needed - 10)), np.ceil(50 / (needed - 10))),
         "The price is one evaluation for each configuration on each task.")  # fmt: skip
    hint(found % 1 != 0, "You cannot make a part of a search. Round up.")
    hint(found == np.floor(price / (needed - 10)), "After so many searches a part of the price is still open. Round up.")  # fmt: skip
    hint(
        np.abs(found - price / (needed - 10 + np.array([-2, -1, 1, 2]))).min() < 1,
        "Close, but a trial or two off. The regret after ten trials is at place 9, and place 0 is after the first trial.",
    )
    hint(found != right, "Try it by hand: if the cold search takes 13 trials to get there, one search saves 3.")  # fmt: skip
    equal = _infinite(searches_to_pay(30, 50, cold, cold))
    hint(
        not equal,
        "The two curves are equal here: as low is low enough (`<=`), so a search saves nothing, and no number of searches pays. Return `np.inf`.",
    )
    worse = _infinite(searches_to_pay(30, 50, cold, warm))
    hint(not worse, "Here the cold search is the faster one. No number of searches pays for that: return `np.inf`.")  # fmt: skip
    never = searches_to_pay(30, 50, warm, cold[:15])
    hint(
        not _infinite(never) and float(numbers(never, ())) == price / 6 + 1,
        "Here one search saves 6 and the price is 1500: 250 searches pay, with nothing left. Round up only what is not whole: `math.ceil`.",
    )
    hint(
        _infinite(never) or float(numbers(never, ())) != np.ceil(price / 6),
        "Here the cold search does not get there in its 15 trials. Count 16: what it needs at least.",
    )


def _infinite(found):
    hint(found is None, "There is no value. Does your function end with `return`?")
    return np.ndim(found) == 0 and np.isposinf(float(found))


def check_2(seen_and_unseen):
    """Fit the model to all tasks and predict the same ones; for the rest, see `cross_val_predict`."""
    twins = _twins()
    nearest, one = KNeighborsRegressor(1), DummyRegressor()
    seen, unseen = numbers(seen_and_unseen(nearest, twins), (2,))
    hint(
        unseen < 0.02 < seen,
        "The nearest neighbour of a task that it was trained on is that task itself. Have you returned the two in the other order?",
    )
    hint(
        seen > 0.5,
        "On its own tasks it should do well, and it does badly. Which end of your list is tried first?",
    )
    hint(seen > 0.02, "Tasks that the model has seen: fit it to all of them, then predict these.")
    hint(
        unseen < 0.05,
        "Each family here has two tasks with the same meta-features. If one is left out and the other stays, the answer leaks: leave out whole families.",
    )
    found = numbers(seen_and_unseen(one, twins), (2,))
    scores, ranks = twins.scores.to_numpy(), normal_ranks(twins.scores.to_numpy())
    right, raw = (_of_list(y.mean(axis=0), twins) for y in (ranks, scores))
    hint(
        np.isclose(found[0], raw) and not np.isclose(raw, right),
        "One task scores in the thousands, and decides alone what a mean says. Predict normal ranks.",
    )
    hint(
        not np.isclose(found[0], right),
        "Nearly. Take `regret_of` of what is predicted for each task, and the mean over all tasks.",
    )
    hint(
        found[1] < right - 0.05 or unseen < 0.1,
        "On families that were left out it does better than it can. What has the model seen of them?",
    )


def _experience(scores, meta_features, families):
    n, m = scores.shape
    names = [f"task {i}" for i in range(n)]
    rows = {"task": np.repeat(names, m), "config": np.tile(np.arange(m), n)}
    return MetaDataset(
        SearchSpace([Float("x", 0, 1)]),
        [{"x": x} for x in np.linspace(0, 1, m).tolist()],
        pd.DataFrame(rows | {"score": scores.ravel()}),
        pd.DataFrame({"family": [f"family {f}" for f in families]}, pd.Index(names, name="task")),
        pd.DataFrame(meta_features, names, [f"m{i}" for i in range(meta_features.shape[1])]),
    )


def _twins():
    """Make 20 families of two tasks each, alike in all; one is far from where its twin stands."""
    rng = default_rng(0)
    scores, described = rng.random((20, 40)), rng.normal(size=(20, 4))
    scores[3] *= 5000
    return _experience(np.vstack([scores] * 2), np.vstack([described] * 2), [*range(20)] * 2)


def _of_list(values, experience, n=10):
    first = np.argsort(-values, kind="stable")[:n]
    found = np.minimum.accumulate(experience.regrets.to_numpy()[:, first], axis=1)
    return float(found.mean())


def check_3(right_sign):
    """Take from the lesson what says which tasks agree; then ask on which side `trusted` stands."""
    for share in (0.3, 0.6, 0.8):
        scores, right = _signs(share)
        given = scores.copy()
        found = right_sign(scores, "task 7")
        hint(found is None, "There is no value. Does your function end with `return`?")
        hint(not given.equals(scores), "Your function changes the scores that it gets. Work on a copy.")  # fmt: skip
        found = numbers(found)
        hint(
            found.shape != right.shape,
            "Return True or False for each task: as many values as there are tasks.",
        )
        hint((found != 0) & (found != 1), "Return True or False for each task, not numbers.")
        found = found.astype(bool)
        alone, itself, raw = (_sides(scores, how) for how in ("alone", "itself", "raw"))
        hint(
            np.array_equal(found, alone),
            "You compare each task with the trusted one alone, and a single task is noisy. Let all tasks together find the two sides.",
        )
        wrong = (found != right).mean()
        hint(
            wrong > 0 and np.array_equal(found, itself),
            "You compare each task with a mean in which it is itself, so a noisy task agrees too easily. Take the mean of the *others*.",
        )
        hint(
            wrong > 0 and np.array_equal(found, raw),
            "One task here scores in the thousands, and decides alone what the mean says. Take `normal_ranks` of the scores of each task.",
        )
        hint(
            share > 0.5 and wrong > 0.9,
            "You go with the majority, and here the majority is wrong. The task that you trust says which side is right.",
        )
        hint(
            wrong > 0.9,
            "The other way round: True is for the tasks whose sign is right, as that of the task that you trust.",
        )
        hint(not found[7], "You know that the trusted task is right. It must be among them.")
        hint(found.all(), "All tasks are kept, and not all of them are right.")
        hint(
            wrong > 0.07,
            "Some tasks are on the wrong side. Does a failed trial, NaN, or a task with large scores spoil a correlation? `normal_ranks` puts both right. Or do first guesses that were wrong stay in the mean? Repeat until no sign changes.",
        )


def _signs(share, n=30, m=120):
    """Make scores of which some have the wrong sign; the trusted task is the noisiest."""
    rng = default_rng(5)
    noise = rng.normal(size=(n, m)) * np.r_[6, np.full(n - 1, 2)][:, None]
    right = np.ones(n, bool)
    right[rng.choice(np.arange(1, n), int(share * n), replace=False)] = False
    scores = np.where(right[:, None], 1, -1) * (rng.normal(size=m) + noise)
    scores[np.flatnonzero(right)[1]] *= 5000
    scores[:, 5][::7] = np.nan
    order = np.roll(np.arange(n), 7)  # the trusted one is not the first
    return pd.DataFrame(scores[order], [f"task {i}" for i in range(n)]), right[order]


def _sides(scores, how):
    """Find the two sides as one may who makes one mistake, and say who is with the first task."""
    ranks = pd.DataFrame(normal_ranks(scores.to_numpy()), scores.index)
    y = scores if how == "raw" else ranks
    other = {"alone": y * 0 + y.iloc[7], "itself": y * 0 + y.sum(), "raw": y.sum() - y}[how]
    agrees = other.corrwith(y, axis=1) > 0
    return (agrees == agrees.iloc[7]).to_numpy()


def check_4(rule):
    """Try `return state.mean` first, and think of what it lacks while trials are left."""

    def values(*state):
        return numbers(rule(_state(*state)), (50,))

    rng = default_rng(0)
    mean, std = rng.normal(size=50), rng.uniform(0.3, 2, 50)
    value = numbers(rule(_state(mean, std, 0.5)))
    hint(
        value.shape == (),
        "Return a value for *each* configuration; the searcher takes the highest.",
    )
    flat, last = np.zeros(50), values(mean, std, 0.0)
    hint(
        last.argmin() == mean.argmax(),
        "The wrong sign: the configuration with the *highest* value is tried.",
    )
    hint(
        np.array_equal(values(mean, std, 1.0), last),
        "Your rule does the same at the first trial and at the last. The state says how much is left.",
    )
    hint(
        not np.array_equal(values(mean, std, 0.5), values(mean, std, 0.5, 9)),
        "Your rule reads the prior. The posterior mean contains it, and the trials besides.",
    )
    late, early = (values(flat, std, left) for left in (0.0, 1.0))
    hint(
        early.argmin() == std.argmax() and np.ptp(early) > 1e-9,
        "You avoid what is uncertain. While trials are left, it is worth a look.",
    )
    hint(
        np.ptp(late) > 1e-9 and np.ptp(early) < 1e-9,
        "Your interest in what is uncertain *grows* with the trials. `left` is 1 before the first, and 0 before the last.",
    )
    hint(
        np.ptp(late) > 1e-9,
        "Before the last trial all means are equal here, and your rule still looks at how uncertain they are. Nothing comes after it that could use the knowledge.",
    )
    hint(
        early.argmax() != std.argmax(),
        "All means are equal here, and many trials are left. The most uncertain one should be tried.",
    )
    hint(
        values(flat, std, 0.1).argmax() != std.argmax(),
        "One trial is left after this one (left = 0.1), all means are equal, and the most uncertain one is not tried.",
    )
    for left in (0.0, 0.4, 1.0):
        found = values(mean, flat + 0.7, left).argmax()
        hint(
            found != mean.argmax(),
            "All are equally uncertain here. Then the one with the highest posterior mean should be tried.",
        )


def _state(mean, std, left, seed=0):
    prior = default_rng(seed).normal(size=len(mean))
    return SimpleNamespace(prior=prior, mean=mean.copy(), std=std.copy(), best=0.3, left=left)


def check_5(stranger):
    """Begin with `TaskDistance().fit(experience)`: called with meta-features, it says how far all known tasks are."""
    rng = default_rng(0)
    described = np.repeat(rng.normal(size=(20, 6)), 2, axis=0)
    described += 0.01 * rng.normal(size=described.shape)
    known = _experience(rng.random((40, 5)), described, np.repeat(np.arange(20), 2))
    new = pd.DataFrame(rng.normal(size=(4, 6)) * 0.7, columns=known.meta_features.columns)
    found = np.array([float(numbers(stranger(row, known), ())) for _, row in new.iterrows()])
    distance = TaskDistance().fit(known)
    mine, between = distance(new), task_distances(distance.points_, distance.points_)
    family = known.families.to_numpy()
    families, self_ = family[:, None] == family, np.eye(40, dtype=bool)

    def share(left_out=families, k=5, sign=1):
        """Answer as the exercise asks, or as one may who leaves out less, or sorts wrongly."""
        of_new, of_known = (
            sign * np.nanmean(np.sort(sign * far, axis=1)[:, :k], axis=1)
            for far in (mine, np.where(left_out, np.nan, between))
        )
        return (of_known < of_new[:, None]).mean(axis=1)

    right, itself, copy = share(), share(False), share(self_)
    one, every, far = share(k=1), share(k=40), share(sign=-1)
    hint(found > 1, "A share is between 0 and 1. Is this a count, or a distance?")
    hint(
        np.allclose(found, itself),
        "Each known task has distance 0 to itself, and your table has no such friend. Leave the task out.",
    )
    hint(
        np.allclose(found, copy),
        "A known task's near-copy, of its own family, is near it and would not be there for your table. Leave out the whole family.",
    )
    hint(
        np.allclose(found, 1 - right),
        "Turned around: count the known tasks that are *nearer* to their five than your table is.",
    )
    hint(np.allclose(found, one), "This is one nearest task. Take the mean distance of five.")
    hint(np.allclose(found, far), "These are the five *farthest* tasks. Which way do you sort?")
    hint(
        np.allclose(found, every),
        "You take the mean over all known tasks. The five nearest are the ones that experience would use.",
    )
    hint(
        np.abs(found - right) > 0.051,
        "Compare two kinds of numbers: the mean distance of your table to its five nearest tasks, and the same for each known task, with a `TaskDistance` fitted to the known tasks alone.",
    )
