"""The graded assignments, as a teacher uses nbgrader: generate, collect, autograde, feed back.

Run by `make instructor`, which installs nbgrader; without it these tests fail.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
COURSE = ROOT / "docs/teaching/assignments"
POINTS = {"search": 16, "transfer": 18}
# What somebody may hand in who has not understood: each is a mistake that lessons warn of
WRONG = {
    "levels": "def levels(low, high, n):\n    return np.linspace(low, high, n)",
    "line": """def race_line(scores, best, worst):
    return [(best - score) / (best - worst) for score in scores]  # of the trial""",
    "chance": """def chance(good, pool, n):
    return 1 - (1 - good / pool) ** n  # as if a configuration could come twice""",
    "draw": """def draw_and_choose(mean, cov, rng):
    return int(np.argmax(rng.normal(mean, np.sqrt(np.diag(cov)))))  # each place alone""",
    "share": """def share_reached(scores, n):
    first = scores.iloc[:, 1 : n + 1].max(axis=1)  # one order of the trials only
    return (first >= scores[0]).mean()""",
    "constant": """def constant(configs):
    table = pd.DataFrame(configs)
    return {"kernel": table["kernel"].mode()[0], "C": table["C"].mean(),
            "gamma": table["gamma"].mean()}  # not on the log scale""",
    "pairwise": """def pairwise_loss(y, f):
    y, f = np.asarray(y), np.asarray(f)
    better = y[:, None] > y
    return np.logaddexp(0, f[:, None] - f)[better].mean()  # the wrong sign""",
    "places": """def places(known, new):
    both = pd.concat([known, new])  # the new tasks take part in the scale
    return both.rank(pct=True).loc[new.index].fillna(0.5)""",
    "pair": """def best_pair(regrets):
    return tuple(sorted(np.argsort(regrets.mean(axis=0))[:2]))  # the two best alone""",
    "lead": """def lead(ours, theirs, families):
    return (theirs - ours).mean()  # over tasks: relatives count several times""",
}


def nbgrader(folder, *words):
    """Call nbgrader in the folder of the course, as in a terminal; return what it says."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words],
        cwd=folder,
        env=os.environ | {"PATH": path, "JUPYTER_PREFER_ENV_PATH": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def cells(path):
    """Return the cells of a notebook by nbgrader's name; others have none."""
    book = nbformat.read(path, as_version=4)
    named = {c.metadata.nbgrader.grade_id: c for c in book.cells if "nbgrader" in c.metadata}
    return book, named


def hand_in(course, student, name, answers):
    """Put a student's file where a teacher collects it: the released one, with these answers."""
    book, named = cells(course / "build/release" / name / f"{name}.ipynb")
    for task, source in answers.items():
        named[task].source = source
    folder = course / "build/submitted" / student / name
    folder.mkdir(parents=True)
    nbformat.write(book, folder / f"{name}.ipynb")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Return a course in which three students handed in both assignments, graded."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(COURSE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build"))
    for name in POINTS:
        nbgrader(folder, "generate_assignment", name)
        _, source = cells(COURSE / "source" / name / f"{name}.ipynb")
        solved = {task: c.source for task, c in source.items() if c.metadata.nbgrader.solution}
        hand_in(folder, "right", name, solved)
        hand_in(folder, "wrong", name, {task: WRONG[task] for task in solved})
        hand_in(folder, "empty", name, {})
        nbgrader(folder, "autograde", name)
        nbgrader(folder, "generate_feedback", name)
    nbgrader(folder, "export")
    return folder


@pytest.mark.parametrize("name", POINTS)
def test_the_released_version_holds_no_answer(course, name):
    path = course / "build/release" / name / f"{name}.ipynb"
    text = path.read_text(encoding="utf-8")
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    _, source = cells(COURSE / "source" / name / f"{name}.ipynb")
    _, released = cells(path)
    for task, cell in released.items():
        if cell.metadata.nbgrader.solution:
            assert "raise NotImplementedError" in cell.source, task
        if cell.metadata.nbgrader.grade:
            shown = source[task].source.split("### BEGIN HIDDEN TESTS")[0]
            assert cell.source.strip() == shown.strip(), task


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize(("student", "share"), [("right", 1), ("wrong", 0), ("empty", 0)])
def test_points(course, name, student, share):
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course}/build/gradebook.db") as book:
        handed_in = book.find_submission(name, student)
        print(f"{name}, {student}: {handed_in.score:g} of {handed_in.max_score:g} points")
        assert handed_in.max_score == POINTS[name]
        assert handed_in.score == share * POINTS[name]
        assert not handed_in.needs_manual_grade
        grades = {g.name: g.score for n in handed_in.notebooks for g in n.grades}
        assert len(grades) == 5


@pytest.mark.parametrize("name", POINTS)
def test_the_feedback_says_what_was_expected(course, name):
    expected = {"search": "it never rises", "transfer": "a and b count as one"}[name]
    texts = {
        student: (course / "build/feedback" / student / name / f"{name}.html").read_text("utf-8")
        for student in ("right", "wrong", "empty")
    }
    assert f"AssertionError</span>: {expected}" in texts["wrong"]
    assert "NotImplementedError" in texts["empty"]
    assert "AssertionError</span>" not in texts["right"]


def test_names_and_grades_stay_in_the_folder_that_git_ignores(course):
    kept = {path.name for path in COURSE.iterdir()} | {"build"}
    assert {path.name for path in course.iterdir()} - {"__pycache__"} == kept
    table = (course / "build/grades.csv").read_text(encoding="utf-8")
    assert table.count("\n") == 1 + 3 * len(POINTS)
    assert "build/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
