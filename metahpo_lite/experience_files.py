"""Experience in a folder: read with all that is checked, and written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from metahpo_lite.card import card
from metahpo_lite.catalogue import data_folder
from metahpo_lite.storage import (
    LOG,
    SCORES,
    TASKS,
    as_schema,
    as_table,
    configs_of,
    configs_table,
    described_table,
    read_file,
    space_of,
    space_text,
    write_file,
)
from metahpo_lite.trials import checked_meta_features, checked_tasks, checked_trials


def folder_of(name: str | os.PathLike) -> Path:
    """Return the folder of experience that is shipped under a name, or that a path leads to."""
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(f"experience: got {name!r}, accepted is a MetaDataset, the name of "
                        "what is shipped, or a folder")  # fmt: skip
    folder = Path(name)
    shipped = isinstance(name, str) and folder.name == name
    if shipped and os.path.isdir(data_folder() / name):  # False for a name that no path can have
        folder = data_folder() / name
    if not os.path.isdir(folder):
        known = sorted(path.parent.name for path in data_folder().glob("*/space.json"))
        raise FileNotFoundError(f"name: {str(name)!r} is neither shipped nor a folder; "
                                f"accepted is one of {known}, or a path")  # fmt: skip
    return folder


def read_experience(folder: Path) -> dict[str, Any]:
    """Return the parts of the `MetaDataset` in a folder, checked; see its `load`."""
    paths = {path: folder / f"{path}.parquet" for path in ("configs", "scores", "tasks")}
    space, about = space_of(folder / "space.json")
    configs = configs_of(space, read_file(paths["configs"]), paths["configs"])
    frames = {}
    for name, schema in (("tasks", TASKS), ("scores", SCORES)):
        table = as_schema(read_file(paths[name]), schema, paths[name])
        frames[name] = table.to_pandas(ignore_metadata=True, use_threads=False)
    if (folder / LOG).exists():  # a collection that was killed between its two files
        frames["tasks"] = frames["tasks"][frames["tasks"]["task"].isin(frames["scores"]["task"])]
    tasks = checked_tasks(frames["tasks"].set_index("task"), paths["tasks"])
    trials = checked_trials(frames["scores"], len(configs), tasks.index, paths["scores"])
    described, path = None, folder / "meta_features.parquet"
    if os.path.lexists(path):
        described = read_file(path).to_pandas(ignore_metadata=True, use_threads=False)
        if "task" not in described:
            raise ValueError(f"{path}: column 'task' is missing; accepted is one row a task")
        described = checked_meta_features(described.set_index("task"), tasks.index, path)
    return {
        "space": space,
        "configs": tuple(configs),
        "trials": trials,
        "tasks": tasks,
        "meta_features": described,
        "about": about,
    }


def write_experience(experience: Any, folder: Path) -> Path:
    """Write a `MetaDataset` into a new folder; see its `save`."""
    if os.path.lexists(folder):
        raise FileExistsError(f"folder: {folder} is there already; accepted is a new name")
    part = folder.with_name(folder.name + ".part")
    try:
        part.mkdir(parents=True, exist_ok=True)
        (part / "meta_features.parquet").unlink(missing_ok=True)  # of one that did not end
    except (OSError, ValueError) as error:
        raise OSError(f"folder: {str(folder)!r}: {error}; accepted is a new name in a folder "
                      "that may be written to") from None  # fmt: skip
    write_file(part / "space.json", space_text(experience.space, experience.about))
    write_file(part / "configs.parquet", configs_table(experience.space, experience.configs))
    trials = experience.trials.sort_values(["task", "config"])
    write_file(part / "scores.parquet", as_table(trials, SCORES))
    write_file(part / "tasks.parquet", as_table(experience.tasks.reset_index(), TASKS))
    if experience.meta_features is not None:
        write_file(part / "meta_features.parquet", described_table(experience.meta_features))
    write_file(part / "README.md", card(experience))
    os.rename(part, folder)
    return folder
