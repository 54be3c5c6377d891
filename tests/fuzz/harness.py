"""Fuzz: whatever goes in, a right answer or a clear error of ours comes out, and no file changes.

A test draws its inputs by `fuzz`, and gives each to the library through `judged`. Every input of a
test that ends without a failure is counted: as a clear error if a call refused it, else as a right
answer. ``make test`` tries a fixed sample; ``METAHPO_FUZZ=500`` tries 500 inputs a test, at random:
``METAHPO_FUZZ_SEED`` repeats a run.
"""

from __future__ import annotations

import faulthandler
import functools
import hashlib
import os
import re
import secrets
import signal
import stat
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis

import metahpo_lite

PACKAGE = Path(metahpo_lite.__file__).parent
MANY = int(os.environ.get("METAHPO_FUZZ") or 0)  # inputs a test; 0: the fixed sample
FEW = 10  # inputs a test in the fixed sample
# workers inherit it, so that all draw from one seed
SEED = int(os.environ.setdefault("METAHPO_FUZZ_SEED", str(secrets.randbelow(2**32))))
SECONDS = 20  # an input that takes longer hangs
CLEAR = (ValueError, TypeError, KeyError, OSError, RuntimeError, TimeoutError)
REFUSED = object()  # what `judged` returns after a clear error
counts: Counter = Counter()  # of the test that runs


class HangError(BaseException):
    """An input took too long; no handler of the library holds it for an error of its own."""


def fuzz(*drawn, share: float = 1.0, **named) -> Callable:
    """Draw a test's arguments, as `hypothesis.given`; `share` is below 1 where an input is slow."""

    def decorate(test: Callable) -> Callable:
        @functools.wraps(test)
        def counted(*args, **kwargs):
            refused = counts["refused"]
            with in_time():
                test(*args, **kwargs)
            counts["clear errors" if counts["refused"] > refused else "right answers"] += 1

        found = hypothesis.settings(
            max_examples=max(1, round((MANY or FEW) * share)),
            deadline=None,
            database=None,
            derandomize=not MANY,
            suppress_health_check=list(hypothesis.HealthCheck),
        )(hypothesis.given(*drawn, **named)(counted))
        return hypothesis.seed(SEED)(found) if MANY else found

    return decorate


@contextmanager
def in_time(seconds: float = SECONDS):
    """Fail what takes longer; code that never comes back to Python is ended, with its traceback."""

    def stop(*_):
        raise HangError(f"no answer after {seconds} seconds")

    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(6 * seconds, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def judged(
    call: Callable,
    right: Callable[[Any], Any] | None = None,
    keep: Iterable[Path] = (),
    warns: str | None = None,
) -> Any:
    """Make a call of the library, and return its answer, or `REFUSED` after a clear error.

    Parameters
    ----------
    call : function without arguments
    right : function of the answer, optional
        Returns False, or raises an AssertionError, where the answer is wrong.
    keep : paths of files and folders
        The call must leave them as they are.
    warns : str, optional
        A pattern of the warnings that are ours; any other one fails.
    """
    before = {path: fingerprint(path) for path in keep}
    answer = REFUSED
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = call()
        except Exception as error:
            blame(error)
    changed = [path for path, known in before.items() if fingerprint(path) != known]
    assert not changed, f"changed: {changed}"
    for warning in caught:
        text = f"{warning.category.__name__}: {warning.message}"
        assert re.search(warns or "$^", text), f"a warning from {warning.filename}: {text}"
    if answer is REFUSED:
        counts["refused"] += 1
    elif right is not None:
        assert right(answer) is not False, f"a wrong answer: {answer!r}"
    return answer


def blame(error: Exception) -> None:
    """Raise an AssertionError unless the error is a clear one of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}"
    what = f"{type(error).__name__}: {error}, from {where}"
    if not isinstance(error, CLEAR):
        raise AssertionError(f"not a kind of error that we raise: {what}") from error
    if PACKAGE not in Path(frames[-1].filename).parents:
        raise AssertionError(f"an error from the depth: {what}") from error
    if error.__context__ is not None and not error.__suppress_context__:
        raise AssertionError(f"an error that shows another one's traceback: {what}") from error
    if isinstance(error, OSError) and "cannot be written: " in (error.strerror or ""):
        return  # with the file and the system's reason
    message = str(error.args[0]) if error.args else ""
    plain = isinstance(error, (FileNotFoundError, FileExistsError))  # that says enough
    # where comes first; a name may hold a colon
    if not re.match(".+?: " if plain else ".+?: .*accepted", message, re.DOTALL):
        raise AssertionError(f"it does not say where, and what is accepted: {what}") from error


def fingerprint(path: Path) -> Any:
    """Return what changes when a file, or anything in a folder, does; None if there is nothing."""
    try:
        kind = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISLNK(kind.st_mode):
        return "link", os.readlink(path)
    if stat.S_ISDIR(kind.st_mode):
        return {entry.name: fingerprint(Path(entry.path)) for entry in os.scandir(path)}
    if stat.S_ISREG(kind.st_mode):
        return kind.st_mode, hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return stat.S_IFMT(kind.st_mode)  # a pipe is not opened: that would wait
