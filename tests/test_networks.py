"""What a user relies on in the networks: losses right by hand, and an ensemble that learns."""

import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from metahpo_lite.config_predictor import configuration_loss
from metahpo_lite.networks import Ensemble, listwise_loss, side_by_side, squared_loss

tf = pytest.importorskip("tensorflow")

BLOCKS = (1, 3)  # a number, and a choice of three
LOSSES = {
    "squared": (squared_loss, 6),
    "listwise": (listwise_loss, 6),
    "configuration": (configuration_loss(BLOCKS), 4),
}


def test_squared_loss_by_hand():
    assert float(squared_loss(np.array([1.0, 2.0]), np.array([2.0, 4.0]))) == 2.5


def test_listwise_loss_by_hand():
    """Targets say 1/4 and 3/4, predictions 1/2 and 1/2: log 2. Predictions as targets: entropy."""
    y = np.array([0.0, math.log(3)])
    assert float(listwise_loss(y, np.zeros(2))) == pytest.approx(math.log(2))
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert float(listwise_loss(y, y)) == pytest.approx(entropy)
    assert float(listwise_loss(y, y + 7)) == pytest.approx(entropy)  # the level is free


def test_configuration_loss_by_hand():
    """A number: 12 (1/2 - 1/4)^2. A choice: minus the log of its probability, 1/2."""
    loss = configuration_loss(BLOCKS)
    y = np.array([0.25, 0.0, 1.0, 0.0])
    f = np.array([0.0, 0.0, math.log(2), 0.0])
    assert float(loss(y, f)) == pytest.approx(12 / 16 + math.log(2))
    y[1:] = np.nan  # inactive
    assert float(loss(y, f)) == pytest.approx(12 / 16)
    assert float(loss(np.full(4, np.nan), f)) == 0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("seed", range(5))
def test_gradients_equal_finite_differences(name, seed):
    loss, n = LOSSES[name]
    rng = np.random.default_rng(seed)
    y, f = rng.random((3, n)), rng.normal(size=(2, 3, n))  # tasks; members
    if name == "configuration":
        y[0, 0], y[1, 1:] = np.nan, np.nan
    f = tf.Variable(f)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss(tf.constant(y), f))
    gradient = tape.gradient(total, f).numpy()
    step = 1e-6
    for where in np.ndindex(*f.shape):
        change = np.zeros(f.shape)
        change[where] = step
        up, down = (float(tf.reduce_sum(loss(y, f.numpy() + s * change))) for s in (1, -1))
        assert gradient[where] == pytest.approx((up - down) / (2 * step), abs=1e-5)


def test_listwise_loss_is_the_cross_entropy_of_two_softmaxes():
    y, f = np.random.default_rng(0).normal(size=(2, 4, 9))
    wanted = -(softmax(y, axis=1) * log_softmax(f, axis=1)).sum(axis=1)
    assert np.allclose(listwise_loss(y, f), wanted)


def problem(n_tasks=40, n_configs=20, seed=0):
    """Which configuration is best depends on the task, in a way that can be learned."""
    rng = np.random.default_rng(seed)
    tasks, configs = rng.uniform(-1, 1, (n_tasks, 2)), rng.uniform(-1, 1, (n_configs, 1))
    targets = -((configs[:, 0] - tasks[:, :1]) ** 2)
    targets = (targets - targets.mean()) / targets.std()
    return tasks, configs, targets, np.eye(3, dtype=bool)[:, np.arange(n_tasks) % 3]


@pytest.mark.parametrize("loss", [squared_loss, listwise_loss])
def test_an_ensemble_learns_what_holds_for_tasks_it_never_saw(loss):
    tasks, configs, targets, left_out = problem()
    fitted = Ensemble.fit(tasks, configs, targets, left_out, loss, np.random.default_rng(0))
    predicted = fitted.predict(tasks, configs)
    assert predicted.shape == (3, 40, 20)
    unseen = predicted.swapaxes(0, 1)[left_out.T]
    correlation = [np.corrcoef(a, b)[0, 1] for a, b in zip(unseen, targets, strict=True)]
    assert np.mean(correlation) > 0.8


def test_a_member_never_sees_its_fold():
    """Another fold's targets change; the member that does without that fold does not."""
    tasks, configs, targets, left_out = problem(12, 5)
    other = targets.copy()
    other[left_out[0]] = 5.0  # constant: the same epoch may be kept
    fits = [
        Ensemble.fit(tasks, configs, y, left_out, squared_loss, np.random.default_rng(0))
        for y in (targets, other)
    ]
    a, b = (fit.predict(tasks, configs) for fit in fits)
    assert not np.allclose(a[1], b[1], atol=1e-3)
    # which epoch member 0 keeps is chosen on fold 0; whatever it is, its weights come from others
    assert np.abs(b[0]).mean() < np.abs(b[1:]).mean()


def test_the_numpy_prediction_is_that_of_keras():
    keras = pytest.importorskip("keras")
    tasks, configs, targets, left_out = problem(12, 5)
    fitted = Ensemble.fit(tasks, configs, targets, left_out, squared_loss, np.random.default_rng(0))
    rows = np.hstack([np.repeat(tasks, 5, axis=0), np.tile(configs, (12, 1))])
    for member in range(3):
        network = keras.Sequential(
            [keras.Input((3,))]
            + [keras.layers.Dense(n, activation=a)
               for n, a in ((64, "relu"), (32, "relu"), (1, None))]
        )  # fmt: skip
        weights = [w[member] for w in fitted.weights]
        network.set_weights([w if i % 2 == 0 else w[0] for i, w in enumerate(weights)])
        theirs = np.asarray(network(rows.astype("float32"))).reshape(12, 5)
        assert np.allclose(fitted.predict(tasks, configs)[member], theirs, atol=1e-5)


def test_without_configurations_a_task_is_one_row():
    tasks, _, _, left_out = problem()
    fitted = Ensemble.fit(tasks, None, tasks[:, ::-1], left_out, squared_loss,
                          np.random.default_rng(0), outputs=2)  # fmt: skip
    predicted = fitted.predict(tasks)
    assert predicted.shape == (3, 40, 2)
    assert np.mean((predicted.mean(axis=0) - tasks[:, ::-1]) ** 2) < 0.5 * np.var(tasks)


def test_networks_side_by_side_do_not_see_each_other():
    """Each learns its own rows: what the second is taught changes nothing in the first."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2, 3)).astype("float32")
    y = (X[:, :, 0] > 0).astype(int)  # of each network, from its own inputs
    nets = [side_by_side(2, [3, 8, 2], "tanh", 0.05) for _ in range(2)]
    one, other = nets[0].get_weights(), nets[1].get_weights()
    assert all((a == b).all() for a, b in zip(one, other, strict=True))  # the seed fixes them
    assert (one[0][0] != one[0][1]).all()
    nets[0].fit(X, y, batch_size=50, epochs=5, shuffle=False, verbose=0)
    wrong = np.stack([y[:, 0], 1 - y[:, 1]], axis=1)
    nets[1].fit(X, wrong, batch_size=50, epochs=5, shuffle=False, verbose=0)
    right, mixed = (net(X).numpy() for net in nets)
    np.testing.assert_allclose(right[:, 0], mixed[:, 0], atol=1e-5)
    assert (right.argmax(axis=2) == y).mean() > 0.9
    assert (mixed[:, 1].argmax(axis=1) == y[:, 1]).mean() < 0.1
    np.testing.assert_allclose(right.sum(axis=2), 1, atol=1e-5)
