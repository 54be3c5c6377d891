"""The environment: whether this machine has what the course needs, and what to do where not."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Parameters
    ----------
    ok : bool
        Whether it is as it should be.
    what : str
        What was checked, and what was found.
    remedy : str
        What to do if it is not ok.
    """

    ok: bool
    what: str
    remedy: str


def check_environment() -> list[Check]:
    """Check Python, free memory, and every package of the extra ``course``.

    The packages and their versions are those that the installed package declares: there is one
    list. Nothing heavy is imported.

    Returns
    -------
    list of Check
    """
    import psutil

    python = sys.version_info[:2]
    free = psutil.virtual_memory().available / 1e9  # GB
    checks = [
        Check(
            (3, 10) <= python <= (3, 13),
            f"Python {python[0]}.{python[1]}",
            "Install Python 3.12, and make a new environment with it.",
        ),
        Check(free > 1, f"{free:.1f} GB of free memory", "Close other programs: a lesson needs 1."),
    ]
    packages = (_check_package(line) for line in requires("metahpo_lite") or [])
    return checks + [check for check in packages if check is not None]


def _check_package(line: str) -> Check | None:
    """Check one requirement, such as ``keras>=3.9``; None where it does not apply."""
    from packaging.requirements import Requirement

    need = Requirement(line)
    if need.marker and not need.marker.evaluate({"extra": "course"}):
        return None
    try:
        found = version(need.name)
    except PackageNotFoundError:
        found = "is missing"
    ok = found != "is missing" and need.specifier.contains(found, prereleases=True)
    command = f'"{sys.executable}" -m pip install "{need.name}{need.specifier}"'
    remedy = f"It should be {need.specifier}. In a terminal: {command}; then restart the kernel."
    return Check(ok, f"{need.name} {found}", remedy)
