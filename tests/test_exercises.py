"""Exercises are in step with their solutions, and every check tells right from wrong."""

import ast
import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import nbformat.v4 as nb
import numpy as np
import pytest

import course
from course import check, progress
from course.checking import Hint, exercises, hint, numbers

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import exercises as tool  # noqa: E402
import lessons  # noqa: E402

LESSONS = [path.name for path in lessons.lessons(ROOT) if path.name[:2] != "00"]
KINDS = ("Predict, then run.", "Change the method.", "Your own table.")


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("METAHPO_PROGRESS", str(tmp_path / "progress.json"))


def book(kind, name):
    return nbformat.read(ROOT / "notebooks" / kind / name, as_version=4)


def wrong_answers(name):
    path = ROOT / "tests" / "wrong_answers" / f"lesson_{name[:2]}.py"
    spec = importlib.util.spec_from_file_location(f"wrong_{name[:2]}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG


def of_lesson(name):
    return [exercise for exercise in exercises() if exercise[:2] == name[:2]]


def first_hint(exercise):
    return check(exercise, ...).text


# ---------------------------------------------------------------------- the course's own


def test_exercises_are_in_step_with_their_solutions():
    assert tool.main(["generate", "--check"]) == 0


@pytest.mark.parametrize("name", LESSONS, ids=lambda name: name[:2])
def test_each_lesson_has_exercises_of_each_kind_and_a_quiz(name):
    solved = book("solutions", name)
    text = "\n\n".join(cell.source for cell in solved.cells if cell.cell_type == "markdown")
    numbers_ = ["-".join(found) for found in re.findall(r"^## (\d\d)-(\d) · ", text, re.M)]
    assert numbers_ == of_lesson(name)
    assert 3 <= len(numbers_) <= 5
    kinds = re.findall(r"^\*((?:Easy|Middle|Hard|Open)\..*?)\*", text, re.M)
    assert len(kinds) == len(numbers_)
    for kind in KINDS:
        assert any(kind in one for one in kinds), kind
    assert kinds[0].startswith("Easy")
    quiz = text[text.index("\n## Five questions") :]
    assert re.findall(r"^\*\*(\d)\.\*\*", quiz, re.M) == list("12345")
    answers = re.findall(r"<details><summary>Answer</summary>\n\n(.*?)\n\n</details>", quiz, re.S)
    assert len(answers) == 5
    assert all(re.match(r"[a-d]\)\. \S", answer) and len(answer) > 60 for answer in answers)


@pytest.mark.parametrize("name", LESSONS, ids=lambda name: name[:2])
def test_solutions_are_right(name):
    # nbval runs them again, and compares what the checks say
    cells = [c for c in book("solutions", name).cells if tool.CHECK.match(c.source)]
    said = ["".join(output.data["text/plain"] for output in cell.outputs) for cell in cells]
    assert said == [f"{exercise}: right." for exercise in of_lesson(name)]


@pytest.mark.parametrize("name", LESSONS, ids=lambda name: name[:2])
def test_a_stub_has_the_signature_of_its_solution(name):
    def signatures(kind):
        cells = [c.source for c in book(kind, name).cells if c.cell_type == "code"]
        return {
            node.name: ast.dump(node.args) if isinstance(node, ast.FunctionDef) else ""
            for cell in cells
            for node in ast.walk(ast.parse(cell))
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        }

    stubs, solutions = signatures("exercises"), signatures("solutions")
    assert stubs.items() <= solutions.items()
    asked = [c.source.split(", ", 1)[1][:-1] for c in book("exercises", name).cells
             if tool.CHECK.match(c.source)]  # fmt: skip
    functions = [one for one in asked if one in solutions]
    assert set(functions) <= set(stubs)


@pytest.mark.parametrize("name", LESSONS, ids=lambda name: name[:2])
def test_a_stub_runs_and_gets_the_first_hint(name, monkeypatch, capsys):
    monkeypatch.chdir(ROOT / "notebooks" / "exercises")
    monkeypatch.setenv("MPLBACKEND", "agg")
    asked = []

    def watched(exercise, answer):
        asked.append((exercise, answer))
        return check(exercise, answer)

    monkeypatch.setattr(course, "check", watched)
    space = {"__name__": "__main__", "display": lambda *_: None}
    for cell in book("exercises", name).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            exec(compile(cell.source, "cell", "exec"), space)
    assert [exercise for exercise, _ in asked] == of_lesson(name)
    for exercise, answer in asked:
        found = check(exercise, answer)
        assert not found.right
        assert found.text == first_hint(exercise)


@pytest.mark.parametrize("name", LESSONS, ids=lambda name: name[:2])
def test_wrong_answers_get_their_hints(name, record_property):
    wrong = wrong_answers(name)
    assert list(wrong) == of_lesson(name)
    for exercise, answers in wrong.items():
        hints = []
        for what, answer, part in answers:
            found = check(exercise, answer)
            assert not found.right, (exercise, what)
            assert part in found.text, (exercise, what, found.text)
            assert "It raises" not in found.text, (exercise, what, found.text)
            hints.append(found.text)
        assert len(set(hints) - {first_hint(exercise)}) >= 3, exercise
    record_property("exercises", len(wrong))
    record_property("wrong answers", sum(map(len, wrong.values())))


# ---------------------------------------------------------------------- check and progress


def test_what_is_done_is_remembered_and_forgotten():
    from wrong_answers import right

    assert progress().loc["all", "done"] == 0
    assert check("02-1", right.trials_needed).right
    assert check("02-1", right.trials_needed).text == "02-1: right."
    assert not check("02-2", 16.0).right
    table = progress()
    assert table.loc["02"].tolist() == [1, len(of_lesson("02")), "02-2"]
    assert table.loc["all", "exercises"] == len(exercises())
    assert progress(reset=True).loc["all", "done"] == 0
    assert not Path(os.environ["METAHPO_PROGRESS"]).exists()


def test_to_run_a_solution_is_no_progress(monkeypatch, tmp_path):
    from wrong_answers import right

    (tmp_path / "solutions").mkdir()
    monkeypatch.chdir(tmp_path / "solutions")
    assert check("02-1", right.trials_needed).right
    assert progress().loc["all", "done"] == 0


def test_a_broken_file_of_what_is_done_loses_no_answer(tmp_path):
    from wrong_answers import right

    file = Path(os.environ["METAHPO_PROGRESS"])
    for text in ("[]", "{", "\x00"):
        file.write_text(text)
        found = check("02-1", right.trials_needed)
        assert found.right
        assert "could not be noted" in found.text
        assert file.read_text() == text
        with pytest.raises(ValueError, match=r"progress\.json: not what .*reset=True"):
            progress()
    assert progress(reset=True).loc["all", "done"] == 0


def test_a_folder_that_cannot_be_written_loses_no_answer(monkeypatch, tmp_path):
    from wrong_answers import right

    monkeypatch.setenv("METAHPO_PROGRESS", str(tmp_path / "missing" / "progress.json"))
    assert "could not be noted" in check("02-1", right.trials_needed).text


def test_an_unknown_exercise_is_named():
    with pytest.raises(ValueError, match=r"got '2-1' \(did you mean .*'02-1'\?\); acc"):
        check("2-1", 1)
    with pytest.raises(ValueError, match="accepted is 01-1 to 14-"):
        check("02-9", 1)


def test_an_error_in_an_answer_is_told():
    def broken(q, delta):
        return 1 / 0

    assert "It raises ZeroDivisionError: division by zero" in check("02-1", broken).text
    assert "A function is expected, and this is int." in check("02-1", 3).text


@pytest.mark.parametrize(
    ("answer", "shape", "message"),
    [
        (None, None, "`return`"),
        ([1, None], None, "`return`"),
        ("x", None, "this is str"),
        ([1, np.nan], None, "missing or infinite"),
        ([1, 2], (), "one number is expected, and this has shape (2,)"),
        (1, (2,), "an array of shape (2,) is expected, and this has shape ()"),
    ],
)
def test_numbers_says_what_is_expected(answer, shape, message):
    with pytest.raises(Hint, match=re.escape(message)):
        numbers(answer, shape)
    assert numbers([1, 2], (2,)).tolist() == [1, 2]


def test_hint_raises_where_something_is_wrong():
    hint(False, "no")
    hint(np.array([False, False]), "no")
    for wrong in (True, np.array([False, True])):
        with pytest.raises(Hint, match="yes"):
            hint(wrong, "yes")


# ---------------------------------------------------------------------- the generator

SOLVED = (
    'def f(x):\n    """Twice."""\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION'
)


def test_a_stub_has_no_solution_in_it():
    stub = 'def f(x):\n    """Twice."""\n    # YOUR CODE HERE\n    raise NotImplementedError'
    assert tool.stub(SOLVED, "x") == stub
    top = "a = ...\n### BEGIN SOLUTION\na = 1\n### END SOLUTION\nb = 2"
    assert tool.stub(top, "x") == "a = ...\n# YOUR CODE HERE\nb = 2"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("### BEGIN SOLUTION\n1", "a solution never ends"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION", "line 2: a solution begins within another"),
        ("1\n### END SOLUTION", "line 2: a solution ends that never began"),
        ("### BEGIN SOLUTION\n\n### END SOLUTION", "line 3: there is no solution between"),
        ("## BEGIN SOLUTION\n1\n### END SOLUTION", "line 1: '## BEGIN SOLUTION' is neither"),
    ],
)
def test_open_and_nested_regions_are_refused(source, message):
    with pytest.raises(tool.LessonError, match=re.escape(message)):
        tool.stub(source, "cell 3")


@pytest.fixture
def small(tmp_path):
    """A course of two lessons, of which one has exercises."""
    for folder in ("solutions", "exercises"):
        (tmp_path / "notebooks" / folder).mkdir(parents=True)
    for name in ("00_start.ipynb", "01_see.ipynb"):
        lesson = nb.new_notebook(cells=[nb.new_markdown_cell(f"# {name[:2]} · See: it\n> All.")])
        nbformat.write(lesson, tmp_path / "notebooks" / name)
    first = "# Exercises 01 · See\n\n<!-- navigation -->\n<!-- /navigation -->"
    cells = [
        nb.new_markdown_cell(first, id="a"),
        nb.new_markdown_cell("## 01-1 · Twice\n\n*Easy.* Double it.", id="b"),
        nb.new_code_cell(SOLVED, id="c", execution_count=1),
        nb.new_code_cell(
            'check("01-1", f)', id="d", metadata={"tags": ["nbval-check-output"]},
            outputs=[nb.new_output("execute_result", {"text/plain": "right"}, execution_count=2)],
        ),
        nb.new_markdown_cell("It doubles.", id="e", metadata={"tags": ["solution"]}),
    ]  # fmt: skip
    nbformat.write(nb.new_notebook(cells=cells), tmp_path / "notebooks/solutions/01_see.ipynb")
    assert tool.main(["--root", str(tmp_path), "generate"]) == 0
    assert tool.main(["--root", str(tmp_path), "generate", "--check"]) == 0
    return tmp_path


def changed(root, kind, change):
    path = root / "notebooks" / kind / "01_see.ipynb"
    notebook = nbformat.read(path, as_version=4)
    change(notebook.cells)
    path.write_text(nbformat.writes(notebook) + "\n")


def test_an_exercise_is_its_solution_without_the_solution(small):
    made = nbformat.read(small / "notebooks/exercises/01_see.ipynb", as_version=4)
    assert [cell.id for cell in made.cells] == list("abcd")
    assert "[lesson 01](../01_see.ipynb)" in made.cells[0].source
    assert "YOUR CODE HERE" in made.cells[2].source
    assert made.cells[3].outputs == []
    assert "Twice" in made.cells[2].source
    assert "2 * x" not in nbformat.writes(made)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("exercises", lambda cells: cells[1].update(source="## 01-1 · Thrice"), "out of step"),
        ("exercises", lambda cells: cells.pop(), "out of step"),
        ("solutions", lambda cells: cells[1].update(source="## 01-1 · Thrice"), "out of step"),
        ("solutions", lambda cells: cells[2].update(source="### BEGIN SOLUTION\n1"), "never ends"),
        ("solutions", lambda cells: cells[3].update(source='check("01-2", f)'), "it checks 01-2"),
        ("solutions", lambda cells: cells[3].update(metadata={}), "nbval-check-output is missing"),
        ("solutions", lambda cells: cells.pop(3), "exercise 01-1 has no check"),
        ("solutions", lambda cells: cells[1].update(source="## 01-2 · X"), "in place of 01-1"),
        ("solutions", lambda cells: cells[0].update(source="# Other"), "does not begin with"),
        ("solutions", lambda cells: cells.__delitem__(slice(1, None)), "no exercise in it"),
    ],
)
def test_what_is_out_of_step_fails(small, kind, change, message, capsys):
    changed(small, kind, change)
    assert tool.main(["--root", str(small), "generate", "--check"]) == 1
    assert message in capsys.readouterr().err


def test_a_solution_that_is_gone_fails(small, capsys):
    (small / "notebooks/solutions/01_see.ipynb").unlink()
    assert tool.main(["--root", str(small), "generate", "--check"]) == 1
    assert "its solution is gone" in capsys.readouterr().err
    shutil.rmtree(small / "notebooks/exercises")
    assert tool.main(["--root", str(small), "generate"]) == 1
    assert "lesson 01 has no exercises" in capsys.readouterr().err


def test_exercises_of_no_lesson_fail(small, capsys):
    source = small / "notebooks/solutions/01_see.ipynb"
    shutil.copy(source, source.with_name("07_other.ipynb"))
    assert tool.main(["--root", str(small), "generate"]) == 1
    assert "there is no lesson of this name" in capsys.readouterr().err
