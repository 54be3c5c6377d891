"""Histories: searches that you made anyway, read so that they become experience.

An Optuna study and a scikit-learn search hold the same: configurations and their scores. Trials
without a score, or with one that is infinite or beyond ±1e100, are left out. What is wrong in one
is said with its name and the number of its row, counted from 0.
"""

from __future__ import annotations

import math
import re
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from metahpo_lite.arguments import as_list, as_score, check_text
from metahpo_lite.hyperparameters import (
    Categorical,
    Float,
    Hyperparameter,
    Int,
    is_number,
    key_of,
    plain,
)
from metahpo_lite.spaces import Config, SearchSpace

LOG_FROM = 100  # a range above 0 whose ends are such a factor apart is held for one on a log scale


@dataclass(frozen=True)
class History:
    """The trials of a search that have a score; higher is better."""

    name: str
    configs: list[Config]
    scores: list[float]


# ---------------------------------------------------------------------- what holds a history


def of_optuna(studies: Any) -> tuple[list[History], SearchSpace]:
    """Read studies, or all of a storage, and the space that their distributions tell of.

    Raises
    ------
    ValueError
        If there is no finished trial, a study has several objectives, or two studies do not agree
        on what a hyperparameter is.
    """
    import optuna

    if isinstance(studies, str):
        with _opened(studies) as storage:
            return of_optuna(storage)
    if isinstance(studies, optuna.study.Study):
        studies = [studies]
    elif isinstance(studies, optuna.storages.BaseStorage):
        studies = _studies_of(studies)
    several = isinstance(studies, Iterable) and getattr(studies, "ndim", True)
    studies = list(studies) if several else [studies]  # then it is refused
    histories = [of_study(study) for study in studies]
    found: dict[str, list] = {}
    for study in studies:
        for trial in _trials(study):
            for name, distribution in trial.distributions.items():
                ours = _of_distribution(name, distribution)
                if all(ours != other for other, _ in found.setdefault(name, [])):
                    found[name].append((ours, study.study_name))
    histories = _named_once(histories)
    configs = [config for history in histories for config in history.configs]
    used = {name for config in configs for name in config}  # others: in trials that failed alone
    hyperparameters = [_joined(alike) for name, alike in found.items() if name in used]
    return histories, _with_conditions(hyperparameters, configs)


@contextmanager
def _opened(address: str) -> Iterator[Any]:
    """Open a storage by its address, and close it; where there is none, none is made."""
    import optuna
    from sqlalchemy.pool import NullPool  # Optuna's; without a pool, nothing stays open

    path = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+).*", address)
    try:
        if path and path[1] != ":memory:":  # Optuna would make the file, or its tables in it
            uri = f"{Path(path[1]).absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as file:
                file.execute("select study_id from studies").fetchall()
        storage = optuna.storages.RDBStorage(address, engine_kwargs={"poolclass": NullPool})
    except Exception as error:  # each kind of storage has its own
        raise _unreadable("the storage", error) from None
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _studies_of(storage: Any) -> list:
    """Return all studies of a storage."""
    import optuna

    try:
        names = optuna.study.get_all_study_names(storage)
        return [optuna.load_study(study_name=name, storage=storage) for name in names]
    except Exception as error:  # each kind of storage has its own
        raise _unreadable("the storage", error) from None


def _trials(study: Any) -> list:
    """Return the trials of a study, as its storage has them."""
    try:
        return study.get_trials(deepcopy=False)
    except Exception as error:  # a storage may be broken here and there
        raise _unreadable(repr(study.study_name), error) from None


def _unreadable(what: str, error: Exception) -> ValueError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return ValueError(f"studies: {what} cannot be read ({reason}); accepted are Optuna studies, "
                      "or a storage that holds some")  # fmt: skip


def of_study(study: Any) -> History:
    """Read the completed trials of an Optuna study."""
    if not hasattr(study, "directions"):
        raise TypeError(f"studies: got {study!r}, accepted are Optuna studies, or a storage")
    if len(study.directions) > 1:
        raise ValueError(f"studies: {study.study_name!r} has {len(study.directions)} objectives, "
                         "accepted is one")  # fmt: skip
    sign = -1 if study.direction.name == "MINIMIZE" else 1
    done = [t for t in _trials(study) if t.state.name == "COMPLETE"]
    done = [t for t in done if not math.isnan(as_score(t.value))]
    return History(study.study_name, [dict(t.params) for t in done], [sign * t.value for t in done])


def of_cv_results(results: Any) -> tuple[list[History], SearchSpace]:
    """Read the ``cv_results_`` of scikit-learn's searches, and guess their space.

    Raises
    ------
    ValueError
        If one is not such a table, or a hyperparameter takes values that are neither numbers,
        texts, truth values nor None.
    """
    if isinstance(results, Mapping) and "params" in results:
        results = [results]
    if not isinstance(results, (Mapping, Sequence)):
        raise TypeError(f"results: got {results!r}, accepted is [search.cv_results_, ...]")
    if not isinstance(results, Mapping):
        results = {f"search {i}": table for i, table in enumerate(results, 1)}
    histories = _named_once([of_table(str(name), table) for name, table in results.items()])
    configs = [config for history in histories for config in history.configs]
    names = list(dict.fromkeys(name for config in configs for name in config))
    return histories, _with_conditions([_guess(name, configs) for name in names], configs)


def of_table(name: str, table: Any, params: Any = None) -> History:
    """Read one ``cv_results_``, or its scores for other `params`."""
    if not isinstance(table, Mapping) or not {"params", "mean_test_score"} <= set(table):
        keys = list(table) if isinstance(table, Mapping) else type(table).__name__
        raise ValueError(f"results: {name!r} is {keys}; accepted is the cv_results_ of a search "
                         "with one metric: it has params and mean_test_score")  # fmt: skip
    params, scores = table["params"] if params is None else params, table["mean_test_score"]
    params = as_list("results", params, f"a dict for each trial of {name!r}")
    scores = as_list("results", scores, f"a score for each trial of {name!r}")
    if len(params) != len(scores) or not all(isinstance(p, Mapping) for p in params):
        raise ValueError(f"results: {name!r} has {len(params)} params and {len(scores)} scores, "
                         "accepted are a dict and a number for each trial")  # fmt: skip
    scores = [as_score(s, f"{name}: the score of trial {i}") for i, s in enumerate(scores)]
    ok = [row for row, score in enumerate(scores) if not math.isnan(score)]
    configs = [{n: _plain(name, i, n, v) for n, v in params[i].items()} for i in ok]
    return History(name, configs, [scores[i] for i in ok])


def of_search(search: Any, space: SearchSpace, name: str) -> History:
    """Read a search that used this space: one of scikit-learn's, or an Optuna study.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or has a configuration that is not of the space.
    """
    if hasattr(search, "directions"):
        history = of_study(search)
    elif hasattr(search, "cv_results_"):
        history = of_table(name, search.cv_results_, getattr(search, "configs_", None))
        short = [_short(config, space) for config in history.configs]
        history = History(name, short, history.scores)
    else:
        raise TypeError(f"search: got a {type(search).__name__}, accepted is a fitted search with "
                        "cv_results_, or an Optuna study")  # fmt: skip
    return History(name, configs_in(space, history), history.scores)


def configs_in(space: SearchSpace, history: History) -> list[Config]:
    """Return the configurations, without what their conditions switch off, after a check."""
    configs = []
    for row, given in enumerate(history.configs):
        try:
            configs.append(space.drop_inactive(given))
        except (KeyError, ValueError) as error:
            raise ValueError(f"{history.name}: trial {row} is not of the space: {error.args[0]}; "
                             f"accepted are configurations of {space.names}") from None  # fmt: skip
    return configs


def _named_once(histories: Iterable[History]) -> list[History]:
    histories = list(histories)
    for history in [h for h in histories if len(h.scores) < 2]:
        warnings.warn(f"{history.name!r} has fewer than two trials with a score: left out",
                      stacklevel=4)  # fmt: skip
    histories = [h for h in histories if len(h.scores) > 1]
    names = [history.name for history in histories]
    for name in names:
        check_text("histories", name)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"histories: got {names}, accepted are one or more, of different names, "
                         "each with two trials that have a score")  # fmt: skip
    return histories


def _short(config: Mapping[str, Any], space: SearchSpace) -> Config:
    """Return the configuration with the space's names where it has those of a pipeline's steps."""
    names = {name: name if name in space.names else name.rpartition("__")[2] for name in config}
    return {names[name]: value for name, value in config.items()}


def _plain(search: str, row: int, name: str, value: Any) -> Any:
    value = plain(value)
    if value is not None and not isinstance(value, (str, bool, int, float)):
        raise ValueError(f"{search}: trial {row}: {name!r} is {value!r}, accepted is a number, a "
                         "text, True, False or None: search over a name or number that stands "
                         "for it")  # fmt: skip
    return value


# ---------------------------------------------------------------------- the space of a history


def _of_distribution(name: str, distribution: Any) -> Categorical | Int | Float:
    """Return an Optuna distribution as a hyperparameter, without its step."""
    if hasattr(distribution, "choices"):
        return Categorical(name, distribution.choices)
    if distribution.single():
        return Categorical(name, [distribution.low])
    kind = Int if isinstance(distribution.low, Integral) else Float
    return kind(name, distribution.low, distribution.high, log=distribution.log)


def _joined(found: Sequence[tuple[Categorical | Int | Float, str]]) -> Categorical | Int | Float:
    """Return what holds all values of a hyperparameter that differs from study to study."""
    (first, study), *others = found
    for other, where in others:
        if type(first) is not type(other) or getattr(first, "log", 0) != getattr(other, "log", 0):
            raise ValueError(
                f"studies: {first.name!r} is {first} in {study!r}, but {other} in {where!r}; "
                "accepted is the same kind and scale in all: make experience of each alone"
            )
        if isinstance(first, Categorical) and isinstance(other, Categorical):
            first = Categorical(first.name, _distinct([*first.choices, *other.choices]))
        elif not isinstance(first, Categorical) and not isinstance(other, Categorical):
            ends: Any = min(first.low, other.low), max(first.high, other.high)
            first = type(first)(first.name, ends[0], ends[1], log=first.log)
    return first


def _distinct(values: Iterable) -> list:
    """Return the values, each once, in order; True is not 1."""
    return list({key_of(value): value for value in values}.values())


def _guess(name: str, configs: Sequence[Config]) -> Categorical | Int | Float:
    """Guess a hyperparameter by its values: numbers range from the smallest to the largest."""
    values = _distinct(config[name] for config in configs if name in config)
    if len(values) < 2 or not all(map(is_number, values)):
        return Categorical(name, values)
    low, high = min(values), max(values)
    kind = Int if all(isinstance(v, int) for v in values) else Float
    return kind(name, low, high, log=low > 0 and high >= LOG_FROM * low)


def _with_conditions(hyperparameters: Sequence, configs: Sequence[Config]) -> SearchSpace:
    """Find where each hyperparameter is active, by where the configurations have it."""
    active = {h.name: np.array([h.name in c for c in configs]) for h in hyperparameters}
    parents: dict[str, list] = {}
    values: dict[str, np.ndarray] = {}
    found: list[Hyperparameter] = []
    # parents first: they are there at least as often as their children
    for h in sorted(hyperparameters, key=lambda h: -active[h.name].sum()):
        when = condition(active[h.name], active, values, parents)
        if when is None:
            row = int((~active[h.name]).argmax())
            raise ValueError(
                f"histories: {h.name!r} is missing in {configs[row]}, and no other hyperparameter "
                "decides where it is; accepted is a space that says so: space=SearchSpace([...])"
            )
        kind = {"choices": h.choices} if isinstance(h, Categorical) else {
            "low": h.low, "high": h.high, "log": h.log}  # fmt: skip
        found.append(type(h)(h.name, **kind, when=when))
        if not isinstance(h, Float):
            here = [c[h.name] for c in configs if h.name in c]
            parents[h.name] = _distinct(here)
            number = {key_of(value): i for i, value in enumerate(parents[h.name])}
            numbers = [number[key_of(c[h.name])] if h.name in c else -1 for c in configs]
            values[h.name] = np.array(numbers)
    return SearchSpace(found)


def condition(
    here: np.ndarray,
    active: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
    parents: Mapping[str, Sequence],
) -> dict[str, list] | None:
    """Find the hyperparameter, or several together, whose values decide where another is active.

    Parameters
    ----------
    here : bool array of shape (n,)
        Where it is.
    active : mapping of name to bool array of shape (n,)
        Where each parent is.
    values : mapping of name to int array of shape (n,)
        The number of each parent's value there.
    parents : mapping of name to sequence
        The values of each.

    Returns
    -------
    dict or None
        As for `when` of a hyperparameter: empty if it is always active; None if nothing decides.
    """
    if here.all():
        return {}
    allowed, holds = {}, {}
    for parent, choices in parents.items():
        seen = set(values[parent][here & active[parent]].tolist())
        holds[parent] = np.isin(values[parent], list(seen)) & active[parent]
        allowed[parent] = [choice for i, choice in enumerate(choices) if i in seen]
        if seen and (holds[parent] == here).all():
            return {parent: allowed[parent]}
    some = [p for p in parents if allowed[p] and not holds[p].all()]
    if some and (np.all([holds[p] for p in some], axis=0) == here).all():
        return {p: allowed[p] for p in some}
    return None
