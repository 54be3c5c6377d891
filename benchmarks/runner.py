"""The runner: every method on every task, each finished cell kept, so that a run may be resumed.

A cell is one method on one task, with all seeds: a JSON file under ``DIR/cells``.
"""

from __future__ import annotations

import io
import json
import lzma
import math
import os
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import joblib
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from benchmarks.folders import Folder, Target, predict_sources, read_folder
from benchmarks.methods import DRAWS, METHODS, NEEDS, Setting
from metahpo_lite.arguments import whole_number
from metahpo_lite.regret import regret_curve
from metahpo_lite.storage import config_key, write_file


@dataclass(frozen=True)
class Cell:
    """One method on one task.

    Attributes
    ----------
    folder, task, family, method : str
    regrets : list of n_seeds lists of n_trials floats
        Empty if the method failed.
    gap : float
        Best minus worst score of the task: a regret times the gap is in the unit of the score.
    suggest_ms : float
        Median processor time of a suggestion, with the update before it, in milliseconds.
    reason : str
        Why it failed; empty if it did not.
    """

    folder: str
    task: str
    family: str
    method: str
    regrets: list[list[float]]
    gap: float
    suggest_ms: float
    reason: str


def check_methods(methods: Sequence[str], needed: bool = True) -> None:
    """Raise a ValueError if a method is unknown, a ModuleNotFoundError if its package lacks."""
    option = "--methods" if needed else "--without"
    if len(set(methods)) < len(methods) or not methods:
        raise ValueError(f"{option}: got {list(methods)}, accepted is each once, and at least one")
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"{option}: got {method!r}, accepted are {', '.join(METHODS)}")
        if needed and (lacking := not_installed(method)):
            how = "pip install metahpo_lite[bench]"
            if lacking[0].isupper():
                how = "benchmarks/README.md says how"
            raise ModuleNotFoundError(
                f"--methods: {method} needs {' and '.join(lacking)}, not installed: {how}"
            )


def not_installed(method: str) -> list[str]:
    """Return the packages, and the variables that name a program, that the method lacks."""

    def there(name: str):
        return shutil.which(os.environ.get(name, "")) if name.isupper() else find_spec(name)

    return [name for name in NEEDS.get(method, []) if not there(name)]


def run_benchmark(
    folders: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    methods: Sequence[str],
    n_trials: int = 50,
    n_seeds: int = 5,
    n_tasks: int | None = None,
    n_jobs: int = 2,
) -> tuple[list[Folder], list[Cell]]:
    """Run methods on the tasks of folders, and return what was read and all cells.

    Parameters
    ----------
    folders : sequence of path
        Each of our experience, or of another (see `read_folder`); names must differ.
    out : path
        Gets the cells. Those that are there, of the same files, trials and seeds, are not run
        again, unless they had failed.
    methods : sequence of str
        Names in `METHODS`.
    n_trials, n_seeds : int
    n_tasks : int, optional
        So many tasks of each folder, at even distances over the sorted names.
    n_jobs : int
        Cells at once.

    Raises
    ------
    ValueError, FileNotFoundError, ModuleNotFoundError
        If a folder, a method or a number cannot be used.
    """
    check_methods(methods)
    for name, value in (("trials", n_trials), ("seeds", n_seeds), ("jobs", n_jobs)):
        whole_number(f"--{name}", value)
    if n_tasks is not None:
        whole_number("--tasks", n_tasks)
    read = [read_folder(path) for path in folders]
    names = [folder.name for folder in read]
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"FOLDER: got {names}, accepted are one or more folders of other names")
    out = Path(out)
    cache = out / "cache"
    for folder in read:
        predict_sources(folder, cache, n_jobs, _progress)

    tasks = [[(folder, task) for task in folder.some_tasks(n_tasks)] for folder in read]
    # evenly over folders and names, so that an interrupted run has some of everything
    spread = sorted(
        ((_van_der_corput(i), task, folder)
         for pairs in tasks for i, (folder, task) in enumerate(pairs)),
        key=lambda item: item[0],
    )  # fmt: skip
    cells, calls = {}, []
    for _, task, folder in spread:
        for method in methods:
            path = _cell_path(out, folder, task, method, n_trials, n_seeds)
            cells[path] = cell = _read_cell(path)
            if cell is None or cell.reason:
                run = joblib.delayed(run_cell)
                calls.append(run(folder.path, cache, task, method, n_trials, n_seeds, path))
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    done = len(cells) - len(calls)
    for path, cell in _progress(parallel(calls), len(calls), f"cells ({done} done before)"):
        cells[path] = cell
    order = {(folder.name, method): i for i, (folder, method) in
             enumerate((f, m) for f in read for m in methods)}  # fmt: skip
    return read, sorted(cells.values(), key=lambda c: (order[c.folder, c.method], c.task))


def _progress(iterable, total: int, text: str):
    return tqdm(iterable, total=total, desc=text, unit="cell", mininterval=1, disable=not total)


def _van_der_corput(i: int) -> float:
    """The i-th point of a sequence that is even over [0, 1) wherever it stops."""
    return int(f"{i + 1:b}"[::-1], 2) / 2 ** (i + 1).bit_length()


def _cell_path(out: Path, folder: Folder, task: str, method: str, n_trials: int, n_seeds: int):
    setting = f"{n_trials}-trials-{n_seeds}-seeds"
    name = quote(task, safe="") + ".json"
    return out / "cells" / setting / f"{folder.name}-{folder.fingerprint}" / method / name


def _read_cell(path: Path) -> Cell | None:
    try:
        return Cell(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise ValueError(f"{path}: not a cell; delete it, and it is run again") from None


def unpack_cells(file: str | os.PathLike, out: str | os.PathLike) -> None:
    """Take finished cells from a file, unless `out` has some of its own.

    Raises
    ------
    ValueError
        If the file is damaged, or holds what is no cell.
    """
    file, out = Path(file), Path(out)
    if not file.exists() or (out / "cells").exists():
        return
    try:
        with tarfile.open(file, "r:xz") as archive:
            members = archive.getmembers()
            strange = [m.name for m in members if not (m.isfile() and m.name.startswith("cells/"))]
            if strange:
                raise ValueError(f"holds {strange[0]!r}")
            archive.extractall(out, members, filter="data")
    except (tarfile.TarError, EOFError, OSError, ValueError, lzma.LZMAError) as error:
        raise ValueError(f"--cells: {file}: not a file of cells ({error})") from None


def pack_cells(out: str | os.PathLike, file: str | os.PathLike) -> None:
    """Write all finished cells to one file, the same bytes for the same cells."""
    out, content = Path(out), io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:xz") as archive:
        for path in sorted((out / "cells").rglob("*.json")):
            data = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(out).as_posix())
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    write_file(Path(file), content.getvalue())


# ---------------------------------------------------------------------- one cell


@lru_cache(maxsize=4)
def _folder(path: Path, _modified: float) -> Folder:
    return read_folder(path)


@lru_cache(maxsize=1)
def _target(path: Path, modified: float, cache: Path, task: str) -> Target:
    return _folder(path, modified).target(task, cache)


def run_cell(
    path: Path, cache: Path, task: str, method: str, n_trials: int, n_seeds: int, to: Path
) -> tuple[Path, Cell]:
    """Run a method on a task with all seeds, write the cell, and return where and what."""
    modified = max(file.stat().st_mtime for file in path.iterdir())
    folder, target = _folder(path, modified), _target(path, modified, cache, task)
    regrets, milliseconds, reason = [], [], ""
    try:
        with threadpool_limits(1):
            for seed in range(n_seeds):
                # folder and task too, so that tasks do not share their draws
                where = zlib.crc32(f"{folder.name}/{task}".encode())
                rng = np.random.default_rng([seed, where])
                curve, seconds = search(METHODS[method], DRAWS.get(method, 1), folder, target,
                                        n_trials, rng)  # fmt: skip
                regrets.append(curve.tolist())
                milliseconds.append(1000 * float(np.median(seconds)))
    except Exception as error:  # one bad method must not end the run; its cell says why
        regrets, milliseconds = [], [math.nan]
        reason = " ".join(f"{type(error).__name__}: {error}".split())
    scores = target.scores
    gap = float(np.nanmax(scores) - np.nanmin(scores))
    cell = Cell(
        folder.name, task, target.family, method, regrets, gap, float(np.median(milliseconds)),
        reason,
    )  # fmt: skip
    to.parent.mkdir(parents=True, exist_ok=True)
    write_file(to, json.dumps(vars(cell)))
    return to, cell


def search(
    make: Callable[[Setting], Any],
    draws: int,
    folder: Folder,
    target: Target,
    n_trials: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, list[float]]:
    """Run one search, and measure it.

    Parameters
    ----------
    make : function of Setting
        Makes the searcher. The target's scores reach it by `update` alone.
    draws : int
        How many configurations count as one trial.
    folder, target, n_trials, rng
        What to search on, how long, and by which draws.

    Returns
    -------
    curve : numpy.ndarray of shape (n_trials,)
        Normalised regret after each trial; the last value is kept where the searcher stopped.
    seconds : list of float
        Processor time of each suggestion, with the update before it; what another process
        needed is the searcher's ``other_seconds``.

    Raises
    ------
    ValueError
        If a suggestion is not in the pool; and whatever the searcher raises.
    """
    space, scores = folder.space, target.scores
    number = {config_key(config): i for i, config in enumerate(target.pool)}
    setting = Setting(
        space, target.pool, target.experience, target.meta_features, n_trials, rng
    )  # fmt: skip
    searcher = make(setting)

    def clock() -> float:
        return time.process_time() + getattr(searcher, "other_seconds", 0.0)

    seen, seconds, update = [], [], 0.0
    for _ in range(n_trials * draws):
        start = clock()
        try:
            config = searcher.suggest()
        except StopIteration:
            break
        seconds.append(update + clock() - start)
        key = config_key(space.check(config))
        if key not in number:
            raise ValueError(f"suggest: got {config}, accepted is a configuration of the pool")
        seen.append(float(scores[number[key]]))
        start = clock()
        searcher.update(dict(config), seen[-1])
        update = clock() - start
    best, worst = float(np.nanmax(scores)), float(np.nanmin(scores))
    if not seen:
        raise ValueError("suggest: stopped before the first trial")
    curve = regret_curve(seen, best, worst, n_trials * draws)
    return curve[draws - 1 :: draws], seconds
