"""Experience: the scores of the same configurations on many tasks.

``MetaDataset.load("svc")`` reads what this project ships; `collect_experience` makes more. A task
of the experience can be replayed: it answers like a live one, by looking the score up.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metahpo_lite.card import card
from metahpo_lite.catalogue import data_folder
from metahpo_lite.datasets import did_you_mean
from metahpo_lite.histories import of_cv_results, of_optuna, of_search
from metahpo_lite.hyperparameters import Categorical, Hyperparameter
from metahpo_lite.spaces import Config, SearchSpace, whole_number
from metahpo_lite.storage import (
    SCORES,
    TASKS,
    as_schema,
    as_table,
    config_key,
    configs_of,
    configs_table,
    described_table,
    read_file,
    space_of,
    space_text,
    write_file,
)
from metahpo_lite.trials import (
    checked_meta_features,
    checked_tasks,
    checked_trials,
    from_histories,
    from_trials,
    surrogate,
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
        missing if it failed); and if known std (over the folds), seconds, status (ok, failed or
        timeout) and reason (why it failed).
    tasks : DataFrame
        Index task; family (tasks of one family are held out together); and if known rows,
        features, classes, source, licence.
    meta_features : DataFrame, optional
        Index task, one column per meta-feature; missing for a task that was not described.
    about : dict, optional
        How it was made: learner, metric, folds, seed, versions, date.

    Raises
    ------
    KeyError, ValueError
        If the parts do not fit together; the message names the column and the row.
    """

    space: SearchSpace
    configs: Sequence[Config]
    trials: pd.DataFrame = field(repr=False)
    tasks: pd.DataFrame = field(repr=False)
    meta_features: pd.DataFrame | None = field(default=None, repr=False)
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        configs = tuple(self.space.check(config) for config in self.configs)
        if not configs or len({config_key(c) for c in configs}) < len(configs):
            raise ValueError("configs: none, or one occurs twice; accepted are different ones")
        tasks = checked_tasks(self.tasks, "tasks")
        trials = checked_trials(self.trials, len(configs), tasks.index, "trials")
        described = checked_meta_features(self.meta_features, tasks.index, "meta_features")
        vars(self).update(configs=configs, tasks=tasks, trials=trials, meta_features=described)

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
        scores = self.scores.to_numpy()
        best, worst = np.nanmax(scores, axis=1), np.nanmin(scores, axis=1)
        best, worst = best[:, None], worst[:, None]
        scores = np.where(np.isnan(scores), worst, scores)
        regrets = np.divide(
            best - scores, best - worst, out=np.zeros_like(scores), where=best > worst
        )
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
        ok = self.trials.dropna(subset="score").sort_values(
            ["score", "config"], ascending=[False, True], kind="stable"
        )
        best = ok.groupby("task", sort=False).head(whole_number("n", n))
        best = best.assign(rank=best.groupby("task").cumcount() + 1).set_index(["task", "rank"])
        best = best[["config", "score"]].sort_index()
        values = pd.DataFrame(list(self.configs), columns=self.space.names, dtype=object)
        values = values.iloc[best["config"]].infer_objects().set_axis(best.index)
        return pd.concat([best, values], axis=1)

    def best_default(self) -> Config:
        """Return the single best default: the configuration with the lowest mean regret.

        The mean is over the tasks of `regrets`; of equals the first.
        """
        return self.configs[int(self.regrets.mean().to_numpy().argmin())]

    def replay(self, task: str) -> ReplayTask:
        """Return a task that looks its scores up; a KeyError if there is no such task."""
        self._known("task", [task], self.tasks.index)
        rows = self.trials[self.trials["task"] == task].sort_values("config")
        failures = [
            ("" if s == "ok" else s, r) for s, r in zip(rows["status"], rows["reason"], strict=True)
        ]
        return ReplayTask(task, self.space, self.configs, rows["score"].to_numpy(), failures)

    # ------------------------------------------------------------------ parts of it

    def subset(self, tasks: Sequence[str]) -> MetaDataset:
        """Return the experience on these tasks alone, in their order."""
        tasks = [tasks] if isinstance(tasks, str) else list(tasks)
        self._known("task", tasks, self.tasks.index)
        if len(set(tasks)) < len(tasks) or not tasks:
            raise ValueError("tasks: none, or one twice; accepted are different tasks")
        described = None if self.meta_features is None else self.meta_features.loc[tasks]
        return replace(
            self,
            trials=self.trials[self.trials["task"].isin(tasks)],
            tasks=self.tasks.loc[tasks],
            meta_features=described,
        )

    def without(self, family: str | Sequence[str]) -> MetaDataset:
        """Return the experience without a family, or several: as if it had never been seen."""
        families = [family] if isinstance(family, str) else list(family)
        self._known("family", families, self.families.unique())
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
        numbers = list(numbers)
        if not set(numbers) <= set(range(len(self.configs))):
            raise ValueError(f"numbers: got {numbers}, accepted are some of 0 to "
                             f"{len(self.configs) - 1}")  # fmt: skip
        place = {number: i for i, number in enumerate(numbers)}
        trials = self.trials[self.trials["config"].isin(numbers)]
        return replace(
            self,
            configs=[self.configs[i] for i in numbers],
            trials=trials.assign(config=trials["config"].map(place)),
        )

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
        h = self.space[name]
        if not isinstance(h, Categorical) or not choices or not set(choices) <= set(h.choices):
            raise ValueError(f"choices: got {list(choices)} of {name!r}, accepted are some of "
                             f"{list(getattr(h, 'choices', []))}")  # fmt: skip
        left = [
            i for i, config in enumerate(self.configs) if config.get(name, choices[0]) in choices
        ]
        if not left:
            raise ValueError(f"choices: no configuration has {name!r} in {list(choices)}")
        space: dict[str, Hyperparameter] = {}
        for h in self.space:
            when = {p: [v for v in some if p != name or v in choices] for p, some in h.when.items()}
            if all(some and p in space for p, some in when.items()):
                new = {"choices": list(choices)} if h.name == name else {}
                space[h.name] = replace(h, when=when, **new)
        return replace(self.with_configs(left), space=SearchSpace(list(space.values())))

    @staticmethod
    def _known(kind: str, given: Sequence[str], known: Sequence[str]) -> None:
        for name in given:
            if name not in known:
                hint = did_you_mean(name, known)
                raise KeyError(f"{kind}: {name!r} is not in this experience{hint}; accepted is "
                               f"one of {len(known)}")  # fmt: skip

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
        if not isinstance(name, (str, os.PathLike)):
            raise TypeError(f"experience: got {name!r}, accepted is a MetaDataset, the name of "
                            "what is shipped, or a folder")  # fmt: skip
        folder = Path(name)
        if isinstance(name, str) and folder.name == name and (data_folder() / name).is_dir():
            folder = data_folder() / name
        if not folder.is_dir():
            shipped = sorted(path.parent.name for path in data_folder().glob("*/space.json"))
            raise FileNotFoundError(f"name: {str(name)!r} is neither shipped nor a folder; "
                                    f"accepted is one of {shipped}, or a path")  # fmt: skip
        paths = {path: folder / f"{path}.parquet" for path in ("configs", "scores", "tasks")}
        space, about = space_of(folder / "space.json")
        configs = configs_of(space, read_file(paths["configs"]), paths["configs"])
        frames = {}
        for name, schema in (("tasks", TASKS), ("scores", SCORES)):
            table = as_schema(read_file(paths[name]), schema, paths[name])
            frames[name] = table.to_pandas(ignore_metadata=True, use_threads=False)
        tasks = checked_tasks(frames["tasks"].set_index("task"), paths["tasks"])
        trials = checked_trials(frames["scores"], len(configs), tasks.index, paths["scores"])
        described, path = None, folder / "meta_features.parquet"
        if path.exists():
            described = read_file(path).to_pandas(ignore_metadata=True, use_threads=False)
            if "task" not in described:
                raise ValueError(f"{path}: column 'task' is missing; accepted is one row a task")
            described = checked_meta_features(described.set_index("task"), tasks.index, path)
        loaded = object.__new__(cls)  # all of it is checked, and its errors name the files
        vars(loaded).update(space=space, configs=tuple(configs), trials=trials, tasks=tasks,
                            meta_features=described, about=about)  # fmt: skip
        return loaded

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the experience into a new folder, and return its path.

        It is written under another name and renamed: the folder is there whole, or not at all.

        Raises
        ------
        FileExistsError
            If something is there already.
        """
        folder = Path(folder)
        if folder.exists():
            raise FileExistsError(f"folder: {folder} is there already; accepted is a new name")
        part = folder.with_name(folder.name + ".part")
        part.mkdir(parents=True, exist_ok=True)
        write_file(part / "space.json", space_text(self.space, self.about))
        write_file(part / "configs.parquet", configs_table(self.space, self.configs))
        trials = self.trials.sort_values(["task", "config"])
        write_file(part / "scores.parquet", as_table(trials, SCORES))
        write_file(part / "tasks.parquet", as_table(self.tasks.reset_index(), TASKS))
        if self.meta_features is not None:
            write_file(part / "meta_features.parquet", described_table(self.meta_features))
        write_file(part / "README.md", card(self))
        os.rename(part, folder)
        return folder

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
        if name is None:
            numbers = itertools.count(1)
            name = next(n for n in map("search {}".format, numbers) if n not in self.tasks.index)
        if not isinstance(name, str) or not name:
            raise ValueError(f"name: got {name!r}, accepted is a text that is not empty")
        history = of_search(search, self.space, name)
        if len(history.scores) < 2:
            raise ValueError(f"search: {len(history.scores)} trials have a score, accepted are "
                             "two or more")  # fmt: skip
        if name in self.tasks.index:
            raise ValueError(f"name: there is a task {name!r} already, accepted is another name")
        known = {config_key(c): s for c, s in zip(history.configs, history.scores, strict=True)}
        predict = surrogate(self.space.encode(history.configs), history.scores, seed=0).predict
        pairs = zip(self.configs, predict(self.points), strict=True)
        scores = [known.get(config_key(config), score) for config, score in pairs]
        trials = pd.DataFrame({"task": name, "config": range(len(scores)), "score": scores})
        tasks = self.tasks.copy()
        tasks.loc[name, ["family", "source", "licence"]] = [family or name, "your own search", ""]
        described = self.meta_features
        if described is not None:
            row = meta_features
            if row is None:  # a study has a sampler, which may have used some
                row = getattr(getattr(search, "sampler", search), "meta_features", None)
            if row is None:
                row = getattr(search, "meta_features_", None)
            if not isinstance(row, pd.Series):
                raise ValueError("meta_features: the search has none, accepted is a Series: "
                                 "meta_features(X, y) of its table; this experience has some for "
                                 "each task")  # fmt: skip
            if lacking := [n for n in described.columns if n not in row.index]:
                raise ValueError(f"meta_features: {lacking[0]!r} is missing; accepted are those of "
                                 "the experience, as from meta_features(X, y)")  # fmt: skip
            row = row[described.columns]
            described = pd.concat([described, row.to_frame(name).T.rename_axis("task")])
        trials = pd.concat([self.trials, trials], ignore_index=True)
        about = {**self.about, "added": [*self.about.get("added", ()), name]}
        return replace(self, trials=trials, tasks=tasks, meta_features=described, about=about)


def as_experience(given: str | os.PathLike | MetaDataset) -> MetaDataset:
    """Return experience as it is, or what `MetaDataset.load` finds under a name or in a folder."""
    return given if isinstance(given, MetaDataset) else MetaDataset.load(given)


@dataclass(frozen=True, eq=False)
class ReplayTask:
    """A task that looks its scores up: microseconds, and the same at each run.

    It knows only the configurations of its pool; a searcher must choose among them.

    Attributes
    ----------
    name : str
    space : SearchSpace
    pool : sequence of dict
    scores : array of shape (n_configs,)
        NaN where the evaluation failed.
    failures : sequence of (status, reason)
        One for each configuration, empty where it did not fail.
    """

    name: str
    space: SearchSpace = field(repr=False)
    pool: Sequence[Config] = field(repr=False)
    scores: np.ndarray = field(repr=False)
    failures: Sequence[tuple[str, str]] = field(repr=False)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {config_key(config): i for i, config in enumerate(self.pool)}

    @property
    def best(self) -> float:
        """The best score of the pool: for who measures a search, not for the searcher."""
        return float(np.nanmax(self.scores))

    @property
    def worst(self) -> float:
        """The worst score of the pool."""
        return float(np.nanmin(self.scores))

    def evaluate(self, config: Mapping[str, Any]) -> float:
        """Return the score of a configuration of the pool.

        Raises
        ------
        KeyError, ValueError
            If the configuration is not valid, or not in the pool.
        TimeoutError, RuntimeError
            If the evaluation had failed, with the reason of then.
        """
        number = self._numbers.get(config_key(self.space.check(config)))
        if number is None:
            raise ValueError(f"config: {dict(config)} was never evaluated on {self.name!r}; "
                             "accepted is one of the pool")  # fmt: skip
        status, reason = self.failures[number]
        if status:
            raise (TimeoutError if status == "timeout" else RuntimeError)(reason or status)
        return float(self.scores[number])
