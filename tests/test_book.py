"""The book's hooks and its checks, without Sphinx and without a browser."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "book"))
import book
import check_book

ROOT = Path(__file__).resolve().parents[1]

# What changes a notebook or a page for the book


def outputs(notebook):
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def test_a_widget_gives_way_to_the_picture_that_is_stored_with_it():
    path = ROOT / "notebooks/03_let_a_surrogate_choose.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    before = outputs(notebook)
    assert any(book.WIDGET in output.get("data", {}) for output in before)
    book.without_widgets(notebook)
    new = [output for output in outputs(notebook) if output not in before]
    assert "widgets" not in notebook["metadata"]
    assert not any(book.WIDGET in output.get("data", {}) for output in outputs(notebook))
    assert "widget" in new[0]["data"]["text/markdown"]
    pictures = [output for output in new if "image/png" in output["data"]]
    assert pictures
    assert all(len(picture["metadata"]["image/png"]["alt"]) > 20 for picture in pictures)


def test_links_to_what_is_no_page_lead_to_files():
    env = SimpleNamespace(
        found_docs={"README", "docs/glossary"},
        doc2path=lambda docname: ROOT / f"{docname}.md",
        path2doc=lambda path: str(path.relative_to(ROOT).with_suffix("")),
    )
    app = SimpleNamespace(env=env)
    for link, expected in {
        "[a](glossary.md)": "[a](glossary.md)",
        "[a](glossary.md#task)": "[a](glossary.md#task)",
        "[a](../LICENSE)": "[a](../LICENSE)",
        "[a](notation.md)": "[a](path:notation.md)",
        "[a](missing.md)": "[a](missing.md)",  # Sphinx reports it
    }.items():
        assert book.with_files(link, app, "docs/questions") == expected


def finished(name, binder="", body=""):
    path = ROOT / name
    app = SimpleNamespace(
        env=SimpleNamespace(doc2path=lambda _: path), config=SimpleNamespace(book_binder=binder)
    )
    context = {"body": body}
    book.finish_page(app, name.rsplit(".", 1)[0], "page.html", context, "a tree")
    return context


def test_only_a_notebook_opens_in_binder_and_only_if_an_address_is_set():
    lesson = "notebooks/00_start_here.ipynb"
    address = "https://mybinder.org/v2/gh/OWNER/REPOSITORY/HEAD"
    assert "binder" not in finished(lesson)
    assert finished(lesson)["notebook"] == lesson
    assert finished(lesson, address)["binder"] == f"{address}?urlpath=lab/tree/{lesson}"
    assert not {"binder", "notebook"} & set(finished("docs/glossary.md", address))


def test_another_language_is_named_outside_of_tags_alone():
    body = '<p title="采集">采集函数 <b>role</b></p>'
    expected = '<p title="采集"><span lang="zh">采集函数</span> <b>role</b></p>'
    assert finished("docs/glossary.md", body=body)["body"] == expected


def test_anchors_are_those_of_jupyterlab():
    assert book.anchor("Bayesian optimization") == "Bayesian-optimization"


# What the book is made with


def test_npm_packages_have_exact_versions():
    package = json.loads((ROOT / "package.json").read_text())
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert {"mathjax", "axe-core"} <= set(versions)
    for version in versions.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_pages_are_made_without_another_host():
    files = [ROOT / "docs/conf.py", *(ROOT / "docs/_static").iterdir()]
    files += (ROOT / "docs/_templates").iterdir()
    for path in files:
        assert not re.search(r"^[^#]*https?://", path.read_text(encoding="utf-8"), re.M), path


# What is found on a page

PAGE = """<html lang="en"><article><h1 id="top">A page</h1><h2>A part</h2>
<p>{}</p><img src="picture.png" alt="What it shows">
<table><tr><th>n</th></tr><tr><td>1</td></tr></table>
<a href="other.html#there">there</a> <a href="#top">top</a> <a href="https://example.org">out</a>
</article></html>""".format("Some words. " * 30)
PLANTED = {
    'lang="en"': ("", "no language"),
    "Some words. ": ("", "31 characters"),
    "<h1": ("<h2", "headings of levels"),
    "<h2>": ("<h4>", "level 4 follows one of level 1"),
    ' alt="What it shows"': ("", "without alt text"),
    "<th>n</th>": ("<td>n</td>", "without header cells"),
    "<p>": ('<p id="top">', "2 elements with the id top"),
    "other.html#there": ("other.html#nowhere", "leads to no place"),
    "other.html": ("missing.html", "leads to no file"),
    'src="picture.png"': ('src="../outside.png"', "leads to no file"),
    "<article>": ('<article><script src="https://example.org/x.js"></script>', "<script> asks for"),
}


def faults_of(folder, text):
    """Write a small book with this page, and return what is wrong with it."""
    inside = folder / "book"
    inside.mkdir()
    for name in ("index.html", "search.html", "picture.png", "../outside.png"):
        (inside / name).write_text("<html></html>")
    (inside / "other.html").write_text(PAGE.replace('href="other.html#there"', 'id="there"'))
    (inside / "page.html").write_text(text)
    found = []
    check_book.check_files(inside, lambda name, faults: found.extend(faults))
    return found


def test_a_good_page_has_no_faults(tmp_path, capsys):
    assert faults_of(tmp_path, PAGE) == []
    assert "2 pages with content, 2 pictures, 2 tables; links: 5 inside" in capsys.readouterr().out


@pytest.mark.parametrize("part", PLANTED)
def test_a_planted_fault_is_found(tmp_path, part):
    instead, message = PLANTED[part]
    assert PAGE.count(part)
    (fault,) = faults_of(tmp_path, PAGE.replace(part, instead))
    assert message in fault


def test_no_book_is_said_plainly(tmp_path):
    with pytest.raises(SystemExit, match="holds no book"):
        check_book.main([str(tmp_path)])
