"""What the project says of itself, for the tests of its set-up."""

import ast
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest needs tomli before 3.11
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT_TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads(PYPROJECT_TEXT)
PROJECT = PYPROJECT["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "metahpo_lite"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
CODE_FOLDERS = ("metahpo_lite", "course", "tools", "benchmarks")
CODE_FILES = sorted(path for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*.py"))


def dotted(node):
    """Return a name such as np.load as it stands, or ""."""
    if isinstance(node, ast.Attribute) and (front := dotted(node.value)):
        return f"{front}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
