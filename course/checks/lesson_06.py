"""Describe a dataset: chance, copies, distances, advice."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
from numpy.random import default_rng

from course.checking import Hint, hint, numbers
from metahpo_lite import MetaDataset, load_dataset, meta_features


def check_1(beyond_chance):
    """Write the share as a function of x; then call it for x, and for twenty shuffles of x, such as `rng.permutation` makes."""
    n, rng = 120, default_rng(0)
    index = rng.permutation(n)
    y = pd.Series(np.repeat(["a", "b", "c"], n // 3), index)

    def share(values, index=index, y=y):
        x = pd.Series(values, index)
        kept = x.copy(), y.copy()
        found = float(numbers(beyond_chance(x, y, default_rng(1)), ()))
        hint(not (x.equals(kept[0]) and y.equals(kept[1])), "Your function changes x or y.")
        return found

    known, row = share(y.replace("a", "A").to_numpy()), share(np.arange(n))
    hint(
        abs(row - 1) < 0.1,
        "The row number still removes all doubt. Take off what shuffles of it remove.",
    )
    hint(row < -1.5, "Take off the *mean* of the twenty shares, not their sum.")
    hint(known < -0.5, "Turned around: the share of the column, minus the mean of its shuffles.")
    hint(
        abs(known) < 0.05 and abs(row) < 0.05,
        "A column that tells the class exactly has nothing beyond chance here: your shuffles change nothing. pandas brings the rows of a shuffled Series together again, by their index.",
    )
    hint(
        known > 1.2 and abs(row) < 0.1,
        "These are bits. The share is of the entropy of y.",
    )
    first = share(np.where(y == "a", "p", "q"))  # tells one class from the other two
    hint(
        first > 0.9,
        "The share is of the doubt about the class. You divide by the entropy of the column.",
    )
    noise = share(pd.Categorical(rng.integers(40, size=n).astype(str)))
    hint(
        noise > 0.15,
        "Noise of 40 values keeps a large share. Shuffle the column itself: it must keep its values, and how often each occurs.",
    )
    hint(
        not 0.95 < known < 1 or abs(row) > 0.01 or abs(noise) > 0.1,
        "Try two columns: one that tells the class exactly comes near 1, a row number gets 0.",
    )
    some = np.arange(n) % 4 > 0  # rows that are gone leave gaps in the index
    gaps = share(np.arange(some.sum()), np.flatnonzero(some), y.set_axis(np.arange(n))[some])
    hint(
        abs(gaps) > 0.01,
        "Here the index has gaps, as after `dropna`. Give the shuffled values the index of x.",
    )


def _gaps(meta):
    place = meta.rank(pct=True).fillna(0.5).to_numpy()
    return np.linalg.norm(place[:, None] - place, axis=2)


def check_2(nearer_than_copy):
    """Put the copy below the known tasks with `pd.concat`, call `gaps`, and read the row of the task."""
    rng = default_rng(0)
    meta = pd.DataFrame(rng.lognormal(size=(30, 6)), [f"task {i}" for i in range(30)], [*"abcdef"])
    meta.iloc[::7, 2] = np.nan
    names, kinds = meta.index[[4, 11, 22]], (0.05, 0.4, 2)
    copies = [
        (meta.loc[name] * np.exp(size * rng.normal(size=6))).rename(None)  # as of meta_features
        for name, size in zip(names, kinds, strict=True)
    ]

    def found(name, copy):
        kept = meta.copy(), copy.copy()
        count = float(numbers(nearer_than_copy(meta, name, copy), ()))
        changed = not (meta.equals(kept[0]) and copy.equals(kept[1]))
        hint(changed, "Your function changes what it is given. Work on a copy.")
        return count

    def count(how):
        return [how(name, copy) for name, copy in zip(names, copies, strict=True)]

    def all_gaps(name, copy):
        both = pd.concat([meta, copy.rename("copy").to_frame().T])
        return _gaps(both), meta.index.get_loc(name)

    def right(name, copy):
        gap, i = all_gaps(name, copy)
        return (np.delete(gap[i, :-1], i) < gap[i, -1]).sum()

    def farther(name, copy):
        return 29 - right(name, copy)

    def of_the_copy(name, copy):
        gap, i = all_gaps(name, copy)
        return (np.delete(gap[-1, :-1], i) < gap[-1, i]).sum()

    def plain(name, copy):
        far = ((meta.fillna(0) - meta.loc[name].fillna(0)) ** 2).sum(axis=1)
        return (far.drop(name) < ((copy.fillna(0) - meta.loc[name].fillna(0)) ** 2).sum()).sum()

    answers, expected = count(found), count(right)
    hint(
        answers == [one + 1 for one in expected],
        "One too many: the task itself, at distance 0, is none of the others.",
    )
    hint(answers == count(farther), "These are the tasks that are *farther* away than the copy.")
    hint(
        answers == count(of_the_copy),
        "These are the tasks near the *copy*. Ask in the row of the task itself.",
    )
    hint(
        answers == count(plain),
        "These are distances of the numbers. `gaps` takes places, so that no number drowns the others.",
    )
    hint(
        answers == [one / 29 for one in expected],
        "This is a share. The number of tasks is asked for.",
    )
    hint(
        answers != expected,
        "Compare in one table: the known tasks and the copy, ranked together. Is the copy its last row?",
    )
    try:
        again = [found(n, copy.rename(n)) for n, copy in zip(names, copies, strict=True)]
    except (Hint, LookupError, TypeError, ValueError):
        again = None
    hint(
        again != expected,
        "A copy may have the name of its task. Then there are two rows of this name: rename the copy.",
    )


def _once(place):
    left, size, _ = np.linalg.svd(place - place.mean(axis=0))
    turned = left[:, : len(size)][:, size > 1e-9 * size[0]]
    return np.linalg.norm(turned[:, None] - turned, axis=2)


def check_3(gaps_once):
    """Subtract the mean of each column of places, and turn them: `np.linalg.svd` gives the directions and their size, scikit-learn's PCA too."""
    rng = default_rng(0)
    base = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4)) + 3 * rng.normal(size=(40, 1))
    meta = pd.DataFrame(np.exp(base), columns=[*"abcd"])
    meta.iloc[[3, 17], 1] = np.nan
    place = meta.rank(pct=True).fillna(0.5).to_numpy()
    centred = place - place.mean(axis=0)

    def distances(meta):
        kept = meta.copy()
        found = numbers(gaps_once(meta))
        hint(not meta.equals(kept), "Your function changes meta. Work on a copy.")
        hint(
            found.shape != (40, 40),
            f"Distances of 40 tasks are a table of 40 x 40, and this has shape {found.shape}.",
        )
        return found / found.mean()

    def same(found, points, power=1):
        gap = np.linalg.norm(points[:, None] - points, axis=2) ** power
        return np.allclose(found, gap / gap.mean(), atol=1e-6)

    right, found = _once(place), distances(meta)
    right = right / right.mean()
    hint(
        same(found, place),
        "These are the distances of `gaps`. To turn the places alone changes no distance: divide each new direction by its standard deviation.",
    )
    hint(
        same(found, centred / centred.std(axis=0)),
        "The columns have one variance now, but they are still correlated. Turn them first, then scale.",
    )
    hint(np.allclose(found, right**2 / np.mean(right**2), atol=1e-6), "Squared: take the root.")
    filled = [meta.fillna(fill).to_numpy() for fill in (0.5, 0, meta.mean(), meta.median())]
    hint(
        any(np.allclose(found, (g := _once(x)) / g.mean(), atol=1e-6) for x in filled),
        "These are distances of the numbers themselves. Begin with the places, as `gaps` does.",
    )
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    hint(
        same(found, left * size**2),
        "The long directions become longer still. Divide by their size, do not multiply.",
    )
    hint(
        same(found, left / size),
        "You divide by the variance. By the standard deviation the variance becomes 1.",
    )
    hint(
        not np.allclose(found, right, atol=1e-4),
        "Check it: the covariance of your turned places (`np.cov` of their columns) is the unit matrix, all of it.",
    )
    try:
        twice = distances(pd.concat([meta, meta.add_suffix(" again")], axis=1))
    except (np.linalg.LinAlgError, Hint):
        twice = np.full_like(right, np.nan)
    hint(
        not np.allclose(twice, right, atol=1e-4),
        "With each number in it twice, the distances change. Then some directions have no variance but rounding: leave these out (or use `np.linalg.pinv` with a tolerance), do not divide by it.",
    )


@cache
def _cases():
    """Datasets, the experience, and what right and wrong ways advise for each."""
    svc = MetaDataset.load("svc")
    svc = svc.subset(["iris", "hepatitis", "wine", *svc.tasks.index[:60:2]])
    tables = [load_dataset(name) for name in ("iris", "hepatitis", "wine")]
    tables[0] = replace(tables[0], name="more irises")  # a relative, under another name
    return svc, tables, [meta_features(table) for table in tables]


def _advice(table, row, k, leak=None, farthest=False, plain=False, itself=0, choose=None):
    svc = _cases()[0]
    keep = svc.families != table.family
    if leak == "all":
        keep[:] = True
    elif leak == "relatives":
        keep = pd.Series(svc.tasks.index != table.name, svc.tasks.index)
    others = svc.tasks.index[keep]
    both = pd.concat([svc.meta_features.loc[others], row.rename("new").to_frame().T])
    gap = _gaps(both)[-1, :-1]
    if plain:
        gap = np.linalg.norm(both.fillna(0).to_numpy()[:-1] - both.fillna(0).to_numpy()[-1], axis=1)
    near = others[np.argsort(-gap if farthest else gap, kind="stable")[: k - itself]]
    regrets = svc.regrets.loc[near]
    return svc.configs[int(choose(svc, near) if choose else regrets.mean().idxmin())]


WAYS = {
    "A task of the table's own family advises: nobody has a copy of a new table. Leave the whole family out (`experience.families`).": {
        "leak": "all"
    },
    "You leave out the task of the same name. A relative under another name has the same `family`, and still advises.": {
        "leak": "relatives"
    },
    "One task too few: the new table is the nearest to itself, at distance 0, and has no regrets.": {
        "itself": 1
    },
    "These are the *farthest* tasks. Sort the other way.": {"farthest": True},
    "These are near in the numbers themselves. `gaps` takes places, the new table's among them.": {
        "plain": True
    },
    "This is the highest mean regret. Low is good.": {
        "choose": lambda svc, near: svc.regrets.loc[near].mean().idxmax()
    },
    "You average scores. An easy task has high ones whatever the configuration: average regrets.": {
        "choose": lambda svc, near: svc.scores.loc[near].mean().idxmax()
    },
    "This is the best of the nearest task alone. Ask all k of them.": {
        "choose": lambda svc, near: svc.regrets.loc[near[0]].idxmin()
    },
}


def check_4(advice):
    """`gaps` of the known tasks and the new row, below them; its last row holds the distances to the new table. `argsort` finds the nearest."""
    svc, tables, rows = _cases()
    cases = [(table, row, k) for k in (2, 6) for table, row in zip(tables, rows, strict=True)]
    found = [advice(table, svc, k) for table, _, k in cases]
    hint(found[0] is None, "There is no value. Does your function end with `return`?")
    hint(
        not all(isinstance(one, dict) for one in found),
        "Return the configuration, a dict: `experience.configs[number]`.",
    )
    mine = replace(tables[2], name="mine", family="mine")
    try:
        advice(mine, svc, 2)
    except KeyError:
        raise Hint(
            "The family of a table of your own is not among the known ones, and your function raises a KeyError. Compare `experience.families` with it."
        ) from None
    right = [_advice(*case) for case in cases]
    for text, way in WAYS.items():
        wrong = [_advice(*case, **way) for case in cases]
        hint(found == wrong and wrong != right, text)
    fixed = [_advice(table, row, 10) for table, row, _ in cases]
    hint(found == fixed and fixed != right, "Your function takes 10 tasks, whatever k is.")
    every = [_advice(table, row, len(svc.tasks)) for table, row, _ in cases]
    hint(found == every, "All tasks advise here, the far ones too. Take the k nearest.")
    hint(
        found != right,
        "Some advice is another. Are rows of regrets and of distances in the same order, that of the known tasks without the family?",
    )
