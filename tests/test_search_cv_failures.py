"""MetaSearchCV keeps its trials when fits fail or are interrupted, and names what is wrong."""

import os
import signal

import joblib
import numpy as np
import pytest
from scipy.stats import loguniform, norm, uniform
from search_cv_cases import DESCRIBED, C, X, Y, cold, search
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from metahpo_lite import SearchSpace
from metahpo_lite.hyperparameters import Categorical
from metahpo_lite.learner_classifier import LearnerClassifier

# ------------------------------------------------------------------ failures


class Delicate(ClassifierMixin, BaseEstimator):
    """Predicts class number b; cannot be fitted with some values of a."""

    def __init__(self, a=1, b=0, bad=()):
        self.a, self.b, self.bad = a, b, bad

    def fit(self, X, y):
        if self.a in self.bad:
            raise RuntimeError("not with this a")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[self.b])


@pytest.mark.parametrize("n_jobs", [1, 8])
@pytest.mark.parametrize("bad", [(2,), (2, "x", None), (0.5, 1)])
def test_trials_that_fail_stay_in_their_places(bad, n_jobs):
    space = {"a": [1, 2, 3, 0.5, "x", None], "b": [0, 1]}
    ours = cold(Delicate(bad=bad), space, n_trials=12)
    with pytest.warns(FitFailedWarning), joblib.parallel_config("threading", n_jobs=n_jobs):
        ours.fit(X, Y > 0)
    found, params = ours.cv_results_, ours.cv_results_["params"]
    assert params == ours.configs_
    assert len(params) == 12
    failed = np.array([p["a"] in bad for p in params])
    for key in ("mean_test_score", "split0_test_score"):
        assert np.array_equal(np.isnan(found[key]), failed)
    assert list(found["param_a"]) == [p["a"] for p in params]
    assert list(found["param_b"]) == [p["b"] for p in params]
    assert set(found["rank_test_score"][failed]) == {12 - failed.sum() + 1}
    assert ours.best_index_ == found["rank_test_score"].argmin()
    assert ours.best_params_ == params[ours.best_index_]
    assert ours.best_params_["b"] == 1  # the larger class
    assert ours.best_score_ == np.nanmax(found["mean_test_score"])


def test_a_hyperparameter_of_failed_trials_alone_is_in_the_results():
    space = SearchSpace([Categorical("a", [1, 2]), Categorical("b", [0, 1], when={"a": [2]})])
    with pytest.warns(FitFailedWarning):
        ours = cold(Delicate(bad=(2,)), space, n_trials=9, error_score=0).fit(X, Y > 0)
    found = ours.cv_results_
    assert np.array_equal(found["param_b"].mask, [p["a"] == 1 for p in found["params"]])
    assert ours.best_params_ == {"a": 1}
    assert sorted(found["mean_test_score"])[:2] == [0, 0]


def test_all_trials_fail():
    with pytest.warns(FitFailedWarning), pytest.raises(ValueError, match="not with this a"):
        cold(Delicate(bad=(1, 2)), {"a": [1, 2]}).fit(X, Y)
    with pytest.raises(RuntimeError, match="not with this a"):
        cold(Delicate(bad=(1,)), {"a": [1, 2]}, error_score="raise").fit(X, Y)


def test_an_inner_search_that_fails_ends_a_search_that_is_to_raise():
    inner = GridSearchCV(Delicate(bad=(1,)), {"a": [1]}, cv=2)
    with pytest.raises(ValueError, match="fits failed"):
        cold(inner, {"estimator__b": [0, 1]}, error_score="raise").fit(X, Y)


class Interrupted(Delicate):
    """The user presses Ctrl-C during fit number `at`."""

    at, fits = 0, 0

    def fit(self, X, y):
        Interrupted.fits += 1
        if Interrupted.fits == Interrupted.at:
            os.kill(os.getpid(), signal.SIGINT)
        return super().fit(X, y)


@pytest.fixture
def ctrl_c():
    """Heed Ctrl-C, which a suite ignores that a script has started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_keeps_the_trials_until_then(monkeypatch):
    ours = cold(Interrupted(), {"a": uniform(0, 1), "b": [0, 1]}, n_trials=9)
    monkeypatch.setattr(Interrupted, "fits", 0)
    monkeypatch.setattr(Interrupted, "at", 8)  # the second of three folds of the third trial
    with pytest.warns(UserWarning, match="interrupted: 2 of 9 trials"):
        ours.fit(X, Y)
    assert len(ours.configs_) == len(ours.cv_results_["params"]) == 2
    assert len(ours.predict(X)) == len(X)
    monkeypatch.setattr(Interrupted, "fits", 0)
    monkeypatch.setattr(Interrupted, "at", 2)
    with pytest.raises(KeyboardInterrupt):
        clone(ours).fit(X, Y)


def test_an_interrupt_while_the_searcher_learns(monkeypatch):
    updates = []

    def update(self, config, score):
        updates.append(score)
        if len(updates) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("metahpo_lite.search_cv.BayesianSearch.update", update)
    with pytest.warns(UserWarning, match="interrupted: 2 of 9 trials"):
        ours = cold(Delicate(), {"a": [1, 2, 3], "b": [0, 1]}, n_trials=9).fit(X, Y)
    assert len(ours.configs_) == len(ours.cv_results_["params"]) == 2
    assert ours.best_params_ == ours.configs_[ours.best_index_]


# ------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"n_trials": 0}, ValueError, "n_trials: got 0, accepted is a whole number of at least 1"),
        ({"n_trials": 1.5}, ValueError, "n_trials: got 1.5"),
        ({"time_budget": 0}, ValueError, "time_budget: got 0, accepted is above 0"),
        ({"time_budget": "1h"}, ValueError, "time_budget: got '1h'"),
        ({"scoring": ["accuracy", "f1_macro"]}, ValueError, r"scoring: got \['acc.* one metric"),
        ({"scoring": {"a": "accuracy"}}, ValueError, "scoring: got .* one metric"),
        ({"scoring": lambda m, X, y: {"a": 1.0}}, TypeError, "scoring: got a function .* dict"),
        ({"scoring": lambda m, X, y: np.nan}, ValueError, "scoring: .* not finite in any of 3"),
        ({"scoring": "no metric"}, ValueError, "scoring"),
        ({"estimator": "svx"}, KeyError, "got 'svx', accepted is one of .'svc'"),
        ({"estimator": 3}, TypeError, "estimator: got 3, accepted is an estimator"),
        ({"experience": "nowhere"}, FileNotFoundError, "'nowhere' is neither shipped nor a folder"),
        ({"experience": 3}, TypeError, "experience: got 3, accepted is a MetaDataset"),
        ({"experience": "mlp"}, ValueError, "'layers' is no hyperparameter of 'svc'; accepted"),
        ({"space": C}, ValueError, "experience: it is of another space, .*'kernel'.*leave out"),
        ({"estimator": SVC(), "experience": False}, ValueError, "space: got None, accepted is"),
        ({"estimator": LogisticRegression()}, ValueError, "LogisticRegression has 0 steps SVC"),
        ({"estimator": VotingClassifier([("a", SVC()), ("b", SVC())])}, ValueError, "2 steps SVC"),
    ],
)
def test_bad_arguments_are_named(given, error, message):
    with pytest.raises(error, match=message):
        search(**given).fit(X, Y)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"c": loguniform(1, 9)}, r"LogisticRegression has 0 parameters 'c' \(did you mean 'C'"),
        ({"C": norm(0, 1)}, "space: 'C' is .* accepted is a list, or scipy's uniform"),
        ({"C": 3}, "space: 'C' is 3, accepted is a list"),
        ([C], r"space: got \[.* accepted is a SearchSpace, or a dict"),
        ({"C": [(1, 2)]}, r"C: choices has \(1, 2\), accepted are"),
        ({}, "got none, accepted are one or more"),
    ],
)
def test_bad_spaces_are_named(space, message):
    with pytest.raises(ValueError, match=message):
        cold(LogisticRegression(), space).fit(X, Y)


def test_an_ambiguous_name_is_refused():
    both = VotingClassifier([("a", LogisticRegression()), ("b", LogisticRegression())])
    with pytest.raises(ValueError, match="VotingClassifier has 2 parameters 'C'"):
        cold(both, C).fit(X, Y)


@pytest.mark.parametrize(
    ("table", "y", "message"),
    [
        (X, X[:, 0], "this experience is of classification.*qcut.*from_cv_results"),
        (X, Y * 0, "1 classes in 178 rows; accepted: at least two"),
        (X, None, "requires y"),
        (X, np.c_[Y, Y], "1d array"),
        (X[:, 0], Y, "2D array"),
        (X[:0], Y[:0], "0 sample"),
        (X, Y[:9], "inconsistent numbers of samples"),
        (np.where(X > 2, np.inf, X), Y, "column '0' holds an infinite value"),
    ],
)
def test_bad_tables_and_targets_are_named(table, y, message):
    with pytest.raises(ValueError, match=message):
        search(experience=DESCRIBED).fit(table, y)


def test_a_learner_refuses_what_is_not_its_hyperparameter():
    with pytest.raises(KeyError, match="got 'depth', accepted is one of"):
        LearnerClassifier("svc").set_params(depth=3)
    with pytest.raises(ValueError, match="kernel: got 'sigmoid'"):
        LearnerClassifier("svc", kernel="sigmoid").fit(X, Y)
