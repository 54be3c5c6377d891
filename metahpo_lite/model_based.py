"""Model-based meta-learning, second way: predict how well configurations do.

So candidates can be ranked (`PerformancePredictor`), and asked about again after each trial
(`MetaModelSearch`). Trained on experience of other tasks: min over theta of
sum_i L(f_theta(x_i), y_i).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from metahpo_lite.arguments import check_one_of, check_seed
from metahpo_lite.bayes import Candidates, log_expected_improvement, standardise
from metahpo_lite.gaussian_process import GaussianProcess
from metahpo_lite.inputs import (
    TaskInputs,
    check_fitted,
    config_inputs,
    input_columns,
    left_out_folds,
    normal_ranks,
)
from metahpo_lite.metadata import MetaDataset, check_experience
from metahpo_lite.networks import Ensemble, beside, listwise_loss, squared_loss
from metahpo_lite.spaces import Config, SearchSpace, check_same_space

MAX_CONFIGS = 100  # of each task are trained on: more cost time, and did no better
OFFSET = 3.0  # sd of a task's unknown level, in the unit of the normal ranks: left free


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
        check_experience(experience)
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
        known, new = (
            input_columns(self.space_, self.points_),
            input_columns(space, np.zeros((1, len(space)))),
        )
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
            models: Any = Ensemble.fit(tasks, configs, targets, left_out, loss, rng, start=start)
            unseen = models.predict(tasks, configs).swapaxes(0, 1)[left_out.T]
        else:
            models, unseen = [], np.empty_like(targets)
            for out in left_out:
                trees = HistGradientBoostingRegressor(random_state=self.seed, early_stopping=False)
                trees.fit(beside(tasks[~out], configs), targets[~out].ravel())
                models.append(trees)
                unseen[out] = trees.predict(beside(tasks[out], configs)).reshape(out.sum(), -1)
        self.models_ = models
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
