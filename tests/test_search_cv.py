"""MetaSearchCV has the habits of RandomizedSearchCV, and begins with experience."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import loguniform, randint, uniform
from search_cv_cases import DESCRIBED, GROUPS, PLAIN, SCALED_SVC, SPACE, C, X, Y, cold, search
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import StackingClassifier
from sklearn.exceptions import NotFittedError
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

from metahpo_lite import Float, MetaDataset, MetaSearchCV, SearchSpace, meta_features
from metahpo_lite.learner_classifier import LearnerClassifier


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


def test_tasks_like_the_table_say_where_it_begins():
    """A third of the tasks is like it and wants a high C; the others, far away, a low one."""
    rng, row, near = np.random.default_rng(0), meta_features(X, Y), np.arange(24) % 3 == 0
    names = pd.Index([f"t{i}" for i in range(24)], name="task")
    rows = row.to_numpy() + 0.01 * rng.normal(size=(24, len(row))) + ~near[:, None]
    trials = [(name, i, float(i if like else 2 - i)) for name, like in zip(names, near, strict=True)
              for i in range(3)]  # fmt: skip
    known = MetaDataset(
        SPACE, [{"C": value} for value in (0.1, 1.0, 10.0)],
        pd.DataFrame(trials, columns=["task", "config", "score"]),
        pd.DataFrame({"family": names}, index=names),
        pd.DataFrame(rows, index=names, columns=row.index),
    )  # fmt: skip
    assert search(SVC(), known, n_trials=1).fit(X, Y).configs_ == [{"C": 10.0}]
    bare = replace(known, meta_features=None)
    assert search(SVC(), bare, n_trials=1).fit(X, Y).configs_ == [{"C": 0.1}]


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
