"""What a user relies on in the search loop: a full history, whatever a task or a searcher does."""

import contextlib
import io
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from metahpo_lite import Categorical, Float, Int, SearchSpace
from metahpo_lite.learners import LEARNERS
from metahpo_lite.search import GridSearch, RandomSearch, run

SPACE = SearchSpace([Float("x", 0, 1)])
COLUMNS = ["config", "score", "seconds", "status", "message", "incumbent"]


class Task:
    """A task that does what a list says: returns a number, or raises an error."""

    def __init__(self, *outcomes):
        self.outcomes = iter(outcomes)

    def evaluate(self, config):
        outcome = next(self.outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Echo:
    """The score is the hyperparameter."""

    def evaluate(self, config):
        return config["x"]


class Recorder(RandomSearch):
    """Keeps what it is told, and stops by itself after some suggestions."""

    def __init__(self, stop_after=None):
        super().__init__(SPACE, np.random.default_rng(0))
        self.stop_after, self.told = stop_after, []

    def suggest(self):
        if len(self.told) == self.stop_after:
            raise StopIteration
        return super().suggest()

    def update(self, config, score):
        self.told.append((dict(config), score))


# ------------------------------------------------------------------ the history


def test_history_has_a_row_for_each_trial():
    history = run(Recorder(), Task(0.2, 0.1, 0.7, 0.7, 0.3), 5)
    assert list(history.columns) == COLUMNS
    assert history.index.equals(pd.RangeIndex(1, 6, name="trial"))
    assert history.index.name == "trial"
    assert history["score"].tolist() == [0.2, 0.1, 0.7, 0.7, 0.3]
    assert history["incumbent"].tolist() == [0.2, 0.2, 0.7, 0.7, 0.7]
    assert (history["status"] == "ok").all()
    assert (history["message"] == "").all()
    assert (history["seconds"] >= 0).all()
    assert all(SPACE.check(config) == config for config in history["config"])


@pytest.mark.parametrize("trials", [0, 2])
def test_history_has_the_same_types_even_without_a_trial(trials):
    history = run(Recorder(stop_after=trials), Echo(), 5)
    assert len(history) == trials
    assert list(history.columns) == COLUMNS
    assert history.index.name == "trial"
    for column in ("score", "seconds", "incumbent"):
        assert history[column].dtype == np.float64
    assert history["config"].dtype == object
    for column in ("status", "message"):
        assert pd.api.types.is_string_dtype(history[column])


def test_failures_are_recorded_and_the_search_goes_on():
    searcher = Recorder()
    outcomes = [ValueError("no"), 0.5, TimeoutError("stopped after 3 s"), np.nan, np.inf, -np.inf]
    history = run(searcher, Task(*outcomes, None, "text", MemoryError(), 0.6), 10)
    failed, timeout = "failed", "timeout"
    assert history["status"].tolist() == [
        *(failed, "ok", timeout, failed, failed, failed, failed, failed, failed, "ok")
    ]
    messages = history["message"].tolist()
    assert messages[:6] == [
        *("ValueError: no", "", "stopped after 3 s"),
        *("the score is nan", "the score is inf", "the score is -inf"),
    ]
    assert messages[6].startswith("TypeError")
    assert messages[7].startswith("ValueError")
    assert messages[8].startswith("MemoryError")
    np.testing.assert_array_equal(history["incumbent"], [np.nan] + [0.5] * 8 + [0.6])
    np.testing.assert_array_equal(history["score"], [np.nan, 0.5] + [np.nan] * 7 + [0.6])
    # the searcher is told once a trial, in the same words
    assert [config for config, _ in searcher.told] == history["config"].tolist()
    np.testing.assert_array_equal([score for _, score in searcher.told], history["score"])


def test_a_timeout_without_a_message_says_that_it_is_one():
    history = run(Recorder(), Task(TimeoutError()), 1)
    assert history["status"].tolist() == ["timeout"]
    assert "nan" not in history.loc[1, "message"]


def test_no_incumbent_before_the_first_success():
    history = run(Recorder(), Task(ValueError(), np.nan), 2)
    assert history["incumbent"].isna().all()


@pytest.mark.parametrize("score", [np.inf, -1e101, 2e100])
def test_a_score_that_is_too_large_is_a_failure(score):
    searcher = Recorder()
    history = run(searcher, Task(score, 1e100), 2)
    assert history["status"].tolist() == ["failed", "ok"]
    assert history.loc[1, "message"] == f"the score is {score}"
    assert history["score"].isna().tolist() == [True, False]
    assert history["incumbent"].tolist()[1] == 1e100


def test_negative_scores_are_compared_as_numbers():
    assert run(Recorder(), Task(-3.0, -1, -2), 3)["incumbent"].tolist() == [-3, -1, -1]


@pytest.mark.parametrize("score", [np.float32(0.5), np.int64(1), True, 1])
def test_a_score_of_any_number_type_is_a_float(score):
    history = run(Recorder(), Task(score), 1)
    assert history["score"].dtype == np.float64
    assert history.loc[1, "score"] == float(score)


# ------------------------------------------------------------------ when it ends


def test_search_ends_when_the_searcher_has_nothing_left():
    searcher = Recorder(stop_after=3)
    assert len(run(searcher, Echo(), 50)) == len(searcher.told) == 3


def test_stop_iteration_inside_a_task_is_a_failure_of_the_task():
    history = run(Recorder(), Task(StopIteration("empty"), 0.5), 2)
    assert history["status"].tolist() == ["failed", "ok"]
    assert "StopIteration" in history.loc[1, "message"]


def test_an_error_of_the_searcher_is_not_hidden():
    class Broken(Recorder):
        def update(self, config, score):
            raise StopIteration("a bug")

    with pytest.raises(StopIteration, match="a bug"):
        run(Broken(), Echo(), 3)

    class BrokenToo(Recorder):
        def suggest(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(BrokenToo(), Echo(), 3)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_ends_the_search(interrupt):
    searcher = Recorder()
    with pytest.raises(interrupt):
        run(searcher, Task(0.1, interrupt(), 0.2), 3)
    assert len(searcher.told) == 1


@pytest.mark.parametrize("n_trials", [0, -1, 1.5, True, "3", None, np.nan])
def test_n_trials_is_a_whole_number_of_at_least_1(n_trials):
    with pytest.raises(ValueError, match=r"^n_trials: got .* accepted is a whole number"):
        run(Recorder(), Echo(), n_trials)


def test_n_trials_may_be_a_numpy_integer():
    assert len(run(Recorder(), Echo(), np.int64(2))) == 2


# ------------------------------------------------------------------ the configurations of it


def test_history_keeps_a_configuration_as_it_was_tried():
    class Reuse(Recorder):
        """One dict for all trials, changed in place."""

        config: dict = {"x": 0.0}  # noqa: RUF012 - shared on purpose

        def suggest(self):
            self.config["x"] += 0.25
            return self.config

        def update(self, config, score):
            config["x"] += 0.0
            config["note"] = "mine"
            del config["note"]

    class Careless:
        def evaluate(self, config):
            return config.pop("x")

    history = run(Reuse(), Echo(), 3)
    assert history["config"].tolist() == [{"x": 0.25}, {"x": 0.5}, {"x": 0.75}]
    searcher = Recorder()
    history = run(searcher, Careless(), 2)
    assert [config["x"] for config in history["config"]] == history["score"].tolist()
    assert [config for config, _ in searcher.told] == history["config"].tolist()


SCRIPT = """
import sys
import numpy as np
from metahpo_lite import GridSearch, LiveTask, RandomSearch, get_learner, run
task, rng = LiveTask("iris", "svc"), np.random.default_rng(5)
for searcher in RandomSearch(task.space, rng), GridSearch(task.space, rng, 12):
    for row in run(searcher, task, 4).drop(columns="seconds").itertuples():
        print(row)
for train, test in LiveTask("german", "svc", max_rows=60, seed=7).splits:  # of 1,000 rows
    print(train.tolist(), test.tolist())
"""


def test_the_same_seed_gives_the_same_rows_and_history_in_another_process():
    other = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONHASHSEED": "1"},  # here it is another one
        capture_output=True,
        text=True,
    )
    with contextlib.redirect_stdout(io.StringIO()) as here:
        exec(SCRIPT, {})
    assert here.getvalue() == other.stdout, other.stderr
    assert other.stdout.count("status='ok'") == 8


# ------------------------------------------------------------------ the searchers


@pytest.mark.parametrize("budget", [1, 2, 7, 30, 100])
@pytest.mark.parametrize("learner", LEARNERS)
def test_grid_search_tries_each_configuration_once(learner, budget):
    space = LEARNERS[learner].space

    class Zero:
        def evaluate(self, config):
            space.check(config)
            return 0.0

    searcher = GridSearch(space, np.random.default_rng(0), budget)
    history = run(searcher, Zero(), budget + 10)
    assert (history["status"] == "ok").all()
    tried = [tuple(config.items()) for config in history["config"]]
    assert len(tried) == len(set(tried)) <= budget
    assert set(tried) == {tuple(config.items()) for config in space.grid(budget)}
    with pytest.raises(StopIteration):
        searcher.suggest()


def test_the_order_of_a_grid_comes_from_rng():
    space = SearchSpace([Int("i", 1, 20), Categorical("c", ["a", "b"])])

    def order(seed):
        return GridSearch(space, np.random.default_rng(seed), 40).configs

    assert order(0) == order(0) != order(1) != space.grid(40)


def test_a_grid_needs_a_budget():
    with pytest.raises(ValueError, match=r"^budget: got 0"):
        GridSearch(SPACE, np.random.default_rng(0), 0)


def test_random_search_draws_from_the_whole_space():
    space = LEARNERS["svc"].space
    history = run(RandomSearch(space, np.random.default_rng(0)), Task(*[0.0] * 300), 300)
    assert {config["kernel"] for config in history["config"]} == {"rbf", "poly", "linear"}
    decades = np.log10([config["C"] for config in history["config"]])
    assert np.abs(np.quantile(decades, [0.25, 0.5, 0.75]) - [-0.5, 1, 2.5]).max() < 0.5


def test_a_trial_costs_next_to_nothing():
    class Zero:
        def evaluate(self, config):
            return 0.0

    def seconds():
        start = time.process_time()  # so that what else the machine does counts less
        run(RandomSearch(LEARNERS["svc"].space, np.random.default_rng(0)), Zero(), 10_000)
        return time.process_time() - start

    assert min(seconds() for _ in range(3)) < 1.0  # 100 microseconds a trial


# ------------------------------------------------------------------ progress


def test_a_search_is_silent_unless_asked(capfd):
    run(Recorder(), Task(0.5, ValueError("no"), 0.25), 3)
    assert capfd.readouterr() == ("", "")
    history = run(Recorder(stop_after=2), Task(0.5, ValueError("no")), 3, progress=True)
    shown = capfd.readouterr().err
    assert "incumbent=0.5" in shown
    assert "3" in shown
    assert len(history) == 2


def test_random_search_on_a_pool_tries_each_once():
    pool = [{"x": i / 10} for i in range(8)]
    orders = []
    for seed in (0, 0, 1):
        history = run(RandomSearch(SPACE, np.random.default_rng(seed), pool), Echo(), 20)
        orders.append(history["score"].tolist())
        assert sorted(orders[-1]) == [c["x"] for c in pool]
    assert orders[0] == orders[1] != orders[2]
