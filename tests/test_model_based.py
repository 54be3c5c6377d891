"""What a user relies on in meta-models: valid proposals, no leak, trust that is earned."""

import json
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, spearmanr

from metahpo_lite import (
    ConfigPredictor,
    MetaDataset,
    MetaModelSearch,
    PerformancePredictor,
    RandomSearch,
    history_features,
    load_model,
    run,
    save_model,
)
from metahpo_lite.hyperparameters import Categorical, Float, Int
from metahpo_lite.model_based import (
    TaskInputs,
    config_inputs,
    left_out_folds,
    normal_ranks,
)
from metahpo_lite.spaces import SearchSpace

pytest.importorskip("tensorflow")

SPACE = SearchSpace([
    Categorical("kernel", ["rbf", "poly", "linear"]),
    Float("gamma", 0.01, 1, log=True, when={"kernel": ["rbf", "poly"]}),
    Int("degree", 2, 4, when={"kernel": ["poly"]}),
])  # fmt: skip
CONFIG = ("network", "tree", "forest")
PERFORMANCE = (("trees", "ranks"), ("trees", "raw"), ("network", "ranks"), ("network", "raw"),
               ("network", "listwise"))  # fmt: skip


@cache
def made(n_tasks=40, n_configs=30, families=None, seed=0):
    """Experience of which the first meta-feature tells the kernel, the second gamma."""
    rng = np.random.default_rng(seed)
    configs = []
    while len(configs) < n_configs:
        config = SPACE.sample(rng)
        if config not in configs:
            configs.append(config)
    features = pd.DataFrame(rng.uniform(-1, 1, (n_tasks, 3)), columns=["kind", "width", "noise"])
    features.index = [f"t{i}" for i in range(n_tasks)]
    points = SPACE.encode(configs)
    rows = []
    for name, (kind, width, _) in features.iterrows():
        wanted = "rbf" if kind > 0 else "linear"
        level = rng.normal(scale=5)
        for i, config in enumerate(configs):
            score = level + (config["kernel"] == wanted)
            if "gamma" in config:
                score -= (points[i, 1] - (width + 1) / 2) ** 2
            rows.append((name, i, score))
    trials = pd.DataFrame(rows, columns=["task", "config", "score"])
    names = features.index if families is None else [f"f{i % families}" for i in range(n_tasks)]
    tasks = pd.DataFrame({"family": list(names)}, index=features.index)
    return MetaDataset(SPACE, configs, trials, tasks, features, {"learner": "made"})


@cache
def performance(model, loss):
    return PerformancePredictor(model, loss).fit(made().subset(list(made().tasks.index[10:])))


@cache
def some(learner, every=4):
    experience = MetaDataset.load(learner)
    return experience.subset(list(experience.tasks.index[::every]))


NEW = pd.Series({"kind": 0.8, "width": -0.5, "noise": 0.0})


# ------------------------------------------------------------------ what is read


def test_inputs_are_quantiles_among_the_training_tasks():
    table = pd.DataFrame({"a": [1.0, 10.0, 1000.0], "b": [0.0, np.nan, 2.0], "same": 7.0})
    inputs = TaskInputs(table)
    assert np.allclose(inputs(table), [[-1, -1, -1], [0, 0, 1], [1, 1, -1]])  # a, b, mark of b
    far = inputs(pd.Series({"same": 0.0, "b": 99.0, "a": 1e9}))
    assert np.allclose(far, [[1, 1, -1]])  # in any order, never farther than what was seen


def test_what_is_active_is_an_input():
    configs = [{"kernel": "rbf", "gamma": 0.1}, {"kernel": "linear"},
               {"kernel": "poly", "gamma": 1.0, "degree": 2}]  # fmt: skip
    wanted = [[1, 0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0, 0], [0, 1, 0, 1, 1, -2 / 3, 1]]
    assert np.allclose(config_inputs(SPACE, SPACE.encode(configs)), wanted)


def test_a_condition_on_what_is_inactive_is_not_met():
    space = SearchSpace([
        Int("layers", 1, 2),
        Categorical("second", ["relu", "tanh", "none"], when={"layers": [2]}),
        Float("slope", 0, 1, when={"second": ["tanh"]}),  # tanh lies where inactive ones sit
    ])  # fmt: skip
    assert config_inputs(space, space.encode([{"layers": 1}]))[0, -1] == 0


def test_normal_ranks_by_hand():
    ranks = normal_ranks(np.array([[10.0, 30.0, np.nan, 30.0], [1.0, 2.0, 3.0, 4.0]]))
    assert np.allclose(ranks[0], norm.ppf([1.5 / 4, 3 / 4, 0.5 / 4, 3 / 4]))
    assert np.allclose(ranks[1], norm.ppf([0.125, 0.375, 0.625, 0.875]))


def test_folds_keep_families_whole():
    families = [f"f{i % 7}" for i in range(30)]
    left_out = left_out_folds(families, np.random.default_rng(0))
    assert left_out.shape == (3, 30)
    assert (left_out.sum(axis=0) == 1).all()
    for family in families:
        assert len(np.unique(left_out[:, np.array(families) == family], axis=1).T) == 1
    assert len(left_out_folds(["a", "b", "b"], np.random.default_rng(0))) == 2


def test_history_is_how_trials_did_against_each_other():
    scores = pd.DataFrame({3: [0.5, 0.9], 7: [0.7, np.nan]}, index=["a", "b"])
    table = history_features(scores)
    assert list(table.columns) == ["trial_3", "trial_7"]
    assert np.allclose(table, [[-0.1, 0.1], [0, np.nan]], equal_nan=True)
    assert np.allclose(history_features(scores.loc["a"]), [-0.1, 0.1])


# ------------------------------------------------------------------ predict the configuration


@pytest.mark.parametrize("model", CONFIG)
def test_the_best_configuration_follows_the_meta_features(model):
    fitted = ConfigPredictor(model).fit(made(200))
    for kind, kernel in ((0.9, "rbf"), (-0.9, "linear")):
        low, high = (fitted.predict(pd.Series({"kind": kind, "width": w, "noise": 0.0}))
                     for w in (-0.9, 0.9))  # fmt: skip
        assert low["kernel"] == high["kernel"] == kernel
        if kernel == "rbf":
            assert low["gamma"] < 0.1 < high["gamma"]
        assert SPACE.check(low) == low


@pytest.mark.parametrize("model", CONFIG)
@pytest.mark.parametrize("learner", ["svc", "mlp"])
def test_predictions_are_valid(model, learner):
    experience = some(learner)
    fitted = ConfigPredictor(model).fit(experience)
    for _, row in MetaDataset.load(learner).meta_features.iloc[1::20].iterrows():
        config = fitted.predict(row)
        assert experience.space.check(config) == config


def test_two_good_kernels_are_not_averaged_to_a_third():
    """rbf and linear are best, half each, and nothing tells when: never poly between them."""
    noise = replace(made(), meta_features=made().meta_features[["noise"]])
    fitted = ConfigPredictor("network").fit(noise)
    for value in np.linspace(-1, 1, 9):
        assert fitted.predict(pd.Series({"noise": value}))["kernel"] != "poly"


@pytest.mark.parametrize("model", CONFIG)
def test_the_architecture_may_be_given(model):
    experience = some("mlp")
    fitted = ConfigPredictor(model, given=["layers", "activation"]).fit(experience)
    row = experience.meta_features.iloc[0]
    for layers in (1, 3):
        config = fitted.predict(row, given={"layers": layers, "activation": "tanh"})
        assert (config["layers"], config["activation"]) == (layers, "tanh")
        assert ("units_3" in config) == (layers == 3)
        assert experience.space.check(config) == config


def test_several_learners_in_one_model():
    svc, mlp = some("svc"), some("mlp")
    fitted = ConfigPredictor().fit([svc, mlp])
    row = svc.meta_features.iloc[0]
    assert svc.space.check(fitted.predict(row, learner="svc"))
    assert mlp.space.check(fitted.predict(row, learner="mlp"))
    for learner in (None, "knn"):
        with pytest.raises(ValueError, match=r"learner: got .*accepted is one of \('svc', 'mlp'\)"):
            fitted.predict(row, learner=learner)
    with pytest.raises(ValueError, match="learners of other names"):
        ConfigPredictor().fit([svc, svc])
    for bare in ([svc, replace(mlp, meta_features=None)], [replace(svc, meta_features=None), mlp]):
        with pytest.raises(ValueError, match="learners have other meta-features"):
            ConfigPredictor().fit(bare)


def test_without_meta_features_the_prediction_is_one_for_all():
    bare = replace(made(), meta_features=None)
    for fitted in (ConfigPredictor("tree").fit(bare), ConfigPredictor().fit(bare)):
        assert fitted.predict(None) == fitted.predict(NEW)


def test_what_cannot_be_given():
    for given, error, match in (
        (["gamma"], ValueError, "given: 'gamma' has inf values, accepted .* at most 10"),
        (["C"], KeyError, "name: got 'C'"),
        (["kernel"], ValueError, r"given: got \[\], accepted are values of \['kernel'\]"),
    ):
        with pytest.raises(error, match=match):
            ConfigPredictor("tree", given=given).fit(made()).predict(NEW)
    fitted = ConfigPredictor("tree", given=["kernel"]).fit(made())
    with pytest.raises(ValueError, match=r"given\['kernel'\]: got 'cosine'"):
        fitted.predict(NEW, given={"kernel": "cosine"})


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


# ------------------------------------------------------------------ bad input


def predictors():
    return [performance("trees", "ranks"), performance("network", "listwise")]


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


# ------------------------------------------------------------------ on disk


def test_saved_models_predict_the_same(tmp_path):
    for fitted in predictors():
        again = load_model(save_model(fitted, tmp_path / "model.skops"))
        assert np.array_equal(fitted.predict(NEW, made().configs),
                              again.predict(NEW, made().configs))  # fmt: skip
        search = [MetaModelSearch(SPACE, np.random.default_rng(0), made(), NEW, None, p)
                  for p in (fitted, again)]  # fmt: skip
        for trial in range(3):
            a, b = (s.suggest() for s in search)
            assert a == b
            for s in search:
                s.update(a, trial)
    for model in CONFIG:
        fitted = ConfigPredictor(model, given=["kernel"]).fit(made())
        again = load_model(save_model(fitted, tmp_path / "model.skops"))
        assert again.predict(NEW, given={"kernel": "rbf"}) == fitted.predict(
            NEW, given={"kernel": "rbf"}
        )


def test_a_file_that_is_no_meta_model(tmp_path):
    path = tmp_path / "model.skops"
    with pytest.raises(FileNotFoundError):
        load_model(path)
    path.write_bytes(b"cos\nsystem\n")
    with pytest.raises(ValueError, match="not a meta-model"):
        load_model(path)
    whole = save_model(predictors()[0], path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a meta-model"):
        load_model(path)
    with pytest.raises(RuntimeError, match="not fitted yet"):
        save_model(PerformancePredictor(), path)


def test_nothing_of_a_file_is_executed(tmp_path):
    import skops.io

    path = tmp_path / "model.skops"
    skops.io.dump({"kind": "PerformancePredictor", "state": {"x": os.system}}, path)
    with pytest.raises(ValueError, match="not a meta-model"):
        load_model(path)
