"""A clock that goes back: no time below zero, no wait without end."""

import itertools
import time

import numpy as np
import pytest
from collect_cases import CONFIGS, TABLES, collect
from sklearn.datasets import load_iris
from victims import VICTIM, Victim

from metahpo_lite import Int, LiveTask, MetaSearchCV, RandomSearch, SearchSpace, meta_features, run

X, Y = load_iris(return_X_y=True)


@pytest.fixture
def back(monkeypatch):
    """Each look at the clock finds it an hour earlier."""
    looks, now = itertools.count(), time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(looks))
    assert time.time() > time.time()


@pytest.mark.parametrize("limit", [None, 60.0])
def test_collection(back, limit, tmp_path, capsys):
    """A collection while the clock goes back: all is evaluated, no seconds below zero."""
    found = collect(tmp_path / "e", TABLES[:1], CONFIGS[:4], time_limit=limit, progress=True,
                    describe=meta_features)  # fmt: skip
    assert found.trials["seconds"].between(0, 60).all()
    assert "100%" in capsys.readouterr().err


def test_a_limit_still_holds(back):
    """A time limit while the clock goes back: it ends what takes longer, and nothing else."""
    task = LiveTask(TABLES[0], VICTIM, time_limit=1.0)
    task.prepare()
    begin = time.monotonic()
    with pytest.raises(TimeoutError, match="stopped after 1 s"):
        task.evaluate({"do": "sleep", "n": 0})
    assert 1 <= time.monotonic() - begin < 20
    assert LiveTask(TABLES[0], VICTIM, time_limit=60.0).evaluate(VICTIM.default) > 0


def test_a_search(back):
    """`run` and MetaSearchCV while the clock goes back: no seconds below zero, the budget holds."""
    task = LiveTask(TABLES[0], VICTIM)
    searcher = RandomSearch(SearchSpace([Int("n", 0, 9)]), np.random.default_rng(0))
    searcher.suggest = lambda: VICTIM.default
    assert run(searcher, task, 3).filter(like="seconds").ge(0).all(axis=None)
    begin = time.monotonic()
    found = MetaSearchCV(
        Victim(), False, SearchSpace([Int("n", 0, 5000)]), n_trials=5000, time_budget=1.0, cv=3
    ).fit(X, Y)
    assert 0 < len(found.configs_) < 5000
    assert time.monotonic() - begin < 60
