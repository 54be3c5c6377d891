"""Networks: an ensemble of small ones, trained at once on tasks, and the losses it may be given.

Keras trains it, one compiled function for each epoch; numpy predicts, since a network is a few
matrix products, and nothing but its weights has to be kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from threading import Lock

import numpy as np

UNITS = (64, 32)  # of the two hidden layers, as in the classical example
# Tried on our own experience, families left out: a hundredth of the decay changed little
EPOCHS, LEARNING_RATE, WEIGHT_DECAY, BATCH_ROWS = 40, 0.003, 0.1, 1000


# ---------------------------------------------------------------------- losses


def squared_loss(y, f):
    """Mean squared error over the last axis.

    Parameters
    ----------
    y, f : arrays or tensors of shape (..., n)
        The targets, and what was predicted.

    Returns
    -------
    tensor of shape (...)
    """
    from keras import ops

    return ops.mean((f - like(y, f)) ** 2, axis=-1)


def listwise_loss(y, f):
    """Cross-entropy between "which is the best?" by the targets and by the predictions.

    Both are turned into probabilities by softmax (ListNet; Cao et al., 2007). To add a constant
    to all predictions of a task changes nothing: how hard a task is need not be known.

    Parameters
    ----------
    y, f : arrays or tensors of shape (..., n_configs)
        The targets, such as normal ranks, and what was predicted.

    Returns
    -------
    tensor of shape (...)
    """
    from keras import ops

    return -ops.sum(ops.softmax(like(y, f), axis=-1) * ops.log_softmax(f, axis=-1), axis=-1)


def like(y, f):
    """Return `y` with the number type of `f`: scores have 64 bits, predictions 32."""
    from keras import ops

    return ops.cast(y, ops.convert_to_tensor(f).dtype)


# ---------------------------------------------------------------------- an ensemble


def beside(tasks: np.ndarray, configs: np.ndarray) -> np.ndarray:
    """Put each configuration beside each task: (n_tasks, p), (n, q) to (n_tasks * n, p + q)."""
    return np.hstack([np.repeat(tasks, len(configs), axis=0), np.tile(configs, (len(tasks), 1))])


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks of one shape; each was trained without some of the tasks.

    Parameters
    ----------
    weights : list of arrays
        Of each layer the weights, shape (members, inputs, outputs), and the biases, shape
        (members, 1, outputs).
    """

    weights: list[np.ndarray]

    @classmethod
    def fit(
        cls,
        tasks: np.ndarray,
        configs: np.ndarray | None,
        targets: np.ndarray,
        left_out: np.ndarray,
        loss: Callable,
        rng: np.random.Generator,
        outputs: int = 1,
        start: Ensemble | None = None,
    ) -> Ensemble:
        """Minimise the mean loss over tasks: min over theta of sum_i L(f_theta(x_i), y_i).

        A member's weights are those of the epoch after which it had the lowest loss on the tasks
        that it never saw (early stopping; Prechelt, 1998). With `start`, these may be the first.

        Parameters
        ----------
        tasks : array of shape (n_tasks, p)
            What is known of each task.
        configs : array of shape (n_configs, q), or None
            The configurations: each is put beside each task. None: a task is one row.
        targets : array of shape (n_tasks, m)
            Of one task: what the loss compares with `n_configs`, or with `outputs`, numbers.
        left_out : bool array of shape (members, n_tasks)
            Which tasks a member does not see.
        loss : function of (targets, predictions)
            Gets targets of shape (tasks, m) and predictions of shape (members, tasks, n_configs
            or outputs), and returns a tensor of shape (members, tasks).
        rng : numpy.random.Generator
            Draws the first weights and the order of the tasks.
        outputs : int
        start : Ensemble, optional
            Of the same shape but for its number of members: its weights in place of drawn ones.
        """
        import tensorflow as tf

        members, n_tasks = left_out.shape
        configs = np.zeros((1, 0)) if configs is None else configs
        p, q = tasks.shape[1], configs.shape[1]
        sizes = (p + q, *UNITS, outputs)
        # columns of zeros: fewer widths, so that fewer functions are compiled
        tasks, configs = (np.pad(a, [(0, 0), (0, -a.shape[1] % 64)]) for a in (tasks, configs))
        real = [*range(p), *range(tasks.shape[1], tasks.shape[1] + q)]  # inputs
        wide = (tasks.shape[1] + configs.shape[1], *UNITS, outputs)
        batch = max(1, min(n_tasks // 4, BATCH_ROWS // len(configs)))
        steps = n_tasks // batch
        # from the full rate to nothing along half a cosine (Loshchilov & Hutter, 2017)
        rates = LEARNING_RATE * (1 + np.cos(np.linspace(0, math.pi, EPOCHS * steps + 1))) / 2
        data = [tf.constant(a, tf.float32) for a in (tasks, configs, targets, ~left_out)]
        with _ONE_AT_A_TIME:
            weights, optimizer, epoch = _compiled(tasks.shape[1], wide, members, loss)
            for variable in [*weights, *optimizer.variables]:  # what another fit left behind
                variable.assign(tf.zeros_like(variable))
            if start is None:
                first = _drawn(sizes, members, rng)
            else:
                first = [w[np.arange(members) % len(w)] for w in start.weights]
            wider = np.zeros(weights[0].shape)
            wider[:, real] = first[0]
            for variable, value in zip(weights, [wider, *first[1:]], strict=True):
                variable.assign(value)
            lowest, kept = np.full(members, np.inf), [w.numpy() for w in weights]
            if start is not None:  # no step, only the loss on tasks not seen
                nothing = tf.zeros([0, batch], tf.int32), tf.zeros([0])
                lowest = epoch(*data, *nothing).numpy()
            for now in range(EPOCHS):
                order = tf.constant(rng.permutation(n_tasks)[: steps * batch], tf.int32)
                some = tf.constant(rates[now * steps : (now + 1) * steps], tf.float32)
                unseen = epoch(*data, tf.reshape(order, [steps, batch]), some).numpy()
                better = unseen < lowest
                for keep, w in zip(kept, weights, strict=True):
                    keep[better] = w.numpy()[better]
                lowest = np.minimum(lowest, unseen)
        return cls([kept[0][:, real], *kept[1:]])

    def predict(self, tasks: np.ndarray, configs: np.ndarray | None = None) -> np.ndarray:
        """Predict with each member.

        Parameters
        ----------
        tasks, configs
            As for `fit`.

        Returns
        -------
        numpy.ndarray of shape (members, n_tasks, n_configs), or (members, n_tasks, outputs)
        """
        configs = np.zeros((1, 0)) if configs is None else configs
        tasks, configs = tasks.astype(np.float32), configs.astype(np.float32)
        p, (W, b, *rest) = tasks.shape[1], self.weights
        h = (tasks @ W[:, :p])[:, :, None] + (configs @ W[:, p:] + b)[:, None]
        h = h.reshape(len(h), -1, W.shape[2])
        for W, b in zip(rest[::2], rest[1::2], strict=True):
            h = np.maximum(h, 0, out=h) @ W + b
        return h.reshape(len(h), len(tasks), -1)


def _drawn(sizes: tuple[int, ...], members: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw the first weights of each layer (Glorot & Bengio, 2010); the biases are 0."""
    weights = []
    for i, o in pairwise(sizes):
        limit = np.sqrt(6 / (i + o))
        weights += [rng.uniform(-limit, limit, (members, i, o)), np.zeros((members, 1, o))]
    return weights


_ONE_AT_A_TIME = Lock()  # fits of one shape share their weights


@lru_cache(maxsize=16)  # TensorFlow never gives back what a compiled function takes, 8 MB each
def _compiled(p: int, sizes: tuple[int, ...], members: int, loss: Callable) -> tuple:
    """Return the weights of several networks, an optimizer, and an epoch as a compiled function."""
    import keras
    import tensorflow as tf

    shapes = [shape for i, o in pairwise(sizes) for shape in ((members, i, o), (members, 1, o))]
    weights = [tf.Variable(tf.zeros(shape)) for shape in shapes]
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    optimizer.build(weights)

    def losses(tasks, configs, targets):
        W, b, *rest = weights
        # the first layer sees each task and each configuration once, not each pair of the two
        h = (tasks @ W[:, :p])[:, :, None] + (configs @ W[:, p:] + b)[:, None]
        h = tf.reshape(h, [members, -1, sizes[1]])
        for W, b in zip(rest[::2], rest[1::2], strict=True):
            h = tf.nn.relu(h) @ W + b
        return loss(targets, tf.reshape(h, [members, tf.shape(tasks)[0], -1]))

    table = tf.TensorSpec([None, None])

    @tf.function(input_signature=[table] * 4 + [tf.TensorSpec([None, None], tf.int32),
                                                tf.TensorSpec([None])])  # fmt: skip
    def epoch(tasks, configs, targets, seen, batches, rates):
        for step in tf.range(tf.shape(rates)[0]):
            some = batches[step]
            x, y = tf.gather(tasks, some), tf.gather(targets, some)
            optimizer.learning_rate.assign(rates[step])
            with tf.GradientTape() as tape:
                each = losses(x, configs, y) * tf.gather(seen, some, axis=1)
                total = tf.reduce_sum(each) / tf.cast(tf.size(some), tf.float32)
            optimizer.apply_gradients(zip(tape.gradient(total, weights), weights, strict=True))
        return tf.reduce_sum(losses(tasks, configs, targets) * (1 - seen), axis=1)

    return weights, optimizer, epoch


# ---------------------------------------------------------------------- Keras, side by side


def side_by_side(
    n: int, sizes: Sequence[int], activation: str, learning_rate: float, seed: int = 0
):
    """Compile `n` Keras classifiers of one shape that train at once, each with its own weights.

    One after another, small networks keep Python busier than the processor.

    Parameters
    ----------
    n : int
        How many.
    sizes : sequence of int
        Inputs, units of each hidden layer, classes.
    activation : str
        Of the hidden layers, as Keras calls it.
    learning_rate : float
        Of the optimizer, Adam (Kingma & Ba, 2015).
    seed : int
        Fixes the first weights, which differ between the networks (Glorot & Bengio, 2010), and the
        order of the rows in `fit`.

    Returns
    -------
    keras.Sequential
        From an array of shape (rows, n, inputs) to probabilities of shape (rows, n, classes);
        `fit` takes classes of shape (rows, n), counted from 0. Network i sees ``X[:, i]`` alone.
    """
    import keras

    keras.utils.set_random_seed(seed)
    net = keras.Sequential([keras.Input((n, sizes[0]))])
    for layer, (i, o) in enumerate(pairwise(sizes), 2):
        limit = math.sqrt(6 / (i + o))
        net.add(
            keras.layers.EinsumDense(
                "rni,nio->rno",  # rows, networks, inputs and outputs of the layer
                (n, o),
                "softmax" if layer == len(sizes) else activation,
                bias_axes="no",
                kernel_initializer=keras.initializers.RandomUniform(-limit, limit),
            )
        )
    # a sum over networks: none slows the others down
    loss = keras.losses.SparseCategoricalCrossentropy(reduction="sum")
    net.compile(keras.optimizers.Adam(learning_rate), loss)
    return net
