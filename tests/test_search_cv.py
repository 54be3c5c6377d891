"""MetaSearchCV has the habits of RandomizedSearchCV, and begins with experience."""

import os
import pickle
import signal
import warnings
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, load_wine
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from metahpo_lite import Float, MetaDataset, MetaSearchCV, SearchSpace, get_learner
from metahpo_lite.hyperparameters import Categorical
from metahpo_lite.learners import Learner
from metahpo_lite.search_cv import LearnerClassifier

X, Y = load_wine(return_X_y=True)
X = StandardScaler().fit_transform(X)
GROUPS = np.arange(len(Y)) % 4
SVC_EXPERIENCE = MetaDataset.load("svc")
DESCRIBED = SVC_EXPERIENCE.subset(list(SVC_EXPERIENCE.tasks.index[:12]))
PLAIN = replace(DESCRIBED, meta_features=None)
C = {"C": loguniform(1e-2, 1e2)}
SPACE = SearchSpace([Float("C", 1e-2, 1e2, log=True)])
SCALED_SVC = make_pipeline(StandardScaler(), SVC())


def search(estimator="svc", experience=PLAIN, space=None, **given):
    return MetaSearchCV(
        estimator, experience, space, **{"n_trials": 3, "cv": 3, "random_state": 0} | given
    )


def cold(estimator, space, **given):
    return search(estimator, False, space, **given)


@parametrize_with_checks(
    [
        # a distribution of scipy's has its address in its name: no id of a test
        MetaSearchCV(LogisticRegression(), False, SPACE, n_trials=2, cv=3, random_state=0),
        MetaSearchCV("svc", PLAIN, n_trials=2, cv=2, random_state=0),
    ]
)
def test_it_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


# ------------------------------------------------------------------ the habits of scikit-learn


def test_it_reports_what_a_random_search_does():
    given = {"cv": 3, "random_state": 0, "return_train_score": True, "scoring": "f1_macro"}
    random = RandomizedSearchCV(SCALED_SVC, {"svc__C": loguniform(1, 9)}, n_iter=2, **given)
    random.fit(X, Y)
    ours = cold(SCALED_SVC, {"svc__C": loguniform(1, 9)}, n_trials=2, **given).fit(X, Y)
    assert list(ours.cv_results_) == list(random.cv_results_)
    fitted = {name for name in vars(random) if name.endswith("_") and name[0] != "_"}
    assert fitted <= set(vars(ours))
    table = pd.DataFrame(ours.cv_results_)
    assert ours.best_index_ == table["rank_test_score"].argmin()
    assert ours.best_score_ == table["mean_test_score"].max()
    assert ours.best_params_ == table["params"][ours.best_index_]
    assert ours.best_params_.items() <= ours.best_estimator_.get_params().items()
    again = cross_val_score(clone(ours.best_estimator_), X, Y, scoring="f1_macro", cv=3)
    assert np.isclose(again.mean(), ours.best_score_)
    assert ours.score(X, Y) > 0.95
    assert ours.n_features_in_ == X.shape[1]


def test_experience_comes_first_and_is_learned_from():
    ours = search(experience=DESCRIBED, n_trials=4).fit(X, Y)
    assert ours.configs_[0] in DESCRIBED.configs
    assert len({str(config) for config in ours.configs_}) == 4
    assert ours.cv_results_["params"] == ours.configs_
    assert 0 < ours.trust_ < 1
    assert list(ours.meta_features_.index) == list(DESCRIBED.meta_features.columns)
    assert ours.experience_ is DESCRIBED
    assert search().fit(X, Y).meta_features_ is None
    assert ours.best_score_ > 0.95


def test_the_same_seed_gives_the_same_search():
    folds = ShuffleSplit(2)  # without a seed of its own
    first, second = (search(cv=folds, random_state=7).fit(X, Y) for _ in range(2))
    assert first.configs_ == second.configs_
    assert np.array_equal(
        first.cv_results_["split0_test_score"], second.cv_results_["split0_test_score"]
    )
    assert folds.random_state is None
    assert search(cv=folds, random_state=8).fit(X, Y).configs_[1:] != first.configs_[1:]


def test_all_trials_have_the_same_folds():
    """A splitter without a seed would give each trial other ones."""
    ours = cold(
        DecisionTreeClassifier(random_state=0), {"max_depth": [5, 6, 7]}, cv=ShuffleSplit(3),
    ).fit(X, Y)  # fmt: skip
    assert np.ptp(ours.cv_results_["split1_test_score"]) == 0  # no tree grows as deep


@pytest.mark.parametrize("name", ["svc", "hist_gradient_boosting", "mlp"])
def test_shipped_experience_by_the_name_of_the_learner(name):
    ours = MetaSearchCV(name, n_trials=1, cv=2, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
        ours.fit(*load_iris(return_X_y=True))
    assert ours.experience_.name == name
    assert ours.configs_[0] in ours.experience_.configs
    assert ours.best_score_ > 0.8


def test_experience_from_a_folder(tmp_path):
    folder = PLAIN.save(tmp_path / "mine")
    assert search(experience=folder).fit(X, Y).configs_ == search().fit(X, Y).configs_
    assert search(experience=str(folder)).fit(X, Y).experience_.space == PLAIN.space


def test_without_experience_it_says_so():
    with pytest.warns(UserWarning, match="plain Bayesian optimization"):
        ours = search(LogisticRegression(), None, C).fit(X, Y)
    assert ours.trust_ == 0
    assert ours.experience_ is None
    with pytest.warns(UserWarning, match="plain Bayesian optimization"):
        search("svc", None, C, n_trials=1).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cold(LogisticRegression(), C).fit(X, Y)


def test_a_space_with_all_kinds_of_hyperparameters():
    space = {
        "max_depth": randint(1, 9), "min_samples_leaf": np.array([1, 2]),
        "criterion": ("gini", "entropy"), "ccp_alpha": uniform(0, 0.1),
    }  # fmt: skip
    ours = cold(DecisionTreeClassifier(random_state=0), space, n_trials=5).fit(X, Y)
    for params in ours.cv_results_["params"]:
        assert 1 <= params["max_depth"] <= 8
        assert params["min_samples_leaf"] in (1, 2)
        assert 0 <= params["ccp_alpha"] <= 0.1


def test_a_space_with_few_configurations_ends_early():
    ours = cold(DecisionTreeClassifier(), {"max_depth": [1, 2], "splitter": ["best", "random"]},
                n_trials=9).fit(X, Y)  # fmt: skip
    assert len(ours.configs_) == len({str(config) for config in ours.configs_}) == 4


def test_a_pipeline_by_long_and_short_names():
    space = SearchSpace([Float("C", 0.1, 10, log=True)])
    for names in ({"svc__C": loguniform(0.1, 10)}, space):
        assert list(cold(SCALED_SVC, names).fit(X, Y).best_params_) == ["svc__C"]


def scaled(*steps):
    """Columns of another scale, which the pipeline takes back."""
    return make_pipeline(StandardScaler(), *steps)


@pytest.mark.parametrize(
    ("estimator", "prefix"),
    [
        (scaled(SVC()), "svc"),
        (make_pipeline(scaled(SVC())), "pipeline__svc"),
        (scaled(CalibratedClassifierCV(SVC(), cv=2)), "calibratedclassifiercv__estimator"),
        (make_pipeline(StandardScaler().set_output(transform="pandas"), SVC()), "svc"),
    ],
)
def test_experience_of_a_learner_in_a_pipeline_of_ones_own(estimator, prefix):
    """The learner's gamma is a multiple of "scale", wherever the model is in the pipeline."""
    ours = search(estimator, n_trials=1).fit(X * 100, Y)
    (config,) = ours.configs_
    assert ours.best_params_[f"{prefix}__C"] == config["C"]
    assert np.isclose(ours.best_params_[f"{prefix}__gamma"], config["gamma"] / X.shape[1])
    assert ours.best_params_[f"{prefix}__class_weight"] in (None, "balanced")


def test_experience_of_a_learner_and_the_model_alone():
    for table in (X, sp.csr_matrix(X), pd.DataFrame(X)):
        ours = search(SVC(), n_trials=1).fit(table, Y)
        assert np.isclose(ours.best_params_["gamma"], ours.configs_[0]["gamma"] / X.shape[1])
    ours = search(scaled(MLPClassifier(max_iter=2)), "mlp", n_trials=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours.fit(X, Y)
    assert len(ours.best_params_["mlpclassifier__hidden_layer_sizes"]) == ours.configs_[0]["layers"]


def test_it_is_an_estimator_like_others(capsys):
    ours = search()
    assert repr(clone(ours)) == repr(ours)
    assert "n_trials=3" in repr(ours)
    assert "svc" in ours._repr_html_()
    with pytest.raises(NotFittedError):
        ours.predict(X)
    ours.fit(X, Y)
    assert "svc" in ours._repr_html_()
    assert "best_params_" not in vars(clone(ours))
    copied = pickle.loads(pickle.dumps(ours))
    assert np.array_equal(copied.predict(X), ours.predict(X))
    assert copied.configs_ == ours.configs_
    assert copied.experience_.space == PLAIN.space
    assert len(ours.set_params(n_trials=1).fit(X, Y).cv_results_["params"]) == 1
    ours = cold(LogisticRegression(), C).set_params(estimator__max_iter=7, n_trials=1, verbose=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ours.fit(X, Y).best_estimator_.max_iter == 7
    out, err = capsys.readouterr()
    assert out == ""
    assert "1/1" in err
    assert "best=0.9" in err


def test_methods_are_those_of_the_estimator():
    assert hasattr(search("mlp", False), "predict_proba")
    assert not hasattr(search(), "predict_proba")
    assert search().fit(X, Y).decision_function(X).shape == (len(Y), 3)
    found = cold(KMeans(n_init=1, random_state=0), {"n_clusters": [2, 3]}).fit(X)
    assert found.transform(X).shape == (len(X), found.best_params_["n_clusters"])
    assert cold(Ridge(), {"alpha": loguniform(1e-3, 1)}).fit(X, X[:, 0]).best_score_ > 0.99


def test_inside_of_other_estimators():
    ours = search(n_trials=1, cv=2)
    assert cross_val_score(ours, X, Y, cv=2).min() > 0.9
    assert make_pipeline(StandardScaler(), clone(ours)).fit(X, Y).score(X, Y) > 0.9
    stack = StackingClassifier([("a", ours), ("b", SVC())], SVC(), cv=2).fit(X, Y)
    assert stack.score(X, Y) > 0.9
    grid = GridSearchCV(ours, {"n_trials": [1, 2]}, cv=2, refit=False).fit(X, Y)
    assert grid.best_params_["n_trials"] in (1, 2)
    learner = GridSearchCV(LearnerClassifier("svc"), {"C": [1e-2, 10.0]}, cv=2).fit(X, Y)
    assert learner.best_params_ == {"C": 10.0}


@pytest.mark.parametrize(
    ("cv", "splits"),
    [
        (GroupKFold(4), 4),
        (LeaveOneGroupOut(), 4),
        (KFold(3).split(X, Y), 3),
        (list(StratifiedKFold(2).split(X, Y)), 2),
    ],
)
def test_splitters(cv, splits):
    ours = search(cv=cv, n_trials=2).fit(X, Y, groups=GROUPS)
    assert ours.n_splits_ == splits
    assert f"split{splits - 1}_test_score" in ours.cv_results_


def test_refit():
    for ours in (search(refit=False).fit(X, Y), search(refit=False)):
        assert not hasattr(ours, "predict")
    ours = search(refit=False).fit(X, Y)
    assert ours.best_params_ == ours.configs_[ours.best_index_]
    assert not hasattr(ours, "best_estimator_")
    ours = search(refit=lambda results: 1).fit(X, Y)
    assert ours.best_index_ == 1
    assert ours.best_estimator_.get_params()["C"] == ours.configs_[1]["C"]
    assert not hasattr(ours, "best_score_")


def test_scoring_by_a_function():
    ours = search(scoring=lambda model, X, y: -accuracy_score(y, model.predict(X))).fit(X, Y)
    assert ours.best_score_ == ours.cv_results_["mean_test_score"].max() < 0
    assert ours.score(X, Y) < 0


# ------------------------------------------------------------------ tables of all kinds


def mixed_table():
    half = len(Y) // 2
    return pd.DataFrame({
        "number": X[:, 0], "category": pd.Categorical(np.where(Y == 1, "a", "b")),
        "date": pd.date_range("2024-01-01", periods=len(Y)),
        "whole": pd.array([1, None] * half, dtype="Int64"),
        "truth": pd.array([True, None] * half, dtype="boolean"),
        "text": pd.array(["x", None] * half, dtype="string"),
    })  # fmt: skip


def test_a_learner_takes_tables_and_targets_of_all_kinds():
    table = mixed_table()
    names = pd.Series(np.array(["u", "v", "w"])[Y], index=np.arange(len(Y)) * 7 + 3)
    for labels in (names, names.astype("category"), names.astype("string"), names.tolist()):
        ours = search(experience=DESCRIBED, n_trials=1, cv=2).fit(table, labels)
        assert list(ours.classes_) == ["u", "v", "w"]
        assert list(ours.feature_names_in_) == list(table)
        assert set(ours.predict(table[:9])) <= {"u", "v", "w"}
    assert list(search(n_trials=1).fit(table, Y == 1).classes_) == [False, True]
    assert search(n_trials=1).fit(sp.csr_matrix(X), Y).score(sp.csr_matrix(X), Y) > 0.9
    assert search(n_trials=1).fit(X.tolist(), Y.tolist()).score(X, Y) > 0.9
    holes = np.where(X > 2, np.nan, X)
    assert search(experience=DESCRIBED, n_trials=1).fit(holes, Y).score(holes, Y) > 0.9


def test_a_learner_of_ones_own():
    def model(config, seed):
        return LogisticRegression(C=config["C"], random_state=seed)

    space, mlp = SearchSpace([Float("C", 0.1, 10, log=True)]), get_learner("mlp")
    learner = Learner("mine", space, {"C": 1.0}, mlp.preprocess, model)
    ours = search(learner, False).fit(mixed_table(), Y)
    assert ours.space_ == space
    assert ours.predict_proba(mixed_table()).shape == (len(Y), 3)


# ------------------------------------------------------------------ metadata


class Weighed(LogisticRegression):
    """Remembers how many weights each fit was given."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y, sample_weight=None):
        self.seen.append(None if sample_weight is None else len(sample_weight))
        return super().fit(X, y, sample_weight)


def test_weights_without_metadata_routing():
    weights = np.arange(len(Y)) % 3 + 1.0
    Weighed.seen.clear()
    cold(Weighed(), C, n_trials=1, cv=2).fit(X, Y, sample_weight=weights)
    assert Weighed.seen == [89, 89, 178]
    one_class = search(n_trials=1, cv=2).fit(X, Y, sample_weight=np.where(Y == 0, 1, 1e-9))
    assert (one_class.predict(X) == 0).all()


def test_weights_and_groups_with_metadata_routing():
    weights = np.arange(len(Y)) % 3 + 1.0
    with sklearn.config_context(enable_metadata_routing=True):
        wants = Weighed().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        Weighed.seen.clear()
        ours = cold(wants, C, n_trials=1, cv=GroupKFold(2))
        ours.fit(X, Y, sample_weight=weights, groups=GROUPS)
        assert Weighed.seen[2] == 178 == sum(Weighed.seen[:2])
        assert 0.9 < ours.score(X, Y, sample_weight=weights) <= 1
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
            cold(Weighed(), C).fit(X, Y, sample_weight=weights)
        assert search(n_trials=1, cv=GroupKFold(4)).fit(X, Y, groups=GROUPS).n_splits_ == 4


def test_a_learner_asks_for_weights_by_metadata_routing():
    weights = np.where(Y == 0, 1, 1e-9)
    with sklearn.config_context(enable_metadata_routing=True):
        wants = LearnerClassifier("svc").set_fit_request(sample_weight=True)
        wants = clone(wants.set_score_request(sample_weight=False))  # is done at each nesting
        ours = search(wants, n_trials=1, cv=2).fit(X, Y, sample_weight=weights)
        by_name = search(n_trials=1, cv=2).fit(X, Y, sample_weight=weights)
    assert (ours.predict(X) == 0).all()
    assert (by_name.predict(X) == 0).all()


# ------------------------------------------------------------------ several at once


def test_as_few_trials_at_once_as_keep_all_workers_busy():
    def proposals(n_jobs):
        with joblib.parallel_config("threading", n_jobs=n_jobs):
            return search(n_trials=5, cv=2).fit(X, Y).configs_

    assert proposals(1) == proposals(2)  # two folds are enough for two
    found = proposals(5)  # batches of three
    assert found[0] == proposals(1)[0]
    assert len({str(config) for config in found}) == 5


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_in_other_processes(backend):
    with joblib.parallel_config(backend, n_jobs=2):
        ours = search(n_trials=2, cv=2).fit(X, Y)
    assert ours.configs_ == search(n_trials=2, cv=2).fit(X, Y).configs_


def test_what_goes_along_with_each_fit_is_small():
    """A search sends itself to the workers; the searcher in it has matrices."""
    sizes = []

    class Watched(MetaSearchCV):
        def _run_search(self, evaluate_candidates):
            super()._run_search(evaluate_candidates)
            sizes.append(len(pickle.dumps(self.__getstate__())))

    Watched("svc", n_trials=2, cv=2, random_state=0).fit(X, Y)
    assert sizes[0] < 50_000


def test_to_use_experience_does_not_change_it():
    mine = SVC_EXPERIENCE.subset("wine")
    before = joblib.hash(mine)
    assert mine.regrets.shape == (1, len(mine.configs))
    assert joblib.hash(mine) == before
    assert pickle.loads(pickle.dumps(mine)).regrets.equals(mine.regrets)


def test_a_time_budget_ends_the_search_after_one_trial_at_least():
    assert len(search(time_budget=1e-9).fit(X, Y).configs_) == 1
    assert len(search(time_budget=60).fit(X, Y).configs_) == 3


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
