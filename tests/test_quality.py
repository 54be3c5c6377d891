"""The page of figures is what the results say, and a failure is seen on it."""

import json
import subprocess
import sys

import pytest
from project_files import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import quality

STAMP = {"date": "2026-11-30T12:00:00+00:00", "commit": "abc+"}
FUZZ = STAMP | {
    "seed": 3, "seconds": 60.0, "inputs": 1200, "right answers": 700, "clear errors": 499,
    "failures": ["test_x"], "tests": {"test_x": {"right answers": 700, "clear errors": 499}},
}  # fmt: skip
PERF = STAMP | {
    "python": "3.11.7", "cores": 2, "measures": [
        {"name": "import", "what": "w", "reference": "r", "bound": 1.5, "ok": False,
         "ratio": 1.75, "lowest": 1.7, "highest": 1.8},
        {"name": "other", "what": "w", "reference": "r", "bound": 2.0, "ok": False,
         "error": "OSError: full"},
    ]}  # fmt: skip
CELL = STAMP | {
    "cell": "oldest-3.10", "status": "failed", "passed": 10, "failed": 1, "skipped": 0,
    "seconds": 600, "versions": {"numpy": "2.0.0", "tqdm": "4.66"},
    "failed_tests": ["test_y"], "above_the_bound": {"numpy": "2.1.0"},
}  # fmt: skip
TRIED = {"test": "t", "what": "A full disk.", "outcome": "failed", "figures": {"kills": 50}}
CRASH = STAMP | {"seconds": 9.0, "tried": [TRIED]}


@pytest.fixture
def root(tmp_path):
    for name, content in {
        "fuzz": FUZZ, "perf": PERF, "crash": CRASH, "matrix/oldest-3.10/result": CELL,
    }.items():  # fmt: skip
        path = tmp_path / "build" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    (tmp_path / "docs").mkdir()
    return tmp_path


def test_failures_are_seen_on_the_page(root):
    assert quality.main(["--root", str(root)]) == 0
    page = (root / "docs/quality.md").read_text()
    assert "1,200 generated inputs" in page
    assert "1 failures" in page
    assert "| import | w | r | 1.75 | 1.7 to 1.8 | 1.5 | **above** |" in page
    assert "**OSError: full**" in page
    assert "0\nof 2 are within" in page
    assert "| oldest-3.10 | failed | 10 | 1 | 0 | 10 minutes | 2.0.0 |" in page
    assert "oldest-3.10: numpy 2.1.0" in page
    assert "0 of 1 passed" in page
    assert "| A full disk | kills 50 | failed |" in page


def test_a_part_stays_until_it_is_made_again(root):
    quality.main(["--root", str(root)])
    for path in (root / "build").glob("*.json"):
        path.unlink()
    (root / "build/fuzz.json").write_text(json.dumps(FUZZ | {"inputs": 77}))
    quality.main(["--root", str(root)])
    page = (root / "docs/quality.md").read_text()
    assert "77 generated inputs" in page
    assert "**above**" in page


def test_an_edited_page_is_noticed(root, capsys):
    quality.main(["--root", str(root)])
    assert quality.main(["--check", "--root", str(root)]) == 0
    page = root / "docs/quality.md"
    page.write_text(page.read_text().replace("1 failures", "0 failures"))
    assert quality.main(["--check", "--root", str(root)]) == 1
    assert "quality.md is not as" in capsys.readouterr().err


def test_the_page_is_as_generated():
    command = [sys.executable, "tools/quality.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
