"""Learners: named models, each a scikit-learn pipeline together with the space to tune.

A learner takes any table: its first steps impute, scale and encode, and only then comes the model
whose hyperparameters are tuned. What a pipeline does before the model does not depend on the
configuration.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted, validate_data

from metahpo_lite.datasets import as_table
from metahpo_lite.hyperparameters import Categorical, Float, Int
from metahpo_lite.spaces import Config, SearchSpace

NUMBERS = make_column_selector(dtype_include="number")
CATEGORIES = make_column_selector(dtype_include="category")


@dataclass(frozen=True)
class Learner:
    """A model to be tuned: its space, its default, and how to build it.

    Parameters
    ----------
    name : str
        Its name, as in ``learner("svc")``.
    space : SearchSpace
        What may be tuned.
    default : dict
        The configuration that one gets without tuning: the model's own defaults.
    preprocess : callable
        ``preprocess()`` returns an unfitted transformer from any table to what the model takes.
    model : callable
        ``model(config, seed)`` returns the unfitted model.
    """

    name: str
    space: SearchSpace
    default: Config
    preprocess: Callable[[], TransformerMixin]
    model: Callable[[Config, int], BaseEstimator]

    def build(self, config: Mapping[str, Any], seed: int = 0) -> Pipeline:
        """Build the unfitted pipeline for a configuration.

        Parameters
        ----------
        config : dict
            A valid configuration of `space`.
        seed : int
            Fixes what is random in the model (first weights, batches).

        Returns
        -------
        sklearn.pipeline.Pipeline
            With the steps ``preprocess`` and ``model``.

        Raises
        ------
        KeyError, ValueError
            If the configuration is not valid (see `SearchSpace.check`).
        """
        model = self.model(self.space.check(config), seed)
        return Pipeline([("preprocess", self.preprocess()), ("model", model)])


class Table(TransformerMixin, BaseEstimator):
    """Any table in the form of `as_table`, each column of the kind that it had when fitted.

    A part of a table can look different from the whole: a column of texts without any value is as
    good as one of numbers. A column without any value when fitted says nothing: it becomes 0.
    """

    def fit(self, X, y=None):
        """Note the columns, which of them hold categories, and which hold nothing."""
        table = as_table(X)
        self.columns_ = list(table.columns)
        self.empty_ = list(table.columns[table.isna().all()])
        self.categories_ = set(CATEGORIES(table)) - set(self.empty_)
        return self

    def transform(self, X):
        """Return those columns; a ValueError tells which one lacks, or holds text for numbers."""
        check_is_fitted(self)
        whole = as_table(X)
        if lacking := [name for name in self.columns_ if name not in whole.columns]:
            raise ValueError(f"X: column {lacking[0]!r} is missing; accepted: all columns of fit")
        table = whole[self.columns_].copy()
        for name in self.categories_ - set(CATEGORIES(table)):
            cells = np.asarray(X, dtype=object)[:, whole.columns.get_loc(name)]
            cells = pd.Series(cells, index=table.index).map(str, na_action="ignore")
            table[name] = cells.astype(object).astype("category")
        table[self.empty_] = 0.0
        if texts := [n for n in CATEGORIES(table) if n not in self.categories_]:
            raise ValueError(f"X: column {texts[0]!r} holds text; accepted: numbers, as in fit")
        return table

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns."""
        return np.array(self.columns_, dtype=object)


class TotalVarianceScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Divide all columns by one number, so that an SVC's ``gamma=1`` means ``gamma="scale"``.

    scikit-learn's default for gamma, ``1 / (n_features * X.var())``, differs from table to table.
    After this step that default is 1 on every table, and gamma is a multiple of it: one range of
    gamma fits all tables, wide or narrow.
    """

    def fit(self, X, y=None):
        """Measure ``n_features * X.var()``."""
        X = validate_data(self, X)
        self.scale_ = np.sqrt(X.shape[1] * X.var()) or 1.0  # a constant table stays as it is
        return self

    def transform(self, X):
        """Divide by its square root."""
        check_is_fitted(self)
        return validate_data(self, X, reset=False) / self.scale_


class QuantileBins(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Each column as the numbers of at most 255 bins of about equal frequency; NaN stays NaN.

    Histogram trees bin their columns in any case. scikit-learn 1.9 does so at every fit, and with
    class weights by a loop that takes longer than the trees; done here, it is done once.
    """

    def fit(self, X, y=None):
        """Find the borders of the bins."""
        X = validate_data(self, X, dtype="float64", ensure_all_finite="allow-nan")
        shares = np.linspace(0, 1, 256)[1:-1]
        values = [column[~np.isnan(column)] for column in X.T]
        self.edges_ = [np.unique(np.quantile(v, shares) if len(v) else v) for v in values]
        return self

    def transform(self, X):
        """Return the number of the bin of each value."""
        check_is_fitted(self)
        X = validate_data(
            self, X, dtype="float64", ensure_all_finite="allow-nan", reset=False, copy=True
        )
        for column, edges in zip(X.T, self.edges_, strict=True):
            known = ~np.isnan(column)
            column[known] = np.searchsorted(edges, column[known])
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _dense() -> Pipeline:
    """Any table to a float matrix: impute, mark what was missing, scale, one-hot."""
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    # a missing category is a category; rare ones share a column, so that none makes a table wide
    categories = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=30, sparse_output=False
    )
    return make_pipeline(
        Table(),
        ColumnTransformer([("numbers", numbers, NUMBERS), ("categories", categories, CATEGORIES)]),
    )


def _dense_total_variance() -> Pipeline:
    return make_pipeline(*_dense(), TotalVarianceScaler())


def _svc(config: Config, seed: int) -> SVC:
    return SVC(
        C=config["C"],
        kernel=config["kernel"],
        gamma=config.get("gamma", 1.0),
        degree=config.get("degree", 3),
        coef0=config.get("coef0", 0.0),
        class_weight=_class_weight(config),
        cache_size=500,  # MB: the whole kernel matrix of 2,000 rows
        max_iter=MAX_SVC_STEPS,
        random_state=seed,
    )


def _as_categories(X):
    return X.astype("category")


def _trees_table() -> Pipeline:
    """Any table to numbers and categories as trees take them; missing values stay missing."""
    # at most 200 codes: the trees have bins for no more than 255
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=200,
    )
    categories = make_pipeline(
        codes, FunctionTransformer(_as_categories, feature_names_out="one-to-one")
    )
    columns = ColumnTransformer(
        [("numbers", QuantileBins(), NUMBERS), ("categories", categories, CATEGORIES)]
    )
    # pandas keeps the category type, by which the trees tell codes from numbers
    return make_pipeline(Table(), columns.set_output(transform="pandas"))


def _hist_gradient_boosting(config: Config, seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=config["learning_rate"],
        max_iter=config["max_iter"],
        max_leaf_nodes=config["max_leaf_nodes"],
        min_samples_leaf=config["min_samples_leaf"],
        l2_regularization=config["l2_regularization"],
        max_features=config["max_features"],
        class_weight=_class_weight(config),
        categorical_features="from_dtype",
        early_stopping=False,
        random_state=seed,
    )


def _mlp(config: Config, seed: int) -> MLPClassifier:
    return MLPClassifier(
        hidden_layer_sizes=[config[f"units_{i}"] for i in range(1, config["layers"] + 1)],
        activation=config["activation"],
        learning_rate_init=config["learning_rate"],
        batch_size=config["batch_size"],
        alpha=config["alpha"],
        max_iter=MAX_EPOCHS,
        random_state=seed,
    )


def _class_weight(config: Config) -> str | None:
    return "balanced" if config["class_weight"] == "balanced" else None


MAX_SVC_STEPS = 100_000  # stops the few fits with a large C that would take minutes
MAX_EPOCHS = 50  # four times as fast as scikit-learn's 200, at little loss


@contextmanager
def within_limits() -> Iterator[None]:
    """Fit without a warning where a limit on steps, epochs or batches is part of the learner."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Got `batch_size` less than 1 or larger than")
        yield


CLASS_WEIGHT = Categorical("class_weight", ["none", "balanced"])

LEARNERS = {
    learner.name: learner
    for learner in [
        Learner(
            name="svc",
            space=SearchSpace(
                [
                    Float("C", 1e-2, 1e4, log=True),
                    Categorical("kernel", ["rbf", "poly", "linear"]),
                    Float("gamma", 1e-3, 1e2, log=True, when={"kernel": ["rbf", "poly"]}),
                    Int("degree", 2, 4, when={"kernel": ["poly"]}),
                    Float("coef0", 0.0, 1.0, when={"kernel": ["poly"]}),
                    CLASS_WEIGHT,
                ]
            ),
            default={"C": 1.0, "kernel": "rbf", "gamma": 1.0, "class_weight": "none"},
            preprocess=_dense_total_variance,
            model=_svc,
        ),
        Learner(
            name="hist_gradient_boosting",
            space=SearchSpace(
                [
                    Float("learning_rate", 0.01, 0.5, log=True),
                    Int("max_iter", 10, 200, log=True),
                    Int("max_leaf_nodes", 3, 63, log=True),
                    Int("min_samples_leaf", 1, 100, log=True),
                    Float("l2_regularization", 1e-6, 1e2, log=True),
                    Float("max_features", 0.1, 1.0),
                    CLASS_WEIGHT,
                ]
            ),
            default={
                "learning_rate": 0.1,
                "max_iter": 100,
                "max_leaf_nodes": 31,
                "min_samples_leaf": 20,
                "l2_regularization": 1e-6,  # scikit-learn's 0 is not on a log scale
                "max_features": 1.0,
                "class_weight": "none",
            },
            preprocess=_trees_table,
            model=_hist_gradient_boosting,
        ),
        Learner(
            name="mlp",
            space=SearchSpace(
                [
                    Int("layers", 1, 3),
                    Int("units_1", 8, 256, log=True),
                    Int("units_2", 8, 256, log=True, when={"layers": [2, 3]}),
                    Int("units_3", 8, 256, log=True, when={"layers": [3]}),
                    Categorical("activation", ["relu", "tanh"]),
                    Float("learning_rate", 1e-4, 1e-1, log=True),
                    Int("batch_size", 16, 256, log=True),
                    Float("alpha", 1e-6, 1e1, log=True),
                ]
            ),
            default={
                "layers": 1,
                "units_1": 100,
                "activation": "relu",
                "learning_rate": 1e-3,
                "batch_size": 200,
                "alpha": 1e-4,
            },
            preprocess=_dense,
            model=_mlp,
        ),
    ]
}


def get_learner(name: str) -> Learner:
    """Return a built-in learner.

    Parameters
    ----------
    name : {"svc", "hist_gradient_boosting", "mlp"}

    Returns
    -------
    Learner

    Raises
    ------
    KeyError
        If there is none.
    """
    if name not in LEARNERS:
        raise KeyError(f"name: got {name!r}, accepted is one of {list(LEARNERS)}")
    return LEARNERS[name]
