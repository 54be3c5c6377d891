"""Trials: tables of tasks, configurations and scores, checked, or made of a table from elsewhere.

What is wrong in a table is said with its name, the column and the row, counted from 0.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor

from metahpo_lite.about import check_names
from metahpo_lite.arguments import LARGEST, check_seed, is_finite, is_text, whole_number
from metahpo_lite.histories import History, configs_in
from metahpo_lite.hyperparameters import Categorical, Float, Hyperparameter, Int, is_number, plain
from metahpo_lite.spaces import Config, SearchSpace
from metahpo_lite.storage import SCORES, TASKS, config_key, refuse

SURROGATE = "100 extremely randomised trees per task"
STATUS = ("ok", "failed", "timeout")
Where = Path | str  # what is checked: a file, or the name of a table


# ---- checks


def check_space(space: Any) -> None:
    """Raise a TypeError unless it is a space."""
    if not isinstance(space, SearchSpace):
        raise TypeError(f"space: got {space!r}, accepted is a SearchSpace")


def checked_configs(space: SearchSpace, configs: Sequence[Mapping]) -> tuple[Config, ...]:
    """Return the configurations of experience; an error says what is bad in them or the space."""
    check_space(space)
    check_names(space)
    if not isinstance(configs, Sequence):
        raise TypeError(f"configs: got {configs!r}, accepted is a list of dicts")
    checked = tuple(space.check(config) for config in configs)
    if not checked or len({config_key(c) for c in checked}) < len(checked):
        raise ValueError("configs: none, or one occurs twice; accepted are different ones")
    return checked


def checked_tasks(tasks: pd.DataFrame, where: Where) -> pd.DataFrame:
    """Return the tasks, index ``task``, with all of `TASKS`; a ValueError says what is bad."""
    check_frame(tasks, where)
    names = pd.Series(list(tasks.index), dtype=object)
    refuse(where, "task", [not (is_text(t) and t) for t in names], names, "a name")
    refuse(where, "task", names.duplicated(), names, "each task once")
    if names.empty:
        raise ValueError(f"{where}: no row; accepted is at least one task")
    if "family" not in tasks:
        raise ValueError(f"{where}: column 'family' is missing, accepted is one")
    family = tasks["family"]
    refuse(where, "family", [not (is_text(f) and f) for f in family], family, "a name")
    tasks = tasks.reindex(columns=[name for name in TASKS.names if name != "task"])
    tasks["family"] = list(family)  # not as a category, which a file does not keep
    for column in ("source", "licence"):
        texts = tasks[column].astype(object)
        tasks[column] = texts.where(texts.notna(), "")
        bad = [not is_text(text) for text in tasks[column]]
        refuse(where, column, bad, texts, "a text, or missing")
    for column in ("rows", "features", "classes"):
        numbers = _numbers(tasks[column], where)
        bad = ~(numbers.isna() | (numbers.between(1, 2**53) & (np.floor(numbers) == numbers)))
        refuse(where, column, bad, numbers, "a count, or missing")
        if tasks[column].dtype.kind not in "iu":
            tasks[column] = numbers.to_numpy()
    return tasks.set_index(pd.Index(names, name="task"))


def checked_trials(
    trials: pd.DataFrame, n_configs: int, tasks: pd.Index, where: Where
) -> pd.DataFrame:
    """Return the trials, sorted, with all columns of `SCORES`; a ValueError says what is bad."""
    check_frame(trials, where)
    if lacking := [name for name in ("task", "config", "score") if name not in trials]:
        raise ValueError(f"{where}: column {lacking[0]!r} is missing, accepted are all of task, "
                         "config, score")  # fmt: skip
    trials = trials.reset_index(drop=True).reindex(columns=SCORES.names)
    names, code = _coded(trials["task"], where)
    nameless = tasks.get_indexer(pd.Index([None], dtype=tasks.dtype))  # what has the code -1
    task = np.array([*tasks.get_indexer(names), *nameless])[code]
    refuse(where, "task", task < 0, trials["task"], "one of the tasks")
    number = _numbers(trials["config"], where)
    bad = ~(number.between(0, n_configs - 1) & (np.floor(number) == number))
    refuse(where, "config", bad, trials["config"], f"a number from 0 to {n_configs - 1}")
    number = number.astype("int64")
    cell = task * n_configs + number
    refuse(where, "config", cell.duplicated(), number, "each configuration once per task")

    scores = _numbers(trials["score"], where)
    names, code = _coded(trials["status"], where)
    code = np.where(code >= 0, code, np.where(scores.notna(), len(names), len(names) + 1))
    names = [*names, "ok", "failed"]  # where it lacks
    status = pd.Series(np.array(names, dtype=object)[code], dtype=object)
    known = np.array([name in STATUS for name in names])[code]
    refuse(where, "status", ~known, status, f"one of {STATUS}")
    ok = np.array([name == "ok" for name in names])[code]
    refuse(where, "score", ok & ~(scores.abs() <= LARGEST), scores,
           f"a number within ±{LARGEST:g}, where the status is ok")  # fmt: skip
    refuse(where, "score", ~ok & scores.notna(), scores, "no score, where the status is not ok")
    columns = {"task": tasks[task], "config": number, "score": scores, "status": status}
    for column in ("std", "seconds"):
        columns[column] = numbers = _numbers(trials[column], where)
        bad = (numbers < 0) | np.isinf(numbers)
        refuse(where, column, bad, numbers, "at least 0, finite or missing")

    there = np.zeros(len(tasks) * n_configs, dtype=bool)
    there[cell] = True
    if not there.all():
        name, lacks = divmod(int(there.argmin()), n_configs)
        raise ValueError(f"{where}: task {tasks[name]!r} lacks configuration {lacks}; accepted are "
                         f"all {n_configs} configurations for each task")  # fmt: skip
    names, code = _coded(trials["reason"], where)
    columns["reason"] = pd.Series(np.array([*names, ""], dtype=object)[code], dtype=object)
    trials = trials.assign(**columns)
    by_name = tasks.argsort().argsort()  # the place of each task
    order = np.lexsort([number, by_name[task]])
    return trials.iloc[order].reset_index(drop=True)


def check_logged(rows: Sequence[Mapping[str, Any]], n_configs: int, where: Where) -> None:
    """Raise a ValueError about the first row of a log that no collection wrote."""
    for number, row in enumerate(rows, 1):
        known = row.get("meta_features")
        if "config" in row:
            score: Any = row.get("score")
            seconds = [row.get("std"), row.get("seconds")]
            ok = row["config"] in range(n_configs) and row.get("status") in STATUS
            ok = ok and is_finite(score) == (row["status"] == "ok")
            ok = ok and all(v is None or (is_number(v) and not v < 0) for v in seconds)
            ok = ok and is_text(row.get("reason"))
        else:
            ok = isinstance(known, dict) and all(v is None or is_number(v) for v in known.values())
        if not (ok and is_text(row.get("task")) and row["task"]):
            raise ValueError(f"{where}: line {number} is {dict(row)}, accepted is what a "
                             "collection wrote: delete this line, and it is evaluated "
                             "again")  # fmt: skip


def checked_meta_features(
    table: pd.DataFrame | None, tasks: pd.Index, where: Where
) -> pd.DataFrame | None:
    """Return the meta-features, a row for each task; a ValueError says what is bad."""
    if table is None:
        return None
    check_frame(table, where)
    names = pd.Series(list(table.index), dtype=object)
    known = [is_text(name) and name in tasks for name in names]
    refuse(where, "task", ~np.array(known, dtype=bool), names, "one of the tasks of the experience")
    refuse(where, "task", names.duplicated(), names, "each task once")
    if not (table.dtypes == np.float64).all():
        numbers = {
            str(name): _numbers(column.rename(str(name)), where) for name, column in table.items()
        }
        table = pd.DataFrame(numbers)
    values = table.to_numpy()
    for i in np.flatnonzero(np.isinf(values).any(axis=0)):
        column = values[:, i]
        refuse(where, str(table.columns[i]), np.isinf(column), column, "finite or missing")
    columns = [str(name) for name in table.columns]
    if bad := [n for n in columns if n == "task" or not is_text(n) or columns.count(n) > 1]:
        raise ValueError(f"{where}: a column is called {bad[0]!r}, accepted are different texts, "
                         "and not 'task'")  # fmt: skip
    index = pd.Index(names, name="task")
    return pd.DataFrame(values, index, columns).reindex(tasks)


def check_frame(table: Any, where: Where) -> None:
    """Raise an error unless `table` is a DataFrame that has each column once."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{where}: got a {type(table).__name__}, accepted is a DataFrame")
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise ValueError(f"{where}: column {twice!r} occurs twice, accepted is once")


def _coded(column: pd.Series, where: Where) -> tuple[list, np.ndarray]:
    """Return the distinct texts of a column, and the number of each row's; -1 is missing."""
    try:
        code, values = pd.factorize(column.astype(object) if column.isna().all() else column)
    except TypeError:  # lists, which have no hash
        code, values = np.arange(len(column)), column
    bad = np.array([not is_text(value) for value in values] + [False])[code]
    refuse(where, str(column.name), bad, column, "a text, or missing")
    return list(values), code


def _numbers(column: pd.Series, where: Where) -> pd.Series:
    """Return a column as float64 with rows counted from 0, if it holds numbers or nothing."""
    column, missing = column.reset_index(drop=True), column.isna().to_numpy()
    if missing.all():
        return pd.Series(np.nan, column.index, name=column.name)
    if pd.api.types.is_float_dtype(column.dtype) or pd.api.types.is_integer_dtype(column.dtype):
        with np.errstate(over="ignore"):  # a longer float becomes infinite
            return column.astype("float64")
    numbers = [math.nan if lacks else v for v, lacks in zip(column, missing, strict=True)]
    bad = [not is_number(v) or not (v != v or abs(plain(v)) < 1e308) for v in numbers]
    refuse(where, str(column.name), bad, column, "a number")
    return pd.Series([float(v) for v in numbers], column.index, name=column.name)


# ---- a table from elsewhere


def from_trials(
    table: pd.DataFrame,
    meta_features: pd.DataFrame | None,
    families: Mapping[str, str] | None,
    space: SearchSpace | None,
    n_configs: int,
    seed: int,
) -> dict[str, Any]:
    """Return the parts of the `MetaDataset` that a long table makes; see its `from_trials`."""
    check_frame(table, "table")
    if table.empty:
        raise ValueError("table: no DataFrame, or no row; accepted is one row per trial")
    if lacking := [name for name in ("task", "score") if name not in table]:
        raise ValueError(f"table: column {lacking[0]!r} is missing; accepted are task, score and "
                         "one column per hyperparameter")  # fmt: skip
    table = table.reset_index(drop=True)
    refuse("table", "task", table["task"].isna(), table["task"], "the name of a task")
    scores = _numbers(table["score"], "table")
    refuse("table", "score", ~(scores.abs() <= LARGEST), scores,
           f"a number within ±{LARGEST:g}: drop the trials that failed")  # fmt: skip
    names = [str(name) for name in table["task"]]
    refuse("table", "task", [not is_text(name) for name in names], names, "the name of a task")
    task = pd.Series(names)
    values = table.drop(columns=["task", "score"])
    space = _space_of_columns(values) if space is None else space
    check_space(space)
    configs = _configs_of_rows(space, values)
    keys = pd.Series([config_key(config) for config in configs])
    twice = pd.DataFrame({"task": task, "key": keys}).duplicated()
    refuse("table", "task", twice, task, "each configuration once per task")
    return aligned(task, configs, keys, scores, space, meta_features, families, n_configs, seed)


def aligned(
    task: pd.Series,
    configs: Sequence[Config],
    keys: pd.Series,
    scores: pd.Series,
    space: SearchSpace,
    meta_features: pd.DataFrame | None,
    families: Mapping[str, str] | None,
    n_configs: int,
    seed: int,
) -> dict[str, Any]:
    """Return the parts of the `MetaDataset` of trials, a row each; see its `from_trials`."""
    if not isinstance(families, (Mapping, pd.Series, type(None))):
        raise TypeError(f"families: got {families!r}, accepted is a dict of task and family")
    number, distinct = pd.factorize(keys)
    names = list(dict.fromkeys(task))
    pool = pd.Series(list(configs)).groupby(number).first().tolist()
    if len(task) == len(names) * len(distinct):
        trials = pd.DataFrame({"task": task, "config": number, "score": scores})
        about = {}
    else:
        whole_number("n_configs", n_configs)
        rng = np.random.default_rng(check_seed(seed))
        chosen = rng.choice(len(pool), min(n_configs, len(pool)), replace=False)
        points = space.encode(pool)
        predicted = [
            surrogate(points[number[rows]], scores[rows], seed).predict(points[np.sort(chosen)])
            for rows in (np.flatnonzero(task == name) for name in names)
        ]
        pool = [pool[i] for i in np.sort(chosen)]
        trials = pd.DataFrame({
            "task": np.repeat(names, len(pool)),
            "config": np.tile(np.arange(len(pool)), len(names)),
            "score": np.concatenate(predicted),
        })  # fmt: skip
        about = {"surrogate": SURROGATE, "seed": seed}
    families = {} if families is None else {str(t): f for t, f in dict(families).items()}
    refuse("families", "task", [t not in names for t in families], list(families), "a task")
    tasks = pd.DataFrame({"family": [str(families.get(name, name)) for name in names]})
    if meta_features is not None:
        check_frame(meta_features, "meta_features")
        index = pd.Index([str(name) for name in meta_features.index], dtype=object)
        meta_features = meta_features.set_axis(index, axis=0)
    return {
        "space": space,
        "configs": pool,
        "trials": trials,
        "tasks": tasks.set_index(pd.Index(names, name="task")),
        "meta_features": meta_features,
        "about": about,
    }


def from_histories(
    histories: Sequence[History],
    space: SearchSpace,
    meta_features: pd.DataFrame | None,
    families: Mapping[str, str] | None,
    n_configs: int,
    seed: int,
) -> dict[str, Any]:
    """Return the parts of the `MetaDataset` of searches; a configuration tried twice counts once.

    Its score is then the mean.
    """
    check_space(space)
    rows = [
        (history.name, config_key(config), config, score)
        for history in histories
        for config, score in zip(configs_in(space, history), history.scores, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["task", "key", "config", "score"])
    table = table.groupby(["task", "key"], sort=False, as_index=False).agg(
        {"config": "first", "score": "mean"}
    )
    columns = (table["task"], table["config"].tolist(), table["key"], table["score"])
    return aligned(*columns, space, meta_features, families, n_configs, seed)


def _space_of_columns(values: pd.DataFrame) -> SearchSpace:
    """Guess the space: numbers from smallest to largest, other values as choices."""
    found: list[Hyperparameter] = []
    for name, column in values.items():
        refuse("table", str(name), column.isna(), column, "a value: only a space tells where a "
               "hyperparameter is inactive")  # fmt: skip
        odd = [not isinstance(value, Hashable) for value in column]
        refuse("table", str(name), odd, column, "a number or a text")
        distinct = column.unique()
        number = pd.api.types.is_integer_dtype(column) or pd.api.types.is_float_dtype(column)
        if not number or len(distinct) == 1:
            found.append(Categorical(str(name), sorted(distinct.tolist(), key=str)))
            continue
        refuse("table", str(name), ~np.isfinite(column.astype(float)), column, "a finite number")
        kind = Int if pd.api.types.is_integer_dtype(column.dtype) else Float
        found.append(kind(str(name), column.min(), column.max()))
    return SearchSpace(found)


def _configs_of_rows(space: SearchSpace, values: pd.DataFrame) -> list[Config]:
    """Return each row as a configuration; missing cells are inactive."""
    values = values.set_axis(values.columns.map(str), axis=1)
    for name in values.columns.symmetric_difference(space.names):
        lacks = "is not in the space" if name in values else "is missing"
        raise ValueError(f"table: column {name!r} {lacks}; accepted are task, score, {space.names}")
    configs = []
    present = values.notna().to_numpy()
    rows = zip(*(values[name].tolist() for name in values), strict=True)
    for number, (row, there) in enumerate(zip(rows, present, strict=True)):
        config = {n: v for n, v, t in zip(values.columns, row, there, strict=True) if t}
        try:
            configs.append(space.check(config))
        except (KeyError, ValueError) as error:
            raise ValueError(f"table: row {number}: {error.args[0]}") from None
    return configs


def surrogate(points: np.ndarray, scores: np.ndarray | pd.Series, seed: int) -> ExtraTreesRegressor:
    """Fit what predicts the score on one task: 100 extremely randomised trees."""
    trees = ExtraTreesRegressor(n_estimators=100, min_samples_leaf=2, random_state=seed)
    return trees.fit(points, scores)
