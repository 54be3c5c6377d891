"""Every public name says what it takes, returns and raises, and its examples run."""

import ast
import doctest
import importlib
import inspect
import re
from functools import cached_property
from pathlib import Path

import pytest

import metahpo_lite
from metahpo_lite import _NAMES
from metahpo_lite.search import Searcher

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = [(module, name) for module, names in _NAMES.items() for name in names]
RAISES = re.compile(r"^\s+raise [A-Z]\w*Error", re.MULTILINE)


def public(module, name):
    return getattr(importlib.import_module(f"metahpo_lite.{module}"), name)


def parameters(function):
    try:
        names = inspect.signature(function).parameters
    except ValueError:
        return []
    return [name for name in names if name not in ("self", "cls") and name[0] != "_"]


def section(doc, title):
    """The text below a numpydoc title, up to the next one."""
    found = re.search(rf"^{title}\n-{{{len(title)}}}\n(.*?)(?=^\w[^\n]*\n---|\Z)", doc, re.M | re.S)
    return found[1] if found else ""


def described(doc, title):
    """The names that a section describes: ``low, high : float`` gives low and high."""
    lines = re.findall(r"^(\w[\w, *]*?)(?: :.*)?$", section(doc, title), re.MULTILINE)
    return {name.strip(" *") for line in lines for name in line.split(",")}


def methods():
    for module, name in PUBLIC:
        thing = public(module, name)
        for attribute, value in vars(thing).items() if inspect.isclass(thing) else ():
            kinds = (property, classmethod, staticmethod, cached_property)
            if attribute[0] != "_" and (inspect.isfunction(value) or isinstance(value, kinds)):
                yield pytest.param(value, id=f"{name}.{attribute}")


def public_definitions(node, name):
    """Yield (name, node) for a module or class, and for what is public in it."""
    yield name, node
    for part in node.body:
        overload = any("overload" in ast.unparse(d) for d in getattr(part, "decorator_list", []))
        if getattr(part, "name", "_")[0] == "_" or overload:
            continue
        if isinstance(part, ast.ClassDef):
            yield from public_definitions(part, f"{name}.{part.name}")
        elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{name}.{part.name}", part


def test_the_undocumented_are_found():
    source = """
'''A module.'''
def f(): ...
def _f(): ...
class A:
    '''A class.'''
    def g(self): ...
    def __len__(self): ...
    class B: ...
"""
    found = public_definitions(ast.parse(source), "m")
    assert [n for n, d in found if not ast.get_docstring(d)] == ["m.f", "m.A.g", "m.A.B"]


@pytest.mark.parametrize("package", ["metahpo_lite", "course", "benchmarks"])
def test_all_public_names_have_a_docstring(package, record_property):
    """Of every module, not only of those that `import metahpo_lite` gives."""
    found = [
        definition
        for path in sorted((ROOT / package).rglob("*.py"))
        for definition in public_definitions(
            ast.parse(path.read_text(encoding="utf-8")), str(path.relative_to(ROOT))
        )
    ]
    assert len(found) > 20
    assert [name for name, node in found if not ast.get_docstring(node)] == []
    record_property(f"public names of {package} with a docstring", len(found))


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_every_public_name_is_described(module, name):
    thing = public(module, name)
    doc = inspect.getdoc(thing) or ""
    assert thing.__doc__, "has no docstring of its own"
    summary = doc.split("\n\n")[0]
    assert "\n" not in summary.strip()
    assert summary.rstrip().endswith(".")
    fields = described(doc, "Parameters") | described(doc, "Attributes")
    for parameter in parameters(thing):
        assert parameter in fields, f"{parameter} is not described"
    if inspect.isfunction(thing):
        returns = inspect.signature(thing).return_annotation
        if returns not in (None, "None", inspect.Signature.empty):
            assert section(doc, "Returns"), "does not say what it returns"
    if inspect.isfunction(thing) and RAISES.search(inspect.getsource(thing)):
        assert section(doc, "Raises"), "does not say what it raises"


@pytest.mark.parametrize("method", list(methods()))
def test_every_public_method_is_described(method):
    """A sentence does for what takes one thing, and for what the protocol `Searcher` describes."""
    doc = inspect.getdoc(method)
    assert doc, "has no docstring"
    assert re.search(r"[.:]$", doc.split("\n\n")[0].strip())
    function = getattr(method, "__func__", method)  # of a class method
    if inspect.isfunction(function):
        names, fields = parameters(function), described(doc, "Parameters")
        if fields or (len(names) > 1 and function.__name__ not in vars(Searcher)):
            assert set(names) <= fields | set(re.findall(r"[`*](\w+)[`*]", doc))


@pytest.mark.parametrize("module", _NAMES)
def test_examples_run(module):
    tests = importlib.import_module(f"metahpo_lite.{module}")
    failed, _ = doctest.testmod(tests, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed


def test_there_are_examples():
    counts = [
        len(test.examples)
        for module in ("spaces", "tasks")
        for test in doctest.DocTestFinder().find(importlib.import_module(f"metahpo_lite.{module}"))
    ]
    assert sum(counts) >= 3


def test_names_are_those_of_the_modules():
    assert len(set(metahpo_lite.__all__)) == len(metahpo_lite.__all__)
    for module, name in PUBLIC:
        assert getattr(metahpo_lite, name) is public(module, name)
        assert name in dir(metahpo_lite)
        assert public(module, name).__module__ == f"metahpo_lite.{module}"
    with pytest.raises(AttributeError, match=r"no 'nonsense'; it has check_environment, Float"):
        _ = metahpo_lite.nonsense
