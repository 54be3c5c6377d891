"""What a user relies on in live tasks: the same folds, honest scores, and arguments by name."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier
from task_cases import IRIS, SLOW, SVC, TREES, Odd, table
from threadpoolctl import threadpool_limits

from metahpo_lite import Float, SearchSpace
from metahpo_lite.datasets import Dataset
from metahpo_lite.learners import LEARNERS, Learner
from metahpo_lite.search import RandomSearch, run
from metahpo_lite.tasks import LiveTask

pytestmark = pytest.mark.usefixtures("own_workers")


# ------------------------------------------------------------------ the score


@pytest.mark.parametrize("metric", ["balanced_accuracy", "neg_log_loss"])
@pytest.mark.parametrize("name", ["svc", "hist_gradient_boosting", "mlp"])
def test_score_is_that_of_cross_validation_of_the_pipeline(name, metric):
    if (name, metric) == ("svc", "neg_log_loss"):
        pytest.skip("an SVC has no probabilities: see the next test")
    task = LiveTask("german", name, metric=metric, seed=4, max_rows=300)
    rows = np.sort(np.concatenate([test for _, test in task.splits]))
    X, y = task.dataset.X.iloc[rows], task.dataset.y.iloc[rows]
    folds = StratifiedKFold(3, shuffle=True, random_state=4)
    configs = [task.learner.default, *task.space.sample(np.random.default_rng(1), 2)]
    with warnings.catch_warnings(), threadpool_limits(1):  # twenty times as fast on a busy machine
        warnings.simplefilter("ignore")
        for config in configs if name != "mlp" else configs[:1]:
            pipeline = task.learner.build(config, seed=4)
            expected = cross_val_score(pipeline, X, y, cv=folds, scoring=metric)
            np.testing.assert_allclose(task.evaluate_folds(config), expected, rtol=1e-12)
            assert task.evaluate(config) == pytest.approx(expected.mean(), rel=1e-12)


@pytest.mark.parametrize("name", ["iris", "breast-cancer"])
def test_log_loss_of_an_svc_is_that_of_calibrated_probabilities(name):
    task = LiveTask(name, "svc", metric="neg_log_loss")
    scores = task.evaluate_folds(task.learner.default)
    y = task.dataset.y
    assert np.isfinite(scores).all()
    blind = log_loss(y, np.tile(y.value_counts(normalize=True).sort_index(), (len(y), 1)))
    assert -blind / 1.05 < scores.mean() < 0  # better than the shares of the classes
    train, test = task.splits[0]
    model = CalibratedClassifierCV(SVC.build(SVC.default), cv=3, ensemble=False)
    model.fit(task.dataset.X.iloc[train], y.iloc[train])
    theirs = -log_loss(y.iloc[test], model.predict_proba(task.dataset.X.iloc[test]))
    assert scores[0] == pytest.approx(theirs, abs=0.1)  # they calibrate preprocessing too


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("metric", ["balanced_accuracy", "neg_log_loss"])
def test_a_class_with_as_few_rows_as_folds(name, metric):
    task = LiveTask(table(40, 30, 3), name, metric=metric)
    assert np.isfinite(task.evaluate(task.learner.default))


@pytest.mark.parametrize("name", LEARNERS)
def test_evaluations_are_silent_and_repeat_to_the_last_bit(name, capfd):
    task = LiveTask("iris", name)
    config = task.space.sample(np.random.default_rng(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = [LiveTask("iris", name).evaluate(c) for c in (config, task.learner.default)]
    assert [task.evaluate(config), task.evaluate(task.learner.default)] == scores
    assert capfd.readouterr() == ("", "")


def test_the_configuration_is_checked_and_left_alone():
    task = LiveTask("iris", "svc")
    for wrong, error in (({"C": 1.0}, KeyError), ({**SVC.default, "C": -1}, ValueError)):
        for each in (task, dataclasses.replace(task, time_limit=SLOW)):
            with pytest.raises(error):
                each.evaluate(wrong)
    config = dict(SVC.default)
    task.evaluate(config)
    assert config == SVC.default
    assert task.evaluate({**SVC.default, "C": 1}) == task.evaluate(config)


# ------------------------------------------------------------------ rows and folds


def test_folds_are_stratified_and_fixed_by_the_seed():
    task = LiveTask(table(50, 31, 10), "svc", folds=5)
    tests = np.concatenate([test for _, test in task.splits])
    assert sorted(tests) == list(range(91))
    y = task.dataset.y.to_numpy()
    for train, test in task.splits:
        assert not set(train) & set(test)
        assert len(train) + len(test) == 91
        counts = pd.Series(y[test]).value_counts().sort_index()
        np.testing.assert_array_equal(np.abs(counts - [10, 6.2, 2]) < 1, True)

    def rows(seed):
        return [test.tolist() for _, test in LiveTask(task.dataset, "svc", seed=seed).splits]

    assert rows(0) == rows(0) != rows(1)


@pytest.mark.parametrize("max_rows", [1, 50, 333, 900])
def test_a_cap_on_rows_keeps_the_shares_of_the_classes(max_rows):
    counts = np.array([600, 300, 95, 5])
    task = LiveTask(table(*counts), "svc", max_rows=max_rows)
    tests = np.concatenate([test for _, test in task.splits])
    assert len(set(tests)) == len(tests)
    kept = task.dataset.y.iloc[tests].value_counts().sort_index().to_numpy()
    share = counts * max_rows / counts.sum()
    assert (np.abs(kept - np.maximum(share, 3)) <= 0.5).all()
    assert len(tests) <= max_rows + 4 * 3
    other = LiveTask(task.dataset, "svc", max_rows=max_rows, seed=1)
    assert set(tests) != set(np.concatenate([test for _, test in other.splits]))


def test_a_cap_that_is_not_reached_keeps_all_rows():
    for max_rows in (91, 2000, None):
        task = LiveTask(table(50, 41), "svc", max_rows=max_rows)
        assert sum(len(test) for _, test in task.splits) == 91


class Spy(FunctionTransformer):
    """Remembers which rows it was fitted on."""

    fitted: list = []  # noqa: RUF012 - shared on purpose

    def fit(self, X, y=None):
        Spy.fitted.append((X.index.to_numpy(), y))
        return super().fit(X, y)


def test_preprocessing_sees_the_training_rows_alone():
    Spy.fitted.clear()
    learner = dataclasses.replace(SVC, preprocess=Spy)
    task = LiveTask(table(30, 30), learner)
    for config in task.space.sample(np.random.default_rng(0), 3):
        task.evaluate(config)
    assert len(Spy.fitted) == 3  # once a fold
    for (rows, y), (train, _) in zip(Spy.fitted, task.splits, strict=True):
        np.testing.assert_array_equal(rows, train)
        np.testing.assert_array_equal(y, task.dataset.y.to_numpy()[train])


def test_an_outlier_of_the_test_part_changes_nothing_in_training():
    data = table(30, 30)
    outlier = data.X.copy()
    task = LiveTask(data, "svc")
    _, test = task.splits[0]
    outlier.iloc[test[0]] = 1e6
    other = LiveTask(dataclasses.replace(data, X=outlier), "svc")
    np.testing.assert_array_equal(task.prepared[0][0], other.prepared[0][0])
    assert not np.array_equal(task.prepared[1][0], other.prepared[1][0])


def test_noise_scores_as_noise():
    """400 columns of noise for 80 rows: choosing or fitting on test rows would score above 0.5."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(80, 400))).add_prefix("x").assign(y=list("ab") * 40)
    data = Dataset.from_frame(frame, "y")
    scores = [LiveTask(data, "svc", seed=seed).evaluate(SVC.default) for seed in range(8)]
    assert abs(np.mean(scores) - 0.5) < 0.1


# ------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize(
    ("argument", "value", "accepted"),
    [
        ("folds", 1, "a whole number of at least 2"),
        ("folds", 2.5, "a whole number of at least 2"),
        ("folds", True, "a whole number of at least 2"),
        ("folds", "3", "a whole number of at least 2"),
        ("folds", None, "a whole number of at least 2"),
        ("max_rows", 0, "a whole number of at least 1, or None"),
        ("max_rows", 10.5, "a whole number of at least 1, or None"),
        ("max_rows", "all", "a whole number of at least 1, or None"),
        ("seed", "a", "a whole number from 0 to"),
        ("seed", -1, "a whole number from 0 to"),
        ("seed", 0.5, "a whole number from 0 to"),
        ("seed", None, "a whole number from 0 to"),
        ("seed", 2**32, "a whole number from 0 to"),
        ("time_limit", 0, "above 0, or None"),
        ("time_limit", -1, "above 0, or None"),
        ("time_limit", np.nan, "above 0, or None"),
        ("time_limit", "1", "above 0, or None"),
        ("time_limit", True, "above 0, or None"),
        ("metric", "accuracy", r"one of \('balanced_accuracy'"),
        ("metric", None, "one of"),
        ("metric", ["neg_log_loss"], "one of"),
    ],
)
def test_arguments_are_refused_by_name(argument, value, accepted):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*, accepted is {accepted}"):
        LiveTask("iris", "svc", **{argument: value})


def test_numbers_may_be_those_of_numpy():
    task = LiveTask("iris", "svc", folds=np.int64(3), seed=np.int32(0), max_rows=np.int64(99))
    assert task.evaluate(SVC.default) == LiveTask("iris", "svc", max_rows=99).evaluate(SVC.default)


def test_more_folds_than_rows_of_a_class():
    with pytest.raises(ValueError, match=r"^folds: got 5, but class 'class 1' of 'few' has 4 rows"):
        LiveTask(table(20, 4, name="few"), "svc", folds=5)
    LiveTask(table(20, 4), "svc", folds=4).evaluate(SVC.default)


def test_unknown_names_and_other_types():
    with pytest.raises(KeyError, match="'irris' is not a dataset"):
        LiveTask("irris", "svc")
    with pytest.raises(KeyError, match="got 'svm', accepted is one of"):
        LiveTask("iris", "svm")
    with pytest.raises(TypeError, match=r"^dataset: got a DataFrame.*Dataset\.from_frame"):
        LiveTask(IRIS.X, "svc")
    for learner in (Odd(), None, SVC.build(SVC.default)):
        with pytest.raises(TypeError, match=r"^learner: got a .* accepted is a name or a Learner"):
            LiveTask(IRIS, learner)


def test_a_task_does_not_change():
    """Its folds are computed once, and a process may hold a copy."""
    task = LiveTask(IRIS, "svc")
    for name, value in (("metric", "neg_log_loss"), ("seed", 1), ("folds", 5)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(task, name, value)
    assert dataclasses.replace(task, folds=5).evaluate_folds(SVC.default).shape == (5,)


@pytest.mark.filterwarnings("ignore:A single label")
def test_a_table_of_one_class_fails_as_a_trial_not_as_a_search():
    for name in ("svc", "hist_gradient_boosting"):
        data = table(15, 15)
        task = LiveTask(dataclasses.replace(data, y=data.y.str[:5]), name)
        history = run(RandomSearch(task.space, np.random.default_rng(0)), task, 2)
        assert set(history["status"]) <= {"ok", "failed"}
        failed = history["status"] == "failed"
        assert history.loc[failed, "message"].ne("").all()


def test_a_space_of_ones_own():
    space = SearchSpace([Float("alpha", 1e-4, 1e-1, log=True)])
    learner = Learner("pruned", space, {"alpha": 1e-2}, TREES.preprocess, pruned)
    history = run(RandomSearch(space, np.random.default_rng(0)), LiveTask("iris", learner), 3)
    assert (history["score"] > 0.8).all()


def pruned(config, seed):
    return DecisionTreeClassifier(ccp_alpha=config["alpha"], random_state=seed)
