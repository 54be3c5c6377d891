"""What MetaSearchCV hands to each fit: tables of all kinds, weights, and little else."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from search_cv_cases import DESCRIBED, GROUPS, SVC_EXPERIENCE, C, X, Y, cold, search
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from metahpo_lite import Float, MetaSearchCV, SearchSpace, get_learner
from metahpo_lite.learner_classifier import LearnerClassifier
from metahpo_lite.learners import Learner

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
