"""Collect experience: evaluate the same configurations on many tasks, on all cores, resumably.

Every finished evaluation is one line of a log at once. Whatever ends the collection, the same call
goes on where it stopped; the folder at the end does not depend on that, nor on how many workers
there were. More cores, or a cluster, are joblib's business::

    with joblib.parallel_config(n_jobs=2):
        collect("svc", ["iris", "wine"], draw_configs("svc", 30), "mine")
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import current_process
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from joblib.externals.loky.backend import get_context
from joblib.externals.loky.process_executor import ProcessPoolExecutor

from metahpo_lite import tasks as live
from metahpo_lite.datasets import Dataset
from metahpo_lite.learners import LEARNERS, Learner, get_learner
from metahpo_lite.metadata import SCORES, TASKS, configs_of, configs_table, write_file
from metahpo_lite.spaces import Config, SearchSpace, at_least_one
from metahpo_lite.tasks import LiveTask

LOG = "collect.log"  # in the folder while a collection is under way


def draw_configs(learner: Learner | str, n: int, seed: int = 0) -> list[Config]:
    """Return the learner's default, then `n` different configurations of a Sobol sequence.

    Raises
    ------
    KeyError
        If there is no such learner.
    ValueError
        If `n` is below one, or the space has fewer configurations.
    """
    learner = get_learner(learner) if isinstance(learner, str) else learner
    size = at_least_one("n", n)
    distinct = {json.dumps(learner.default): learner.default}
    while len(distinct) <= n and size <= 64 * n:  # the longer sequence begins as the shorter one
        for config in learner.space.sobol(size, np.random.default_rng(seed)):
            distinct.setdefault(json.dumps(config), config)
        size *= 2
    if len(distinct) <= n:
        raise ValueError(f"n: got {n}, accepted is at most {len(distinct) - 1}: the space of "
                         f"{learner.name!r} has no more configurations")  # fmt: skip
    return list(distinct.values())[: n + 1]


def collect(
    learner: Learner | str,
    datasets: Sequence[Dataset | str],
    configs: Sequence[Mapping[str, Any]],
    folder: str | os.PathLike,
    *,
    metric: str = "balanced_accuracy",
    folds: int = 3,
    max_rows: int | None = 2000,
    seed: int = 0,
    time_limit: float | None = 20.0,
    progress: bool | None = None,
) -> Path:
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
        not evaluated again.
    metric, folds, max_rows, seed, time_limit
        As for `LiveTask`.
    progress : bool, optional
        Whether to show a bar with the remaining time; if not given, only on a terminal.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        If the folder holds something else, or an argument is outside its range.
    RuntimeError
        If another process collects into the same folder.
    """
    learner = get_learner(learner) if isinstance(learner, str) else learner
    configs = [learner.space.check(config) for config in configs]
    if len({json.dumps(c) for c in configs}) < len(configs) or not configs:
        raise ValueError("configs: none, or one occurs twice; accepted are different ones")
    settings = {"metric": metric, "folds": folds, "seed": seed, "max_rows": max_rows}
    settings["time_limit"] = time_limit
    known = learner.name if LEARNERS.get(learner.name) is learner else learner
    jobs, about = [], {}
    for dataset in datasets:
        task = LiveTask(dataset, learner, **settings)  # raises before anything is evaluated
        if task.name in about:
            raise ValueError(f"datasets: {task.name!r} occurs twice")
        about[task.name] = _describe(task.dataset)
        jobs.append(_Job(task.name, task._key, dataset, known, settings, os.getpid()))
    if not jobs:
        raise ValueError("datasets: got none, accepted are one or more")

    folder, settings = Path(folder), {"learner": learner.name, **settings}
    _check_folder(folder, learner.space, configs, settings)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / LOG) as log:
        _check_folder(folder, learner.space, configs, settings)
        if not (folder / "configs.parquet").exists():  # written last of the two
            text = _space_text(learner.space, {**settings, **_circumstances()})
            write_file(folder / "space.json", text)
            write_file(folder / "configs.parquet", configs_table(learner.space, configs))
        rows = {(row["task"], row["config"]): row for row in _read_scores(folder)}
        stored = len(rows)
        rows.update({(row["task"], row["config"]): row for row in _read_log(log)})
        todo = [(job, i) for job in jobs for i in range(len(configs)) if (job.task, i) not in rows]
        calls = (joblib.delayed(_evaluate)(job, i, configs[i]) for job, i in todo)
        # one by one: a batch would be lost as a whole
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        with _bar(len(jobs) * len(configs), len(todo), progress) as bar:
            synced = time.monotonic()
            for row in parallel(calls):
                log.write(json.dumps(row).encode() + b"\n")
                log.flush()  # survives the end of this process; fsync survives that of the power
                if time.monotonic() - synced > 1:
                    os.fsync(log.fileno())
                    synced = time.monotonic()
                rows[row["task"], row["config"]] = row
                bar.update()
        os.fsync(log.fileno())
        if len(rows) > stored or not (folder / "tasks.parquet").exists():
            _finish(folder, log, rows, about, len(configs))
    return folder


def _describe(dataset: Dataset) -> dict:
    """Return the row of ``tasks.parquet``."""
    rows, features = dataset.X.shape
    return {"task": dataset.name, "family": dataset.family, "rows": rows, "features": features,
            "classes": dataset.n_classes, "source": dataset.source,
            "licence": dataset.licence}  # fmt: skip


def _finish(folder: Path, log, rows: dict, about: dict, n_configs: int) -> None:
    """Move the tasks that are complete from the log to the tables."""
    rows = [rows[key] for key in sorted(rows)]
    counts = pd.Series([row["task"] for row in rows]).value_counts()
    whole = set(counts.index[counts == n_configs])
    tasks = {row["task"]: row for row in _read_table(folder / "tasks.parquet")} | about
    write_file(
        folder / "scores.parquet",
        pa.Table.from_pylist([row for row in rows if row["task"] in whole], SCORES),
    )
    write_file(
        folder / "tasks.parquet",
        pa.Table.from_pylist([tasks[name] for name in sorted(whole)], TASKS),
    )
    left = [row for row in rows if row["task"] not in whole]
    log.truncate(0)  # opened for appending: it goes on at the new end
    log.write(b"".join(json.dumps(row).encode() + b"\n" for row in left))
    log.flush()


# ---------------------------------------------------------------------- in a worker


@dataclass(frozen=True)
class _Job:
    """What a worker needs to make a task; light where the names say it all."""

    task: str
    key: str
    dataset: Dataset | str
    learner: Learner | str
    settings: dict
    collector: int  # the process that collects


_worker = threading.local()  # .key and .task: the one that this worker holds


def _evaluate(job: _Job, number: int, config: Config) -> dict:
    """Evaluate one configuration; whatever happens is a row."""
    score = std = None
    status, reason, start = "failed", "", time.perf_counter()
    try:
        task = _hold(job)
        start = time.perf_counter()
        folds = task.evaluate_folds(config)
        if np.isfinite(folds).all():
            score, std, status = float(folds.mean()), float(folds.std()), "ok"
        else:
            reason = f"the scores of the folds are {folds.tolist()}"
    except TimeoutError as error:
        status, reason = "timeout", str(error)
    except ImportError:
        raise  # this worker lacks a package: that says nothing about the configuration
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    seconds = round(time.perf_counter() - start, 4)
    return {"task": job.task, "config": number, "score": score, "std": std, "seconds": seconds,
            "status": status, "reason": reason}  # fmt: skip


def _hold(job: _Job) -> LiveTask:
    """Return the task, made once, with all that is not to count as time of the evaluation."""
    if getattr(_worker, "key", None) != job.key:
        _end_with(job.collector)
        _worker.key = _worker.task = None
        _worker.task = LiveTask(job.dataset, job.learner, **job.settings)
        _worker.key = job.key
        _ = _worker.task.prepared
    task = _worker.task
    if task.time_limit is not None:
        mine = live._mine
        if getattr(mine, "pid", None) != os.getpid():
            mine.worker = ProcessPoolExecutor(max_workers=1, context=get_context("loky"))
            mine.pid, mine.key = os.getpid(), None
        try:
            if mine.key is None:
                mine.worker.submit(_end_with, os.getpid()).result()
            if mine.key != task._key:
                mine.worker.submit(live._hold, task._key, task).result()
                mine.key = task._key
        except BaseException:
            live._stop_worker()
            raise
    return task


_ends_with: set[int] = set()


def _end_with(parent: int) -> None:
    """Let this process end soon after its parent, which kill -9 keeps from ending it."""
    child = current_process().name.startswith("LokyProcess") or os.getppid() == parent
    if not child or parent in _ends_with:  # else a thread of the parent, or part of a cluster
        return
    _ends_with.add(parent)

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# ---------------------------------------------------------------------- the folder


def _space_text(space: SearchSpace, collection: dict) -> str:
    """``space.json``: the space, and beside it how its configurations are evaluated."""
    return json.dumps({"collection": collection, **json.loads(space.to_json())}, indent=2) + "\n"


def _circumstances() -> dict:
    """What may matter later, but does not have to be the same to go on."""
    packages = ("metahpo_lite", "scikit-learn", "numpy", "scipy", "pandas")
    versions = {"python": platform.python_version(), **{p: version(p) for p in packages}}
    return {"date": datetime.date.today().isoformat(), "versions": versions}


def _check_folder(folder: Path, space: SearchSpace, configs: list[Config], settings: dict) -> None:
    """Raise a ValueError unless the folder is new, or holds the same collection."""
    path = folder / "space.json"
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"folder: {folder} is a file; accepted is a folder")
    if not path.exists():
        others = [p.name for p in folder.iterdir() if p.name != LOG and p.suffix != ".part"]
        if others:
            raise ValueError(f"folder: {folder} holds {sorted(others)[0]} and no space.json; "
                             "accepted is a new folder, or one of a collection")  # fmt: skip
        return
    text = path.read_text(encoding="utf-8")
    held, old = SearchSpace.from_json(text), json.loads(text).get("collection", {})
    if held != space:
        raise ValueError(f"folder: {path} is of another space; accepted is a new folder, or one "
                         "of the same learner")  # fmt: skip
    for name, value in settings.items():
        if old.get(name) != value:
            raise ValueError(f"{name}: got {value!r}, but {path} says {old.get(name)!r}; "
                             "accepted is the same, or a new folder")  # fmt: skip
    path = folder / "configs.parquet"
    if path.exists() and configs_of(space, pq.read_table(path)) != configs:
        raise ValueError(f"configs: {path} holds others; accepted are the same, or a new folder")


def _read_table(path: Path) -> list[dict]:
    return pq.read_table(path).to_pylist() if path.exists() else []


def _read_scores(folder: Path) -> list[dict]:
    """Return the rows of ``scores.parquet``, with None for what is missing."""
    return _read_table(folder / "scores.parquet")


def _read_log(log) -> list[dict]:
    """Return the rows of the log; a last line that was torn is cut off."""
    log.seek(0)
    content = log.read()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        log.truncate(end)
    return [json.loads(line) for line in content[:end].splitlines()]


_locks: set[str] = set()  # of this process, which the system's lock does not keep from itself


@contextmanager
def _locked(path: Path):
    """Open the log for appending, alone; the lock ends with the process, however that ends."""
    name = os.path.realpath(path)
    refusal = RuntimeError(f"folder: another process collects into {path.parent}; wait for its end")
    if name in _locks:
        raise refusal
    _locks.add(name)
    try:
        while True:
            log = open(path, "a+b")  # noqa: SIM115 - closed below
            try:
                _lock(log)
            except OSError:
                log.close()
                raise refusal from None
            if path.exists() and os.path.samestat(os.fstat(log.fileno()), path.stat()):
                break
            log.close()  # the one before removed it in between
        try:
            yield log
        finally:
            log.flush()
            empty = os.fstat(log.fileno()).st_size == 0
            if empty and os.name != "nt":
                path.unlink()  # while the lock holds: nobody else can have begun
            log.close()
            if empty and os.name == "nt":  # there an open file cannot be removed
                path.unlink(missing_ok=True)
    finally:
        _locks.discard(name)


def _lock(file) -> None:
    """Lock one byte far behind the end of the file, or raise an OSError."""
    if os.name == "nt":
        import msvcrt

        file.seek(2**30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2**30)


def _bar(total: int, todo: int, progress: bool | None):
    from tqdm.auto import tqdm

    hidden = None if progress is None else not progress  # None: hidden unless on a terminal
    return tqdm(total=total, initial=total - todo, unit="evaluation", disable=hidden, smoothing=0)
