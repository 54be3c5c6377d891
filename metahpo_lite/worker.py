"""In a worker of a collection: one evaluation, or the description of one table, as a row.

A worker prepares the task that it holds once. All that is not part of an evaluation, such as the
start of the process that a time limit needs, is done before the clock runs.
"""

from __future__ import annotations

import errno
import functools
import math
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import current_process, parent_process

import joblib
import numpy as np

from metahpo_lite.arguments import LARGEST
from metahpo_lite.datasets import Dataset, load_dataset
from metahpo_lite.learners import Learner
from metahpo_lite.spaces import Config
from metahpo_lite.tasks import LiveTask


@dataclass(frozen=True)
class Job:
    """What a worker needs to make a task; light where the names say it all."""

    task: str
    dataset: Dataset | str
    learner: Learner | str
    settings: dict
    collector: int = field(default_factory=os.getpid)  # the process that collects
    key: str = field(default_factory=lambda: uuid.uuid4().hex)  # tells jobs apart in a worker


# Of an OSError that says something about the machine, nothing about the configuration
LACKS = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EROFS, errno.EIO}

_worker = threading.local()  # .key and .task: the one that this worker holds


def evaluate(job: Job, number: int, config: Config) -> dict:
    """Evaluate one configuration; whatever happens is a row."""
    score = std = task = None
    status, reason, start = "failed", "", time.perf_counter()
    try:
        with joblib.parallel_config(backend="sequential"):  # else dask waits for its own workers
            task = _hold(job)
            start = time.perf_counter()
            folds = task.evaluate_folds(config)
        if (np.abs(folds) <= LARGEST).all():
            score, std, status = float(folds.mean()), float(folds.std()), "ok"
        else:
            reason = f"the scores of the folds are {folds.tolist()}"
    except TimeoutError as error:
        status, reason = "timeout", str(error)
    except ImportError:
        raise  # this worker lacks a package: that says nothing about the configuration
    except (Exception, SystemExit) as error:  # sys.exit in a fit ends nothing but that
        if isinstance(error, OSError) and (task is None or error.errno in LACKS):
            raise OSError(
                error.errno,
                f"{job.task!r}, configuration {number}: {error}; what was finished is kept: mend "
                "it, and the same call goes on",
            ) from error
        reason = f"{type(error).__name__}: {error}"
    seconds = round(time.perf_counter() - start, 4)
    return {"task": job.task, "config": number, "score": score, "std": std, "seconds": seconds,
            "status": status, "reason": reason}  # fmt: skip


def _hold(job: Job) -> LiveTask:
    """Return the task, made once, with all that is not to count as time of the evaluation."""
    if getattr(_worker, "key", None) != job.key:
        end_with(job.collector)
        _worker.key = _worker.task = None
        _worker.task = LiveTask(job.dataset, job.learner, **job.settings)
        _worker.key = job.key
    prepare = functools.partial(_worker.task.prepare, functools.partial(end_with, os.getpid()))
    try:
        prepare()
    except RuntimeError:  # its process died before it did anything: no configuration's fault
        prepare()
    return _worker.task


_ends_with: set[int] = set()


def end_with(parent: int) -> None:
    """Let this process end soon after its parent, which kill -9 keeps from ending it."""
    child = current_process().name.startswith("LokyProcess") or os.getppid() == parent
    if not child or parent in _ends_with:  # else a thread of the parent, or part of a cluster
        return
    _ends_with.add(parent)

    above = parent_process()

    def watch():
        if os.name == "nt" and above is not None:  # the number of a parent stays when it has ended
            above.join()
        while os.name != "nt" and os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def describe_table(task: str, dataset: Dataset | str, describe: Callable) -> dict:
    """Compute the meta-features of one table, for the log: JSON knows no NaN."""
    try:
        with joblib.parallel_config(backend="sequential"):
            values = describe(load_dataset(dataset) if isinstance(dataset, str) else dataset)
        values = {str(name): float(value) for name, value in values.items()}
    except Exception as error:
        raise RuntimeError(
            f"the meta-features of {task!r}: {type(error).__name__}: {error}"
        ) from None
    values = {name: value if math.isfinite(value) else None for name, value in values.items()}
    return {"task": task, "meta_features": values}
