"""Model-based meta-learning: a meta-model reads what is known of a task, and predicts.

Either the best configuration itself (`ConfigPredictor`), or how well configurations do
(`PerformancePredictor`), so that candidates can be ranked (`MetaModelSearch`). All are trained on
experience of other tasks: min over theta of sum_i L(f_theta(x_i), y_i).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from scipy.stats import norm, rankdata
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer
from sklearn.tree import DecisionTreeRegressor

from metahpo_lite.bayes import (
    Candidates,
    GaussianProcess,
    log_expected_improvement,
    standardise,
)
from metahpo_lite.datasets import did_you_mean
from metahpo_lite.hyperparameters import Categorical, levels_of
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.networks import Ensemble, beside, like, listwise_loss, squared_loss
from metahpo_lite.spaces import Config, SearchSpace, check_one_of, check_same_space, check_seed
from metahpo_lite.storage import write_file

FOLDS = 3  # of the families: each model of an ensemble does without one
MAX_VALUES = 10  # that a given hyperparameter may have
DEALS = 8  # of the families to folds, where a network is cheap: what one draw does is averaged out
MAX_CONFIGS = 100  # of each task are trained on: more cost time, and did no better
OFFSET = 3.0  # sd of a task's unknown level, in the unit of the normal ranks: left free


# ---------------------------------------------------------------------- what a meta-model reads


class TaskInputs:
    """What a meta-model reads of a task: its meta-features, each as a number from -1 to 1.

    A meta-feature becomes its quantile among the training tasks, so that long tails do no harm;
    where it is missing, the middle, with a mark beside it. What never varies is left out.

    Parameters
    ----------
    table : DataFrame or None
        The meta-features of the training tasks, one row each; None if they are not described.
    marks : bool
        Whether to mark what is missing.
    """

    def __init__(self, table: pd.DataFrame | None, marks: bool = True):
        self.columns = [] if table is None else list(table.columns)
        self.used = [] if table is None else list(table.columns[table.max() > table.min()])
        self.pipeline = make_pipeline(
            QuantileTransformer(n_quantiles=1 if table is None else min(1000, len(table))),
            SimpleImputer(strategy="constant", fill_value=0.5, add_indicator=marks),
            VarianceThreshold(),
        )
        if self.used:
            self.pipeline.fit(table[self.used].to_numpy(float))

    def __call__(self, meta_features: pd.Series | pd.DataFrame | None) -> np.ndarray:
        """Return the numbers of one task, or of several, shape (n_tasks, p).

        Raises
        ------
        TypeError
            If `meta_features` is neither a Series nor a DataFrame, but the training tasks were
            described.
        ValueError
            If a meta-feature lacks, is unknown, or is not a number; or all are missing.
        """
        if not self.columns:
            return np.zeros(
                (len(meta_features) if isinstance(meta_features, pd.DataFrame) else 1, 0)
            )
        table = meta_features
        if isinstance(table, pd.Series):
            table = table.to_frame().T
        if not isinstance(table, pd.DataFrame):
            raise TypeError(
                f"meta_features: got {type(table).__name__}, accepted is a Series, as the function "
                "meta_features returns it, or a DataFrame with one row a task"
            )
        for name in table.columns.symmetric_difference(self.columns):
            what = "is unknown" if name in table else "is missing"
            close = did_you_mean(name, self.columns if name in table else table.columns)
            raise ValueError(
                f"meta_features: {name!r} {what}{close}; accepted are the {len(self.columns)} that "
                "the experience has, in any order"
            )
        numbers = table = table[self.columns]
        if not all(kind == np.float64 for kind in table.dtypes):
            numbers = table.apply(pd.to_numeric, errors="coerce").astype(float)
        bad = np.isinf(numbers) | (numbers.isna() & table.notna())
        for name in numbers.columns[bad.any()]:
            value = table.loc[bad[name], name].tolist()[0]
            raise ValueError(
                f"meta_features: {name!r} is {value!r}, accepted are finite numbers, or missing"
            )
        if numbers.isna().all(axis=1).any():
            raise ValueError("meta_features: all of a task are missing; accepted is one or more")
        return self._scaled(numbers)

    def of_training(self, experience: MetaDataset) -> np.ndarray:
        """Return the numbers of the training tasks, shape (n_tasks, p): they need no check."""
        table = experience.meta_features
        return np.zeros((len(experience.tasks), 0)) if table is None else self._scaled(table)

    def _scaled(self, table: pd.DataFrame) -> np.ndarray:
        if not self.used:
            return np.zeros((len(table), 0))
        return 2 * self.pipeline.transform(table[self.used].to_numpy(float)) - 1


def config_inputs(space: SearchSpace, points: np.ndarray) -> np.ndarray:
    """Return what a meta-model reads of configurations.

    A number from -1 to 1 for each numeric hyperparameter, a 0 or 1 for each choice, and a 0 or 1
    for whether a hyperparameter with a condition is active.

    Parameters
    ----------
    space : SearchSpace
    points : array of shape (n, d)
        The configurations in the unit cube, as from ``space.encode``.

    Returns
    -------
    numpy.ndarray of shape (n, q)
    """
    return np.array(list(_columns(space, points).values()), dtype=float).T


def _columns(space: SearchSpace, points: np.ndarray) -> dict[tuple[str, Any], np.ndarray]:
    """Return the same by name: a hyperparameter, and (choice,), "number" or "active"."""
    columns, values, active = {}, {}, {}
    for h, u in zip(space, points.T, strict=True):
        active[h.name] = np.all([np.ones(len(u), dtype=bool)] + [
            active[parent] & np.isin(values[parent], [space[parent].encode(v) for v in some])
            for parent, some in h.when.items()], axis=0)  # fmt: skip
        values[h.name] = u
        if isinstance(h, Categorical):
            for choice in h.choices:
                columns[h.name, (choice,)] = active[h.name] & (u == h.encode(choice))
        else:
            columns[h.name, "number"] = 2 * u - 1
        if h.when:
            columns[h.name, "active"] = active[h.name]
    return columns


def history_features(scores: pd.DataFrame | pd.Series) -> pd.DataFrame | pd.Series:
    """Turn past trials into meta-features: how a few configurations did against each other.

    Beside the other meta-features, a meta-model can read them (relative landmarking; Fuernkranz &
    Petrak, 2001).

    Parameters
    ----------
    scores : DataFrame, or Series
        The scores of the same configurations on several tasks, as ``experience.scores[[3, 7]]``;
        or on one. Missing where one failed.

    Returns
    -------
    DataFrame or Series
        Each score minus the mean of its task's; the names say ``trial_3``, ``trial_7``.
    """
    if isinstance(scores, pd.Series):
        return history_features(scores.to_frame().T).iloc[0]
    return scores.sub(scores.mean(axis=1), axis=0).add_prefix("trial_").astype(float)


def normal_ranks(scores: np.ndarray) -> np.ndarray:
    """Replace the scores of each task by the normal quantiles of their ranks.

    So each task has the same weight, and only its order counts (van der Waerden, 1952).

    Parameters
    ----------
    scores : array of shape (n_tasks, n_configs)
        Higher is better; NaN, where one failed, is the worst.

    Returns
    -------
    numpy.ndarray of shape (n_tasks, n_configs)
        Equal scores share their average rank.
    """
    ranks = rankdata(np.where(np.isnan(scores), -np.inf, scores), axis=1)
    return norm.ppf((ranks - 0.5) / scores.shape[1])


def left_out_folds(families: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """Deal families out to `FOLDS` folds: say which tasks each model is to do without.

    Returns
    -------
    bool numpy.ndarray of shape (`FOLDS`, n_tasks)
        Each task is left out once, with its family; of two families, there are two folds.

    Raises
    ------
    ValueError
        If there is one family only: then nothing can be left out.
    """
    number, names = pd.factorize(np.asarray(families, dtype=object))
    if len(names) < 2:
        raise ValueError(
            f"experience: got {len(number)} task(s) of one family, accepted are two families or "
            "more, so that one can be left out"
        )
    fold = (rng.permutation(len(names)) % FOLDS)[number]
    return fold == np.arange(min(FOLDS, len(names)))[:, None]


# ---------------------------------------------------------------------- predict the configuration


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
        several = [experience] if isinstance(experience, MetaDataset) else list(experience)
        names = [e.name for e in several]
        if len(set(names)) < len(names) or not names:
            raise ValueError(f"experience: got {names}, accepted are learners of other names")
        self.spaces_ = {e.name: e.space for e in several}
        tables = [e.meta_features for e in several]
        if len({None if t is None else frozenset(t.columns) for t in tables}) > 1:
            raise ValueError("experience: learners have other meta-features, accepted are the same")
        self.inputs_ = TaskInputs(None if tables[0] is None else pd.concat(tables))
        self.levels_ = {name: _levels(self.spaces_, name) for name in self.given}
        self.blocks_ = _blocks(self.spaces_, self.given)

        x, y, families = [], [], []
        for e in several:
            described = self.inputs_.of_training(e)
            for given, numbers in self._groups(e):
                scores = e.scores.to_numpy()[:, numbers]
                best = numbers[np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)]
                ok = ~np.isnan(scores).all(axis=1)
                asked = np.tile(self._asked(e.name, given), (ok.sum(), 1))
                x.append(np.hstack([described[ok], asked]))
                y.append(self._targets(e, best[ok]))
                families.extend(e.families.to_numpy()[ok])
        x, y = np.vstack(x), np.vstack(y)  # (n_rows, p), (n_rows, outputs)

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
        space, columns = self.spaces_[learner], []
        for h in space:
            if h.name in given:
                columns.append(np.full(len(x), h.encode(given[h.name])))
            elif isinstance(h, Categorical):
                chosen = f[:, self.blocks_[learner, h.name]].argmax(axis=1)
                columns.append([h.encode(h.choices[choice]) for choice in chosen])
            else:
                columns.append(np.clip(f[:, self.blocks_[learner, h.name].start], 0, 1))
        configs = space.decode(np.transpose(columns))
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


def _blocks(spaces: Mapping[str, SearchSpace], given: Sequence[str]) -> dict:
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
    levels = {}
    for space in spaces.values():
        h = space[name]
        if h.n_values > MAX_VALUES:
            raise ValueError(
                f"given: {name!r} has {h.n_values} values, accepted are hyperparameters of at most "
                f"{MAX_VALUES}"
            )
        levels |= dict.fromkeys(levels_of(h, h.n_values))
    return list(levels)


def check_fitted(predictor: Any, attribute: str) -> None:
    """Raise a RuntimeError if `predictor` lacks what `fit` gives it."""
    if not hasattr(predictor, attribute):
        raise RuntimeError(
            f"{type(predictor).__name__}: not fitted yet; call fit(experience) first"
        )


# ---------------------------------------------------------------------- predict performance


@dataclass(eq=False)
class PerformancePredictor:
    """Reads meta-features and a configuration, and predicts how well it does on the task.

    Three models are trained, each without a third of the families; their mean predicts. What they
    miss of the families that they never saw is learned too, as a Gaussian process: it says how
    far a prediction is to be trusted, and how trials of the new task change it (`posterior`).

    Parameters
    ----------
    model : {"trees", "network"}
        Gradient-boosted trees, or an ensemble of Keras networks with 64 and 32 units (ReLU).
    loss : {"ranks", "raw", "listwise"}
        Squared error on normal ranks within each task, squared error on raw scores, or a ranking
        loss (`listwise_loss`), for the network alone.
    seed : int

    Raises
    ------
    ValueError
        If an argument is not accepted.
    """

    model: str = "trees"
    loss: str = "ranks"
    seed: int = 0

    def __post_init__(self):
        check_one_of("model", self.model, ("trees", "network"))
        losses = ("ranks", "raw") if self.model == "trees" else ("ranks", "raw", "listwise")
        check_one_of("loss", self.loss, losses)
        check_seed(self.seed)

    def fit(self, experience: MetaDataset) -> PerformancePredictor:
        """Train on experience; return self.

        Raises
        ------
        ValueError
            If there are fewer than two families.
        """
        return self._train(experience, TaskInputs(experience.meta_features), None)

    def fine_tune(self, experience: MetaDataset) -> PerformancePredictor:
        """Go on from the learned weights, with tasks of another learner or of a changed space.

        What was learned of meta-features, and of each choice or number that both spaces have, by
        the name of the hyperparameter, is where the training begins (Pan & Yang, 2010, on such
        transfer). The weights of a new input are drawn. An input that the new space lacks stays at
        its mean over the configurations that the networks have seen. A network that does best
        without any training, on the tasks that it is to do without, stays as it begins.

        Parameters
        ----------
        experience : MetaDataset
            Of two families or more, described by the meta-features that were there in `fit`.

        Returns
        -------
        PerformancePredictor
            A new one, for the space of `experience`; this one stays as it is.

        Raises
        ------
        RuntimeError
            Before `fit`.
        TypeError, ValueError
            If the model is not "network", the meta-features are others, or there are fewer than
            two families.
        """
        check_fitted(self, "process_")
        check_one_of("model", self.model, ("network",))
        self.inputs_(experience.meta_features)  # checks them
        return replace(self)._train(experience, self.inputs_, self._carried(experience.space))

    def _carried(self, space: SearchSpace) -> Ensemble:
        """Return the networks with the inputs of another space, by the names of these."""
        known, new = _columns(self.space_, self.points_), _columns(space, np.zeros((1, len(space))))
        W, b, *rest = self.models_.weights
        tasks, configs = np.split(W, [W.shape[1] - len(known)], axis=1)
        of = dict(zip(known, configs.swapaxes(0, 1), strict=True))  # (members, units) of each
        for name in (n for n in known if n not in new):
            b = b + known[name].mean() * of[name][:, None]
        rng, limit = np.random.default_rng(self.seed), np.sqrt(6 / np.sum(W.shape[1:]))
        configs = np.stack(  # what is new is drawn, as in a new network
            [of.get(name, rng.uniform(-limit, limit, b[:, 0].shape)) for name in new], axis=1
        )
        return Ensemble([np.concatenate([tasks, configs], axis=1), b, *rest])

    def _train(
        self, experience: MetaDataset, inputs: TaskInputs, start: Ensemble | None
    ) -> PerformancePredictor:
        rng = np.random.default_rng(self.seed)
        left_out = left_out_folds(experience.families, rng)
        self.space_, self.inputs_ = experience.space, inputs
        some = np.arange(len(experience.configs))
        if len(some) > MAX_CONFIGS:
            some = np.sort(rng.choice(some, MAX_CONFIGS, replace=False))
        self.points_ = experience.points[some]
        configs = config_inputs(self.space_, self.points_)  # (n, q)
        tasks = inputs.of_training(experience)  # (n_tasks, p)

        scores = experience.scores.to_numpy()[:, some]
        ranks = normal_ranks(scores)
        targets, self.unit_ = ranks, (0.0, 1.0)
        if self.loss == "raw":
            worst = np.nanmin(scores, axis=1, keepdims=True)
            scores = np.where(np.isnan(scores), worst, scores)
            self.unit_ = (float(scores.mean()), float(scores.std()) or 1.0)
            targets = (scores - self.unit_[0]) / self.unit_[1]

        if self.model == "network":
            loss = listwise_loss if self.loss == "listwise" else squared_loss
            self.models_ = Ensemble.fit(tasks, configs, targets, left_out, loss, rng, start=start)
            unseen = self.models_.predict(tasks, configs).swapaxes(0, 1)[left_out.T]
        else:
            self.models_, unseen = [], np.empty_like(targets)
            for out in left_out:
                trees = HistGradientBoostingRegressor(random_state=self.seed, early_stopping=False)
                trees.fit(beside(tasks[~out], configs), targets[~out].ravel())
                self.models_.append(trees)
                unseen[out] = trees.predict(beside(tasks[out], configs)).reshape(out.sum(), -1)
        self._learn_trust(unseen, ranks, rng)
        return self

    def _learn_trust(self, unseen: np.ndarray, ranks: np.ndarray, rng: np.random.Generator):
        """Compare predictions for families never seen with the truth, both (n_tasks, n)."""
        unseen = unseen - unseen.mean(axis=1, keepdims=True)  # a task's level does not matter
        power = np.sum(unseen**2)
        self.slope_ = max(0.0, float(np.sum(unseen * ranks) / power)) if power > 0 else 0.0
        missed = ranks - self.slope_ * unseen
        tasks = rng.permutation(len(missed))[:40]  # enough for a handful of numbers
        configs = rng.permutation(missed.shape[1])[:60]
        missed = missed[np.ix_(tasks, configs)]
        missed = missed - missed.mean(axis=1, keepdims=True)
        self.process_ = GaussianProcess.fit(
            self.points_[configs], missed.T, self.space_.categorical
        )

    def predict(
        self, meta_features: pd.Series | pd.DataFrame | None, configs: Sequence[Config]
    ) -> np.ndarray:
        """Predict how configurations do on a task, or on several.

        Parameters
        ----------
        meta_features : Series, or DataFrame with one row a task
            Those that the experience has, in any order; some may be missing. None if the
            experience has none.
        configs : sequence of n dicts

        Returns
        -------
        numpy.ndarray of shape (n,), or (n_tasks, n) for a DataFrame
            Higher is better: in the unit of the scores if the loss is "raw", of normal ranks if
            it is "ranks", of none if it is "listwise".

        Raises
        ------
        RuntimeError
            Before `fit`.
        TypeError, KeyError, ValueError
            If an argument is not of those that the predictor was trained for.
        """
        check_fitted(self, "process_")
        mean, sd = self.unit_
        f = self._each(self.inputs_(meta_features), self.space_.encode(list(configs))).mean(axis=0)
        return mean + sd * (f if isinstance(meta_features, pd.DataFrame) else f[0])

    def _each(self, tasks: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return what each model says of tasks of shape (n_tasks, p): (models, n_tasks, n)."""
        configs = config_inputs(self.space_, points)
        if self.model == "network":
            return self.models_.predict(tasks, configs)
        rows = beside(tasks, configs)
        return np.array([t.predict(rows).reshape(len(tasks), -1) for t in self.models_])

    def prior(self, meta_features: pd.Series | None) -> Callable[[np.ndarray], np.ndarray]:
        """Return what is believed of a task before its first trial.

        Parameters
        ----------
        meta_features
            As for `predict`.

        Returns
        -------
        function of points of shape (n, d)
            Returns the expected normal ranks, shape (n,), but for a constant.
        """
        check_fitted(self, "process_")
        task = self.inputs_(meta_features)[:1]
        level = self._each(task, self.points_).mean()
        known: dict[bytes, float] = {}  # each point is predicted once

        def believed(points: np.ndarray) -> np.ndarray:
            keys = [point.tobytes() for point in points]
            new = [i for i, key in enumerate(keys) if key not in known]
            if new:
                mean = self.slope_ * (self._each(task, points[new]).mean(axis=0)[0] - level)
                known.update(zip([keys[i] for i in new], mean, strict=True))
            return np.array([known[key] for key in keys])

        return believed

    def posterior(
        self,
        prior: Callable[[np.ndarray], np.ndarray],
        tried: np.ndarray,
        scores: np.ndarray,
        points: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Ask the meta-model again, after trials of the new task.

        The task is the prior plus what the meta-model misses, a Gaussian process with the scales
        that it had on families never seen. The scores are brought to the unit of the prior: they
        vary as much as is expected of the configurations tried; their level is left free.

        Parameters
        ----------
        prior
            As from the method of that name.
        tried : array of shape (t, d)
            The points that were tried.
        scores : array of shape (t,)
            How they did; NaN where one failed.
        points : array of shape (n, d)

        Returns
        -------
        mean, std : numpy.ndarray of shape (n,)
            Of each point, in the unit of the prior.
        best : float
            The incumbent's score in that unit.
        """
        expected, process = prior(tried), self.process_
        missed = process.signal + process.noise
        spread = np.sqrt(expected.var() + missed * (1 - 1 / len(tried)))
        y = spread * standardise(scores)
        deviation = replace(process, X=tried, y=y - expected, offset=OFFSET**2)
        mean, std = deviation.predict(points)
        return prior(points) + mean, std, float(y.max())


# ---------------------------------------------------------------------- the searcher


class MetaModelSearch:
    """Proposes what a `PerformancePredictor` expects to improve most, and asks it after each trial.

    The first trial is the best-ranked candidate. Then expected improvement decides, by the
    predictor's posterior: what lies near a trial is known already, so that near-copies promise
    little. No configuration is proposed twice.

    Parameters
    ----------
    space : SearchSpace
        That of the experience.
    rng : numpy.random.Generator
    experience : MetaDataset
        Of other families than the new task's.
    meta_features : Series or None
        Of the new task; None if the experience has none.
    pool : sequence of dict, optional
        Search among these configurations alone: those that a replayed task knows.
    predictor : PerformancePredictor, optional
        One fitted to the experience: several searches may share it. If not given, boosted trees
        on ranks are fitted, with a seed drawn from `rng`.

    Raises
    ------
    ValueError
        If the experience has another space, or fewer than two families; or the pool is empty.
    TypeError, KeyError, ValueError
        If the meta-features or a configuration of the pool are not valid.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        experience: MetaDataset,
        meta_features: pd.Series | None,
        pool: Sequence[Config] | None = None,
        predictor: PerformancePredictor | None = None,
    ):
        if predictor is None:
            predictor = PerformancePredictor(seed=int(rng.integers(2**32))).fit(experience)
        check_fitted(predictor, "process_")
        for trained in (experience.space, predictor.space_):
            check_same_space(space, trained)
        self.space, self.predictor = space, predictor
        self.candidates = Candidates(space, rng, pool)
        self.prior = predictor.prior(meta_features)
        first = np.argsort(-self.prior(experience.points), kind="stable")[:5]
        self.promising = experience.points[first]

    def suggest(self) -> Config:
        """Propose the most promising configuration; StopIteration when none is left."""
        tried, scores = self.candidates.points, self.candidates.scores
        if not len(scores):
            return self.candidates.best(self.prior, self.promising)

        def value(points):
            return log_expected_improvement(
                *self.predictor.posterior(self.prior, tried, scores, points)
            )

        return self.candidates.best(value, self.promising)

    def update(self, config: Config, score: float) -> None:
        """Learn how a configuration did; NaN is a failed trial."""
        self.candidates.update(config, score)


# ---------------------------------------------------------------------- on disk

TRUSTED = [  # what a file may hold beside arrays and scikit-learn's estimators; skops knows no code
    "metahpo_lite.bayes.GaussianProcess",
    "metahpo_lite.model_based.TaskInputs",
    "metahpo_lite.networks.Ensemble",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
]


def save_model(predictor: ConfigPredictor | PerformancePredictor, path: str | os.PathLike) -> Path:
    """Write a fitted meta-model to one file, without pickle.

    Parameters
    ----------
    predictor : ConfigPredictor or PerformancePredictor
    path : path
        By custom it ends in ``.skops``. A file that is there is replaced.

    Returns
    -------
    pathlib.Path
        Where it was written.

    Raises
    ------
    RuntimeError
        If the predictor is not fitted.
    """
    import skops.io

    check_fitted(predictor, "inputs_")
    state = dict(vars(predictor))
    state.pop("blocks_", None)  # follow from the spaces
    spaces = state.pop("spaces_", None) or {"": state.pop("space_")}
    state["spaces"] = [[learner, space.to_json()] for learner, space in spaces.items()]
    content = skops.io.dumps({"kind": type(predictor).__name__, "state": state})
    write_file(Path(path), content)
    return Path(path)


def load_model(path: str | os.PathLike) -> ConfigPredictor | PerformancePredictor:
    """Read a meta-model that `save_model` wrote.

    Nothing of the file is executed: it may hold arrays, trees and what this module defines.

    Parameters
    ----------
    path : path
        Of the file.

    Returns
    -------
    ConfigPredictor or PerformancePredictor
        Fitted.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not of a meta-model.
    """
    import skops.io

    path = Path(path)
    content = path.read_bytes()
    try:
        found = skops.io.loads(content, trusted=TRUSTED)
        state = dict(found["state"])
        spaces = {name: SearchSpace.from_json(text) for name, text in state.pop("spaces")}
        if found["kind"] == "PerformancePredictor":
            predictor, (state["space_"],) = PerformancePredictor(), spaces.values()
        else:
            predictor, state["spaces_"] = ConfigPredictor(), spaces
            state["blocks_"] = _blocks(spaces, state["given"])
        vars(predictor).update(state)
    except Exception as error:  # of a broken archive anything may be raised
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{path}: not a meta-model ({reason}); accepted is a file that "
                         "save_model wrote") from None  # fmt: skip
    return predictor
