"""tools/mutants.py: its list fits the library; on a small project it finds what no test sees."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import mutants
from mutants_list import Mutant, MutantsError, read_list

ROOT = Path(__file__).resolve().parents[1]
LIST = read_list(ROOT / "tests" / "mutants")

TOY = """
LIMIT = 3


def clip(x):
    while x > LIMIT:
        x = x - 1
    return max(x, 0)


def never():
    return 1
"""
TESTS = """
from metahpo_lite.toy import clip


def test_clip():
    assert clip(5) == 3
    assert clip(2) == 2
"""
MUTANTS = {
    "one-too-many": ("LIMIT = 3", "LIMIT = 4", ""),
    "endless": ("x = x - 1", "x = x + 0", ""),
    "not-tested": ("max(x, 0)", "max(x, 1)", ""),
    "of-no-effect": ("return 1", "return 2", "nothing calls it"),
    "explained-wrongly": ("x > LIMIT", "x >= LIMIT", "it is said that nobody notices"),
    "not-importable": ("def clip", "def clipped", ""),
}


def toml(names):
    """Return the list of these mutations, as a file of it has them."""
    rows = []
    for name in names:
        before, after, survives = MUTANTS[name]
        row = {"name": name, "file": "toy.py", "breaks": "it", "before": before, "after": after}
        row |= {"survives": survives} if survives else {}
        rows.append("[[mutant]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in row.items()))
    return "\n".join(rows)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a git checkout with a package of one module, and one test."""
    root = tmp_path / "project"
    files = {
        "metahpo_lite/__init__.py": "",
        "metahpo_lite/toy.py": TOY,
        "tests/conftest.py": "",
        "tests/test_toy.py": TESTS,
        "tests/mutants/a.toml": toml(MUTANTS),
        "Makefile": "export SAID := aloud\n",
        "pyproject.toml": "[tool.pytest.ini_options]\n",
        ".gitignore": "build/\n__pycache__/\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    monkeypatch.setattr(mutants, "PRELOADED", ("nbval.plugin",))
    return root


def test_the_list_fits_the_library():
    assert len(LIST) >= 80
    for mutant in LIST:
        source = (ROOT / "metahpo_lite" / mutant.file).read_text(encoding="utf-8")
        assert mutant.applied(source) != source
        assert mutant.breaks


def test_every_module_has_a_mutation():
    modules = {path.name for path in (ROOT / "metahpo_lite").glob("*.py")}
    assert modules - {mutant.file for mutant in LIST} == set()


def test_few_survive_by_what_the_list_says():
    assert sum(bool(mutant.survives) for mutant in LIST) <= (1 - mutants.ENOUGH) * len(LIST)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("x - 2", "x - 3", "0 times in toy.py"),
        ("return", "yield", "2 times in toy.py"),
        ("LIMIT = 3", "LIMIT =", "no Python"),
        ("LIMIT = 3", "LIMIT  =  3", "changes nothing"),
    ],
)
def test_a_mutation_that_does_not_fit_is_refused(before, after, message):
    with pytest.raises(MutantsError, match=message):
        Mutant("a", "toy.py", "it", before, after).applied(TOY)


def test_lines_of_a_mutation():
    lines = {name: Mutant("a", "toy.py", "it", before, "").lines(TOY)
             for name, (before, *_) in MUTANTS.items()}  # fmt: skip
    assert lines["one-too-many"] is None  # of no function: all tests of the module run it
    assert lines["endless"] == {7}
    assert lines["explained-wrongly"] == {6}  # the head of the loop


def test_a_small_project(project, monkeypatch, capsys):
    monkeypatch.setattr(mutants, "PATIENCE", (5, 0))
    assert mutants.main(["--root", str(project), "--jobs", "1"]) == 1
    out = project / "build" / "mutants"
    status = {name: json.loads((out / f"{name}.json").read_text())["status"] for name in MUTANTS}
    assert status == {
        "one-too-many": "caught",
        "endless": "timeout",
        "not-tested": "survived",
        "of-no-effect": "survived",
        "explained-wrongly": "caught",
        "not-importable": "broken",
    }
    summary = json.loads((out / "summary.json").read_text())
    wrong = "\n".join(summary["complaints"])
    assert "not-tested: survived, and the list does not say why" in wrong
    assert "explained-wrongly: is caught, but the list says" in wrong
    assert "not-importable: a test cannot be imported" in wrong
    assert "3 of 6 are caught" in wrong
    assert "test_toy.py::test_clip" in json.loads((out / "one-too-many.json").read_text())["by"]
    assert (project / "metahpo_lite" / "toy.py").read_text() == TOY  # the copy is what changes

    # what has a result is not run again; another test is
    good = ["one-too-many", "of-no-effect"]
    (project / "tests" / "mutants" / "a.toml").write_text(toml(good))
    monkeypatch.setattr(mutants, "ENOUGH", 0.5)
    before = (out / "one-too-many.json").stat().st_mtime_ns
    assert mutants.main(["--root", str(project), "--jobs", "1"]) == 0
    assert (out / "one-too-many.json").stat().st_mtime_ns == before
    assert "nothing calls it" in capsys.readouterr().out


def test_unknown_names_and_a_test_that_fails_anyway(project, capsys):
    assert mutants.main(["--root", str(project), "no-such-name"]) == 1
    assert "unknown: no-such-name" in capsys.readouterr().err
    (project / "tests" / "test_toy.py").write_text("def test_it():\n    assert False\n")
    assert mutants.main(["--root", str(project), "--jobs", "1", "one-too-many"]) == 1
    assert "fails without a mutation" in capsys.readouterr().err
