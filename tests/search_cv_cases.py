"""A table, experience and short searches for the tests of MetaSearchCV."""

from dataclasses import replace

import numpy as np
from scipy.stats import loguniform
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from metahpo_lite import Float, MetaDataset, MetaSearchCV, SearchSpace

X, Y = load_wine(return_X_y=True)
X = StandardScaler().fit_transform(X)
GROUPS = np.arange(len(Y)) % 4
SVC_EXPERIENCE = MetaDataset.load("svc")
DESCRIBED = SVC_EXPERIENCE.subset(list(SVC_EXPERIENCE.tasks.index[:12]))
PLAIN = replace(DESCRIBED, meta_features=None)
C = {"C": loguniform(1e-2, 1e2)}
SPACE = SearchSpace([Float("C", 1e-2, 1e2, log=True)])
SCALED_SVC = make_pipeline(StandardScaler(), SVC())


def search(estimator="svc", experience=PLAIN, space=None, **given):
    return MetaSearchCV(
        estimator, experience, space, **{"n_trials": 3, "cv": 3, "random_state": 0} | given
    )


def cold(estimator, space, **given):
    return search(estimator, False, space, **given)
