"""The list of mutations of `mutants.py`: what each changes in the library, and in which lines."""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest needs tomli before 3.11
    import tomli as tomllib


class MutantsError(Exception):
    """A message for the user, without a traceback."""


@dataclass(frozen=True)
class Mutant:
    """One change of the library, and what it breaks; `survives` says why no test can fail."""

    name: str
    file: str
    breaks: str
    before: str
    after: str
    survives: str = ""

    @property
    def module(self):
        """The name of the module."""
        return Path(self.file).stem

    def applied(self, source):
        """Return the changed source, or raise an error if the list no longer fits it."""
        if (found := source.count(self.before)) != 1:
            raise MutantsError(f"{self.name}: {found} times in {self.file}, accepted is once:\n"
                               f"{self.before}")  # fmt: skip
        changed = source.replace(self.before, self.after)
        try:
            same = ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source))
        except SyntaxError as error:
            raise MutantsError(f"{self.name}: {self.file} is no Python then: {error}") from None
        if same:
            raise MutantsError(f"{self.name}: it changes nothing in {self.file}")
        return changed

    def lines(self, source):
        """Return the lines of the statement that changes; None if it stands in no function."""
        first = source[: source.index(self.before)].count("\n") + 1
        last = first + self.before.rstrip("\n").count("\n")
        functions, statements = False, set(range(first, last + 1))
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.stmt) or not node.lineno <= first <= node.end_lineno:
                continue
            # the head of a function, with its defaults, runs when the module is imported
            functions |= isinstance(node, ast.FunctionDef) and node.body[0].lineno <= first
            if not hasattr(node, "body"):
                statements |= set(range(node.lineno, node.end_lineno + 1))
            elif first < node.body[0].lineno:  # the head of a block
                statements |= set(range(node.lineno, node.body[0].lineno))
        return statements if functions else None


def read_list(folder):
    """Return the mutations of all files of the list."""
    rows = []
    for path in sorted(folder.glob("*.toml")):
        rows += tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    mutants = [Mutant(**row) for row in rows]
    names = [mutant.name for mutant in mutants]
    if len(set(names)) < len(names) or not names:
        twice = sorted({name for name in names if names.count(name) > 1})
        raise MutantsError(f"{folder}: no mutation, or a name twice: {twice}")
    return mutants
