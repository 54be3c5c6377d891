"""Every notebook keeps the rules of tools/notebook_rules.py, and every rule catches its fault."""

import sys
from pathlib import Path

import nbformat.v4 as nb
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import lessons  # noqa: E402
import notebook_rules  # noqa: E402

NOTEBOOKS = sorted(
    path for path in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path):
    assert notebook_rules.faults(path) == []


def test_navigation_times_and_map_are_in_step():
    assert lessons.navigation(ROOT, check=True) == []


# A correct lesson, and one change for each fault


def markdown(text, **metadata):
    return nb.new_markdown_cell(text, metadata=metadata)


def code(source, *outputs, **metadata):
    return nb.new_code_cell(source, outputs=list(outputs), metadata=metadata)


def shown(data, metadata=None):
    return nb.new_output("display_data", data, metadata=metadata or {})


def printed(text, name="stdout"):
    return nb.new_output("stream", name=name, text=text)


def result(text):
    return nb.new_output("execute_result", {"text/plain": text}, execution_count=1)


PNG = "iVBORw0KGgo="
SENTENCE = "Regret falls with each trial, from 0.42 to 0.03 after ten trials."
ALT = {"image/png": {"alt": SENTENCE}}
FIGURE = shown({"image/png": PNG, "text/plain": "<Figure size 640x480 with 1 Axes>"}, ALT)
TEXT = shown({"text/markdown": SENTENCE})
FIRST = """# 03 · Let a surrogate choose: Bayesian optimization
> What a belief over functions buys.

<!-- navigation -->
[contents](../README.md#the-lessons)
<!-- /navigation -->

**What you will do.** Write five lines.

**What you will learn.** Why they work.

**What you need.** Lesson 02.

<!-- time -->
12 min to read, 35 s to run, 0.4 GB (measured on 2 cores)
<!-- /time -->"""
LAST = """## Further reading
Jones 1998, who found 3.5 % and has a [page](https://example.org/a).

<!-- navigation -->
[contents](../README.md#the-lessons)
<!-- /navigation -->"""


def correct():
    """Return the cells of a lesson with no fault, near the edge of several rules."""
    return [
        markdown(FIRST),
        markdown(
            "## It starts blind\nUse `0.01` and $\\ell = 0.5$.\n```\n# 0.87 of a comment\n```"
        ),
        code("import numpy as np\n\nx = np.arange(3)\nshow(x)", FIGURE, TEXT),
        code("# NBVAL_CHECK_OUTPUT\nassert x.sum() == 3\nx.sum()", result("3")),
        markdown(
            "### Half of it\nIt is 0.5 of all, as the cell above checks.", tags=["numbers-checked"]
        ),
        code("1 / 0", nb.new_output("error", ename="E", evalue="e"), tags=["raises-exception"]),
        code("assert run(seed=1) == run(seed=1)\nassert len(x) > 0\nawait later()"),
        code("try:\n    x[9]\nexcept IndexError:\n    assert len(x) <= 9"),
        markdown("## Try it yourself\n![A plot](plot.png)\n## What you take away\nIt works."),
        markdown(LAST),
    ]


def saved(tmp_path, cells, name="03_let_choose.ipynb", folder="notebooks", counted=True):
    """Write cells as an executed notebook."""
    if counted:
        for count, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
            cell.execution_count = count
    book = nb.new_notebook(cells=cells, metadata={"kernelspec": lessons.KERNEL})
    path = tmp_path / folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(nb.writes(book), encoding="utf-8")
    return path


def rules_broken(path):
    return {fault.rpartition("[")[2].rstrip("]") for fault in notebook_rules.faults(path)}


def test_correct_lesson_has_no_faults(tmp_path):
    assert notebook_rules.faults(saved(tmp_path, correct())) == []


def test_frame_is_for_lessons_only(tmp_path):
    path = saved(tmp_path, [markdown("# Solutions"), code("x = 1")], folder="solutions")
    assert notebook_rules.faults(path) == []


def add(*cells):
    """Return a change that puts cells in the middle."""
    return lambda good: good[:4] + list(cells) + good[4:]


def edit(at, old, new):
    """Return a change of the text of one cell."""

    def change(good):
        assert old in good[at].source
        good[at].source = good[at].source.replace(old, new)
        return good

    return change


def drop_asserts(good):
    return [cell for cell in good if not (cell.cell_type == "code" and "assert" in cell.source)]


BROKEN = [
    ("valid", add(code("x = 1", shown({"text/plain": "y" * 1_600_000})))),
    ("empty", add(code(" "))),
    ("errors", add(code("1 / 0", nb.new_output("error", ename="E", evalue="e")))),
    ("stderr", add(code("x = 1", printed("UserWarning", "stderr")))),
    ("reprs", add(code("x", result("<Axes: title={'center': 'a'}>")))),
    ("reprs", add(code("x", result("[<matplotlib.lines.Line2D at 0x7f12345678>]")))),
    ("reprs", add(code("x", result("Text(0.5, 1.0, 'a')")))),
    ("reprs", add(code("x", printed("<object object at 0x7f1234567890>")))),
    ("absolute_paths", add(code("x = '/home/me/data.csv'"))),
    ("absolute_paths", add(code("x = 'C:\\\\data'"))),
    ("absolute_paths", add(code("x", printed("saved in /tmp/abc")))),
    ("absolute_paths", add(markdown("See /root/x."))),
    ("one_title", add(markdown("# Again\n## It"))),
    ("one_title", add(markdown("Again\n=====\n## It"))),
    ("levels", edit(4, "### Half", "#### Half")),
    ("numbers", add(markdown("It reaches 0.87 here."))),
    ("numbers", add(markdown("It wins on 12 % of them."))),
    ("numbers", add(markdown("It wins on 12% of them, or $0.12$."))),
    ("alt_text", add(code("show(x)", shown({"image/png": PNG}), TEXT))),
    (
        "alt_text",
        add(code("show(x)", shown({"image/png": PNG}, {"image/png": {"alt": " "}}), TEXT)),
    ),
    ("alt_text", add(code("x", shown({"text/html": "<img src='a.png'>"})))),
    ("described", add(code("show(x)", FIGURE))),
    ("described", add(code("show(x)", FIGURE, printed("1"), TEXT))),
    ("described", add(code("show(x)", FIGURE, shown({"text/markdown": "Short."})))),
    ("markdown_pictures", add(markdown("![](plot.png)"))),
    ("markdown_pictures", add(markdown("<img src='plot.png'>"))),
    ("markdown_pictures", add(markdown("![A plot](https://example.org/plot.png)"))),
    ("markdown_pictures", add(markdown("![A plot][p]\n\n[p]: https://example.org/plot.png"))),
    ("markdown_pictures", add(markdown("<img alt='A plot' src='http://example.org/plot.png'>"))),
    ("syntax", add(code("x = = 1"))),
    ("syntax", add(code("return 1"))),
    ("size", add(code("\n".join(["x = 1"] * 13)))),
    ("size", add(code(f"x = '{'y' * 75}'"))),
    ("size", add(*[code("\n".join(["x = 1"] * 11)) for _ in range(10)])),
    ("network", add(code("x = read('https://example.org/a.csv')"))),
    ("network", add(code("x = f'ftp://example.org/{x}'"))),
    ("network", add(code("import urllib.request"))),
    ("network", add(code("from urllib.request import urlopen as get"))),
    ("network", add(code("import requests as r"))),
    ("network", add(code("from sklearn.datasets import fetch_openml"))),
    ("network", add(code("x = sklearn.datasets.fetch_california_housing()"))),
    ("network", add(code("from keras import datasets"))),
    ("network", add(code("x = tf.keras.datasets.mnist.load_data()"))),
    ("network", add(code("x = keras.utils.get_file('a')"))),
    ("network", add(code("x = importlib.import_module('requests')"))),
    ("shell", add(code("!ls"))),
    ("shell", add(code("!!ls"))),
    ("shell", add(code("x = !ls"))),
    ("shell", add(code("%%bash\nls"))),
    ("shell", add(code("%sx ls"))),
    ("shell", add(code("%matplotlib inline"))),
    ("shell", add(code("x = 1\n%unknown"))),
    ("shell", add(code("x?"))),
    ("shell", add(code("os.system('ls')"))),
    ("shell", add(code("from os import system"))),
    ("shell", add(code("import subprocess as s"))),
    ("shell", add(code("get_ipython().system('ls')"))),
    ("checks_exist", drop_asserts),
    ("markers", add(code("# NBVAL_CHECK_OUTPUT: the sum\nx", result("3")))),
    ("markers", add(code("# NBVAL_SKIP\nx"))),
    ("markers", add(code("# NBVAL_IGNORE_OUTPUT\nx"))),
    ("markers", add(code("x", tags=["nbval-skip"]))),
    ("markers", add(code("x", tags=["raises-exception"]))),
    ("markers", add(code("# NBVAL_RAISES_EXCEPTION\nx"))),
    ("frame", edit(0, "# 03 ·", "# 04 ·")),
    ("frame", edit(0, "> What", "What")),
    ("frame", edit(0, "**What you will do.**", "What you will do.")),
    ("frame", edit(0, "**What you will learn.**", "")),
    ("frame", edit(0, "**What you need.**", "**You need.**")),
    ("frame", edit(0, FIRST[FIRST.index("<!-- time -->") :], "")),
    ("frame", edit(0, "<!-- navigation -->", "")),
    ("frame", edit(-1, "<!-- /navigation -->", "")),
    ("frame", edit(-2, "## Try it yourself", "## Exercises")),
    ("frame", edit(-2, "## What you take away", "")),
    ("frame", edit(-1, "## Further reading", "## Further reading of 3")),
]
# Each alone in a cell
CANNOT_FAIL = [
    "assert True",
    "assert 1, 'message'",
    "assert (x == 3, 'message')",
    "assert [x]",
    "assert f'{x}'",
    "assert x == x",
    "assert len(x) == len(x)",
    "assert x is x",
    "assert x or True",
    "assert len(x) >= 0",
    "assert 0 <= len(x)",
    "assert len(x) > -1",
    "assert 1 + 1 == 2",
    "assert not False",
    "assert np.allclose(x, x)",
    "assert x.equals(x)",
    "assert (i > 3 for i in x)",
    "np.testing.assert_allclose(x, x)",
    "if False:\n    assert x > 3",
]
UNHEARD = [
    "try:\n    assert x\nexcept AssertionError:\n    print('no')",
    "try:\n    assert x\nexcept Exception:\n    pass",
    "try:\n    assert x\nexcept:\n    pass",
    "try:\n    assert x\nexcept (ValueError, AssertionError):\n    pass",
    "with suppress(AssertionError):\n    assert x",
]
CAN_FAIL = [
    "assert x",
    "assert isinstance(x, int)",
    "assert x == 3 or y == 3",
    "assert x or False",
    "assert len(x) >= 1",
    "assert 0 < len(x)",
    "assert len(x) != 0",
    "assert f(x) == f(x)",
    "assert x <= y <= x",
    "assert not x",
    "assert np.allclose(x, y)",
    "assert np.allclose(f(1), f(1))",
    "assert all(i > 3 for i in x)",
    "try:\n    assert x\nexcept ValueError:\n    pass",
    "try:\n    assert x\nexcept Exception as e:\n    raise TypeError from e",
    "try:\n    f()\nexcept Exception:\n    assert x",
]
BROKEN += [("checks_can_fail", add(code(source))) for source in CANNOT_FAIL]
BROKEN += [("checks_are_heard", add(code(source))) for source in UNHEARD]


@pytest.mark.parametrize(
    ("rule", "change"), BROKEN, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(BROKEN)]
)
def test_fault_is_caught_by_its_rule_alone(tmp_path, rule, change):
    assert rules_broken(saved(tmp_path, change(correct()))) == {rule}


@pytest.mark.parametrize("source", CAN_FAIL)
def test_check_that_can_fail_is_no_fault(tmp_path, source):
    assert rules_broken(saved(tmp_path, [*correct()[:-1], code(source), correct()[-1]])) == set()


@pytest.mark.parametrize("text", ["", "## Solutions", "Text\n# Solutions", "```\n# A comment\n```"])
def test_title_is_the_first_line(tmp_path, text):
    path = saved(tmp_path, [markdown(text), code("x = 1")], folder="solutions")
    assert rules_broken(path) == {"one_title"}


@pytest.mark.parametrize("counts", [[None, 1], [2, 1], [1, 3], [2, 3], [1, 1]])
def test_execution_counts(tmp_path, counts):
    cells = [markdown("# Solutions"), code("x = 1"), code("x = 2")]
    for cell, count in zip(cells[1:], counts, strict=True):
        cell.execution_count = count
    path = saved(tmp_path, cells, folder="solutions", counted=False)
    assert rules_broken(path) == {"executed"}
    exercise = saved(tmp_path, cells, folder="exercises", counted=False)
    assert rules_broken(exercise) == set()


def test_kernel(tmp_path):
    path = saved(tmp_path, correct())
    path.write_text(path.read_text().replace('"name": "python3"', '"name": "venv"'))
    assert rules_broken(path) == {"kernel"}


def test_every_rule_has_a_sample():
    rules = {rule.__name__ for rule in notebook_rules.RULES}
    assert rules == {rule for rule, _ in BROKEN} | {"executed", "kernel"}


def test_command_line(tmp_path, capsys):
    good, bad = saved(tmp_path, correct()), saved(tmp_path, [code("x")], "04_a.ipynb")
    assert notebook_rules.main([good]) == 0
    assert notebook_rules.main([good, bad]) == 1
    assert "no heading of level 1 [one_title]" in capsys.readouterr().out
