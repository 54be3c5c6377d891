"""What the rules of notebooks look at: cells, outputs, code as trees; and the list of rules."""

import ast
import re
import warnings
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

RULES = []
BLOCK = r"<!-- (navigation|time) -->.*?<!-- /\1 -->"
FENCE = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1[`~]*\s*$|\Z)", re.M | re.S)


def rule(function):
    """Add a function to the rules that `faults` asks."""
    RULES.append(function)
    return function


class Book:
    """A notebook, with what several rules need."""

    def __init__(self, path):
        self.path = Path(path)
        self.notebook = nbformat.read(self.path, as_version=4)
        self.cells = list(enumerate(self.notebook.cells, 1))
        self.code = [(n, cell) for n, cell in self.cells if cell.cell_type == "code"]
        self.prose = [(n, cell) for n, cell in self.cells if cell.cell_type == "markdown"]
        lesson = self.path.parent.name == "notebooks" and re.match(r"\d\d_", self.path.name)
        self.is_lesson = bool(lesson)
        self.trees = {n: parse(cell.source) for n, cell in self.code}

    def nodes(self, *kinds):
        """Yield (cell number, node) for the syntax nodes of these kinds, in all code cells."""
        for n, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, kinds):
                    yield n, node

    def outputs(self):
        """Yield (cell number, place among the cell's outputs, output)."""
        for n, cell in self.code:
            for place, output in enumerate(cell.outputs):
                yield n, place, output


def tags(cell):
    """Return the tags of a cell."""
    return set(cell.metadata.get("tags", []))


def parse(source):
    """Parse a cell, IPython's own syntax included; an empty tree if it cannot be parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(TransformerManager().transform_cell(source))
        except SyntaxError:
            return ast.Module([], [])


def dotted(node):
    """Return a name such as 'a.b.c' for the node of it, or ''."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return dotted(node.func) + "()" if isinstance(node, ast.Call) else ""


def plain(source):
    """Return Markdown without code blocks, code spans and generated blocks."""
    source = re.sub(BLOCK, "", source, flags=re.S)
    source = FENCE.sub("", source)
    return re.sub(r"(`+)[^`](.*?[^`])??\1(?!`)", "", source, flags=re.S)


def text_of(output):
    """Return all text of an output, pictures left out."""
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return "\n".join([output.evalue, *output.traceback])
    return "\n".join(str(v) for kind, v in output.data.items() if not kind.startswith("image/"))


def pictures(output):
    """Return the image types of an output."""
    return [kind for kind in output.get("data", {}) if kind.startswith("image/")]
