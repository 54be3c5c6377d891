"""What a user relies on in predicted configurations: valid, and not an average of good ones."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from meta_model_cases import CONFIG, NEW, SPACE, made, some

from metahpo_lite import Categorical, ConfigPredictor, Float, MetaDataset, SearchSpace

pytest.importorskip("tensorflow")


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


def test_where_it_is_inactive_a_hyperparameter_teaches_nothing():
    """Of four best configurations three have gamma: one leaf predicts the mean of these."""
    space = SearchSpace([
        Categorical("kernel", ["rbf", "linear"]), Float("gamma", 0, 1, when={"kernel": ["rbf"]})
    ])  # fmt: skip
    configs = [{"kernel": "rbf", "gamma": g} for g in (0.2, 0.4, 0.9)] + [{"kernel": "linear"}]
    trials = [(f"t{i}", j, float(i == j)) for i in range(4) for j in range(4)]
    tasks = pd.DataFrame({"family": list("abcd")}, index=[f"t{i}" for i in range(4)])
    trials = pd.DataFrame(trials, columns=["task", "config", "score"])
    known = MetaDataset(space, configs, trials, tasks)
    predicted = ConfigPredictor("tree").fit(known).predict(None)
    assert predicted == {"kernel": "rbf", "gamma": pytest.approx(0.5)}


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
