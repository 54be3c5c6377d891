"""What a fine-tuned meta-model carries over: what was learned, by name, and nothing else."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pandas as pd
import pytest
from meta_model_cases import NEW, made, some
from scipy.stats import spearmanr
from test_networks import problem

from metahpo_lite import (
    MetaDataset,
    MetaModelSearch,
    PerformancePredictor,
    joint_experience,
    load_model,
    networks,
    save_model,
)
from metahpo_lite.inputs import config_inputs
from metahpo_lite.networks import Ensemble, listwise_loss, squared_loss

pytest.importorskip("tensorflow")


@pytest.fixture
def untrained(monkeypatch):
    """Fine-tuning then ends where it begins."""
    return lambda: monkeypatch.setattr(networks, "EPOCHS", 0)


def network(experience, seed=0):
    return PerformancePredictor("network", "listwise", seed).fit(experience)


def old():
    """Experience from before there was a kernel "linear"."""
    return made().with_choices("kernel", ["rbf", "poly"])


def first_layer(model, space, points):
    """What the first hidden layer reads of a task without meta-features, and configurations."""
    W, b, *_ = model.models_.weights
    x = config_inputs(space, points)
    return x @ W[:, W.shape[1] - x.shape[1] :] + b


def test_in_the_same_space_it_begins_with_all_that_was_learned(untrained):
    fitted = network(made())
    untrained()
    tuned = fitted.fine_tune(made())
    assert np.array_equal(*(m.predict(NEW, made().configs) for m in (fitted, tuned)))


def test_known_configurations_are_judged_as_before_the_space_grew(untrained):
    fitted = network(old())
    untrained()
    tuned = fitted.fine_tune(made())
    known, new = (m.predict(NEW, old().configs) for m in (fitted, tuned))
    assert np.allclose(known, new, atol=1e-5)
    linear = [config for config in made().configs if config["kernel"] == "linear"]
    assert np.isfinite(tuned.predict(NEW, linear)).all()
    assert tuned.space_ == made().space


def test_what_the_new_space_lacks_stays_at_its_mean(untrained):
    fitted, small = network(made()), old()
    untrained()
    tuned = fitted.fine_tune(small)
    seen = config_inputs(made().space, fitted.points_)
    whole = config_inputs(made().space, made().space.encode(small.configs))
    whole[:, 2] = seen[:, 2].mean()  # whether the kernel is "linear"
    W, b, *_ = fitted.models_.weights
    before = whole @ W[:, W.shape[1] - whole.shape[1] :] + b
    assert np.allclose(before, first_layer(tuned, small.space, small.points), atol=1e-5)


def test_of_another_learner_what_is_said_of_tasks_remains(untrained):
    svc, mlp = some("svc"), some("mlp")
    both = joint_experience({"svc": svc, "mlp": mlp})
    fitted = network(both)
    untrained()
    tuned = fitted.fine_tune(some("hist_gradient_boosting"))
    tasks = fitted.inputs_(svc.meta_features).shape[1]
    a, b = (m.models_.weights for m in (fitted, tuned))
    assert np.array_equal(a[0][:, :tasks], b[0][:, :tasks])
    assert all(np.array_equal(x, y) for x, y in zip(a[2:], b[2:], strict=True))
    other = network(both, 1).fine_tune(some("hist_gradient_boosting")).models_.weights
    assert not np.allclose(other[0][:, tasks:], b[0][:, tasks:])  # what is new is drawn


def test_few_tasks_are_enough_where_most_is_known():
    tasks = list(made().tasks.index)
    source = old().subset(tasks[:24])
    rest, few = (made().subset(part) for part in (tasks[30:], tasks[24:30]))

    def agreement(model):
        predicted = model.predict(rest.meta_features, rest.configs)
        pairs = zip(predicted, rest.scores.to_numpy(), strict=True)
        return np.mean([spearmanr(a, b)[0] for a, b in pairs])

    tuned = [agreement(network(source, seed).fine_tune(few)) for seed in range(3)]
    scratch = [agreement(network(few, seed)) for seed in range(3)]
    assert np.mean(tuned) > np.mean(scratch) + 0.05


def test_the_first_model_stays_as_it_is_and_the_second_is_like_any(tmp_path):
    fitted = network(old())
    before = fitted.predict(NEW, old().configs)
    tuned = fitted.fine_tune(made())
    assert np.array_equal(before, fitted.predict(NEW, old().configs))
    assert np.array_equal(*(fitted.fine_tune(made()).predict(NEW, made().configs)
                            for _ in range(2)))  # fmt: skip
    again = load_model(save_model(tuned, tmp_path / "tuned.skops"))
    assert np.array_equal(*(m.predict(NEW, made().configs) for m in (tuned, again)))
    loaded = load_model(save_model(fitted, tmp_path / "fitted.skops")).fine_tune(made())
    assert np.array_equal(*(m.predict(NEW, made().configs) for m in (tuned, loaded)))
    rng = np.random.default_rng(0)
    search = MetaModelSearch(made().space, rng, made(), NEW, None, tuned)
    for score in range(3):
        search.update(made().space.check(search.suggest()), score)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("loss", ["ranks", "raw", "listwise"])
def test_two_tasks_are_enough_to_run(n, loss):
    fitted = PerformancePredictor("network", loss).fit(old())
    tuned = fitted.fine_tune(made().subset(list(made().tasks.index[:n])))
    assert np.isfinite(tuned.predict(NEW, made().configs)).all()


def test_what_cannot_be_fine_tuned():
    with pytest.raises(RuntimeError, match="not fitted yet"):
        PerformancePredictor("network").fine_tune(made())
    with pytest.raises(ValueError, match="model: got 'trees', accepted is one of"):
        PerformancePredictor().fit(made()).fine_tune(made())
    fitted = network(old())
    with pytest.raises(ValueError, match=r"got 1 task\(s\) of one family, accepted are two"):
        fitted.fine_tune(made().subset(["t0"]))
    with pytest.raises(ValueError, match=r"meta_features: .* is unknown; accepted are the 3"):
        fitted.fine_tune(some("svc"))
    with pytest.raises(TypeError, match="meta_features: got NoneType"):
        fitted.fine_tune(MetaDataset(made().space, made().configs, made().trials, made().tasks))


@pytest.mark.parametrize("loss", [squared_loss, listwise_loss])
def test_a_network_that_cannot_be_improved_is_kept(loss):
    """Whatever the few tasks say, the loss on the unseen ones does not rise."""
    tasks, configs, targets, left_out = problem()
    rng = np.random.default_rng(0)
    start = Ensemble.fit(tasks, configs, targets, left_out, loss, rng)
    noise = np.where(left_out[:1].T, targets, rng.normal(size=targets.shape))

    def unseen(model):
        f = model.predict(tasks, configs).astype("float32")
        return np.sum(np.asarray(loss(noise[None], f)) * left_out, axis=1)

    again = Ensemble.fit(tasks, configs, noise, left_out, loss, rng, start=start)
    assert (unseen(again) <= unseen(start) * (1 + 1e-5)).all()
    for a, b in zip(start.weights, again.weights, strict=True):
        assert np.array_equal(a[0], b[0])  # what it knew was true, and it learned from noise


def test_experience_from_before_a_choice_was_there():
    small = old()
    assert small.space.names == ["kernel", "gamma", "degree"]
    assert len(small.configs) == sum(c["kernel"] != "linear" for c in made().configs)
    for i, config in enumerate(small.configs):
        same = made().configs.index(config)
        pd.testing.assert_series_equal(small.scores[i], made().scores[same], check_names=False)
    rbf = made().with_choices("kernel", ["rbf"])
    assert rbf.space.names == ["kernel", "gamma"]
    assert {c["kernel"] for c in rbf.configs} == {"rbf"}
    for name, choices, error, match in (
        ("gamma", [0.1], ValueError, r"choices: got \[0.1\] of 'gamma', accepted are some of \[\]"),
        ("kernel", ["cosine"], ValueError, r"got \['cosine'\] of 'kernel', .*'rbf', 'poly'"),
        ("kernel", [], ValueError, r"choices: got \[\]"),
        ("C", [1], KeyError, "C"),
    ):
        with pytest.raises(error, match=match):
            made().with_choices(name, choices)
