"""Model-based meta-learning, first way: predict the best configuration itself.

A meta-model reads meta-features, and perhaps the architecture, and writes a configuration. It is
trained on experience of other tasks: min over theta of sum_i L(f_theta(x_i), y_i).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.tree import DecisionTreeRegressor

from metahpo_lite.arguments import as_list, check_one_of, check_seed
from metahpo_lite.hyperparameters import Categorical, levels_of
from metahpo_lite.inputs import TaskInputs, check_fitted, left_out_folds
from metahpo_lite.metadata import MetaDataset, check_experience
from metahpo_lite.networks import Ensemble, like
from metahpo_lite.spaces import Config, SearchSpace

MAX_VALUES = 10  # that a given hyperparameter may have
DEALS = 8  # of the families to folds, where a network is cheap: what one draw does is averaged out


@lru_cache  # the same function for the same sizes: what is compiled for it is used again
def configuration_loss(sizes: tuple[int, ...]) -> Callable:
    """Make the loss of a predicted configuration, summed over its hyperparameters.

    Parameters
    ----------
    sizes : tuple of int
        How many places each hyperparameter has in the last axis: 1 for a number, in [0, 1], or
        one for each choice of a categorical one.

    Returns
    -------
    function of (targets, predictions)
        Takes arrays or tensors of shape (..., n), returns a tensor of shape (...). Numbers:
        squared error of the sigmoid, in units of 1 / 12, the variance of a uniform number.
        Choices: cross-entropy of the softmax. Where a target is NaN, there is no loss.
    """
    from keras import ops

    def loss(y, f):
        known, y = ops.isfinite(y), like(ops.nan_to_num(y), f)
        total, start = 0, 0
        for size in sizes:
            block = slice(start, start + size)
            if size == 1:
                some = 12 * (ops.sigmoid(f[..., block]) - y[..., block]) ** 2
            else:
                some = -y[..., block] * ops.log_softmax(f[..., block], axis=-1)
            total = total + ops.sum(ops.where(known[..., block], some, 0.0), axis=-1)
            start += size
        return total

    return loss


@dataclass(eq=False)
class ConfigPredictor:
    """Reads meta-features, and predicts the best configuration itself.

    It is trained on the best configuration of each task. What it predicts is valid: choices by
    the largest probability, numbers within their bounds, conditions respected.

    Parameters
    ----------
    model : {"network", "tree", "forest"}
        An ensemble of Keras networks with 64 and 32 units (ReLU), a decision tree, or a random
        forest.
    given : sequence of str
        Hyperparameters that are not predicted but read, such as those of the architecture: the
        best configuration is then that among those with the same values. Of ten values at most.
    seed : int

    Raises
    ------
    ValueError
        If `model` or `seed` is not accepted.
    """

    model: str = "network"
    given: Sequence[str] = ()
    seed: int = 0

    def __post_init__(self):
        check_one_of("model", self.model, ("network", "tree", "forest"))
        check_seed(self.seed)

    def fit(self, experience: MetaDataset | Sequence[MetaDataset]) -> ConfigPredictor:
        """Train on experience, of one learner or of several; return self.

        With several the learner's name is an input, and the outputs are those of all spaces.

        Raises
        ------
        ValueError
            If there are fewer than two families; two learners have one name, or their tasks other
            meta-features; or a hyperparameter of `given` is no `Categorical`, nor an `Int` of few
            values.
        KeyError
            If a hyperparameter of `given` is not in each space.
        """
        several: list[MetaDataset] = (
            [experience]
            if isinstance(experience, MetaDataset)
            else as_list("experience", experience, "a MetaDataset")
        )
        for each in several:
            check_experience(each)
        names = [e.name for e in several]
        if len(set(names)) < len(names) or not names:
            raise ValueError(f"experience: got {names}, accepted are learners of other names")
        self.spaces_ = {e.name: e.space for e in several}
        tables = [e.meta_features for e in several]
        if len({None if t is None else frozenset(t.columns) for t in tables}) > 1:
            raise ValueError("experience: learners have other meta-features, accepted are the same")
        self.inputs_ = TaskInputs(None if tables[0] is None else pd.concat(tables))
        self.levels_ = {name: _levels(self.spaces_, name) for name in self.given}
        self.blocks_ = output_blocks(self.spaces_, self.given)

        asks, answers, families = [], [], []
        for e in several:
            described = self.inputs_.of_training(e)
            for given, numbers in self._groups(e):
                scores = e.scores.to_numpy()[:, numbers]
                best = numbers[np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)]
                ok = ~np.isnan(scores).all(axis=1)
                asked = np.tile(self._asked(e.name, given), (ok.sum(), 1))
                asks.append(np.hstack([described[ok], asked]))
                answers.append(self._targets(e, best[ok]))
                families.extend(e.families.to_numpy()[ok])
        x, y = np.vstack(asks), np.vstack(answers)  # (n_rows, p), (n_rows, outputs)

        rng = np.random.default_rng(self.seed)
        left_out = np.vstack([left_out_folds(families, rng) for _ in range(DEALS)])
        if self.model == "network":
            loss = configuration_loss(tuple(b.stop - b.start for b in self.blocks_.values()))
            self.model_ = Ensemble.fit(x, None, y, left_out, loss, rng, y.shape[1])
            return self
        if self.model == "tree":
            trees = DecisionTreeRegressor(min_samples_leaf=10, random_state=self.seed)
        else:
            trees = RandomForestRegressor(200, min_samples_leaf=3, random_state=self.seed)
        fill = SimpleImputer(keep_empty_features=True)  # trees know no missing targets
        self.model_ = trees.fit(x, fill.fit_transform(y))
        return self

    def predict(
        self,
        meta_features: pd.Series | pd.DataFrame | None,
        learner: str | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> Config | list[Config]:
        """Predict the best configuration of a task, or a list of them, one for each of several.

        Parameters
        ----------
        meta_features : Series, or DataFrame with one row a task
            Those that the experience has, in any order; some may be missing. None if the
            experience has none.
        learner : str, optional
            Its name; needed if there are several.
        given : dict, optional
            The values of the hyperparameters that are read: all of them.

        Raises
        ------
        RuntimeError
            Before `fit`.
        TypeError, ValueError
            If an argument is not of those that the predictor was trained for.
        """
        check_fitted(self, "inputs_")
        learner = next(iter(self.spaces_)) if len(self.spaces_) == 1 and not learner else learner
        check_one_of("learner", learner, tuple(self.spaces_))
        assert learner is not None  # it is one of them
        given = dict(given or {})
        if set(given) != set(self.given):
            raise ValueError(f"given: got {list(given)}, accepted are values of {list(self.given)}")
        for name, value in given.items():
            check_one_of(f"given[{name!r}]", value, tuple(self.levels_[name]))
        tasks = self.inputs_(meta_features)  # (n_tasks, p)
        x = np.hstack([tasks, np.tile(self._asked(learner, given), (len(tasks), 1))])
        f = self.model_.predict(x)
        if self.model == "network":
            f = self._activated(f).mean(axis=0)  # over members
        space = self.spaces_[learner]
        columns: list[np.ndarray] = []
        for h in space:
            if h.name in given:
                columns.append(np.full(len(x), h.encode(given[h.name])))
            elif isinstance(h, Categorical):
                chosen = f[:, self.blocks_[learner, h.name]].argmax(axis=1)
                columns.append(np.array([h.encode(h.choices[choice]) for choice in chosen]))
            else:
                columns.append(np.clip(f[:, self.blocks_[learner, h.name].start], 0, 1))
        configs, _ = space.snap(np.transpose(columns))
        return configs if isinstance(meta_features, pd.DataFrame) else configs[0]

    def _groups(self, experience: MetaDataset) -> Iterator[tuple[dict, np.ndarray]]:
        """Yield the values that are given, and the numbers of the configurations with them."""
        for values in itertools.product(*self.levels_.values()):
            given = dict(zip(self.levels_, values, strict=True))
            numbers = [i for i, c in enumerate(experience.configs) if given.items() <= c.items()]
            if numbers:
                yield given, np.array(numbers)

    def _asked(self, learner: str, given: Mapping[str, Any]) -> np.ndarray:
        """Return the learner and what is given, as a 0 or 1 for each that there is."""
        names = [name == learner for name in self.spaces_]
        return np.array(names + [given[name] == value
                                 for name, levels in self.levels_.items() for value in levels],
                        dtype=float)  # fmt: skip

    def _targets(self, experience: MetaDataset, best: np.ndarray) -> np.ndarray:
        """Return configurations as outputs, NaN where inactive or of another learner."""
        y = np.full((len(best), max(block.stop for block in self.blocks_.values())), np.nan)
        for row, number in zip(y, best, strict=True):
            config = experience.configs[number]
            for h in experience.space:
                block = self.blocks_.get((experience.name, h.name))
                if block is not None and h.name in config:
                    value = config[h.name]
                    row[block] = (
                        [value == choice for choice in h.choices]
                        if isinstance(h, Categorical) else h.encode(value)
                    )  # fmt: skip
        return y

    def _activated(self, f: np.ndarray) -> np.ndarray:
        out = np.empty_like(f)
        for block in self.blocks_.values():
            one = block.stop - block.start == 1
            out[..., block] = expit(f[..., block]) if one else softmax(f[..., block], axis=-1)
        return out


def output_blocks(spaces: Mapping[str, SearchSpace], given: Sequence[str]) -> dict:
    """Say where each (learner, hyperparameter) that is predicted stands in the output."""
    blocks, start = {}, 0
    for learner, space in spaces.items():
        for h in space:
            if h.name not in given and h.n_values > 1:
                size = len(h.choices) if isinstance(h, Categorical) else 1
                blocks[learner, h.name] = slice(start, start + size)
                start += size
    if not blocks:
        raise ValueError("given: nothing is left to predict; accepted are a part of the names")
    return blocks


def _levels(spaces: Mapping[str, SearchSpace], name: str) -> list:
    """Return the values of a hyperparameter that is given."""
    levels: dict[Any, None] = {}
    for space in spaces.values():
        h = space[name]
        if h.n_values > MAX_VALUES:
            raise ValueError(
                f"given: {name!r} has {h.n_values} values, accepted are hyperparameters of at most "
                f"{MAX_VALUES}"
            )
        levels |= dict.fromkeys(levels_of(h, int(h.n_values)))
    return list(levels)
