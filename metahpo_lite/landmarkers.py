"""Landmarkers: how well simple models do on a table, as meta-features of it."""

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances_argmin
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from metahpo_lite.learners import get_learner

MAX_LANDMARK_ROWS = 1000
FOLDS = 3
LANDMARKS = (
    "landmark_stump",
    "landmark_tree",
    "landmark_naive_bayes",
    "landmark_nearest_neighbour",
    "landmark_linear",
)


def landmarkers(X: pd.DataFrame, y: np.ndarray, seed: int) -> dict[str, float]:
    """Return the landmarkers of a prepared table, by name."""
    models = {
        "landmark_tree": DecisionTreeClassifier(max_depth=5, random_state=seed),
        "landmark_naive_bayes": GaussianNB(),
    }
    rows = _landmark_rows(y, np.random.default_rng(seed))
    X, y = X.iloc[rows], y[rows]
    classes = np.unique(y)
    if len(classes) < 2:
        return dict.fromkeys(LANDMARKS, np.nan)
    guesses = {name: np.empty_like(y) for name in LANDMARKS}
    # where nothing is to be imputed or encoded, all that the learner does is to scale
    plain = all(X.dtypes == np.float64) and not X.isna().any(axis=None)
    table = np.ascontiguousarray(X) if plain else X.iloc  # both take row numbers
    # what is computed here is valid, and small: to check it costs a tenth
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(y, y):
            preprocess = StandardScaler() if plain else get_learner("mlp").preprocess()
            X_train = preprocess.fit_transform(table[train])
            X_test = preprocess.transform(table[test])
            weight = (len(train) / (len(classes) * np.bincount(y[train])))[y[train]]
            for name, model in models.items():
                guesses[name][test] = model.fit(X_train, y[train], weight).predict(X_test)
            guesses["landmark_stump"][test] = _stump(models["landmark_tree"], X_test)
            target = np.where(y[train][:, None] == classes, 1.0, -1.0)
            response = Ridge().fit(X_train, target, weight).predict(X_test)
            guesses["landmark_linear"][test] = classes[response.argmax(axis=1)]
            nearest = pairwise_distances_argmin(X_test, X_train)
            guesses["landmark_nearest_neighbour"][test] = y[train][nearest]
    return {
        name: np.mean([np.mean(guess[y == label] == label) for label in classes])
        for name, guess in guesses.items()
    }


def _stump(tree: DecisionTreeClassifier, X: np.ndarray) -> np.ndarray:
    """Predict by the first split of a tree alone: a tree of depth 1 has the same one."""
    nodes, leaf = tree.tree_, np.zeros(len(X), dtype=int)
    if nodes.node_count > 1:
        low = X[:, nodes.feature[0]].astype(np.float32) <= nodes.threshold[0]  # as trees compare
        leaf = np.where(low, nodes.children_left[0], nodes.children_right[0])
    return tree.classes_[nodes.value[leaf, 0].argmax(axis=1)]


def _landmark_rows(y: np.ndarray, rng) -> np.ndarray:
    """Draw about `MAX_LANDMARK_ROWS` row numbers, class by class, and some of every class."""
    kept = []
    for label in range(y.max() + 1):
        rows = np.flatnonzero(y == label)
        if len(rows) >= FOLDS:
            n = max(min(round(len(rows) * MAX_LANDMARK_ROWS / len(y)), len(rows)), FOLDS)
            kept.append(rng.choice(rows, n, replace=False))
    return rng.permutation(np.concatenate(kept)) if kept else np.empty(0, dtype=int)
