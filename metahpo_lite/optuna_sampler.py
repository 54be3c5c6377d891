"""MetaSampler: hyperparameter search with experience, as a sampler of Optuna's.

Optuna runs the study; `WarmStart` proposes what it tries. Only this file needs Optuna.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

try:
    from optuna.distributions import BaseDistribution, CategoricalDistribution
    from optuna.samplers import BaseSampler, TPESampler
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("MetaSampler needs Optuna: pip install optuna") from error

from metahpo_lite.arguments import check_seed
from metahpo_lite.metadata import MetaDataset, as_experience
from metahpo_lite.portfolio import greedy_portfolio
from metahpo_lite.search import as_if_failed
from metahpo_lite.spaces import Config
from metahpo_lite.warmstart import WarmStart

PROPOSED = "metahpo_lite:config"  # where a trial keeps what was proposed for it


class MetaSampler(BaseSampler):
    """An Optuna sampler that begins with experience, and learns from the study's trials.

    The objective suggests the hyperparameters of the experience, by their names and with their
    ranges: ``config = experience.space.suggest(trial)`` does so, or
    ``trial.suggest_float("C", 1e-2, 1e4, log=True)`` and so on. What the experience does not know
    is sampled independently (by Optuna's TPE), with one warning. A pruned trial counts by its last
    intermediate value, a failed one as the worst so far. Trials that still run, in threads or in
    processes on the same storage, count as if they had failed, so that others are proposed; two
    processes that ask at the same moment may get the same.

    Parameters
    ----------
    experience : str, path or MetaDataset
        The name of a built-in learner, a folder of experience, or experience.
    meta_features : Series, optional
        Of the new table (see `meta_features`), if the experience has some.
    pool : sequence of dict, optional
        Search among these configurations alone: those that a replayed task knows.
    seed : int, optional
        Fixes the proposals of a study without parallel trials.

    Raises
    ------
    ValueError
        While it samples: if the study has several objectives, or suggests a hyperparameter of the
        experience with another distribution, or not at all.
    """

    def __init__(
        self,
        experience: str | os.PathLike | MetaDataset,
        meta_features: pd.Series | None = None,
        pool: Sequence[Config] | None = None,
        seed: int | None = None,
    ):
        self.experience = as_experience(experience)
        self.meta_features, self.pool = meta_features, pool
        seed = None if seed is None else check_seed(seed)
        self.rng, self.others = np.random.default_rng(seed), TPESampler(seed=seed)
        self.distributions = self.experience.space.to_optuna()
        self.study_name: str | None = None
        self.learned: set[int] = set()  # numbers of trials
        self.told: set[str | None] = set()  # of what the user was warned
        self.lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        kept = {"searcher", "lock"}
        return {n: v for n, v in vars(self).items() if n not in kept} | {"study_name": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, lock=threading.Lock())

    def reseed_rng(self) -> None:
        """Draw other numbers than the sampler that this one is a copy of."""
        self.rng.bit_generator.state = np.random.default_rng().bit_generator.state
        self.others.reseed_rng()

    # ------------------------------------------------------------------ what Optuna calls

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Refuse a study with several objectives.

        Parameters
        ----------
        study, trial
            Optuna's.

        Raises
        ------
        ValueError
            If it has several.
        """
        if len(study.directions) > 1:
            raise ValueError(
                f"study: it has {len(study.directions)} objectives, accepted is one: experience "
                "says what is best, not what is a good compromise; use Optuna's NSGAIISampler"
            )

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return no distribution: a value is looked up when the objective asks for it.

        Parameters
        ----------
        study, trial
            Optuna's.
        """
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing, for the same reason.

        Parameters
        ----------
        study, trial, search_space
            Optuna's.
        """
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        """Return the value of the configuration that was proposed for this trial.

        Parameters
        ----------
        study, trial, name, distribution
            Optuna's.

        Raises
        ------
        ValueError
            If the experience has the hyperparameter with another distribution.
        """
        if name not in self.distributions:
            self._tell_once(
                name,
                f"{name}: the experience does not know it, so it is sampled independently; it "
                f"knows {self.experience.space.names}",
            )
            return self.others.sample_independent(study, trial, name, distribution)
        if not _same(distribution, self.distributions[name]):
            raise ValueError(
                f"{name}: the study suggests {distribution}, accepted is the distribution of the "
                f"experience, {self.distributions[name]}: experience.space.suggest(trial) suggests "
                "all of them; or make experience of studies like this one with "
                "MetaDataset.from_optuna([...])"
            )
        with self.lock:
            config = self._proposed(trial) or self._propose(study, trial)
        if name in config:
            return config[name]
        return self.experience.space[name].decode(self.rng.random())  # inactive: of no effect

    # ------------------------------------------------------------------ what happens then

    def _propose(self, study: Study, trial: FrozenTrial) -> Config:
        """Learn from what has finished, and propose a configuration for this trial."""
        if self.study_name != study.study_name:
            space, pool = self.experience.space, self.pool
            self.searcher = WarmStart(space, self.rng, self.experience, self.meta_features, pool)
            self.study_name, self.learned = study.study_name, set()
        running = []
        for other in study.get_trials(deepcopy=False):
            proposed = self._proposed(other)
            if other.state.is_finished() and other.number not in self.learned:
                self.learned.add(other.number)
                self._learn(other, proposed, study.direction)
            elif other.state == TrialState.RUNNING and proposed and other.number != trial.number:
                running.append(proposed)
        searcher = as_if_failed(self.searcher, running, self.rng) if running else self.searcher
        try:
            config = searcher.suggest()
        except StopIteration:  # all were tried: begin again, as Optuna's samplers do
            if self.pool:
                config = self.pool[int(self.rng.integers(len(self.pool)))]
            else:
                config = self.experience.space.sample(self.rng)
        study._storage.set_trial_system_attr(trial._trial_id, PROPOSED, config)
        trial.system_attrs[PROPOSED] = config
        return config

    def _proposed(self, trial: FrozenTrial) -> Config | None:
        """Return what was proposed for a trial, if it was, and with this space."""
        config = trial.system_attrs.get(PROPOSED)
        try:
            return None if config is None else self.experience.space.check(config)
        except (KeyError, ValueError):
            return None

    def _learn(self, trial: FrozenTrial, proposed: Config | None, direction) -> None:
        """Tell the searcher of a finished trial."""
        space = self.experience.space
        given = {n: value for n, value in trial.params.items() if n in self.distributions}
        try:
            config = space.drop_inactive(given)
        except (KeyError, ValueError) as error:
            if trial.state != TrialState.COMPLETE:  # it ended before it had all of them
                return
            if proposed:
                raise ValueError(
                    f"trial {trial.number}: {error.args[0]}; accepted is an objective that "
                    f"suggests all hyperparameters of the experience, {space.names}: "
                    "experience.space.suggest(trial) does; or experience of those alone"
                ) from None
            self._tell_once(None, f"trial {trial.number}, and others like it, are no use to the "
                                  f"experience: {error.args[0]}")  # fmt: skip
            return
        values = {TrialState.COMPLETE: trial.value, TrialState.PRUNED: None}
        value = values.get(trial.state)
        if trial.state == TrialState.PRUNED and trial.intermediate_values:
            value = trial.intermediate_values[max(trial.intermediate_values)]
        score = math.nan if value is None or not math.isfinite(value) else value
        self.searcher.update(config, -score if direction == StudyDirection.MINIMIZE else score)

    def _tell_once(self, what: str | None, message: str) -> None:
        if what not in self.told:
            self.told.add(what)
            warnings.warn(message, stacklevel=4)


def _same(given: BaseDistribution, known: BaseDistribution) -> bool:
    """Tell whether two distributions are the same; the order of choices does not matter."""
    if isinstance(given, CategoricalDistribution) and isinstance(known, CategoricalDistribution):
        return sorted(map(repr, given.choices)) == sorted(map(repr, known.choices))
    return given == known


def enqueue_portfolio(
    study: Study, experience: str | os.PathLike | MetaDataset, n: int = 5
) -> list[Config]:
    """Let a study begin with what did best on other tasks, whatever sampler it has.

    Parameters
    ----------
    study : optuna.Study
    experience : str, path or MetaDataset
        As for `MetaSampler`.
    n : int
        How many configurations (see `greedy_portfolio`).

    Returns
    -------
    list of dict
        The configurations, in the order in which they will be tried; those that the study tried
        before are not tried again.

    Raises
    ------
    TypeError, ValueError
        If it is no study, or `n` is below 1.
    """
    if not isinstance(study, Study):
        raise TypeError(f"study: got {study!r}, accepted is an Optuna study")
    configs = greedy_portfolio(as_experience(experience), n)
    for config in configs:
        study.enqueue_trial(config, skip_if_exists=True)
    return configs
