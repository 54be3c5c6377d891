"""What the parts of `benchmarks.limits` share: searches, altered experience, cells, figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import default_rng

from benchmarks.use_it import expected
from metahpo_lite import (
    BayesianSearch,
    MetaDataset,
    Portfolio,
    WarmStart,
    compare,
    learners,
    race,
)
from metahpo_lite.inputs import normal_ranks

LEARNERS = tuple(learners.LEARNERS)
EVERY, TRIALS, RUNS = 5, 25, 3  # as in lesson 11: every fifth task is searched
SHORT = 10  # trials

load = cache(MetaDataset.load)


def kept(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Read a cell, or compute and keep it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npy")
        np.save(part, compute())
        part.rename(path)
        print(time.strftime("%H:%M:%S"), path, flush=True)
    return np.load(path)


def other_families(experience: MetaDataset, task: str, order: Sequence[str], n: int) -> MetaDataset:
    """Return the experience on the first `n` tasks of an order, without the task's family."""
    strange = [t for t in order if experience.families[t] != experience.families[task]]
    return experience.subset(strange[:n])


def altered(experience: MetaDataset, change: Callable, share: float, rng) -> MetaDataset:
    """Change the scores of a share of the tasks, drawn by `rng`: change(scores, rng)."""
    names = experience.tasks.index
    bad = rng.choice(names, round(share * len(names)), replace=False)
    trials = experience.trials.copy()
    for name in bad:
        rows = trials["task"] == name
        trials.loc[rows, "score"] = change(trials.loc[rows, "score"].to_numpy(), rng)
    return replace(experience, trials=trials)


def flagged(experience: MetaDataset, bad: MetaDataset) -> tuple[float, float]:
    """Say which share of the altered and of the other tasks ranks against the mean of the rest."""
    y = pd.DataFrame(normal_ranks(bad.scores.to_numpy()))
    against = (y.sum() - y).corrwith(y, axis=1).to_numpy() < 0
    spoiled = (bad.scores.to_numpy() != experience.scores.to_numpy()).any(axis=1)
    return tuple(against[some].mean() if some.any() else np.nan for some in (spoiled, ~spoiled))


def some_of(experience: MetaDataset) -> MetaDataset:
    """Return the searched tasks."""
    return experience.subset(list(experience.tasks.index[::EVERY]))


def searched(targets: MetaDataset, known: Callable[[int], MetaDataset]) -> np.ndarray:
    """Search the targets with `known(i)`.

    Returns the regret of the warm start and of the portfolio, the final trust, and the regret of
    the warm start after `SHORT` trials; shape (4, n_tasks).
    """
    made, sources = [], [known(i) for i in range(len(targets.tasks))]

    def warm(i, rng):
        made.append(WarmStart(targets.space, rng, sources[i], pool=targets.configs))
        return made[-1]

    curves = race(warm, targets, TRIALS)[:, 0]
    portfolio = race(lambda i, _: Portfolio(sources[i], TRIALS), targets, TRIALS).mean(axis=(1, 2))
    trust = [one.trust_ for one in made]
    return np.array([curves.mean(axis=1), portfolio, trust, curves[:, SHORT - 1]])


Line = tuple[str, str, str, str]  # of a figure: its name, x, and two columns: ours, theirs


def ratios(name: str, found: pd.DataFrame, points: Sequence[Line]) -> list[tuple]:
    """Compare columns of a table with a row for each searched task; return rows of a figure."""
    families, rows = load(name).families, []
    for line, x, ours, theirs in points:
        c = compare(found[ours], found[theirs], families[found.index], default_rng(0))
        rows.append((name, line, x, *c.interval, found[ours].mean(), len(found)))
    return rows


def figure(rows: Sequence[tuple], *more: str) -> pd.DataFrame:
    """Make a table of rows as `ratios` returns them, with more columns at their ends."""
    columns = ["panel", "line", "x", "middle", "low", "high", "regret", "tasks", *more]
    return pd.DataFrame(rows, columns=columns)


@cache
def cold(out: Path, name: str) -> pd.Series:
    """Regret of Bayesian optimization without experience, mean over runs, for all tasks."""
    e = load(name)

    def compute():
        searches = race(lambda _, rng: BayesianSearch(e.space, rng, e.configs), e, TRIALS, RUNS)
        return searches.mean(axis=(1, 2))

    return pd.Series(kept(out / "reference" / f"{name}-cold.npy", compute), e.tasks.index)


def random(experience: MetaDataset) -> np.ndarray:
    """Return what random search is expected to have, exactly."""
    return expected(experience, TRIALS).mean(axis=(1, 2))
