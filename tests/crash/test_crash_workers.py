"""A worker that dies, lacks memory, or ends itself: a failed trial with a reason, no more."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import joblib
import numpy as np
import psutil
import pytest
from collect_cases import TABLES, collect
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning, NotFittedError
from victims import VICTIM, Victim, slow

from metahpo_lite import LiveTask, MetaSearchCV, tasks
from metahpo_lite.cv_trials import CVTrials
from metahpo_lite.hyperparameters import Categorical, Int
from metahpo_lite.spaces import SearchSpace

X, Y = load_iris(return_X_y=True)


def configs(*deeds):
    """Configurations that do the deeds, each between two that are fine."""
    some = [{"do": "fine", "n": 9}]
    for n, do in enumerate(deeds):
        some += [{"do": do, "n": 0}, {"do": "fine", "n": n}]
    return some


def outcomes(experience):
    """The status and reason of each deed; all that was fine has a score."""
    trials = experience.trials
    deeds = np.array([config["do"] for config in experience.configs])[trials["config"]]
    assert set(trials["status"][deeds == "fine"]) == {"ok"}
    assert trials["score"][deeds == "fine"].notna().all()
    bad = trials[deeds != "fine"]
    return set(zip(deeds[deeds != "fine"], bad["status"], bad["reason"], strict=True))


DIED = "RuntimeError: the process of the evaluation died (out of memory?)"


@pytest.fixture
def workers():
    """End the workers of joblib that a test leaves."""
    yield
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def test_an_evaluation_that_dies(tmp_path):
    """A segfault and sys.exit in a fit: failed, the others go on."""
    found = collect(
        tmp_path / "e", TABLES[:1], configs("segfault", "exit"), VICTIM, time_limit=60.0
    )
    assert outcomes(found) == {("segfault", "failed", DIED), ("exit", "failed", "SystemExit: 3")}


@slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_evaluations_that_die(jobs, tmp_path, workers):
    """Segfault, SIGKILL, MemoryError, 8 TiB and sys.exit in a fit: failed, the others go on."""
    some = configs("segfault", "kill", "memory", "allocate", "exit")
    with joblib.parallel_config(n_jobs=jobs):
        found = collect(tmp_path / "e", TABLES[:1], some, VICTIM, time_limit=60.0)
    found = outcomes(found)
    (allocate,) = [row for row in found if row[0] == "allocate"]
    assert allocate[2].startswith(
        ("MemoryError: ", "_ArrayMemoryError: Unable to allocate 8.00 TiB")
    )
    assert found - {allocate} == {
        ("segfault", "failed", DIED),
        ("kill", "failed", DIED),
        ("memory", "failed", "MemoryError: no room for an array"),
        ("exit", "failed", "SystemExit: 3"),
    }


@slow
def test_workers_that_die_without_a_limit(tmp_path, workers):
    """The same where no time limit gives each evaluation its own process: two workers of joblib."""
    with joblib.parallel_config(n_jobs=2):
        found = collect(tmp_path / "e", TABLES[:2], configs("segfault", "kill"), VICTIM)
    assert outcomes(found) == {("segfault", "failed", DIED), ("kill", "failed", DIED)}
    assert found.about["time_limit"] is None


@slow
def test_a_process_that_may_take_little_memory(tmp_path, workers):
    """RLIMIT_AS in the process of the evaluation: the trial fails, the others go on."""
    code = f"""
import resource, sys
sys.path[:0] = {sys.path!r}
from victims import *
from victims import model as made
from collect_cases import TABLES, collect
from metahpo_lite.learners import Learner

class Limited(Victim):
    def fit(self, X, y):
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 200 * 2**20, resource.RLIM_INFINITY))
        if self.n == 1:
            self.all_ = [np.ones(2**24) for _ in range(64)]  # 8 GiB, in pieces
        return super().fit(X, y)

learner = Learner("limited", SPACE, dict(do="fine", n=0), preprocess, lambda c, s: Limited(**c))
some = [dict(do="fine", n=n) for n in (0, 1, 2)]
found = collect({str(tmp_path / "e")!r}, TABLES[:1], some, learner, time_limit=60.0)
print(*found.trials["reason"], sep="|")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    first, second, third = done.stdout.strip("\n").split("|")
    assert (first, third) == ("", ""), done.stderr
    assert "MemoryError: Unable to allocate 128. MiB" in second


def test_an_idle_process_that_is_killed():
    """SIGKILL to the process of the evaluations between two of them: no trial fails of it."""
    task, scores = LiveTask(TABLES[0], VICTIM, time_limit=60.0), []
    for _ in range(3):
        scores.append(task.evaluate(VICTIM.default))
        (own,) = map(psutil.Process, tasks._mine.worker._processes)
        own.kill()
        own.wait(30)
        time.sleep(0.5)  # as between two trials of a searcher that thinks
    assert len(set(scores)) == 1


def test_a_full_disk_in_a_fit_is_no_failed_trial(tmp_path):
    """A fit that finds the disk full: an error that says so, and no configuration is blamed."""
    some = configs("full")
    with pytest.raises(
        OSError, match=r"'one', configuration 1: \[Errno 28\] No space left on"
    ) as e:
        collect(tmp_path / "e", TABLES[:1], some, VICTIM)
    assert e.value.errno == 28
    assert (tmp_path / "e" / "collect.log").read_bytes().count(b"\n") == 1


# ------------------------------------------------------------------ MetaSearchCV

ROWS = 120  # a trial of iris has fewer, the refit more
SAFE = SearchSpace([Categorical("do", ["fine", "segfault"]), Int("n", 0, 9)])


def search(space=SAFE, estimator=None, **given):
    given = {"n_trials": 6, "cv": 3, "random_state": 0} | given
    return MetaSearchCV(estimator or Victim(), False, space, **given)


def test_a_search_whose_fits_segfault(workers):
    """MetaSearchCV, n_jobs=2, some fits segfault: these trials have failed, the others count."""
    with pytest.warns(FitFailedWarning, match="a worker process died while it fitted"):
        found = search(n_jobs=2).fit(X, Y)
    scores = found.cv_results_["mean_test_score"]
    bad = [config["do"] == "segfault" for config in found.configs_]
    assert len(scores) == 6
    assert 0 < sum(bad) < 6
    assert list(np.isnan(scores)) == bad
    assert found.best_params_["do"] == "fine"
    assert len(found.predict(X)) == len(X)


@slow
def test_a_search_whose_fits_all_segfault(workers):
    """MetaSearchCV, n_jobs=2, every fit segfaults: a clear error."""
    space = SearchSpace([Categorical("do", ["segfault"]), Int("n", 0, 9)])
    with (
        pytest.warns(FitFailedWarning),
        pytest.raises(RuntimeError, match="estimator: a worker process died while it fitted"),
    ):
        search(space, n_jobs=2, n_trials=2).fit(X, Y)


@slow
def test_a_strict_search_keeps_what_it_found(workers):
    """MetaSearchCV, error_score="raise": the error ends it, the trials before it are kept."""
    found = search(n_jobs=2, error_score="raise", n_trials=9)
    with pytest.raises(RuntimeError, match="a worker process died"):
        found.fit(X, Y)
    assert len(found.configs_) == len(found.cv_results_["params"]) > 0
    assert found.best_score_ == max(found.cv_results_["mean_test_score"])


@pytest.mark.parametrize(
    ("do", "error"),
    [("interrupt", KeyboardInterrupt), ("memory", MemoryError), ("exit", SystemExit)],
)
def test_a_refit_that_ends_the_search(do, error):
    """Ctrl-C, MemoryError or sys.exit in the refit of MetaSearchCV: what was found is kept."""
    found = search(SearchSpace([Int("n", 0, 9)]), Victim(do, after=ROWS), n_trials=4)
    with pytest.raises(error):
        found.fit(X, Y)
    assert len(found.configs_) == len(found.cv_results_["params"]) == 4
    assert found.best_params_ == found.cv_results_["params"][found.best_index_]
    assert found.best_score_ == max(found.cv_results_["mean_test_score"])
    with pytest.raises(NotFittedError):
        found.predict(X)
    found.set_params(estimator=Victim("fine", after=ROWS)).fit(X, Y)
    assert len(found.predict(X)) == len(X)


def test_a_second_search_that_ends_forgets_the_first_model():
    """A second fit that Ctrl-C ends in its refit leaves no best_estimator_ of the first one."""
    found = search(SearchSpace([Int("n", 0, 9)]), Victim(), n_trials=2).fit(X, Y)
    found.set_params(estimator=Victim("interrupt", after=ROWS))
    with pytest.raises(KeyboardInterrupt):
        found.fit(X, Y)
    assert not hasattr(found, "best_estimator_")
    with pytest.raises(NotFittedError):
        found.predict(X)


def test_an_interrupt_between_two_lists(monkeypatch):
    """Ctrl-C just when scikit-learn has a trial that the search has not: all tables agree."""
    space, rows = SearchSpace([Int("n", 0, 9)]), []

    class Interrupting(dict):
        def __contains__(self, name):
            if name == "mean_test_score" and len(rows) == 3:
                raise KeyboardInterrupt
            return super().__contains__(name)

    plain = MetaSearchCV._format_results

    def formatted(self, params, *args, **given):
        rows[:] = params
        return Interrupting(plain(self, params, *args, **given))

    monkeypatch.setattr(MetaSearchCV, "_format_results", formatted)
    with pytest.warns(UserWarning, match="interrupted"):
        found = search(space).fit(X, Y)
    assert len(found.configs_) == len(found.cv_results_["params"]) == 3
    assert found.cv_results_["params"] == found.configs_


@slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_at_random_moments_of_a_search(jobs, record_property, workers, monkeypatch):
    """Ctrl-C at random moments of MetaSearchCV: the trials until then, or an interrupt."""
    rng, kept, plain = np.random.default_rng(3), 0, CVTrials.run

    def run(trials, *args):  # the clock runs from one of the first trials on
        if len(trials.configs) == first:
            timer.start()
        plain(trials, *args)

    monkeypatch.setattr(CVTrials, "run", run)
    for _ in range(15):
        found = search(SearchSpace([Int("n", 0, 500)]), n_trials=400, n_jobs=jobs, refit=True)
        first, wait = rng.integers(4), rng.uniform(0, 1)
        timer = threading.Timer(wait, os.kill, [os.getpid(), signal.SIGINT])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.fit(X, Y)
        except KeyboardInterrupt:
            assert not hasattr(found, "best_estimator_")
        timer.cancel()
        if hasattr(found, "cv_results_"):
            assert len(found.configs_) == len(found.cv_results_["params"]) > 0
            assert found.best_params_ == found.cv_results_["params"][found.best_index_]
            kept += 1
    assert kept
    record_property("interrupts", 15)
    record_property("searches that kept their trials", kept)
