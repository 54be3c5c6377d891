"""Collect experience: evaluate the same configurations on many tasks, on all cores, resumably.

Every finished evaluation is one line of a log at once. Whatever ends the collection, the same call
goes on where it stopped; the folder at the end does not depend on that, nor on how many workers
there were. More cores, or a cluster, are joblib's business::

    with joblib.parallel_config(n_jobs=2):
        collect_experience("svc", ["iris", "wine"], draw_configs("svc", 30), "mine")
"""

from __future__ import annotations

import datetime
import math
import os
import platform
import shlex
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from metahpo_lite.arguments import as_list, as_path, check_seed, whole_number
from metahpo_lite.card import card
from metahpo_lite.catalogue import catalogue
from metahpo_lite.datasets import Dataset
from metahpo_lite.hyperparameters import plain
from metahpo_lite.learners import LEARNERS, Learner, get_learner
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.spaces import Config
from metahpo_lite.storage import (
    LOG,
    SCORES,
    TASKS,
    append,
    as_schema,
    as_table,
    config_key,
    configs_of,
    configs_table,
    described_table,
    locked,
    read_file,
    read_log,
    space_of,
    space_text,
    unwritable,
    write_file,
    write_files,
)
from metahpo_lite.tasks import LiveTask
from metahpo_lite.trials import check_logged, checked_meta_features, checked_trials
from metahpo_lite.worker import Job, describe_table, evaluate

DEFAULTS: dict[str, Any] = {"metric": "balanced_accuracy", "folds": 3, "seed": 0, "max_rows": 2000}


def draw_configs(learner: Learner | str, n: int, seed: int = 0) -> list[Config]:
    """Return the learner's default, then `n` different configurations of a Sobol sequence.

    Parameters
    ----------
    learner : Learner or str
    n : int
        How many beside the default. A larger number begins with the same ones.
    seed : int
        Scrambles the sequence.

    Returns
    -------
    list of dict
        The default is the first: number 0.

    Raises
    ------
    KeyError
        If there is no such learner.
    ValueError
        If `n` is below one, or the space has fewer configurations; or `seed` is out of range.
    """
    learner = get_learner(learner) if isinstance(learner, str) else learner
    size, seed = whole_number("n", n), check_seed(seed)
    distinct = {config_key(learner.default): learner.default}
    while len(distinct) <= n and size <= 64 * n:  # the longer sequence begins as the shorter one
        for config in learner.space.sobol(size, np.random.default_rng(seed)):
            distinct.setdefault(config_key(config), config)
        size *= 2
    if len(distinct) <= n:
        raise ValueError(f"n: got {n}, accepted is at most {len(distinct) - 1}: the space of "
                         f"{learner.name!r} has no more configurations")  # fmt: skip
    return list(distinct.values())[: n + 1]


def collect_experience(
    learner: Learner | str,
    datasets: Sequence[Dataset | str],
    configs: Sequence[Config],
    folder: str | os.PathLike,
    *,
    metric: str = DEFAULTS["metric"],
    folds: int = DEFAULTS["folds"],
    max_rows: int | None = DEFAULTS["max_rows"],
    seed: int = DEFAULTS["seed"],
    time_limit: float | None = 20.0,
    describe: Callable[[Dataset], pd.Series] | None = None,
    progress: bool | None = None,
) -> MetaDataset:
    """Evaluate every configuration on every dataset, and write the experience into a folder.

    Parameters
    ----------
    learner : Learner or str
    datasets : sequence of Dataset or str
        Tables, or their names for `load_dataset`.
    configs : sequence of dict
        Configurations of the learner's space, such as those of `draw_configs`.
    folder : path
        A new folder, or one of the same learner, configurations and settings: what it holds is
        not evaluated again, and other tasks in it stay.
    metric, folds, max_rows, seed, time_limit
        As for `LiveTask`. A fit that kills its process is a failed trial; but without a limit and
        with one worker that process is the one that collects.
    describe : callable, optional
        Returns the meta-features of a dataset, such as `meta_features`.
    progress : bool, optional
        Whether to show a bar with the remaining time; if not given, only on a terminal.

    Returns
    -------
    MetaDataset
        What the folder holds now.

    Raises
    ------
    KeyError, TypeError, ValueError
        If an argument is outside its range, or the folder holds something else: then nothing in
        it is changed.
    RuntimeError
        If another process collects into the same folder, or the workers die again and again.
    OSError
        If something cannot be written, or the machine lacks something else: what was finished is
        kept, and the same call goes on.
    """
    learner = get_learner(learner) if isinstance(learner, str) else learner
    configs = as_list("configs", configs, "a list of dicts")
    configs = [learner.space.check(config) for config in configs]
    if len({config_key(c) for c in configs}) < len(configs) or not configs:
        raise ValueError("configs: none, or one occurs twice; accepted are different ones")
    settings = {"metric": metric, "folds": folds, "seed": seed, "max_rows": max_rows}
    settings["time_limit"] = time_limit
    # JSON knows no numbers of numpy
    settings = {name: plain(value) for name, value in settings.items()}
    jobs, about = _jobs(learner, datasets, settings)

    folder, settings = as_path("folder", folder), {"learner": learner.name, **settings}
    _check_folder(folder, learner.space, configs, settings, about)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None
    with locked(folder / LOG) as log:
        _check_folder(folder, learner.space, configs, settings, about)  # as it is now
        check_logged(read_log(log), len(configs), log.name)
        if not (folder / "configs.parquet").exists():  # written last of the two
            text = space_text(learner.space, {**settings, **_circumstances()})
            write_file(folder / "space.json", text)
            write_file(folder / "configs.parquet", configs_table(learner.space, configs))
        whole = _evaluate_all(folder, log, jobs, configs, about, progress)
        if describe is not None:
            _describe_all(folder, log, jobs, describe, progress)
        experience = MetaDataset.load(folder)
        text = card(experience, _command(learner, configs, settings, experience.tasks.index))
        path = folder / "README.md"
        if not os.path.isfile(path) or path.read_text(encoding="utf-8") != text:
            write_file(path, text)
        if all(row["task"] in whole and ("config" in row or describe) for row in read_log(log)):
            log.truncate(0)  # else it holds parts of tasks that were not asked for this time
    return experience


def _jobs(learner: Learner, datasets: Sequence, settings: dict) -> tuple[list[Job], dict]:
    """Make the jobs, and the rows of ``tasks.parquet``; what is wrong is said before any work."""
    known = learner.name if LEARNERS.get(learner.name) is learner else learner
    jobs, about = [], {}
    if isinstance(datasets, (str, Dataset)):
        datasets = [datasets]
    for dataset in as_list("datasets", datasets, "a list of tables"):
        task = LiveTask(dataset, learner, **settings)
        if task.name in about:
            raise ValueError(f"datasets: {task.name!r} occurs twice; accepted is once")
        table = task.dataset
        rows, features = table.X.shape
        about[task.name] = {
            "task": table.name, "family": table.family, "rows": rows, "features": features,
            "classes": table.n_classes, "source": table.source, "licence": table.licence,
        }  # fmt: skip
        jobs.append(Job(task.name, dataset, known, settings))
    if not jobs:
        raise ValueError("datasets: got none, accepted are one or more")
    return jobs, about


def _evaluate_all(folder, log, jobs, configs, about, progress) -> set[str]:
    """Evaluate what is neither in the folder nor in the log; store and return the whole tasks."""
    stored = _rows(folder / "scores.parquet")
    rows = {(row["task"], row["config"]): row for row in stored}
    rows.update({(row["task"], row["config"]): row for row in read_log(log) if "config" in row})

    def left() -> list[tuple[Job, int]]:  # task by task, so that a worker prepares each task once
        return [(job, i) for job in jobs for i in range(len(configs)) if (job.task, i) not in rows]

    alone = False  # each evaluation in a process of its own, with a time limit or without
    total = len(jobs) * len(configs)
    while todo := left():
        calls = (joblib.delayed(evaluate)(job, i, configs[i]) for job, i in todo)
        try:
            for row in _run(calls, log, total, len(todo), "evaluation", progress):
                rows[row["task"], row["config"]] = row
        except BrokenProcessPool as error:  # a worker died: nobody knows of which evaluation
            if alone and len(left()) == len(todo):
                raise RuntimeError(
                    f"folder: the workers die (out of memory?); what was finished is in {folder}: "
                    "the same call goes on, with fewer workers or on a larger machine"
                ) from error
            alone = True
            settings = jobs[0].settings  # those of all
            settings = {**settings, "time_limit": settings["time_limit"] or math.inf}
            jobs = [replace(job, settings=settings) for job in jobs]
    tasks = {row["task"]: row for row in _rows(folder / "tasks.parquet")} | about
    counts = pd.Series([task for task, _ in rows]).value_counts()
    # the log may hold another one whole, which was not asked for this time
    whole = set(counts.index[counts == len(configs)]) & set(tasks)
    scores = [rows[key] for key in sorted(rows) if key[0] in whole]
    if len(scores) > len(stored):
        named = pd.DataFrame([tasks[name] for name in sorted(whole)])
        contents = {
            folder / "tasks.parquet": as_table(named, TASKS),
            # last: as long as it lacks rows, both are written again
            folder / "scores.parquet": as_table(pd.DataFrame(scores), SCORES),
        }
        write_files(contents)
    return whole


def _describe_all(folder, log, jobs, describe, progress) -> None:
    """Compute the meta-features that are neither in the folder nor in the log."""
    path = folder / "meta_features.parquet"
    stored = {row.pop("task"): row for row in _rows(path)}
    logged = [row for row in read_log(log) if "config" not in row]
    rows = stored | {row["task"]: row["meta_features"] for row in logged}
    todo = [job for job in jobs if job.task not in rows]
    calls = (joblib.delayed(describe_table)(job.task, job.dataset, describe) for job in todo)
    for row in _run(calls, log, len(jobs), len(todo), "table", progress):
        rows[row["task"]] = row["meta_features"]
    if len(rows) > len(stored):
        table = pd.DataFrame.from_dict(rows, orient="index", dtype="float64").sort_index()
        write_file(path, described_table(table))


def _run(calls, log, total: int, todo: int, unit: str, progress: bool | None):
    """Run the calls on all workers, and yield each result once it is in the log."""
    from tqdm.auto import tqdm

    hidden = None if progress is None else not progress  # None: hidden unless on a terminal
    # one by one: a batch would be lost as a whole
    parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
    synced = time.monotonic()
    bar = tqdm(total=total, initial=total - todo, unit=unit, disable=hidden, smoothing=0)
    results = parallel(calls) if todo else iter(())
    with bar, _closed(results):
        for row in results:
            append(log, row)
            if time.monotonic() - synced > 1:  # for when the power ends; costs too much each time
                os.fsync(log.fileno())
                synced = time.monotonic()
            bar.update()
            yield row
    os.fsync(log.fileno())


@contextmanager
def _closed(results):
    """Close what joblib yields, without its warnings: what it gives up is evaluated next time."""
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*tasks which were still being processed")
            warnings.filterwarnings("ignore", ".*tasks which have been completed")
            getattr(results, "close", lambda: None)()


def _rows(path: Path) -> list[dict]:
    return read_file(path).to_pylist() if path.exists() else []


# ---- the folder


def _circumstances() -> dict:
    """What may matter later, but does not have to be the same to go on."""
    packages = ("metahpo_lite", "scikit-learn", "numpy", "scipy", "pandas")
    versions = {"python": platform.python_version(), **{p: version(p) for p in packages}}
    return {"date": datetime.date.today().isoformat(), "versions": versions}


def _command(learner: Learner, configs: list[Config], settings: dict, tasks: Sequence) -> str:
    """Return what makes the same again: the command line, if it can, else the call."""
    n = len(configs) - 1
    usual = all(settings[name] == value for name, value in DEFAULTS.items())
    usual = usual and n > 0 and learner.name in LEARNERS and settings["time_limit"]
    if usual and configs == draw_configs(learner, n):
        limit = f"--time-limit {settings['time_limit']:g}"
        tables = [
            "--datasets @FILE" if any(name in catalogue() for name in tasks) else "",
            *(
                f"--table {shlex.quote(f'{name}.csv')} --target COLUMN"
                for name in tasks
                if name not in catalogue()
            ),
        ]
        call = f"python -m metahpo_lite collect --learner {learner.name} --configs {n} {limit}"
        return "\n".join(f"{call} {table} --out DIR" for table in tables if table)
    given = ", ".join(f"{n}={v!r}" for n, v in settings.items() if n != "learner")
    return f"collect_experience({learner.name!r}, datasets, configs, folder, {given})"


def _check_folder(folder: Path, space, configs: list[Config], settings: dict, tables: dict) -> None:
    """Raise a ValueError unless the folder is new, or holds the same collection."""
    path = folder / "space.json"
    above = next(p for p in (folder, *folder.absolute().parents) if os.path.lexists(p))
    if not os.path.isdir(above):
        raise ValueError(f"folder: {above} is a file; accepted is a folder")
    for name in (LOG, "README.md"):  # a pipe would make us wait
        if os.path.lexists(folder / name) and not os.path.isfile(folder / name):
            raise ValueError(f"folder: {folder / name} is no file; accepted is a new folder, or "
                             "one of a collection")  # fmt: skip
    if above != folder:
        return
    if not path.exists():
        others = [p.name for p in folder.iterdir() if p.name != LOG and p.suffix != ".part"]
        if others:
            raise ValueError(f"folder: {folder} holds {sorted(others)[0]} and no space.json; "
                             "accepted is a new folder, or one of a collection")  # fmt: skip
        return
    held, about = space_of(path)
    if held != space:
        raise ValueError(f"folder: {path} is of another space; accepted is a new folder, or one "
                         "of the same learner")  # fmt: skip
    for name, value in settings.items():
        if about.get(name) != value:
            raise ValueError(f"{name}: got {value!r}, but {path} says {about.get(name)!r}; "
                             "accepted is the same, or a new folder")  # fmt: skip
    path = folder / "configs.parquet"
    if path.exists() and configs_of(space, read_file(path), path) != configs:
        raise ValueError(f"configs: {path} holds others; accepted are the same, or a new folder")
    path = folder / "scores.parquet"
    if path.exists():
        trials = as_schema(read_file(path), SCORES, path).to_pandas(ignore_metadata=True)
        checked_trials(trials, len(configs), pd.Index(trials["task"].unique()), path)
        described = folder / "meta_features.parquet"
        if described.exists():
            table = read_file(described).to_pandas(ignore_metadata=True)
            if "task" not in table:
                raise ValueError(f"{described}: column 'task' is missing; accepted is one row "
                                 "a task")  # fmt: skip
            known = pd.Index(trials["task"].unique())
            checked_meta_features(table.set_index("task"), known, described)
    path = folder / "tasks.parquet"
    for held in as_schema(read_file(path), TASKS, path).to_pylist() if path.exists() else ():
        name, given = held["task"], tables.get(held["task"], held)
        for what in ("rows", "features", "classes"):
            if given[what] != held[what]:
                raise ValueError(f"datasets: {name!r} has {given[what]} {what}, but {path} says "
                                 f"{held[what]}; accepted is the same table, another name, or a "
                                 "new folder")  # fmt: skip
