"""What a user relies on in the limit of a task: it stops all, changes nothing, leaves nothing."""

import dataclasses
import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import joblib
import numpy as np
import pandas as pd
import psutil
import pytest
from sklearn.dummy import DummyClassifier
from task_cases import IRIS, ODD, SLOW, SVC, WHAT, OwnError, none_left, workers

from metahpo_lite.datasets import Dataset
from metahpo_lite.learners import LEARNERS, Learner
from metahpo_lite.search import RandomSearch, run
from metahpo_lite.tasks import LiveTask

pytestmark = pytest.mark.usefixtures("own_workers")

TREE_SCORE = LiveTask(IRIS, ODD).evaluate({"do": "tree"})


# ------------------------------------------------------------------ the limit


def test_a_limit_stops_what_runs_in_c_and_leaves_nothing_behind():
    before = workers()
    task = LiveTask(IRIS, ODD, time_limit=0.5)
    task.prepare()  # else its start counts below
    start = time.perf_counter()
    with pytest.raises(TimeoutError, match=r"^stopped after 0\.5 s$"):
        task.evaluate({"do": "hash"})
    assert 0.5 <= time.perf_counter() - start < 1.5
    assert none_left(before)
    assert dataclasses.replace(task, time_limit=SLOW).evaluate({"do": "tree"}) == TREE_SCORE


def test_prepare_does_all_that_is_not_part_of_an_evaluation(tmp_path):
    before, task = workers(), LiveTask("wine", ODD)
    task.prepare()
    assert "prepared" in vars(task)
    assert workers() == before

    def note():
        with open(tmp_path / "pid", "a") as file:
            file.write(f"{os.getpid()}\n")

    def prepare(task):  # in a thread, which has no process yet
        for _ in range(2):
            task.prepare(note)
        started.extend(workers() - before)
        task.evaluate({"do": "tree"})
        started.extend(workers() - before - set(started))

    started = []
    thread = threading.Thread(target=prepare, args=[dataclasses.replace(task, time_limit=SLOW)])
    thread.start()
    thread.join()
    assert [int(line) for line in (tmp_path / "pid").read_text().split()] == [started[0].pid]
    assert len(started) == 1


def test_a_limit_stops_an_svc():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(4000, 30))).add_prefix("x").assign(y=list("ab") * 2000)
    task = LiveTask(Dataset.from_frame(frame, "y"), "svc", max_rows=None, time_limit=0.3)
    config = {"C": 1e4, "kernel": "rbf", "gamma": 1.0, "class_weight": "none"}
    history = run(RandomSearch(task.space, rng), Fixed(task, config), 1)
    assert history["status"].tolist() == ["timeout"]
    assert history.loc[1, "message"] == "stopped after 0.3 s"


class Fixed:
    """The task at one configuration, whatever is asked."""

    def __init__(self, task, config):
        self.task, self.config = task, config

    def evaluate(self, config):
        return self.task.evaluate(self.config)


def test_a_limit_changes_no_score():
    for name in LEARNERS:
        task = LiveTask(IRIS, name)
        limited = dataclasses.replace(task, time_limit=SLOW)
        for config in task.space.sample(np.random.default_rng(2), 2):
            np.testing.assert_array_equal(
                task.evaluate_folds(config), limited.evaluate_folds(config)
            )


def test_an_endless_limit_is_none():
    assert LiveTask(IRIS, ODD, time_limit=np.inf).evaluate({"do": "tree"}) == TREE_SCORE


def test_tasks_may_take_turns():
    one = LiveTask(IRIS, ODD, time_limit=SLOW)
    other = LiveTask("wine", ODD, time_limit=SLOW, metric="balanced_accuracy")
    expected = LiveTask("wine", ODD).evaluate({"do": "tree"})
    for _ in range(2):
        assert one.evaluate({"do": "tree"}) == TREE_SCORE
        assert other.evaluate({"do": "tree"}) == expected


def test_errors_come_through_as_they_are():
    task = LiveTask(IRIS, ODD, time_limit=SLOW)
    with pytest.raises(ZeroDivisionError, match=r"^what was wrong$"):
        task.evaluate({"do": "raise"})
    with pytest.raises(OwnError, match=r"^\(3, 'reason'\)$"):
        task.evaluate({"do": "odd"})
    with pytest.raises(TimeoutError, match=r"^the model's own$"):
        task.evaluate({"do": "timeout"})
    assert task.evaluate({"do": "tree"}) == TREE_SCORE


def test_an_evaluation_that_dies_is_an_error_and_the_next_one_works():
    before = workers()
    task = LiveTask(IRIS, ODD, time_limit=SLOW)
    with pytest.raises(RuntimeError, match="process of the evaluation died"):
        task.evaluate({"do": "exit"})
    assert none_left(before)
    assert task.evaluate({"do": "tree"}) == TREE_SCORE


def test_an_evaluation_may_grow():
    """joblib replaces a process that has grown by 300 MB: the task must not be lost with it."""
    task = LiveTask(IRIS, ODD, folds=2, time_limit=SLOW)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = [task.evaluate({"do": do}) for do in ("tree", "grow", "tree", "tree")]
    assert len(set(scores)) == 1


def test_a_limit_costs_milliseconds():
    learner = Learner("blind", WHAT, {"do": "tree"}, SVC.preprocess, blind_model)
    plain = LiveTask(IRIS, learner)
    limited = dataclasses.replace(plain, time_limit=SLOW)

    def seconds(task):
        times = []
        for _ in range(30):
            start = time.perf_counter()
            task.evaluate({"do": "tree"})
            times.append(time.perf_counter() - start)
        return min(times)

    seconds(limited)  # warm
    assert seconds(limited) - seconds(plain) < 0.005


def blind_model(config, seed):
    return DummyClassifier()


def test_threads_each_have_their_own_process():
    task, before = LiveTask(IRIS, ODD, time_limit=SLOW), workers()
    scores = []
    thread = threading.Thread(target=lambda: scores.append(task.evaluate({"do": "tree"})))
    thread.start()
    with pytest.raises(ZeroDivisionError):
        task.evaluate({"do": "raise"})
    thread.join()
    assert scores == [TREE_SCORE]
    assert len(workers() - before) <= 2
    del thread
    psutil.wait_procs(workers() - before, timeout=3, callback=None)
    assert len(workers() - before) <= 1  # it ends with its thread


def test_tasks_work_inside_joblib():
    tasks = [LiveTask(IRIS, ODD, time_limit=limit) for limit in (SLOW, None)]
    with joblib.parallel_config("loky", n_jobs=2):
        scores = joblib.Parallel()(joblib.delayed(task.evaluate)({"do": "tree"}) for task in tasks)
    assert scores == [TREE_SCORE] * 2
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def test_a_task_can_be_sent_to_another_process():
    task = LiveTask(IRIS, "svc", time_limit=SLOW)
    score = task.evaluate(SVC.default)
    for sent in (task, LiveTask("iris", "svc")):
        arrived = pickle.loads(pickle.dumps(sent))
        assert arrived.evaluate(SVC.default) == score
        assert (arrived.name, arrived.folds, arrived.space) == ("iris", 3, task.space)


INTERRUPTED = f"""
import hashlib, os, sys, threading, time, _thread
import numpy as np
from sklearn.tree import DecisionTreeClassifier
from metahpo_lite import LiveTask, get_learner, SearchSpace, Categorical
from metahpo_lite.learners import Learner
import psutil

class Slow(DecisionTreeClassifier):
    def fit(self, X, y):
        if self.max_depth == 2:
            hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 2**30)
        return super().fit(X, y)

space = SearchSpace([Categorical("depth", [1, 2])])
slow = Learner("slow", space, dict(depth=1), get_learner("svc").preprocess,
               lambda config, seed: Slow(max_depth=config["depth"]))  # not to be pickled by name
task = LiveTask("iris", slow, time_limit={SLOW})
task.evaluate(dict(depth=1))

{inspect.getsource(workers)}
assert len(workers()) == 1
print("ready", flush=True)
try:
    task.evaluate(dict(depth=2))
except KeyboardInterrupt:
    print("interrupted", len(psutil.wait_procs(workers(), timeout=3)[1]), flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_leaves_no_process():
    """As a notebook interrupts its kernel: the process of the evaluation gets no signal."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        time.sleep(0.3)  # until it computes
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
        assert printed == "interrupted 0\n", errors
    finally:
        process.kill()
        process.wait()
