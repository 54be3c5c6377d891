"""The report of lesson 00: what is good, what is missing, and a remedy that works as it stands."""

import shlex
import sys

import psutil
import pytest
from packaging.requirements import Requirement

from metahpo_lite import check_environment, environment


def test_this_environment_is_good():
    checks = check_environment()
    assert all(check.ok for check in checks)
    whats = " ".join(check.what for check in checks)
    for package in ("keras", "tensorflow", "scikit-learn", "jupyterlab", "matplotlib"):
        assert package in whats
    assert "pytest" not in whats  # of another extra
    assert sum("tensorflow" in check.what for check in checks) == 1  # the one for this platform


@pytest.mark.parametrize("found", [None, "0.1", "99"])
def test_missing_and_old_packages_are_named_with_a_command_that_a_shell_takes(found, monkeypatch):
    def version(name):
        if name == "keras" and found is None:
            raise environment.PackageNotFoundError
        return found if name == "keras" else "99"

    monkeypatch.setattr(environment, "version", version)
    (keras,) = [check for check in check_environment() if check.what.startswith("keras")]
    assert keras.ok == (found == "99")
    assert keras.what == f"keras {found or 'is missing'}"
    command = keras.remedy.split("In a terminal: ")[1].split("; then")[0]
    python, *rest, requirement = shlex.split(command)
    assert [python, *rest] == [sys.executable, "-m", "pip", "install"]
    assert Requirement(requirement).name == "keras"
    assert Requirement(requirement).marker is None


def test_wrong_python_and_little_memory(monkeypatch):
    memory = psutil.virtual_memory()._replace(available=10**8)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    python, free, *_ = check_environment()
    assert not python.ok
    assert python.what == "Python 3.9"
    assert not free.ok
    assert free.what == "0.1 GB of free memory"


def test_nothing_heavy_is_imported_by_the_check():
    import subprocess

    code = "import sys, metahpo_lite; metahpo_lite.check_environment(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert not {"tensorflow", "keras", "sklearn", "matplotlib", "pandas"} & set(loaded.split())
