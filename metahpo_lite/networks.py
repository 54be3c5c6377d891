"""Networks: an ensemble of small ones, trained at once on tasks, and the losses it may be given.

Keras trains it, one compiled function for each epoch; numpy predicts, since a network is a few
matrix products, and nothing but its weights has to be kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

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

    return ops.mean((f - y) ** 2, axis=-1)


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

    return -ops.sum(ops.softmax(y, axis=-1) * ops.log_softmax(f, axis=-1), axis=-1)


# ---------------------------------------------------------------------- an ensemble


def beside(tasks: np.ndarray, configs: np.ndarray) -> np.ndarray:
    """Put each configuration beside each task: (n_tasks, p), (n, q) to (n_tasks * n, p + q)."""
    return np.hstack([np.repeat(tasks, len(configs), axis=0), np.tile(configs, (len(tasks), 1))])


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks of one shape; each was trained without one fold of the tasks.

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
        folds: np.ndarray,
        loss: Callable,
        rng: np.random.Generator,
        outputs: int = 1,
    ) -> Ensemble:
        """Minimise the mean loss over tasks: min over theta of sum_i L(f_theta(x_i), y_i).

        A member's weights are those of the epoch after which it had the lowest loss on the fold
        that it never saw (early stopping; Prechelt, 1998).

        Parameters
        ----------
        tasks : array of shape (n_tasks, p)
            What is known of each task.
        configs : array of shape (n_configs, q), or None
            The configurations: each is put beside each task. None: a task is one row.
        targets : array of shape (n_tasks, ...)
            Of one task: what the loss compares with `n_configs`, or with `outputs`, numbers.
        folds : int array of shape (n_tasks,)
            Member j does not see the tasks of fold j.
        loss : function of (targets, predictions)
            Gets predictions of shape (members, tasks, n_configs or outputs), and returns a tensor
            of shape (members, tasks).
        rng : numpy.random.Generator
            Draws the first weights and the order of the tasks.
        outputs : int
        """
        import keras
        import tensorflow as tf

        members = int(folds.max()) + 1
        configs = np.zeros((1, 0)) if configs is None else configs
        n_rows, n_inputs = len(configs), tasks.shape[1] + configs.shape[1]
        sizes = [n_inputs, *UNITS, outputs]
        network = keras.Sequential([keras.Input((n_inputs,))] + [
            keras.layers.EinsumDense(  # b rows, e members, i inputs, o outputs
                f"b{'' if layer == 0 else 'e'}i,eio->beo",
                output_shape=(members, size), bias_axes="eo",
                activation="relu" if layer < len(UNITS) else None)
            for layer, size in enumerate(sizes[1:])])  # fmt: skip
        first = []  # Glorot & Bengio (2010)
        for i, o in pairwise(sizes):
            limit = np.sqrt(6 / (i + o))
            first += [rng.uniform(-limit, limit, (members, i, o)), np.zeros((members, o))]
        network.set_weights(first)

        batch = max(1, min(len(tasks) // 4, BATCH_ROWS // n_rows))
        steps = len(tasks) // batch
        rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, EPOCHS * steps)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
        optimizer.build(network.trainable_variables)
        tasks, configs, targets = (tf.constant(a, tf.float32) for a in (tasks, configs, targets))
        seen = tf.constant(np.arange(members)[:, None] != folds, tf.float32)  # (e, tasks)

        def losses(some):
            rows = tf.repeat(tf.gather(tasks, some), n_rows, axis=0)
            rows = tf.concat([rows, tf.tile(configs, [len(some), 1])], axis=1)
            f = tf.transpose(network(rows), [1, 0, 2])  # (e, rows, outputs)
            return loss(tf.gather(targets, some), tf.reshape(f, [members, len(some), -1]))

        @tf.function
        def epoch(order):
            for step in tf.range(steps):
                some = tf.ensure_shape(order[step * batch : (step + 1) * batch], [batch])
                with tf.GradientTape() as tape:
                    total = tf.reduce_sum(losses(some) * tf.gather(seen, some, axis=1)) / batch
                optimizer.apply_gradients(zip(
                    tape.gradient(total, network.trainable_variables),
                    network.trainable_variables, strict=True))  # fmt: skip
            return tf.reduce_sum(losses(tf.range(len(folds))) * (1 - seen), axis=1)

        lowest, kept = np.full(members, np.inf), network.get_weights()
        for _ in range(EPOCHS):
            left_out = epoch(tf.constant(rng.permutation(len(folds)), tf.int32)).numpy()
            better = left_out < lowest
            for keep, now in zip(kept, network.get_weights(), strict=True):
                keep[better] = now[better]
            lowest = np.minimum(lowest, left_out)
        return cls([w if w.ndim == 3 else w[:, None] for w in kept])

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
        h = beside(tasks, configs).astype(np.float32)
        for W, b in zip(self.weights[::2], self.weights[1::2], strict=True):
            h = h @ W + b  # (members, rows, outputs)
            if W is not self.weights[-2]:
                h = np.maximum(h, 0)
        return h.reshape(len(h), len(tasks), -1)
