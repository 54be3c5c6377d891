"""The faults that run_all.py must see, planted; and a slider before anything runs.

python -m pytest -n 0 tests/browser     a minute; run_all.py itself drags the sliders of lessons
"""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat.v4 as nb
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import lab_page
import run_all
from lessons import KERNEL

FIGURE = """import matplotlib.pyplot as plt
from ipywidgets import interact
from metahpo_lite.plots import show, show_slider

def draw(n):
    figure, axes = plt.subplots()
    axes.plot(range(n))
    show(figure, "A line, as long as the slider says.")
"""
SLIDERS = {
    "good": ("_ = interact(draw, n=(3, 9))", None),
    "shown": ("show_slider(draw, 'The slider makes it longer.', n=(3, 9))", None),
    "still": ("_ = interact(lambda n: draw(3), n=(3, 9))", "no other picture when"),
    "error": ("_ = interact(lambda n: draw(3 if n == 6 else 1 / 0), n=(3, 9))", "ZeroDivision"),
    "no_slider": ("_ = interact(draw, n=[3, 9])", "not one slider in the page"),
}


def write(path, *sources):
    """Write a notebook with these cells."""
    book = nb.new_notebook(cells=[nb.new_code_cell(source) for source in sources])
    book.metadata["kernelspec"] = KERNEL  # else JupyterLab asks for one
    path.write_text(nb.writes(book), encoding="utf-8")


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """A browser, and in JupyterLab the stored lessons and a notebook for each slider."""
    folder = tmp_path_factory.mktemp("lab")
    run_all.copy_with_outputs(folder)
    for name, (source, _) in SLIDERS.items():
        write(folder / "notebooks" / f"{name}.ipynb", FIGURE, source)
    with run_all.lab(folder) as (_, address, token), run_all.browser(address, token) as context:
        yield SimpleNamespace(page=context.new_page, address=address)


@pytest.mark.parametrize("name", SLIDERS)
def test_a_slider_that_does_not_work_is_seen(context, name):
    page, expected = context.page(), SLIDERS[name][1]
    _, _, faults = run_all.run_lesson(page, context.address, f"{name}.ipynb", 60)
    page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
    assert bool(faults) == bool(expected), faults
    assert (expected or "") in " ".join(faults)


def test_a_widget_that_is_missing_is_seen(context):
    page = context.page()
    lab_page.open_notebook(page, context.address, "good.ipynb")  # and nothing runs
    output = {"output_type": "display_data", "data": {"text/plain": "interactive(children=()"}}
    assert list(lab_page.widget_faults(page, [{"outputs": [output]}])) == [
        "0 of 1 widgets are in the page"
    ]


# Of each slider in the outputs of the notebook, what the page shows
SLIDERS_SHOW = """async () => {
  const found = [];
  const content = window.jupyterapp.shell.currentWidget.content;
  for (const [number, cell] of content.widgets.entries()) {
    if (!JSON.stringify(cell.model.toJSON().outputs || []).includes('interactive(')) continue;
    for (let i = 0; i < 100 && !cell.outputArea?.widgets.length; i++) {
      content.scrollToItem(number);  // what is far from view is never made
      await new Promise(go => setTimeout(go, 100));
    }
    for (const [place, part] of (cell.outputArea?.widgets || []).entries()) {
      const data = cell.outputArea.model.get(place).toJSON().data || {};
      if (String(data['text/plain']).startsWith('interactive(')) {
        const image = part.node.querySelector('img');
        while (image && !image.complete) await new Promise(go => setTimeout(go, 50));
        found.push({width: image?.naturalWidth || 0, text: part.node.textContent});
      }
    }
  }
  return found;
}"""
SLIDING = [
    path
    for path in sorted(run_all.ROOT.glob("notebooks/[0-9][0-9]_*.ipynb"))
    if "application/vnd.jupyter.widget-view+json" in path.read_text(encoding="utf-8")
]


def test_there_is_a_lesson_with_a_slider():
    assert SLIDING


@pytest.mark.parametrize("path", SLIDING, ids=lambda path: path.stem)
def test_a_stored_slider_has_its_picture_before_anything_runs(context, path):
    """A picture, not the name of an object; JupyterLab does not trust another's notebook."""
    page = context.page()
    lab_page.open_notebook(page, context.address, path.name)
    sliders = page.evaluate(SLIDERS_SHOW)
    assert sliders
    for slider in sliders:
        assert slider["width"] > 100, slider["text"]


@pytest.mark.parametrize(
    ("limit", "kept", "failed"), [(9, [], 0), (0.2, [], 1), (0.2, ["--keep-kernels"], 0)]
)
def test_memory_above_the_limit_is_a_fault(tmp_path, limit, kept, failed):
    paths = [tmp_path / f"{name}.ipynb" for name in "ab"]
    for path in paths:
        write(path, "x = b'1' * 200_000_000")
    command = [sys.executable, run_all.__file__, *paths, f"--memory={limit}", *kept]
    command += ["--figures", tmp_path / "browser.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == failed, done.stderr
    assert done.stdout.count(f"GB, more than {limit}") == 2 * failed
    assert ("1 kernels left running take more than" in done.stdout) == bool(kept)


def test_the_page_of_figures_has_all_lessons():
    page = (run_all.ROOT / "docs/measured.md").read_text(encoding="utf-8")
    for path in run_all.ROOT.glob("notebooks/[0-9][0-9]_*.ipynb"):
        assert f"| {path.stem.replace('_', ' ')} |" in page
