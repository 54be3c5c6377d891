"""tools/matrix.py, on a small project with a suite of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import matrix

CELL = f"newest-{sys.version_info[0]}.{sys.version_info[1]}"
PYPROJECT = """
[project]
name = "small"
version = "1"
dependencies = ["no-such-package-as-this-one>=1"]
[project.optional-dependencies]
test = []
"""
GOOD, BAD = "def test_good():\n    pass\n", "def test_bad():\n    assert False\n"


def git(folder, *arguments):
    subprocess.run(["git", *arguments], cwd=folder, check=True)


@pytest.fixture
def project(tmp_path):
    """Return a git checkout that asks for a package which does not exist."""
    root = tmp_path / "project"
    (root / "docs").mkdir(parents=True)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "Makefile").write_text("export SAID := aloud\nEXTRAS := --extra test\n")
    (root / ".gitignore").write_text("build/\n__pycache__/\n.pytest_cache/\n")
    (root / "test_it.py").write_text(GOOD)
    git(root, "init", "-q")
    return root


@pytest.fixture
def this_environment(monkeypatch):
    """Let the tests of a cell run here, in no environment of their own."""
    made = []

    def make_environment(cell, python, folder):
        made.append(cell)
        return Path(sys.executable), ["test"]

    python = (Path(sys.executable), matrix.version_of(sys.executable))
    monkeypatch.setattr(matrix, "interpreter", lambda version: python)
    monkeypatch.setattr(matrix, "make_environment", make_environment)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # starts in half the time
    return made


def run(root, *arguments):
    return matrix.main([*arguments, "--root", str(root)])


def result(root, cell=CELL):
    return json.loads((root / "build" / "matrix" / cell / "result.json").read_text())


def test_cells_are_both_ages_on_each_python():
    assert len(matrix.CELLS) == 2 * len(matrix.PYTHONS) == len(set(matrix.CELLS))
    assert {"oldest-3.10", "newest-3.13"} <= set(matrix.CELLS)


def test_unknown_cell(project, capsys):
    with pytest.raises(SystemExit):
        run(project, "newest-2.7")
    assert "unknown cell: newest-2.7; there are oldest-3.10" in capsys.readouterr().err


def test_failed_tests_are_named_and_fail_the_command(project, this_environment, capsys):
    (project / "test_it.py").write_text(GOOD + BAD)
    assert run(project, CELL) == 1
    found = result(project)
    assert (found["status"], found["passed"], found["failed"]) == ("failed", 1, 1)
    assert found["failed_tests"] == ["test_it::test_bad"]
    assert "test_it::test_bad" in capsys.readouterr().out
    # mended, it is run again; passed, it is not, until a file changes or one asks
    (project / "test_it.py").write_text(
        GOOD + "import os\ndef test_makefile():\n    assert os.environ['SAID'] == 'aloud'\n"
    )
    assert run(project, CELL) == 0
    assert (result(project)["passed"], result(project)["failed_tests"]) == (2, [])
    assert len(this_environment) == 2
    (project / "docs" / "quality.md").write_text("written from the results\n")
    assert run(project, CELL) == 0
    assert len(this_environment) == 2
    (project / "new.py").write_text("x = 1\n")
    assert run(project, CELL) == 0
    assert len(this_environment) == 3
    assert "| passed |" in capsys.readouterr().out


def test_suite_without_tests_fails(project, this_environment):
    (project / "test_it.py").write_text("")
    assert run(project, CELL) == 1
    assert (result(project)["status"], result(project)["passed"]) == ("failed", 0)


def test_suite_that_takes_too_long_is_ended(project, this_environment):
    (project / "test_it.py").write_text("import time\ntime.sleep(60)\n")
    assert run(project, CELL, "--limit", "0.02") == 1
    assert result(project)["status"] == "timed out"


def test_absent_interpreter_is_said_and_is_no_failure(project, monkeypatch, capsys):
    assert matrix.interpreter("3.99") is None
    monkeypatch.setattr(matrix, "interpreter", lambda version: None)
    assert run(project) == 0
    found = [result(project, cell)["status"] for cell in matrix.CELLS]
    assert set(found) == {"not to be had"}
    assert capsys.readouterr().out.count("| not to be had |") == len(matrix.CELLS)


def test_this_interpreter_is_found(monkeypatch):
    version = CELL.split("-")[1]
    folder = Path(sys.executable).parent
    if not (folder / f"python{version}").exists():
        pytest.skip("the interpreter has another name here")
    monkeypatch.setenv("PATH", str(folder))
    _path, full = matrix.interpreter(version)
    assert full.startswith(f"{version}.")


def test_environment_that_cannot_be_made_is_a_failure(project, monkeypatch, capsys):
    monkeypatch.setenv("UV_OFFLINE", "1")
    python = (Path(sys.executable), matrix.version_of(sys.executable))
    monkeypatch.setattr(matrix, "interpreter", lambda version: python)
    assert run(project, CELL) == 1
    assert result(project)["status"] == "no environment"
    assert "no-such-package-as-this-one" in capsys.readouterr().out


def test_what_is_above_the_bound():
    project = {
        "dependencies": ["numpy>=2.0", "SciPy>=1.15", "tzdata>=1; sys_platform == 'nowhere'"],
        "optional-dependencies": {"test": ["pytest>=8.3"]},
    }
    wanted = matrix.requirements(project, ["test"], "3.13")
    assert [r.name for r in wanted] == ["numpy", "SciPy", "pytest"]
    versions = {"numpy": "2.0.0", "scipy": "1.15.1", "pytest": "8.3.0"}
    assert matrix.above_the_bound(wanted, versions) == {"scipy": "1.15.1"}


def test_workflow_runs_these_cells_on_three_systems():
    text = (matrix.ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert "It was never run" in text.splitlines()[0]
    jobs = yaml.safe_load(text)["jobs"]
    lock, versions = (jobs[name]["strategy"]["matrix"] for name in ("lock", "versions"))
    assert lock["python"] == versions["python"] == list(matrix.PYTHONS)
    assert versions["age"] == list(matrix.RESOLUTIONS)
    assert {s.split("-")[0] for s in lock["system"]} == {"ubuntu", "windows", "macos"}
    called = [step.get("run", "") for step in jobs["versions"]["steps"]]
    assert "python tools/matrix.py ${{ matrix.age }}-${{ matrix.python }}" in called
