"""Experience: the scores of the same configurations on many tasks.

``MetaDataset.load("svc")`` reads what this project ships; `collect_experience` makes more. A task
of the experience can be replayed: it answers like a live one, by looking the score up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metahpo_lite.about import checked_about
from metahpo_lite.additions import with_search
from metahpo_lite.arguments import as_list, as_path, whole_number
from metahpo_lite.experience_files import folder_of, read_experience, write_experience
from metahpo_lite.histories import of_cv_results, of_optuna
from metahpo_lite.parts import best_configs, check_known, of_choices, of_configs, of_tasks
from metahpo_lite.regret import regrets_of
from metahpo_lite.replay import ReplayTask
from metahpo_lite.spaces import Config, SearchSpace
from metahpo_lite.trials import (
    checked_configs,
    checked_meta_features,
    checked_tasks,
    checked_trials,
    from_histories,
    from_trials,
)


@dataclass(frozen=True, eq=False)
class MetaDataset:
    """Experience: the same configurations, evaluated on many tasks.

    Parameters
    ----------
    space : SearchSpace
    configs : sequence of dict
        The configurations, all different. In a collection, number 0 is the learner's default.
    trials : DataFrame
        One row per task and configuration: task, config (its number), score (higher is better,
        within ±1e100, missing if it failed); and if known std (over the folds), seconds, status
        (ok, failed or timeout) and reason (why it failed).
    tasks : DataFrame
        Index task; family (tasks of one family are held out together); and if known rows,
        features, classes, source, licence.
    meta_features : DataFrame, optional
        Index task, one column per meta-feature; missing for a task that was not described.
    about : dict, optional
        How it was made: learner, metric, folds, seed, versions, date.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the parts do not fit together; the message names the column and the row.
    """

    space: SearchSpace
    configs: Sequence[Config]
    trials: pd.DataFrame = field(repr=False)
    tasks: pd.DataFrame = field(repr=False)
    meta_features: pd.DataFrame | None = field(default=None, repr=False)
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        configs = checked_configs(self.space, self.configs)
        tasks = checked_tasks(self.tasks, "tasks")
        trials = checked_trials(self.trials, len(configs), tasks.index, "trials")
        described = checked_meta_features(self.meta_features, tasks.index, "meta_features")
        about = checked_about(self.about)
        vars(self).update(configs=configs, tasks=tasks, trials=trials, meta_features=described)
        vars(self).update(about=about)

    def __getstate__(self) -> dict[str, Any]:
        # without what is computed when asked for: to use experience does not change it
        return {part.name: vars(self)[part.name] for part in fields(self)}

    def __repr__(self) -> str:
        families = self.tasks["family"].nunique()
        return (f"MetaDataset({self.name!r}: {len(self.tasks)} tasks of {families} families, "
                f"{len(self.configs)} configurations)")  # fmt: skip

    # ------------------------------------------------------------------ what is in it

    @property
    def name(self) -> str:
        """The name of the learner, if it is known."""
        return self.about.get("learner", "experience")

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The scores as a matrix, tasks x configurations; missing where one failed."""
        return self._matrix("score")

    @cached_property
    def seconds(self) -> pd.DataFrame:
        """The seconds that each evaluation took, tasks x configurations."""
        return self._matrix("seconds")

    @cached_property
    def regrets(self) -> pd.DataFrame:
        """Normalised regret of each configuration as the only trial, tasks x configurations.

        0 is the best of the task, 1 the worst, or one that failed; all are 0 on a task on which
        all score the same.
        """
        regrets = regrets_of(self.scores.to_numpy())
        return pd.DataFrame(regrets, self.scores.index, self.scores.columns)

    @property
    def families(self) -> pd.Series:
        """The family of each task."""
        return self.tasks["family"]

    @cached_property
    def points(self) -> np.ndarray:
        """The configurations as points of the unit cube, shape (n_configs, d)."""
        return self.space._encode(self.configs)  # checked when they came

    def _matrix(self, column: str) -> pd.DataFrame:
        # the trials are sorted, and each task has all configurations
        matrix = self.trials[column].to_numpy().reshape(-1, len(self.configs))
        names = pd.Index(self.trials["task"].iloc[:: len(self.configs)], name="task")
        columns = pd.RangeIndex(len(self.configs), name="config")
        return pd.DataFrame(matrix, names, columns).reindex(self.tasks.index)

    def best_configs(self, n: int = 1) -> pd.DataFrame:
        """Return the best `n` configurations of each task; of equals the first.

        Returns
        -------
        DataFrame
            Index task and rank (from 1); config (its number), score, and a column per
            hyperparameter, missing where it is inactive. A task may have fewer that did not fail.
        """
        return best_configs(self, whole_number("n", n))

    def best_default(self) -> Config:
        """Return the single best default: the configuration with the lowest mean regret.

        The mean is over the tasks of `regrets`; of equals the first.
        """
        return self.configs[int(self.regrets.mean().to_numpy().argmin())]

    def replay(self, task: str) -> ReplayTask:
        """Return a task that looks its scores up; a KeyError if there is no such task."""
        check_known("task", [task], self.tasks.index)
        rows = self.trials[self.trials["task"] == task].sort_values("config")
        failures = [
            ("" if s == "ok" else s, r) for s, r in zip(rows["status"], rows["reason"], strict=True)
        ]
        return ReplayTask(task, self.space, self.configs, rows["score"].to_numpy(), failures)

    # ------------------------------------------------------------------ parts of it

    def subset(self, tasks: Sequence[str]) -> MetaDataset:
        """Return the experience on these tasks alone, in their order."""
        return replace(self, **of_tasks(self, tasks))

    def without(self, family: str | Sequence[str]) -> MetaDataset:
        """Return the experience without a family, or several: as if it had never been seen."""
        families = [family] if isinstance(family, str) else as_list("family", family, "a list")
        check_known("family", families, self.families.unique())
        left = self.tasks.index[~self.families.isin(families)]
        if left.empty:
            raise ValueError("family: nothing would be left; accepted is a part of the families")
        return self.subset(list(left))

    def with_configs(self, numbers: Sequence[int]) -> MetaDataset:
        """Return the experience as if these configurations alone had been tried, in this order.

        Raises
        ------
        ValueError
            If there is none, one occurs twice, or there is no such configuration.
        """
        return replace(self, **of_configs(self, numbers))

    def with_choices(self, name: str, choices: Sequence) -> MetaDataset:
        """Return the experience in a smaller space: as if other choices had never been there.

        Parameters
        ----------
        name : str
            A categorical hyperparameter.
        choices : sequence
            Those of its choices that stay.

        Returns
        -------
        MetaDataset
            Without the configurations of the other choices, and without the hyperparameters that
            are active with these alone.

        Raises
        ------
        KeyError
            If there is no such hyperparameter.
        ValueError
            If it is not categorical, a choice is none of its, or nothing would be left.
        """
        return replace(self, **of_choices(self, name, choices))

    # ------------------------------------------------------------------ on disk

    @classmethod
    def load(cls, name: str | os.PathLike) -> MetaDataset:
        """Read experience, and check all of it.

        Parameters
        ----------
        name : str or path
            The name of experience that is shipped ("svc"), or a folder.

        Raises
        ------
        FileNotFoundError
            If there is no such folder, or a file lacks in it.
        ValueError
            If a file is wrong: the message names the file, the column and the row.
        """
        loaded = object.__new__(cls)  # all of it is checked, and its errors name the files
        vars(loaded).update(read_experience(folder_of(name)))
        return loaded

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the experience into a new folder, and return its path.

        It is written under another name and renamed: the folder is there whole, or not at all.

        Raises
        ------
        FileExistsError
            If something is there already.
        """
        return write_experience(self, as_path("folder", folder))

    @classmethod
    def from_trials(
        cls,
        table: pd.DataFrame,
        meta_features: pd.DataFrame | None = None,
        families: Mapping[str, str] | None = None,
        *,
        space: SearchSpace | None = None,
        n_configs: int = 200,
        seed: int = 0,
    ) -> MetaDataset:
        """Make experience of a long table that comes from elsewhere, such as a search history.

        Where all tasks have the same configurations, the scores are those of the table. Where
        they differ, a surrogate of each task (100 extremely randomised trees, at least two
        trials a leaf) predicts the scores of `n_configs` configurations of the table.

        Parameters
        ----------
        table : DataFrame
            One row per trial: ``task``, one column per hyperparameter, ``score`` (higher is
            better).
        meta_features : DataFrame, optional
            Index task.
        families : mapping of task to family, optional
            Each task is its own family if not given.
        space : SearchSpace, optional
            Of the columns; if not given, numbers range from the smallest to the largest, texts
            are choices. With a space, a missing cell is an inactive hyperparameter.
        n_configs, seed
            How many configurations to draw where they differ, and by which draw.

        Raises
        ------
        ValueError
            If the table cannot be used; the message names the column and the row.
        """
        return cls(**from_trials(table, meta_features, families, space, n_configs, seed))

    @classmethod
    def from_optuna(
        cls,
        studies: Any,
        meta_features: pd.DataFrame | None = None,
        families: Mapping[str, str] | None = None,
        *,
        space: SearchSpace | None = None,
        n_configs: int = 200,
        seed: int = 0,
    ) -> MetaDataset:
        """Make experience of Optuna studies: a task each, of its completed trials.

        A score is the study's value, or minus the value if it was minimised.

        Parameters
        ----------
        studies : list of optuna.Study, one study, or a storage
            A storage may be given by its address, such as "sqlite:///studies.db".
        meta_features, families, n_configs, seed
            As for `from_trials`; a task has the name of its study.
        space : SearchSpace, optional
            If not given, the ranges are those of the distributions, and conditions are found by
            where the trials have a hyperparameter.

        Raises
        ------
        ValueError
            If a study has several objectives, the studies do not agree on what a hyperparameter
            is, or a condition cannot be found.
        """
        histories, found = of_optuna(studies)
        space = found if space is None else space
        return cls(**from_histories(histories, space, meta_features, families, n_configs, seed))

    @classmethod
    def from_cv_results(
        cls,
        results: Sequence[Mapping] | Mapping[str, Mapping],
        meta_features: pd.DataFrame | None = None,
        families: Mapping[str, str] | None = None,
        *,
        space: SearchSpace | None = None,
        n_configs: int = 200,
        seed: int = 0,
    ) -> MetaDataset:
        """Make experience of scikit-learn's searches: a task each, of its ``cv_results_``.

        Parameters
        ----------
        results : list of dict, or dict of dict
            ``[search.cv_results_, ...]``; in a dict the keys name the tasks.
        meta_features, families, n_configs, seed
            As for `from_trials`.
        space : SearchSpace, optional
            If not given, numbers range from the smallest to the largest that was tried, on a log
            scale if these are positive and a factor of 100 apart; conditions are found by where
            the trials have a hyperparameter.

        Raises
        ------
        ValueError
            If one is no such table, has a value that is neither number, text, truth value nor
            None, or a condition cannot be found.
        """
        histories, found = of_cv_results(results)
        space = found if space is None else space
        return cls(**from_histories(histories, space, meta_features, families, n_configs, seed))

    def add(
        self,
        search: Any,
        name: str | None = None,
        family: str | None = None,
        meta_features: pd.Series | None = None,
    ) -> MetaDataset:
        """Return this experience and one task more: what a search has found.

        A surrogate of the search's trials predicts the scores of the experience's configurations;
        those that were tried have the score that they had.

        Parameters
        ----------
        search : MetaSearchCV, another search of scikit-learn's, or optuna.Study
            One that has finished, in the same space.
        name : str, optional
            Of the task; "search 1" and so on if not given.
        family : str, optional
            The name if not given.
        meta_features : Series, optional
            Of the task's table, if the experience has some; a search that used them has them.

        Returns
        -------
        MetaDataset
            A new one: ``experience = experience.add(search)``.

        Raises
        ------
        ValueError, TypeError
            If a configuration of the search is not of this space, fewer than two have a score,
            the name is there already, or meta-features are missing.
        """
        return replace(self, **with_search(self, search, name, family, meta_features))


def check_experience(given: Any) -> None:
    """Raise a TypeError if it is no experience."""
    if not isinstance(given, MetaDataset):
        raise TypeError(f"experience: got {given!r}, accepted is a MetaDataset")


def as_experience(given: str | os.PathLike | MetaDataset) -> MetaDataset:
    """Return experience as it is, or what `MetaDataset.load` finds under a name or in a folder."""
    return given if isinstance(given, MetaDataset) else MetaDataset.load(given)
