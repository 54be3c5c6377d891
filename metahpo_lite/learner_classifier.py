"""Learners as scikit-learn classifiers, and configurations as the parameters of any estimator."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from metahpo_lite.datasets import did_you_mean
from metahpo_lite.learners import LEARNERS, Learner, TotalVarianceScaler, get_learner, within_limits
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.spaces import Config, SearchSpace


class LearnerClassifier(ClassifierMixin, BaseEstimator):
    """A learner as a scikit-learn classifier whose parameters are its hyperparameters.

    Parameters
    ----------
    learner : Learner or str
    random_state : int
        The seed of the model.
    **config
        The hyperparameters that differ from the learner's default. What their conditions switch
        off has no effect.

    Attributes
    ----------
    pipeline_ : sklearn.pipeline.Pipeline
        What `Learner.build` returns, fitted.
    classes_ : array of shape (n_classes,)
    """

    def __init__(self, learner: Learner | str, random_state: int = 0, **config):
        self.learner, self.random_state, self.config = learner, random_state, config

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the learner, the seed, and the hyperparameters by name."""
        own = {"learner": self.learner, "random_state": self.random_state}
        return own | as_learner(self.learner).default | self.config

    def set_params(self, **params) -> LearnerClassifier:
        """Set some of these."""
        for name in ("learner", "random_state"):
            setattr(self, name, params.pop(name, getattr(self, name)))
        for name in params:
            _ = as_learner(self.learner).space[name]  # a KeyError says what is accepted
        self.config = self.config | params
        return self

    def __sklearn_clone__(self) -> LearnerClassifier:
        new = LearnerClassifier(self.learner, self.random_state, **self.config)
        if hasattr(self, "_metadata_request"):  # as scikit-learn's clone: what it wants of weights
            new._metadata_request = copy.deepcopy(self._metadata_request)
        return new

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        kinds = tags.input_tags
        kinds.allow_nan = kinds.string = kinds.categorical = kinds.sparse = True
        return tags

    def fit(self, X, y, sample_weight=None) -> LearnerClassifier:
        """Fit the pipeline of these hyperparameters."""
        X, y = checked_table(self, X, y)
        check_classification_targets(y)
        learner = as_learner(self.learner)
        config = learner.space.drop_inactive(learner.default | self.config)
        self.pipeline_ = learner.build(config, self.random_state)
        preprocess, model = self.pipeline_.named_steps.values()
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        with within_limits():
            model.fit(preprocess.fit_transform(X, y), y, **weights)
        self.classes_ = model.classes_
        return self

    def _has(self, method: str) -> bool:
        learner = as_learner(self.learner)
        return hasattr(learner.model(learner.default, 0), method)

    def _call(self, method: str, X) -> np.ndarray:
        check_is_fitted(self)
        return getattr(self.pipeline_, method)(checked_table(self, X, reset=False))

    def predict(self, X) -> np.ndarray:
        """Predict the class of each row."""
        return self._call("predict", X)

    @available_if(lambda self: self._has("predict_proba"))
    def predict_proba(self, X) -> np.ndarray:
        """Predict the probability of each class, (n_rows, n_classes)."""
        return self._call("predict_proba", X)

    @available_if(lambda self: self._has("decision_function"))
    def decision_function(self, X) -> np.ndarray:
        """Predict how far each row is on the side of each class."""
        return self._call("decision_function", X)


def checked_table(estimator: BaseEstimator, X, *y, reset: bool = True):
    """Return X, and y if given, after scikit-learn's checks; a DataFrame stays as it is."""
    frame = isinstance(X, pd.DataFrame)
    # its shape and names alone: scikit-learn 1.6 cannot convert nullable types beside categories
    table = pd.DataFrame(np.zeros(X.shape), columns=X.columns) if frame else X
    found = validate_data(
        estimator, table, *y, reset=reset, dtype=None, ensure_all_finite=False, accept_sparse=True
    )
    table, *targets = found if y else (found,)
    table = X if frame else table
    return (table, *targets) if y else table


def as_learner(learner: Learner | str) -> Learner:
    """Return a learner as it is, or the built-in one of that name."""
    return get_learner(learner) if isinstance(learner, str) else learner


def estimator_parameters(
    estimator: BaseEstimator, space: SearchSpace, experience: MetaDataset | None, X, y
) -> Callable[[Config], dict[str, Any]]:
    """Return what turns a configuration of the space into parameters of the estimator."""
    if isinstance(estimator, LearnerClassifier):
        own = as_learner(estimator.learner)
        if unknown := [name for name in space.names if name not in own.space.names]:
            raise ValueError(
                f"space: {unknown[0]!r} is no hyperparameter of {own.name!r}; accepted "
                f"is a space, or experience, of {own.space.names}"
            )
        return dict
    learner = None if experience is None else LEARNERS.get(experience.name)
    if experience is not None and learner is not None and learner.space == space:
        return _model_parameters(estimator, learner, experience, X, y)
    known, full = sorted(estimator.get_params()), {}
    for name in space.names:
        steps = [p for p in known if p == name] or [p for p in known if p.endswith(f"__{name}")]
        if len(steps) != 1:
            raise ValueError(
                f"estimator: {type(estimator).__name__} has {len(steps)} parameters {name!r}"
                f"{did_you_mean(name, known)}; accepted is one for each hyperparameter of the "
                f"space, {space.names}: name them as the estimator does, such as step__parameter"
            )
        full[name] = steps[0]
    return lambda config: {full[name]: value for name, value in config.items()}


def _model_parameters(
    estimator: BaseEstimator, learner: Learner, experience: MetaDataset, X, y
) -> Callable[[Config], dict[str, Any]]:
    """The same for another pipeline with the model of a built-in learner in it.

    The learner's gamma is a multiple of scikit-learn's "scale", so that of this pipeline is needed.
    """
    kind = type(learner.model(learner.default, 0))
    found = [(name, part) for name, part in {"": estimator, **estimator.get_params()}.items()
             if type(part) is kind]  # fmt: skip
    if len(found) != 1:
        raise ValueError(
            f"estimator: {type(estimator).__name__} has {len(found)} steps {kind.__name__}; "
            f"accepted with experience of {learner.name!r} is one, or estimator={learner.name!r}, "
            "which prepares any table itself; experience of your own fits your own pipeline: "
            "MetaDataset.from_cv_results([...])"
        )
    step, unit = found[0][0], 1.0
    if kind is SVC:
        Z, outer, inner = X, estimator, step
        while inner:  # from the outermost in: what stands before the model
            name, _, inner = inner.partition("__")
            if isinstance(outer, Pipeline):
                before = clone(outer[: list(outer.named_steps).index(name)])
                Z = before.fit_transform(Z, y) if len(before) else Z
            outer = outer.get_params()[name]
        Z = Z.toarray() if hasattr(Z, "toarray") else Z
        unit = float(TotalVarianceScaler().fit(Z).scale_ ** -2)

    def settings(config: Config) -> dict[str, Any]:
        return learner.model(config, 0).get_params()

    default = settings(learner.default)
    tuned = {
        n for config in experience.configs for n, v in settings(config).items() if v != default[n]
    }

    def parameters(config: Config) -> dict[str, Any]:
        values = {n: v for n, v in settings(config).items() if n in tuned}
        if "gamma" in values:
            values["gamma"] *= unit
        return {f"{step}__{n}" if step else n: v for n, v in values.items()}

    return parameters
