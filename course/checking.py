"""Check answers to exercises, offline and at once, and remember what is done.

    check("03-2", my_function)     right, or a hint
    progress()                     a table of what is done; progress(reset=True) forgets it

What is done is kept in a small file of the learner's: `.metahpo_lite_progress.json` in the home
folder, or where the environment variable METAHPO_PROGRESS says.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metahpo_lite.datasets import did_you_mean
from metahpo_lite.storage import write_file

CHECKS = Path(__file__).parent / "checks"


class Hint(Exception):  # noqa: N818 - it is no error
    """What is wrong with an answer, and where to look."""


def hint(wrong: Any, text: str) -> None:
    """Raise a hint if something is wrong with the answer."""
    if np.any(wrong):
        raise Hint(text)


def numbers(answer: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return an answer as finite floats, of a shape if one is asked for, or raise a hint."""
    none = answer is None or (isinstance(answer, list) and any(one is None for one in answer))
    hint(none, "There is no value. Does your function end with `return`?")
    hint(answer is ..., "There is no value yet, only the dots of the stub.")
    try:
        found = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise Hint(f"Numbers are expected, and this is {type(answer).__name__}.") from None
    if shape is not None and found.shape != shape:
        what = "one number is" if shape == () else f"an array of shape {shape} is"
        raise Hint(f"Here {what} expected, and this has shape {found.shape}.")
    what = "Is something divided by 0, a logarithm of 0 taken, or 0 times infinity?"
    hint(~np.isfinite(found), f"Some of the numbers are missing or infinite. {what}")
    return found


@dataclass(frozen=True)
class Result:
    """What `check` says of an answer; a notebook shows its text."""

    exercise: str
    right: bool
    text: str

    def __repr__(self) -> str:
        return self.text


def check(exercise: str, answer: Any) -> Result:
    """Say whether an answer is right, and if not, what to look at.

    Parameters
    ----------
    exercise : str
        Its number, such as "03-2".
    answer : object
        What the exercise asks for: a function, a number, a table.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        If there is no such exercise.
    """
    looks_at = _check_of(exercise)
    try:
        if answer is ...:
            raise NotImplementedError
        looks_at(answer)
    except NotImplementedError:
        why = " ".join(inspect.getdoc(looks_at).split())
    except Hint as wrong:
        why = str(wrong)
    except Exception as error:  # the learner's code may raise anything
        why = _raised(error, answer)
    else:
        return Result(exercise, True, f"{exercise}: right.{_remember(exercise)}")
    return Result(exercise, False, f"{exercise}: not yet. {why}")


def _raised(error: Exception, answer: Any) -> str:
    if "object is not callable" in str(error) and not callable(answer):
        kind = f"A function is expected, and this is {type(answer).__name__}"
        return f"{kind}. Give the function's name, without parentheses."
    own = [f for f in traceback.extract_tb(error.__traceback__) if "ipykernel" in f.filename]
    where = f" (in line {own[-1].lineno} of your cell: {own[-1].line})" if own else ""
    return f"It raises {type(error).__name__}: {error}{where}"


def exercises() -> list[str]:
    """Return the numbers of all exercises, in order."""
    found = []
    for path in sorted(CHECKS.glob("lesson_[0-9][0-9].py")):
        names = (name for name in dir(_module(path.stem)) if re.fullmatch(r"check_\d+", name))
        found += sorted(f"{path.stem[-2:]}-{name[6:]}" for name in names)
    return found


def _module(name: str):
    return importlib.import_module(f"course.checks.{name}")


def _check_of(exercise: str) -> Callable[[Any], None]:
    found = re.fullmatch(r"(\d\d)-(\d+)", exercise) if isinstance(exercise, str) else None
    if found and (CHECKS / f"lesson_{found[1]}.py").exists():  # of the others, none is loaded
        looks_at = getattr(_module(f"lesson_{found[1]}"), f"check_{found[2]}", None)
        if looks_at is not None:
            return looks_at
    known = exercises()
    close = did_you_mean(str(exercise).strip(), known)
    raise ValueError(f"exercise: got {exercise!r}{close}; accepted is {known[0]} to {known[-1]}")


# ---------------------------------------------------------------------- what is done


def progress(*, reset: bool = False) -> pd.DataFrame:
    """Show how many exercises of each lesson are done, and which is next.

    Parameters
    ----------
    reset : bool
        Forget all that is done.

    Returns
    -------
    DataFrame
        Index the lessons, and a last row of all; columns done, exercises and next.

    Raises
    ------
    ValueError
        If the file of what is done cannot be read.
    """
    if reset:
        _file().unlink(missing_ok=True)
    done, rows, every = _read(), {}, exercises()
    for exercise in every:
        rows.setdefault(exercise[:2], []).append(exercise)
    rows["all"] = every
    left = {lesson: [e for e in some if e not in done] for lesson, some in rows.items()}
    return pd.DataFrame(
        {
            "done": [len(rows[lesson]) - len(left[lesson]) for lesson in rows],
            "exercises": [len(some) for some in rows.values()],
            "next": [next(iter(left[lesson]), "") for lesson in rows],
        },
        index=pd.Index(rows, name="lesson"),
    )


def _file() -> Path:
    given = os.environ.get("METAHPO_PROGRESS")
    return Path(given) if given else Path.home() / ".metahpo_lite_progress.json"


def _read() -> dict[str, str]:
    """Return the day on which each exercise was done."""
    try:
        if os.path.lexists(_file()) and not os.path.isfile(_file()):  # a pipe would make us wait
            raise ValueError("it is no file")
        done = json.loads(_file().read_text(encoding="utf-8"))
        if not isinstance(done, dict):
            raise ValueError("it holds no object")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{_file()}: not what `check` wrote ({error}); progress(reset=True) begins anew"
        ) from None
    return done


def _remember(exercise: str) -> str:
    """Write down that an exercise is done; return what to say if that fails."""
    if Path.cwd().name == "solutions":  # to run a solution is nobody's progress
        return ""
    try:
        done = _read()
        if exercise not in done:
            write_file(_file(), json.dumps(done | {exercise: date.today().isoformat()}, indent=1))
    except (OSError, ValueError) as error:
        return f" (It could not be noted: {error})"
    return ""
