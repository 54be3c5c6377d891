"""Folders of experience: ours, or one from elsewhere that is a long table of trials.

A folder with ``space.json`` is ours. A folder with ``trials.parquet`` is from elsewhere: columns
``task``, ``score`` (higher is better, missing where a trial failed) and one per hyperparameter,
scaled to [0, 1]; ``name=value`` is one choice of a categorical one; below 0 is inactive.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from metahpo_lite.arguments import whole_number
from metahpo_lite.histories import condition
from metahpo_lite.hyperparameters import Categorical, Float
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.spaces import Config, SearchSpace
from metahpo_lite.storage import config_key, read_file, refuse
from metahpo_lite.trials import surrogate

ACCEPTED = (
    "accepted is a folder of our experience (space.json), or of another (trials.parquet with "
    "task, score and hyperparameters as numbers in [0, 1])"
)


@dataclass(frozen=True, eq=False)
class Target:
    """A task to search on, and what may be known of it before.

    Attributes
    ----------
    name, family : str
    pool : sequence of dict
        The configurations that were evaluated on it.
    scores : array of shape (n_configs,)
        Their scores, NaN where one failed: for who measures, not for a searcher.
    experience : MetaDataset
        The same configurations on the tasks of all other families.
    meta_features : Series or None
        Of the task itself.
    """

    name: str
    family: str
    pool: Sequence[Config] = field(repr=False)
    scores: np.ndarray = field(repr=False)
    experience: MetaDataset = field(repr=False)
    meta_features: pd.Series | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class Folder:
    """The tasks of a folder that can be searched on.

    Attributes
    ----------
    path : Path
    space : SearchSpace
    tasks : DataFrame
        Index task, sorted; family. Without the tasks on which all scores are the same.
    left_out : sequence of str
        The tasks on which all scores are the same.
    fingerprint : str
        Changes when the files do.
    shared : MetaDataset or None
        The experience, where all tasks have the same configurations.
    pools : mapping of task to (sequence of dict, array), or None
        The configurations and scores of each task, where they differ.
    meta_features : DataFrame or None
        Index task.
    """

    path: Path
    space: SearchSpace
    tasks: pd.DataFrame = field(repr=False)
    left_out: Sequence[str]
    fingerprint: str
    shared: MetaDataset | None = field(repr=False, default=None)
    pools: dict[str, tuple[list[Config], np.ndarray]] | None = field(repr=False, default=None)
    meta_features: pd.DataFrame | None = field(repr=False, default=None)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.name

    def some_tasks(self, n: int | None) -> list[str]:
        """Return `n` tasks at even distances over the sorted names; all if there are fewer."""
        names = list(self.tasks.index)
        if n is None or n >= len(names):
            return names
        places = (np.arange(whole_number("tasks", n)) + 0.5) * len(names) / n
        return [names[int(place)] for place in places]

    def target(self, task: str, cache: Path) -> Target:
        """Return a task with its own configurations, and the experience of all other families.

        Parameters
        ----------
        task : str
        cache : Path
            Where `predict_sources` wrote.
        """
        family = self.tasks.loc[task, "family"]
        described = None if self.meta_features is None else self.meta_features.loc[task]
        if self.shared is not None:
            pool, scores = self.shared.configs, self.shared.scores.loc[task].to_numpy()
            return Target(task, family, pool, scores, self.shared.without(family), described)
        pool, scores = self.pools[task]
        others = self.tasks[self.tasks["family"] != family]
        start = _starts(self)[task]
        predicted = np.concatenate(
            [
                np.load(_prediction(self, cache, source), mmap_mode="r")[start : start + len(pool)]
                for source in others.index
            ]
        )
        trials = pd.DataFrame({
            "task": np.repeat(others.index.to_numpy(), len(pool)),
            "config": np.tile(np.arange(len(pool)), len(others)),
            "score": predicted.astype(float),
        })  # fmt: skip
        features = None if self.meta_features is None else self.meta_features.loc[others.index]
        experience = MetaDataset(self.space, pool, trials, others, features, {"learner": self.name})
        return Target(task, family, pool, scores, experience, described)


def read_folder(path: str | os.PathLike) -> Folder:
    """Read a folder of experience, ours or another, and check all of it.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not there, or of another form; the message names the file, the column, the row.
    """
    path = Path(path).resolve()
    if not path.is_dir():
        raise FileNotFoundError(f"FOLDER: {path} is no folder; {ACCEPTED}")
    digest = hashlib.sha256()
    for file in sorted([*path.glob("*.parquet"), *path.glob("space.json")]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    fingerprint = digest.hexdigest()[:12]
    if (path / "space.json").is_file():
        return _of_experience(path, MetaDataset.load(path), fingerprint)
    if not (path / "trials.parquet").is_file():
        raise ValueError(f"FOLDER: {path} has no space.json and no trials.parquet; {ACCEPTED}")
    return _read_trials(path, fingerprint)


def _of_experience(path: Path, experience: MetaDataset, fingerprint: str) -> Folder:
    level = experience.scores.nunique(axis=1) < 2  # NaN is no score
    judged = _judged(path, experience.tasks[["family"]], level)
    if level.any():
        experience = experience.subset([t for t in experience.tasks.index if not level[t]])
    left_out = tuple(level.index[level])
    described = experience.meta_features
    return Folder(
        path, experience.space, judged, left_out, fingerprint, experience, None, described
    )


def _judged(path: Path, tasks: pd.DataFrame, level: pd.Series) -> pd.DataFrame:
    tasks = tasks[~level].sort_index()
    if tasks["family"].nunique() < 2:
        raise ValueError(
            f"{path}: {tasks['family'].nunique()} families with different scores; accepted are at "
            "least 2, since each is judged with the experience of the others"
        )
    return tasks


# ---------------------------------------------------------------------- a table from elsewhere


def _read_trials(path: Path, fingerprint: str) -> Folder:
    where = path / "trials.parquet"
    table = read_file(where).to_pandas()
    if table.index.name is not None:
        table = table.reset_index()
    if lacking := [name for name in ("task", "score") if name not in table]:
        raise ValueError(f"{where}: column {lacking[0]!r} is missing; {ACCEPTED}")
    refuse(where, "task", table["task"].isna(), table["task"], "the name of a task")
    task = table["task"].astype(object).map(str)
    score = _numbers(where, table["score"])
    refuse(where, "score", np.isinf(score), score, "finite, or missing where the trial failed")
    space, configs = _space_and_configs(where, table.drop(columns=["task", "score"]))
    keys = pd.Series([config_key(config) for config in configs])
    twice = pd.DataFrame({"task": task, "key": keys}).duplicated()
    refuse(where, "task", twice, task, "each configuration once per task")

    names = sorted(set(task))
    families = _families(path / "tasks.parquet", names)
    described = _meta_features(path / "meta_features.parquet", names)
    level = pd.Series(score).groupby(task.to_numpy()).nunique().reindex(names) < 2
    number, distinct = pd.factorize(keys)
    if len(table) == len(names) * len(distinct):
        first = pd.Series(np.arange(len(table))).groupby(number).first()
        trials = pd.DataFrame({"task": task, "config": number, "score": score})
        pool = [configs[i] for i in first]
        about = {"learner": path.name}
        experience = MetaDataset(space, pool, trials, families, described, about)
        return _of_experience(path, experience, fingerprint)
    judged = _judged(path, families, level)
    rows = pd.Series(np.arange(len(table))).groupby(task.to_numpy())
    pools = {
        name: ([configs[i] for i in chosen], score[chosen])
        for name, chosen in rows
        if name in judged.index
    }
    left_out = tuple(level.index[level])
    return Folder(path, space, judged, left_out, fingerprint, None, pools, described)


def _numbers(where: Path, column: pd.Series) -> np.ndarray:
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if not (number or column.isna().all()):
        row = next(i for i, v in enumerate(column) if not isinstance(v, (int, float)) or v is True)
        raise ValueError(
            f"{where}: column {column.name!r}, row {row}: got {column.iloc[row]!r}, accepted is a "
            "number"
        )
    return column.to_numpy(dtype=float)


def _space_and_configs(where: Path, table: pd.DataFrame) -> tuple[SearchSpace, list[Config]]:
    """Return the space that the columns tell of, and each row as a configuration."""
    columns: dict[str, list[str]] = {}
    for column in table.columns:
        columns.setdefault(str(column).partition("=")[0], []).append(column)
    choices: dict[str, list[str]] = {}  # of the categorical ones
    values: dict[str, np.ndarray] = {}  # a number, or the place of the choice
    active: dict[str, np.ndarray] = {}
    for name, group in columns.items():
        numbers = np.stack([_numbers(where, table[column]) for column in group], axis=1)
        active[name] = ~(numbers[:, 0] < 0)
        if group == [name]:
            bad = ~((numbers[:, 0] <= 1) & np.isfinite(numbers[:, 0]))
            refuse(where, name, bad, numbers[:, 0], "in [0, 1], or below 0 where inactive")
            values[name] = numbers[:, 0]
            continue
        for column, cells in zip(group, numbers.T, strict=True):
            accepted = "0 or 1, or below 0 in all columns of the group where inactive"
            right = np.where(active[name], (cells == 0) | (cells == 1), cells < 0)
            refuse(where, column, ~right.astype(bool), cells, accepted)
        sums = numbers.sum(axis=1)
        more = active[name] & (sums > 1)
        refuse(where, f"{name}=…", more, sums, "1 in at most one column of the group")
        choices[name] = [str(column).partition("=")[2] for column in group]
        values[name] = numbers.argmax(axis=1)
        if len(group) == 1 or (sums[active[name]] == 0).any():
            other = "other"
            while other in choices[name]:
                other += "_"
            values[name] = np.where(sums > 0, values[name], len(group))
            choices[name].append(other)
    if not columns:
        raise ValueError(f"{where}: no column of a hyperparameter; {ACCEPTED}")
    # parents first: what is always active, then categorical ones, which may have children too
    order = sorted(columns, key=lambda name: (not active[name].all(), name not in choices))
    hyperparameters, cells = [], []
    for place, name in enumerate(order):
        parents = [n for n in order[:place] if n in choices]
        when = _condition(where, name, active, values, {n: choices[n] for n in parents})
        if name in choices:
            hyperparameters.append(Categorical(name, choices[name], when=when))
            cells.append([choices[name][int(v)] for v in values[name]])
        else:
            hyperparameters.append(Float(name, 0, 1, when=when))
            cells.append(values[name].tolist())
    here = np.stack([active[name] for name in order], axis=1).tolist()
    configs = [
        {name: value for name, value, on in zip(order, row, on_row, strict=True) if on}
        for row, on_row in zip(zip(*cells, strict=True), here, strict=True)
    ]
    return SearchSpace(hyperparameters), configs


def _condition(where, name, active, values, parents) -> dict[str, list[str]]:
    """Find the categorical hyperparameter, or several, whose choices decide what is active."""
    found = condition(active[name], active, values, parents)
    if found is None:
        row = int((~active[name]).argmax())
        raise ValueError(
            f"{where}: column {name!r}, row {row}: below 0, which is inactive, but no categorical "
            f"hyperparameter decides where it is; accepted is a choice of one of {list(parents)}"
        )
    return found


def _indexed(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read a table with a row per task, as index or as column."""
    table = read_file(path).to_pandas()
    if "task" in table:
        table = table.set_index("task")
    elif table.index.name != "task":
        raise ValueError(f"{path}: column 'task' is missing; accepted is one row per task")
    index = table.index.map(str)
    refuse(path, "task", index.duplicated(), index, "each task once")
    table = table.set_axis(index.rename("task"), axis=0)
    if lacking := [name for name in names if name not in table.index]:
        raise ValueError(f"{path}: task {lacking[0]!r} is missing; accepted is one row per task "
                         "of trials.parquet")  # fmt: skip
    return table.loc[list(names)]


def _families(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Return the family of each task; its own if there is no file."""
    index = pd.Index(names, name="task", dtype=object)
    if not path.is_file():
        return pd.DataFrame({"family": names}, index=index, dtype=object)
    table = _indexed(path, names)
    if "family" not in table:
        raise ValueError(f"{path}: column 'family' is missing; accepted is a family for each task")
    refuse(path, "family", table["family"].isna(), table["family"], "a name")
    return pd.DataFrame({"family": [str(f) for f in table["family"]]}, index=index, dtype=object)


def _meta_features(path: Path, names: Sequence[str]) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    table = _indexed(path, names)
    columns = {str(name): _numbers(path, table[name]) for name in table.columns}
    return pd.DataFrame(columns, index=pd.Index(names, name="task", dtype=object))


# ---------------------------------------------------------------------- surrogates


def _starts(folder: Folder) -> dict[str, int]:
    """Return where the pool of each task begins in the union of all pools."""
    sizes = [len(folder.pools[task][0]) for task in folder.tasks.index]
    return dict(zip(folder.tasks.index, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))


def _prediction(folder: Folder, cache: Path, source: str) -> Path:
    number = folder.tasks.index.get_loc(source)
    return Path(cache) / f"{folder.name}-{folder.fingerprint}" / f"{number}.npy"


def predict_sources(folder: Folder, cache: Path, n_jobs: int, progress) -> None:
    """Predict the scores of all pools on each task, where configurations differ by task.

    By one surrogate per task, 100 extremely randomised trees with at least two trials a leaf, as
    `MetaDataset.from_trials` has it. What is in the cache already is kept.

    Parameters
    ----------
    folder : Folder
    cache : Path
        Gets one file per task.
    n_jobs : int
    progress : callable
        Wraps an iterable of known length, as `tqdm` does.
    """
    if folder.pools is None:
        return
    lacking = [t for t in folder.tasks.index if not _prediction(folder, cache, t).is_file()]
    if not lacking:
        return
    points = {task: folder.space.encode(folder.pools[task][0]) for task in folder.tasks.index}
    union = np.concatenate(list(points.values())).astype(np.float32)
    _prediction(folder, cache, lacking[0]).parent.mkdir(parents=True, exist_ok=True)
    calls = (
        joblib.delayed(_predict)(
            points[task], folder.pools[task][1], union, _prediction(folder, cache, task)
        )
        for task in lacking
    )
    done = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(calls)
    for _ in progress(done, len(lacking), f"{folder.name}: surrogates"):
        pass


def _predict(points: np.ndarray, scores: np.ndarray, union: np.ndarray, path: Path) -> None:
    known = np.isfinite(scores)
    predicted = surrogate(points[known], scores[known], seed=0).predict(union)
    part = path.with_suffix(f".{os.getpid()}.part")
    with open(part, "wb") as file:
        np.save(file, predicted.astype(np.float32))
    os.replace(part, path)
