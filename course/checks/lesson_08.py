"""Predict performance and rank: model-based II."""

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.random import default_rng
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from course.checking import hint, numbers
from metahpo_lite import MetaDataset, load_dataset


def check_1(share_of_level):
    """The level of a task is the mean of its row. Take the variance of these means, and that of all numbers."""
    y = default_rng(0).normal(size=(5, 7)) + np.arange(5)[:, None] + np.arange(7) / 3
    found = float(numbers(share_of_level(y.copy()), ()))
    levels, total = y.mean(axis=1), y.var()
    hint(
        np.isclose(found, y.mean(axis=0).var() / total),
        "These are the means of the configurations. A task is a row: which axis goes away?",
    )
    hint(
        np.isclose(found, 1 - levels.var() / total),
        "This is the share of the rest, within the tasks. The level is the other part.",
    )
    hint(
        np.isclose(found, levels.std() / y.std()),
        "These are standard deviations. It is variances that add up.",
    )
    hint(
        np.isclose(found, levels.var() / y.var(axis=1).mean()),
        "You divide by what is within the tasks. Divide by the variance of all numbers.",
    )
    hint(
        np.isclose(found, levels.var(ddof=1) / y.var(ddof=1)),
        "The parts must add up to the whole: divide by n, not by n - 1, as pandas does by itself (ddof=0).",
    )
    hint(
        not np.isclose(found, levels.var() / total),
        "Try the lesson's example, 90 and 80 on one task, 50 and 40 on the other: the levels have the variance 400, all scores 425.",
    )


def check_2(top_label):
    """Begin with the ranks within each task, as normal_ranks gives them. Then take a function of them that is flat at the bottom and steep at the top."""
    y = np.round(default_rng(1).random((6, 60)), 2)  # with ties
    y[:, 0] = np.arange(6) / 10
    found = numbers(top_label(y.copy()), y.shape)
    moved = numbers(top_label(y + np.arange(6)[:, None]), y.shape)
    hint(
        not np.allclose(found, moved),
        "All scores of a task were moved up by the same number, and the label changed: it knows how hard the task is.",
    )
    stretched = numbers(top_label(y * (1 + np.arange(6))[:, None]), y.shape)
    hint(
        not np.allclose(found, stretched),
        "All scores of a task were multiplied by the same number, and the label changed. Divide by something of the task's own, or take ranks.",
    )
    alone = numbers(top_label(y[2:3].copy()), (1, 60))
    hint(
        not np.allclose(found[2:3], alone),
        "The label of a task depends on the other tasks. Work along each row: axis=1.",
    )
    order = np.argsort(y, axis=1, kind="stable")
    step, rise = (np.diff(np.take_along_axis(a, order, axis=1), axis=1) for a in (y, found))
    small = 1e-9 * np.ptp(found)
    hint(
        np.mean(rise < -small) > np.mean(rise > small),
        "Upside down: the better score has the lower label.",
    )
    hint(
        abs(rise[step == 0]) > small,
        "Equal scores have different labels here: the order in the file is not a rank. Let ties share one (rankdata does).",
    )
    hint(rise < -small, "A better score has a lower label somewhere. Never turn the order around.")
    failed, known = y.copy(), y.min(axis=1)
    failed[:, 5] = np.nan
    label = np.asarray(top_label(failed.copy()), dtype=float)
    hint(~np.isfinite(label), "A failed trial (NaN) has no label, or spoils those of its task.")
    worst = np.take_along_axis(label, np.where(failed == known[:, None], label, np.inf).argmin(1)[:, None], 1)  # fmt: skip
    hint(
        label[:, 5:6] > worst + 1e-9 * np.ptp(label),
        "A failed trial (NaN) has a higher label than a trial that scored badly.",
    )
    hint(
        not np.allclose(label, np.asarray(top_label(failed - 10), dtype=float)),
        "With scores below 0 a failed trial (NaN) no longer counts as the worst. Give it the worst of its row, or minus infinity before you rank.",
    )
    same = np.asarray(top_label(np.full((1, 30), 0.5)), dtype=float)
    hint(
        ~np.isfinite(same),
        "On a task on which all score the same your label is no number: is something divided by a spread of 0?",
    )
    spread = np.linspace(0, 1, 60)[None] + np.zeros((1, 1))
    found = numbers(top_label(spread.copy()), (1, 60))[0]
    top, bottom = found[-1] - found[-10], found[9] - found[0]
    hint(
        top <= bottom * (1 + 1e-6),
        "The bottom is stretched as much as the top, or more. Let the label rise fastest at the best.",
    )


def check_3(hedged):
    """Keep for each tree the best opinion that it has of the list so far, and ask of each candidate what it would raise it to."""
    views = np.array([[9, 9.1, 0, 1], [9, 8, 0, 1], [0, 0, 5, 0.0]])
    found = _list(hedged, views, 3)
    hint(found[0] != 0, "The first one has the best *mean* opinion; a high opinion is a good one.")
    hint(
        found[:2] == [0, 1],
        "Your second is the second of the ranking: the trees that like it have a better one in the list already. Compare each opinion with the best of the list.",
    )
    hint(
        found[1] == 3,
        "Your second adds least. Take the one that raises the mean of the best most.",
    )
    tied = np.zeros((4, 6)) + np.array([5, 1, 1, 1, 1, 1.0])
    found = _list(hedged, tied, 3)
    hint(len(set(found)) < 3, "A configuration comes twice. What is in the list is taken.")
    hint(
        found != [0, 1, 2],
        "Here all that are left add nothing. Of equals take the first one.",
    )
    for seed in range(5):
        views = default_rng(seed).normal(size=(12, 25)) - 3
        found, best = _list(hedged, views, 6), np.full(12, -np.inf)
        hint(len(set(found)) < 6, "A configuration comes twice. What is in the list is taken.")
        for place, number in enumerate(found):
            value = np.maximum(views, best[:, None]).mean(axis=0)
            left = np.delete(value, found[:place])
            hint(
                place > 0 and np.all(np.diff(views.mean(axis=0)[found]) <= 0),
                "Your list is the ranking by the mean opinion. Where do the trees' own opinions come in?",
            )
            hint(
                value[number] < left.max() - 1e-9,
                "Opinions below 0 are opinions, too. For each tree, what is the best of the list before anything is in it? And does your `best` remember all that were chosen?",
            )
            best = np.maximum(best, views[:, number])


def _list(hedged, views, n):
    given = views.copy()
    found = hedged(given, n)
    hint(
        given != views,
        "Your function changes `views`: the ranking of the same trees is then lost. Work on a copy.",
    )
    found = numbers(found if found is None else list(found))
    hint(found.shape != (n,), f"n = {n} numbers are expected, and this has shape {found.shape}.")
    hint(
        (found % 1 != 0) | (found < 0) | (found >= views.shape[1]),
        "The numbers of configurations are expected: columns of views, from 0.",
    )
    return [int(number) for number in found]


@threadpool_limits.wrap(limits=1)  # of few rows, threads cost more than they save
def check_4(propose):
    """Fit a PerformancePredictor() to the experience, ask it about meta_features(table), and sort its configurations."""
    table, known, reversed_ = _tables()
    every = len(known.configs)
    try:
        unknown = _configs(propose, table, known.without(table.family), every)
    except KeyError as error:
        hint(
            "family" in str(error),
            "A table of your own has a family that is not in the experience: then there is nothing to leave out.",
        )
        raise
    found = _configs(propose, table, known, every)
    hint(
        found != _configs(propose, table, known, every),
        "Two calls return two lists. Give what draws at random a seed.",
    )
    C = [config["C"] for config in found]
    agree = spearmanr(-np.arange(every), C)[0]
    hint(agree < -0.3, "Your list begins with the worst. A high prediction is a good one.")
    hint(
        agree < 0.6,
        "On all tasks of a test a large C is best, and your list does not show it. Does the order of the predictions decide?",
    )
    hint(
        unknown == _configs(propose, load_dataset("glass"), known.without(table.family), every),
        "Another table gets the same list from the same experience. Ask about *this* table: the predictor reads its meta-features.",
    )
    hint(
        _configs(propose, table, known, 5) != found[:5],
        "The five best are not the first five of the whole list. Sort from the best down, then cut.",
    )
    hint(
        found != _configs(propose, table, reversed_, every),
        "The scores of the table's own family were turned around, and your list changed: it had read the answers. Leave the family out before you fit.",
    )
    hint(
        found != unknown,
        "With the family left out it must be as if it had never been there. What else did it take part in?",
    )


@cache
def _tables():
    """Return a table, experience on which a large C is best, and the same with its own reversed."""
    e = MetaDataset.load("svc")
    table = load_dataset("wine")
    others = [name for name in e.tasks.index if e.families[name] != table.family][:8]
    own = [name for name in e.tasks.index if e.families[name] == table.family]
    known = e.subset([*others, *own]).with_configs(range(30))
    own = [*own, others[0]]  # two tasks of one family
    tasks = known.tasks.copy()
    tasks.loc[others[0], "family"] = table.family
    known = replace(known, tasks=tasks)
    trials = known.trials.copy()
    rank = np.argsort(np.argsort([config["C"] for config in known.configs]))
    noise = default_rng(0).normal(0, 0.2, len(trials))
    trials["score"] = rank[trials["config"]] / 30 + noise
    turned = trials["score"].where(~trials["task"].isin(own), 1 - trials["score"])
    return table, replace(known, trials=trials), replace(known, trials=trials.assign(score=turned))


def _configs(propose, table, known, n):
    found = propose(table, known, n)
    hint(found is None, "There is no value. Does your function end with `return`?")
    found = list(found)
    hint(len(found) != n, f"{n} configurations are expected, and these are {len(found)}.")
    hint(
        any(not isinstance(config, dict) for config in found),
        "Configurations are expected, as in experience.configs, not their numbers or predictions.",
    )
    hint(
        any(config not in known.configs for config in found),
        "One of these is no configuration of the experience.",
    )
    return found
