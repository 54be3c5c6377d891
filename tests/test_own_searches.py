"""What becomes of the details of searches that were made anyway: which trials, which order."""

import sqlite3
from contextlib import closing

import numpy as np
import optuna
import pandas as pd
import psutil
import pytest
from experience_cases import dataset, study_file

from metahpo_lite import MetaDataset

pytestmark = pytest.mark.usefixtures("quiet_optuna")


def test_a_trial_that_was_pruned_is_no_experience():
    """It has a value, the last one before it was stopped, but it never came to its end."""

    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        if trial.number % 2:
            trial.report(100.0, 0)
            raise optuna.TrialPruned
        return x

    study = optuna.create_study(study_name="a", direction="maximize")
    study.optimize(objective, 10)
    known = MetaDataset.from_optuna(study)
    assert len(known.configs) == 5
    assert known.scores.to_numpy().max() <= 1


@pytest.mark.parametrize("broken", [False, True])
def test_no_storage_stays_open(broken, tmp_path):
    """An open file cannot be moved on Windows, and Python 3.13 warns of it."""
    path = study_file(tmp_path / "studies.db")
    if broken:
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("update alembic_version set version_num = 'v99'")
        with pytest.raises(ValueError, match="the storage cannot be read"):
            MetaDataset.from_optuna(f"sqlite:///{path}")
    else:
        assert len(MetaDataset.from_optuna(f"sqlite:///{path}").configs) == 4
    assert str(path) not in [file.path for file in psutil.Process().open_files()]


def table(params, scores):
    return {"params": params, "mean_test_score": scores}


@pytest.mark.parametrize("bad", [2e100, -3.6e306, np.inf, 10**400])
def test_a_fit_that_diverged_is_a_failed_trial(bad):
    """Its score would overflow in the surrogate, which fills what a search has not tried."""
    params = [{"x": x} for x in (0.1, 0.2, 0.4, 0.8, 1.6)]
    scores = [[0.5, 0.6, 0.7, 0.8], [0.4, 0.3, 0.2, 0.1]]
    good = {"a": table(params[:4], scores[0]), "b": table(params[1:], scores[1])}
    spoiled = {
        name: table([*results["params"], {"x": 0.9}], [*results["mean_test_score"], bad])
        for name, results in good.items()
    }
    ours = MetaDataset.from_cv_results(spoiled)
    pd.testing.assert_frame_equal(ours.trials, MetaDataset.from_cv_results(good).trials)
    if isinstance(bad, int):
        return  # no study can have such a score
    studies = []
    for name, results in spoiled.items():
        studies.append(optuna.create_study(study_name=name, direction="maximize"))
        for config, score in zip(results["params"], results["mean_test_score"], strict=True):
            known = {"x": optuna.distributions.FloatDistribution(0.1, 1.6)}
            trial = optuna.trial.create_trial(value=score, params=config, distributions=known)
            studies[-1].add_trial(trial)
    theirs = MetaDataset.from_optuna(studies, space=ours.space)
    pd.testing.assert_frame_equal(theirs.trials, ours.trials)


@pytest.mark.parametrize("bad", ["0.5", None, [0.5], 1j])
def test_a_score_that_is_no_number_is_named(bad):
    with pytest.raises(ValueError, match=r"^mine: the score of trial 1: got .*, accepted is a"):
        MetaDataset.from_cv_results({"mine": table([{"x": 1}, {"x": 2}], [0.5, bad])})


@pytest.mark.parametrize("names", [("C", "kernel"), ("kernel", "C")])
def test_the_parent_is_what_decides_and_not_what_comes_first(names):
    """Each C comes with and without gamma; the kernel decides."""
    params = []
    for C in ("low", "high"):
        for kernel in ("rbf", "linear"):
            config = {name: {"C": C, "kernel": kernel}[name] for name in names}
            params.append(config | ({"gamma": 0.1} if kernel == "rbf" else {}))
    known = MetaDataset.from_cv_results({"a": table(params, [1.0, 2.0, 3.0, 4.0])})
    assert dict(known.space["gamma"].when) == {"kernel": ("rbf",)}


def test_meta_features_of_an_added_search_go_by_their_names():
    configs = [{"x": x, "kind": "a"} for x in (0.1, 0.5, 0.9)]
    features = pd.DataFrame({"where": [0.1, 0.9], "noise": [0.0, 1.0]})
    known = dataset(configs, np.array([[1.0, 2, 3], [3, 2, 1]]), features)

    class Search:
        cv_results_ = table(configs, [1.0, 3.0, 2.0])

    row = pd.Series({"more": 7.0, "noise": 5.0, "where": 0.3})
    added = known.add(Search(), name="new", meta_features=row)
    assert added.meta_features.loc["new"].to_dict() == {"where": 0.3, "noise": 5.0}
    assert added.scores.loc["new"].tolist() == [1.0, 3.0, 2.0]
