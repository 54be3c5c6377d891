"""Tasks: what a search optimises. A task has a space, and ``evaluate(config) -> float``.

A live task cross-validates a learner on a dataset. The folds are fixed by a seed, so that two
configurations are always compared on the same rows. Higher scores are better.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib.externals.loky import process_executor
from joblib.externals.loky.backend import get_context
from joblib.externals.loky.process_executor import ProcessPoolExecutor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import get_scorer
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import ThreadpoolController

from metahpo_lite.arguments import check_one_of, check_seed, whole_number
from metahpo_lite.datasets import Dataset, load_dataset
from metahpo_lite.hyperparameters import is_number
from metahpo_lite.learners import Learner, get_learner, within_limits
from metahpo_lite.spaces import SearchSpace

METRICS = ("balanced_accuracy", "neg_log_loss")  # scikit-learn's names; higher is better


@dataclass(eq=False, frozen=True)
class LiveTask:
    """Cross-validation of a learner on a dataset, as a function of the configuration.

    Parameters
    ----------
    dataset : Dataset or str
        The table, or its name for `load_dataset`.
    learner : Learner or str
        The model, or its name for `get_learner`.
    metric : {"balanced_accuracy", "neg_log_loss"}
        The score of a fold: the mean of the recalls of all classes, in [0, 1]; or minus the log
        loss in nats, at most 0.
    folds : int
        How many stratified folds; every class needs as many rows.
    seed : int
        Fixes the rows, the folds, and what is random in the model.
    max_rows : int or None
        Larger tables are represented by so many of their rows, drawn class by class.
    time_limit : float, optional
        Seconds after which an evaluation is stopped. It then runs in a process of its own, which
        is killed, so that the limit holds inside compiled code too.

    Attributes
    ----------
    name : str
        The name of the dataset.
    space : SearchSpace
        The learner's.

    Raises
    ------
    KeyError
        If there is no dataset or learner of that name.
    TypeError
        If `dataset` or `learner` is of another type.
    ValueError
        If another argument is outside its range, or a class has fewer rows than there are folds.

    Examples
    --------
    >>> task = LiveTask("iris", "svc")
    >>> task.evaluate(task.learner.default) > 0.9
    True
    """

    dataset: Dataset  # or its name, which is looked up
    learner: Learner  # or its name
    metric: str = "balanced_accuracy"
    folds: int = 3
    seed: int = 0
    max_rows: int | None = 2000
    time_limit: float | None = None
    name: str = field(init=False)
    space: SearchSpace = field(init=False, repr=False)
    _key: str = field(init=False, repr=False, compare=False)  # tells tasks apart where one is held

    if TYPE_CHECKING:  # a dataclass cannot say that it takes more than it holds

        def __init__(
            self, dataset: Dataset | str, learner: Learner | str, metric: str = ...,
            folds: int = ..., seed: int = ..., max_rows: int | None = ...,
            time_limit: float | None = ...,
        ): ...  # fmt: skip

    def __post_init__(self):
        dataset = load_dataset(self.dataset) if isinstance(self.dataset, str) else self.dataset
        learner = get_learner(self.learner) if isinstance(self.learner, str) else self.learner
        if not isinstance(dataset, Dataset):
            raise TypeError(
                f"dataset: got a {type(dataset).__name__}, accepted is a name or a Dataset; "
                "make one with Dataset.from_frame(frame, target)"
            )
        if not isinstance(learner, Learner):
            raise TypeError(
                f"learner: got a {type(learner).__name__}, accepted is a name or a Learner"
            )
        check_one_of("metric", self.metric, METRICS)
        whole_number("folds", self.folds, 2)
        check_seed(self.seed)
        if self.max_rows is not None:
            whole_number("max_rows", self.max_rows, or_else=", or None")
        limit = self.time_limit
        if limit is not None and not (is_number(limit) and limit > 0):
            raise ValueError(f"time_limit: got {limit!r}, accepted is above 0, or None")
        vars(self).update(
            dataset=dataset,
            learner=learner,
            name=dataset.name,
            space=learner.space,
            _key=uuid.uuid4().hex,
        )
        counts = self.dataset.y.value_counts()
        if counts.min() < self.folds:
            raise ValueError(
                f"folds: got {self.folds}, but class {counts.idxmin()!r} of {self.name!r} has "
                f"{counts.min()} rows; accepted is at most as many folds as rows in every class: "
                "leave the rows of such a class out, or merge it with another one"
            )

    def evaluate(self, config: Mapping[str, Any]) -> float:
        """Return the mean score over the folds.

        Parameters
        ----------
        config : dict
            A valid configuration of `space`.

        Returns
        -------
        float
            Higher is better.

        Raises
        ------
        KeyError, ValueError
            If the configuration is not valid.
        TimeoutError
            If `time_limit` is over.
        RuntimeError
            If the process that a limit needs died.
        """
        return float(self.evaluate_folds(config).mean())

    def evaluate_folds(self, config: Mapping[str, Any]) -> np.ndarray:
        """Return the score of each fold, shape ``(folds,)``; raises as `evaluate`."""
        config = self.space.check(config)
        self.prepare()
        if self.time_limit is None:
            return _score_folds(self, config)
        return _in_own_process(_score_held, self._key, config, limit=self.time_limit)

    def prepare(self, initializer: Callable[[], Any] | None = None) -> None:
        """Do, once, what is not part of an evaluation; `evaluate` does it where nobody did.

        The folds are preprocessed. With a time limit, the process of its own is started if there
        is none, and the task is sent to it.

        Parameters
        ----------
        initializer : callable, optional
            Called without arguments in a process that is started here.
        """
        _ = self.prepared
        if self.time_limit is not None and not _is_held(self):
            _in_own_process(_hold, self._key, self, initializer=initializer)
            _mine.key = self._key

    @cached_property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Row numbers of the training and the test part of each fold."""
        y = self.dataset.y.to_numpy()
        rows = sample_rows(y, self.max_rows, self.folds, np.random.default_rng(self.seed))
        kfold = StratifiedKFold(self.folds, shuffle=True, random_state=self.seed)
        return [(rows[train], rows[test]) for train, test in kfold.split(rows, y[rows])]

    @cached_property
    def prepared(self) -> list[tuple[Any, np.ndarray, Any, np.ndarray]]:
        """``(X_train, y_train, X_test, y_test)`` of each fold, preprocessed.

        Preprocessing does not depend on the configuration, so it is done once: fitted on the
        training part of the fold alone, as in the whole pipeline.
        """
        X, y = self.dataset.X, self.dataset.y.to_numpy()
        folds = []
        for train, test in self.splits:
            preprocess = self.learner.preprocess()
            X_train = preprocess.fit_transform(X.iloc[train], y[train])
            folds.append((X_train, y[train], preprocess.transform(X.iloc[test]), y[test]))
        return folds


def sample_rows(
    y: np.ndarray, max_rows: int | None, at_least: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw about `max_rows` row numbers, class by class, and some of every class."""
    if max_rows is None or len(y) <= max_rows:
        return np.arange(len(y))
    kept = []
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        n = max(round(len(rows) * max_rows / len(y)), min(at_least, len(rows)))
        kept.append(rng.choice(rows, n, replace=False))
    return np.sort(np.concatenate(kept))


@cache
def threads() -> ThreadpoolController:
    """Return what limits threads; to look for their libraries takes a while."""
    return ThreadpoolController()


def _score_folds(task: LiveTask, config: Mapping[str, Any]) -> np.ndarray:
    """Fit and score the model on each fold."""
    scorer = get_scorer(task.metric)
    scores = []
    # One thread: the same sums on every machine; parallel work is for whole evaluations.
    with threads().limit(limits=1), within_limits():
        for X_train, y_train, X_test, y_test in task.prepared:
            model = task.learner.model(dict(config), task.seed)
            if task.metric == "neg_log_loss" and not hasattr(model, "predict_proba"):
                smallest = np.unique(y_train, return_counts=True)[1].min()
                inner = max(2, min(task.folds, smallest))
                model = CalibratedClassifierCV(model, cv=inner, ensemble=False)
            scores.append(scorer(model.fit(X_train, y_train), X_test, y_test))
    return np.array(scores)


# ---------------------------------------------------------------------- a limit that holds

# .worker: the process of this thread; .pid: whose child it is; .key: the task that it holds
_mine = threading.local()
_held: dict[str, LiveTask] = {}  # in that process: the task, sent once for all evaluations


def _hold(key: str, task: LiveTask) -> None:
    process_executor._USE_PSUTIL = False  # loky would replace a process that grew: without task
    _held.clear()
    _held[key] = task


def _score_held(key: str, config: Mapping[str, Any]) -> np.ndarray:
    return _score_folds(_held[key], config)


def _has_process() -> bool:
    """Tell whether this thread has a process: not one of before a fork, nor one killed since."""
    return getattr(_mine, "pid", None) == os.getpid() and not _mine.worker._flags.broken


def _is_held(task: LiveTask) -> bool:
    return _has_process() and _mine.key == task._key


def _in_own_process(function: Callable, *args, initializer=None, limit: float | None = None) -> Any:
    """Call a function in the process of this thread, which is killed when the time is over."""
    if not _has_process():
        _mine.worker = ProcessPoolExecutor(1, context=get_context("loky"), initializer=initializer)
        _mine.pid, _mine.key = os.getpid(), None
    try:
        result = _mine.worker.submit(function, *args)
        if wait([result], limit and min(limit, threading.TIMEOUT_MAX)).not_done:
            _stop_worker()
            raise TimeoutError(f"stopped after {limit:g} s")
        return result.result()
    except BrokenProcessPool as error:
        _stop_worker()
        raise RuntimeError("the process of the evaluation died (out of memory?)") from error
    except BaseException as error:
        if not isinstance(error, Exception):  # Ctrl-C too must not leave it running
            _stop_worker()
        raise


def _stop_worker() -> None:
    _mine.pid = None
    _mine.worker.shutdown(wait=True, kill_workers=True)
