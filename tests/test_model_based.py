"""What a user relies on in meta-models: valid proposals, no leak, trust that is earned."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from meta_model_cases import NEW, PERFORMANCE, SPACE, made, performance, predictors, some
from scipy.stats import spearmanr

from metahpo_lite import (
    ConfigPredictor,
    MetaDataset,
    MetaModelSearch,
    PerformancePredictor,
    RandomSearch,
    run,
)
from metahpo_lite.hyperparameters import Float
from metahpo_lite.spaces import SearchSpace

pytest.importorskip("tensorflow")


# ------------------------------------------------------------------ predict performance


@pytest.mark.parametrize(("model", "loss"), PERFORMANCE)
def test_it_ranks_configurations_of_tasks_it_never_saw(model, loss):
    fitted = performance(model, loss)
    rest = made().subset(list(made().tasks.index[:10]))
    found = [
        spearmanr(fitted.predict(row, made().configs), rest.scores.loc[task])[0]
        for task, row in rest.meta_features.iterrows()
    ]
    assert np.mean(found) > (0.2 if loss == "raw" else 0.6)  # raw scores: levels differ by 5


def test_raw_predictions_have_the_unit_of_the_scores():
    shifted = made()
    shifted = replace(shifted, trials=shifted.trials.assign(score=shifted.trials["score"] + 100))
    for model in ("trees", "network"):
        fitted = PerformancePredictor(model, "raw").fit(shifted)
        assert abs(fitted.predict(NEW, shifted.configs).mean() - 100) < 5


def test_a_failed_configuration_counts_as_the_worst():
    trials = made().trials.copy()
    trials.loc[trials["config"] == 3, ["score", "status"]] = np.nan
    failing = replace(made(), trials=trials)
    for model, loss in (("trees", "ranks"), ("trees", "raw"), ("network", "listwise")):
        fitted = PerformancePredictor(model, loss).fit(failing)
        predicted = fitted.predict(NEW, failing.configs)
        assert spearmanr(predicted, -(np.arange(len(predicted)) == 3).astype(float))[0] > 0.1


@pytest.mark.parametrize(("model", "loss"), PERFORMANCE)
def test_past_trials_change_what_is_believed(model, loss):
    """A configuration that failed expectations is expected to be worse, and those near it too."""
    fitted, points = performance(model, loss), made().points
    prior = fitted.prior(NEW)
    order = np.argsort(-prior(points), kind="stable")
    tried = points[order[:4]]
    mean, std, best = fitted.posterior(prior, tried, np.array([0.0, 1, 1, 1]), points)
    assert mean.shape == std.shape == (len(points),)
    assert best == pytest.approx(max(best, 0))
    assert std[order[0]] < np.median(std)
    change = mean - prior(points)
    assert change[order[0]] < np.median(change[order[1:4]])


def test_a_posterior_does_not_depend_on_the_unit_of_the_scores():
    fitted, points = performance("trees", "ranks"), made().points
    prior, scores = fitted.prior(NEW), np.array([0.1, 0.5, 0.3])
    a = fitted.posterior(prior, points[:3], scores, points)
    b = fitted.posterior(prior, points[:3], 1000 * scores - 7, points)
    for one, other in zip(a, b, strict=True):
        assert np.allclose(one, other)


def test_meta_features_that_say_nothing_earn_no_trust():
    """Where the scores are noise, predictions are shrunk to nothing."""
    rng = np.random.default_rng(0)
    trials = made().trials
    noise = replace(made(), trials=trials.assign(score=rng.normal(size=len(trials))))
    fitted = PerformancePredictor().fit(noise)
    assert fitted.slope_ < 0.3 < 0.7 < performance("trees", "ranks").slope_


def test_tasks_that_are_all_alike():
    """All scores the same: nothing can be learned, and nothing breaks."""
    flat = replace(made(), trials=made().trials.assign(score=1.0))
    for model, loss in (("trees", "ranks"), ("trees", "raw"), ("network", "listwise")):
        fitted = PerformancePredictor(model, loss).fit(flat)
        assert np.isfinite(fitted.predict(NEW, flat.configs)).all()
        searcher = MetaModelSearch(SPACE, np.random.default_rng(0), flat, NEW, None, fitted)
        for _ in range(3):
            searcher.update(searcher.suggest(), 1.0)


# ------------------------------------------------------------------ the searcher


def test_the_first_proposal_is_the_best_ranked():
    fitted = performance("trees", "ranks")
    searcher = MetaModelSearch(SPACE, np.random.default_rng(0), made(), NEW, made().configs, fitted)
    best = made().configs[int(fitted.predict(NEW, made().configs).argmax())]
    assert searcher.suggest() == best


def test_a_pool_is_tried_whole_and_nothing_twice():
    searcher = MetaModelSearch(SPACE, np.random.default_rng(0), made(), NEW, made().configs,
                               performance("trees", "ranks"))  # fmt: skip
    seen = []
    for trial in range(30):
        seen.append(searcher.suggest())
        searcher.update(seen[-1], np.nan if trial % 5 == 1 else trial % 3)
    assert len({str(c) for c in seen}) == 30
    with pytest.raises(StopIteration):
        searcher.suggest()


@pytest.mark.parametrize(("model", "loss"), [("trees", "ranks"), ("network", "listwise")])
def test_it_does_not_propose_near_copies(model, loss):
    """In the whole space: trials that are learned from spread, the best-ranked alone do not."""
    experience = some("svc")
    fitted = PerformancePredictor(model, loss).fit(experience)
    row = MetaDataset.load("svc").meta_features.iloc[1]
    apart = []
    for learns in (True, False):
        searcher = MetaModelSearch(
            experience.space, np.random.default_rng(0), experience, row, None, fitted
        )
        points = []
        for trial in range(12):
            config = searcher.suggest()
            points.append(experience.space.encode(config))
            if learns:
                searcher.update(config, float(np.random.default_rng(trial).random()))
        distances = np.linalg.norm(np.array(points)[:, None] - points, axis=2)
        apart.append(distances[np.triu_indices(12, 1)])
    assert np.median(apart[0]) > 2 * np.median(apart[1])
    assert (apart[0] < 0.03).mean() < 0.1


@pytest.mark.parametrize("learner", ["svc", "hist_gradient_boosting", "mlp"])
def test_it_is_ahead_of_random_search_on_our_experience(learner):
    """Families held out; more of this in the lesson and in the benchmark."""
    experience = MetaDataset.load(learner)
    held_out = list(experience.tasks.index[::8])
    rest = experience.subset([t for t in experience.tasks.index if t not in held_out])
    fitted, ours, random = PerformancePredictor().fit(rest), [], []
    for i, task in enumerate(held_out):
        row, replay = experience.meta_features.loc[task], experience.replay(task)
        worst = experience.scores.loc[task].min()
        reach = experience.scores.loc[task].max() - worst or 1
        rng = np.random.default_rng(i)
        searcher = MetaModelSearch(rest.space, rng, rest, row, rest.configs, fitted)
        for found, by in ((ours, searcher), (random, RandomSearch(rest.space, rng, rest.configs))):
            history = run(by, replay, 10)
            found.append(((history["score"].cummax() - worst) / reach).mean())
    assert np.mean(ours) > np.mean(random) + 0.02


def test_experience_that_contradicts_itself_is_not_turned_around():
    """What does well in one family does badly in the other: then nothing is expected."""
    small = made(20, 10, families=2)
    sign = np.where(small.families == "f0", 1, -1)
    first = small.scores.iloc[0].to_numpy()
    trials = [(task, i, s * score) for task, s in zip(small.tasks.index, sign, strict=True)
              for i, score in enumerate(first)]  # fmt: skip
    trials = pd.DataFrame(trials, columns=["task", "config", "score"])
    torn = replace(small, trials=trials, meta_features=None)
    fitted = PerformancePredictor().fit(torn)
    assert fitted.slope_ == 0
    assert not fitted.prior(None)(torn.points).any()


@pytest.mark.parametrize("model", ["trees", "network"])
def test_another_seed_is_another_predictor(model):
    small = made(12, 10)
    first, again, other = (
        PerformancePredictor(model, seed=seed).fit(small).predict(NEW, small.configs)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_the_same_seed_gives_the_same_proposals_in_two_processes():
    code = """
import json, numpy as np
from metahpo_lite import MetaDataset, MetaModelSearch, ConfigPredictor, PerformancePredictor
experience = MetaDataset.load("mlp")
row = experience.meta_features.iloc[0]
experience = experience.subset(list(experience.tasks.index[1::6]))
out = [ConfigPredictor(seed=3).fit(experience).predict(row)]
for fitted in (None, PerformancePredictor("network", "listwise", seed=3).fit(experience)):
    searcher = MetaModelSearch(experience.space, np.random.default_rng(3), experience, row,
                               None, fitted)
    for trial in range(4):
        out.append(searcher.suggest())
        searcher.update(out[-1], [.5, .7, float("nan"), .6][trial])
print(json.dumps(out))
"""
    found = {
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        .stdout
        for _ in range(2)
    }  # fmt: skip
    assert len(found) == 1
    assert len(json.loads(found.pop())) == 9


@pytest.mark.parametrize(
    ("row", "error", "match"),
    [
        (NEW.drop("width"), ValueError, "meta_features: 'width' is missing; accepted are the 3"),
        (NEW.rename({"width": "widht"}), ValueError, "did you mean 'w"),
        (pd.concat([NEW, pd.Series({"rows": 1.0})]), ValueError, "'rows' is unknown"),
        (NEW * np.nan, ValueError, "all of a task are missing"),
        (NEW.replace(0.8, np.inf), ValueError, "'kind' is inf, accepted are finite"),
        (NEW.astype(object).replace(0.8, "big"), ValueError, "'kind' is 'big', accepted are"),
        (None, TypeError, "meta_features: got NoneType, accepted is a Series"),
        ({"kind": 0.8}, TypeError, "meta_features: got dict"),
    ],
)
def test_bad_meta_features(row, error, match):
    for fitted in predictors():
        with pytest.raises(error, match=match):
            fitted.predict(row, made().configs)
        with pytest.raises(error, match=match):
            MetaModelSearch(SPACE, np.random.default_rng(0), made(), row, None, fitted)
    with pytest.raises(error, match=match):
        ConfigPredictor("tree").fit(made()).predict(row)


def test_reordered_columns_and_missing_cells_are_fine():
    gap = NEW.where(NEW.index != "width")
    for fitted in predictors():
        assert np.array_equal(fitted.predict(NEW, made().configs),
                              fitted.predict(NEW[::-1], made().configs))  # fmt: skip
        assert np.isfinite(fitted.predict(gap, made().configs)).all()


@pytest.mark.parametrize(
    "make", [ConfigPredictor, partial(ConfigPredictor, "tree"), PerformancePredictor]
)
def test_a_table_of_one_task_and_a_prediction_before_fit(make):
    with pytest.raises(ValueError, match=r"got 1 task\(s\) of one family, accepted are two"):
        make().fit(made().subset(["t0"]))
    arguments = (NEW, made().configs) if make is PerformancePredictor else (NEW,)
    with pytest.raises(RuntimeError, match="not fitted yet; call fit"):
        make().predict(*arguments)


def test_another_space():
    other = SearchSpace([Float("x", 0, 1)])
    with pytest.raises(ValueError, match=r"space: got \['x'\], accepted is the space of the exp"):
        MetaModelSearch(other, np.random.default_rng(0), made(), NEW, None, predictors()[0])
    with pytest.raises(KeyError, match="x"):
        predictors()[0].predict(NEW, [{"x": 0.5}])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ConfigPredictor("svm"), "model: got 'svm', accepted is one of"),
        (lambda: PerformancePredictor("forest"), "model: got 'forest'"),
        (lambda: PerformancePredictor("trees", "listwise"), "loss: got 'listwise', accepted is"),
        (lambda: PerformancePredictor(seed=-1), "seed: got -1"),
        (lambda: ConfigPredictor(seed=0.5), "seed: got 0.5"),
    ],
)
def test_bad_settings(make, match):
    with pytest.raises(ValueError, match=match):
        make()
