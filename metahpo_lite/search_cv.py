"""MetaSearchCV: hyperparameter search with experience, as a scikit-learn search estimator.

What scikit-learn's `RandomizedSearchCV` does with random configurations, this does with those that
`WarmStart` proposes: evaluating, refitting, predicting and reporting are scikit-learn's own.
"""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import (  # made for subclasses, yet not exported
    BaseSearchCV,
)
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from metahpo_lite.arguments import whole_number
from metahpo_lite.bayes import BayesianSearch
from metahpo_lite.cv_trials import CVTrials, spread_results
from metahpo_lite.distances import TaskDistance
from metahpo_lite.hyperparameters import is_number
from metahpo_lite.learner_classifier import (
    LearnerClassifier,
    as_learner,
    checked_table,
    estimator_parameters,
)
from metahpo_lite.learners import LEARNERS, Learner
from metahpo_lite.metadata import MetaDataset, as_experience
from metahpo_lite.metafeatures import meta_features
from metahpo_lite.search import Searcher, suggest_batch
from metahpo_lite.spaces import SearchSpace
from metahpo_lite.tasks import METRICS
from metahpo_lite.warmstart import WarmStart

MAX_DESCRIBED = 10_000  # rows that describe a larger table


class MetaSearchCV(BaseSearchCV):
    """Search over hyperparameters that begins with experience, and learns from its trials.

    It is used as scikit-learn's `RandomizedSearchCV` is, and has the same attributes and methods.
    The configurations are those of `WarmStart`: the first ones did well on similar tables, the
    next ones also on this table. Without experience it is `BayesianSearch`, and says so.

    Parameters
    ----------
    estimator : str, Learner or estimator
        A built-in learner by its name ("svc", "hist_gradient_boosting", "mlp"), which takes any
        table as it comes; or any scikit-learn estimator or pipeline.
    experience : str, path, MetaDataset, False or None
        The name of a built-in learner, a folder of experience, or experience. None takes what is
        shipped, if the estimator is a built-in learner, and False takes none.
    space : SearchSpace or dict, optional
        What may be tuned; that of the learner or of the experience if not given. A dict of lists
        and scipy distributions, as for `RandomizedSearchCV`, becomes a space. A hyperparameter
        ``C`` is the estimator's parameter of that name, or else its only ``step__C``.
    n_trials : int
        The budget: how many configurations are tried.
    scoring : str or callable, optional
        One metric, higher is better; the estimator's own if not given. What is shipped is
        experience with "balanced_accuracy".
    n_jobs : int, optional
        How many fits run at once. As few trials as keep all workers busy are proposed at a time:
        one, unless there are more workers than folds.
    refit : bool or callable
        Whether to fit the best configuration to all rows at the end.
    cv : int, splitter or iterable, optional
        Five folds if not given, stratified for a classifier; the same for all trials.
    verbose : int
        1 shows a progress bar with the best score; more is what scikit-learn prints besides.
    pre_dispatch, error_score, return_train_score
        As for `RandomizedSearchCV`.
    random_state : int, RandomState or None
        Fixes what is random in the search, in its folds, and in the model of a learner.
    time_budget : float, optional
        Seconds after which no further trial begins; one trial is always made.

    Attributes
    ----------
    best_params_, best_score_, best_estimator_, best_index_, cv_results_, refit_time_, ...
        As for `RandomizedSearchCV`; `best_params_` are those of the estimator.
    configs_ : list of dict
        The configuration of each row of `cv_results_`, in the order in which they were tried.
    space_ : SearchSpace
    experience_ : MetaDataset or None
    meta_features_ : Series or None
        Of X and y; None unless the experience has some.
    trust_ : float
        How probable the search holds it, after the last trial, that this table is like one of the
        experience (see `WarmStart`); 0 without experience.

    Raises
    ------
    ValueError, KeyError, TypeError
        If an argument cannot be used, no trial has a score, or the target is not one of classes
        where experience is of classification.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True)
    >>> search = MetaSearchCV("svc", n_trials=3, random_state=0).fit(X, y)
    >>> bool(search.best_score_ > 0.9)
    True
    """

    def __init__(
        self,
        estimator,
        experience=None,
        space=None,
        n_trials=20,
        *,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
        time_budget=None,
    ):
        super().__init__(
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.experience, self.space, self.n_trials = experience, space, n_trials
        self.random_state, self.time_budget = random_state, time_budget

    # ------------------------------------------------------------------ a name as the estimator

    def _resolved(self, seed: int = 0) -> MetaSearchCV:
        """Return a copy of this search whose estimator is one, not a learner or its name."""
        resolved = copy.copy(self)
        if isinstance(self.estimator, (str, Learner)):
            resolved.estimator = LearnerClassifier(as_learner(self.estimator), seed)
            if get_config()["enable_metadata_routing"]:  # there is nobody else to take weights
                wants = resolved.estimator.set_fit_request(sample_weight=True)
                wants.set_score_request(sample_weight=True)
        return resolved

    def __sklearn_tags__(self):
        resolved = self._resolved()
        tags = super(MetaSearchCV, resolved).__sklearn_tags__()
        tags.input_tags = copy.copy(get_tags(resolved.estimator).input_tags)
        return tags

    def __getstate__(self):
        # during a search scikit-learn sends it along with each fit: without what is large
        large = ("_trials", "experience_") if hasattr(self, "_trials") else ()
        return {n: v for n, v in super().__getstate__().items() if n not in large}

    def get_metadata_routing(self):
        """Say which step of the search takes which metadata (see scikit-learn's user guide)."""
        return super(MetaSearchCV, self._resolved()).get_metadata_routing()

    # ------------------------------------------------------------------ the search

    def fit(self, X, y=None, **params) -> MetaSearchCV:
        """Search, and fit the best configuration to all rows.

        Interrupted by the keyboard, it goes on with the trials that it has. Interrupted again, or
        ended by an error, it keeps what was found: all attributes but `best_estimator_`.

        Parameters
        ----------
        X, y, params
            As for the estimator; ``groups`` is for the splitter, ``sample_weight`` and others for
            the estimator.

        Returns
        -------
        MetaSearchCV
            This search.

        Raises
        ------
        ValueError, KeyError, TypeError
            See the class.
        """
        whole_number("n_trials", self.n_trials)
        budget = self.time_budget
        if budget is not None and not (is_number(budget) and budget > 0):
            raise ValueError(f"time_budget: got {budget!r}, accepted is above 0 seconds, or None")
        if isinstance(self.scoring, (list, tuple, set, Mapping)):
            raise ValueError(f"scoring: got {self.scoring!r}, accepted is one metric: a search "
                             "for several has no single best; choose one")  # fmt: skip
        random = check_random_state(self.random_state)
        run = self._resolved(int(random.randint(2**31 - 1)))
        if not hasattr(run.estimator, "fit"):
            raise TypeError(f"estimator: got {self.estimator!r}, accepted is an estimator, a "
                            f"Learner or one of {list(LEARNERS)}")  # fmt: skip
        rng = np.random.default_rng(random.randint(2**31 - 1))
        if hasattr(self.cv, "random_state") and not isinstance(self.cv.random_state, Integral):
            run.cv = copy.copy(self.cv)  # else each trial would have other folds
            run.cv.random_state = int(random.randint(2**31 - 1))
        run.cv = check_cv(run.cv, y, classifier=is_classifier(run.estimator))
        run.verbose = max(0, self.verbose - 1)  # the first level is the bar
        if isinstance(run.estimator, LearnerClassifier):
            X, y = checked_table(clone(run.estimator), X, y)
        run._prepare(X, y, params.get("groups"), rng, bar=self.verbose > 0)
        for name in ("best_estimator_", "refit_time_"):  # of a search before this one
            self.__dict__.pop(name, None)
            run.__dict__.pop(name, None)
        try:
            super(MetaSearchCV, run).fit(X, y, **params)
        except BaseException:
            if np.isfinite(run._trials.scores).any():  # what was found is kept
                run._set_best()
                run._finish()
                self._take(run)
            raise
        run._finish()
        self._take(run)
        return self

    def _take(self, run: MetaSearchCV) -> None:
        """Take over what a copy of this search has found."""
        self.__dict__.update({n: v for n, v in vars(run).items() if n[0] != "_" and n[-1] == "_"})

    def _set_best(self) -> None:
        """Set what scikit-learn sets at the end, but for the best estimator: it is not fitted."""
        self.__dict__.pop("best_estimator_", None)
        results = self.cv_results_ = self._trials.results
        # by its score: a callable `refit` may be what went wrong
        best = self.best_index_ = int(results["rank_test_score"].argmin())
        self.best_params_ = results["params"][best]
        self.best_score_ = results["mean_test_score"][best]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "best_estimator_" if self.refit else "cv_results_")

    def _prepare(self, X, y, groups, rng: np.random.Generator, bar: bool) -> None:
        """Make the searcher, and what turns its configurations into parameters."""
        self.experience_, self.space_ = _what_is_known(self)
        self.meta_features_, self.trust_ = None, 0.0
        if self.experience_ is None:
            searcher: Searcher = BayesianSearch(self.space_, rng)
        else:
            if self.experience_.about.get("metric") in METRICS:
                _check_classes(y)
            distance = None
            if self.experience_.meta_features is not None:
                self.meta_features_ = meta_features(X, y, max_rows=MAX_DESCRIBED)
                # as good here as a learned one, which takes as long as a fit
                distance = TaskDistance().fit(self.experience_)
            searcher = WarmStart(
                self.space_, rng, self.experience_, self.meta_features_, distance=distance
            )
        parameters = estimator_parameters(self.estimator, self.space_, self.experience_, X, y)
        # as few at once as keep all workers busy
        size = math.ceil(effective_n_jobs(self.n_jobs) / self.cv.get_n_splits(X, y, groups))
        strict = isinstance(self.error_score, str)
        # made once; but routed metadata may be for the splitter
        routed = get_config()["enable_metadata_routing"]
        folds = None if routed else check_cv(list(self.cv.split(X, y, groups)))
        self._trials = CVTrials(searcher, rng, parameters, size, folds, bar, strict)

    def _run_search(self, evaluate_candidates: Callable) -> None:
        """Propose, evaluate, learn: scikit-learn calls this with what evaluates a batch."""
        trials = self._trials
        end = time.monotonic() + (self.time_budget or math.inf)
        try:
            with tqdm(total=self.n_trials, unit="trial", disable=not trials.bar) as bar:
                while (left := self.n_trials - len(trials.configs)) > 0:
                    batch = suggest_batch(trials.searcher, min(trials.size, left), trials.rng)
                    if not batch or (trials.configs and time.monotonic() > end):
                        break
                    trials.run(evaluate_candidates, batch)
                    bar.update(len(batch))
                    bar.set_postfix(best=f"{np.nanmax([*trials.scores, -np.inf]):.4g}")
        except KeyboardInterrupt:
            if not np.isfinite(trials.scores).any():
                raise
            warnings.warn(f"interrupted: {len(trials.configs)} of {self.n_trials} trials are kept",
                          stacklevel=2)  # fmt: skip
        if trials.error is not None and len(trials.failed) == len(trials.scores):
            raise trials.error

    def _finish(self) -> None:
        """Put the trials that failed whole back in their places: scikit-learn keeps none."""
        trials = self._trials
        if not np.isfinite(trials.scores).any():
            raise ValueError(
                f"scoring: {self.scoring!r} is not finite in any of {len(trials.scores)} trials; "
                "accepted is a metric that returns a number for this estimator and these classes"
            )
        if len(self.cv_results_["params"]) + len(trials.failed) > len(trials.configs):
            trials.configs = trials.configs + trials.batch  # interrupted between the two lists
        self.configs_, self.trust_ = trials.configs, getattr(trials.searcher, "trust_", 0.0)
        ok = np.array([i for i in range(len(trials.configs)) if i not in trials.failed])
        self.cv_results_ = spread_results(self.cv_results_, ok, trials.failed, self.error_score)
        self.best_index_ = int(ok[self.best_index_])

    # ------------------------------------------------------------------ what follows a search

    def _has(self, method: str) -> bool:
        """Tell whether the estimator has a method, known by its name only or fitted."""
        if not self.refit:
            raise AttributeError(f"refit: got {self.refit!r}, accepted for {method} is True")
        return hasattr(getattr(self, "best_estimator_", self._resolved().estimator), method)

    @available_if(lambda self: self._has("predict"))
    def predict(self, X):
        """Predict with the best estimator."""
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    @available_if(lambda self: self._has("predict_proba"))
    def predict_proba(self, X):
        """Predict probabilities with the best estimator."""
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    @available_if(lambda self: self._has("decision_function"))
    def decision_function(self, X):
        """Call the best estimator's decision function."""
        check_is_fitted(self)
        return self.best_estimator_.decision_function(X)


# ---------------------------------------------------------------------- what the user gave


def _what_is_known(search: MetaSearchCV) -> tuple[MetaDataset | None, SearchSpace]:
    """Find the experience, if any, and the space of a search whose estimator is resolved."""
    given, space = search.experience, search.space
    if space is not None and not isinstance(space, SearchSpace):
        space = SearchSpace.from_scipy(space)
    learner = None
    if isinstance(search.estimator, LearnerClassifier):
        learner = as_learner(search.estimator.learner)
    shipped = learner if learner is not None and LEARNERS.get(learner.name) == learner else None
    experience = None
    if given is not None and given is not False:
        experience = as_experience(given)
    elif given is None and shipped is not None and space in (None, shipped.space):
        experience = _shipped(shipped.name)
    elif given is None:
        warnings.warn(
            "experience: got None, and none is shipped for this estimator and space: this is "
            "plain Bayesian optimization. Give experience of your own, such as "
            "MetaDataset.from_cv_results([...]); or False, which says that it is meant",
            stacklevel=4,
        )
    if space is None:
        known = learner if experience is None else experience
        if known is None:
            raise ValueError("space: got None, accepted is a SearchSpace, or a dict of lists and "
                             "scipy distributions; or give experience, which has a "
                             "space")  # fmt: skip
        space = known.space
    if experience is not None and space != experience.space:
        raise ValueError(f"experience: it is of another space, {experience.space.names}; accepted "
                         f"is one of the space searched, {space.names} with the same bounds and "
                         "choices: leave out space, or make experience of this one with "
                         "MetaDataset.from_trials(..., space=space)")  # fmt: skip
    return experience, space


@cache
def _shipped(name: str) -> MetaDataset:
    """Read what is shipped once in a process: a nested search fits many times."""
    return MetaDataset.load(name)


def _check_classes(y) -> None:
    """Raise a ValueError unless the target can be one of classes, as the experience's are."""
    kind = type_of_target(y, input_name="y")
    if kind not in ("binary", "multiclass"):
        raise ValueError(
            f"y: Unknown label type: {kind}. Maybe you are trying to fit a classifier on a "
            "regression target: this experience is of classification. Accepted are classes; "
            "pandas.qcut makes some of numbers; for regression collect experience of your own, "
            "such as MetaDataset.from_cv_results([...])"
        )
