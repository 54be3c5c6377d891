"""The rules of a notebook that neither nbval nor ruff sees.

python tools/notebook_rules.py NOTEBOOK ... prints what breaks one, as "cell 3: what [rule]".
A rule is a function, here or in notebook_code_rules.py; it takes a Book and yields (number of the
cell or None, what is wrong).
"""

import re
import sys

import nbformat
import notebook_code_rules  # noqa: F401 - its rules join those below
from notebook_parts import FENCE, RULES, Book, pictures, plain, rule, tags, text_of

MEGABYTES = 1.5

# What is stored


@rule
def valid(book):
    """The file follows the notebook format, and is not too large for a repository."""
    try:
        nbformat.validate(book.notebook)
    except nbformat.ValidationError as error:
        yield None, f"not a valid notebook: {error.message}"
    if (size := book.path.stat().st_size / 1e6) > MEGABYTES:
        yield None, f"{size:.1f} MB, more than {MEGABYTES}"


@rule
def kernel(book):
    """Every installation has the kernel python3."""
    name = book.notebook.metadata.get("kernelspec", {}).get("name")
    if name != "python3":
        yield None, f"kernel is {name}, not python3"


@rule
def executed(book):
    """All code cells were run, once, from top to bottom."""
    if book.path.parent.name == "exercises":
        return  # generated without their solutions, for the learner to run
    counts = [cell.execution_count for _, cell in book.code]
    for n, cell in book.code:
        if cell.source.strip() and cell.execution_count is None:
            yield n, "never executed"
    if None not in counts and counts != list(range(1, len(counts) + 1)):
        yield None, f"execution counts are {counts}, not 1 to {len(counts)}"


@rule
def empty(book):
    """No code cell is empty."""
    for n, cell in book.code:
        if not cell.source.strip():
            yield n, "empty code cell"


@rule
def errors(book):
    """No error is stored, except in a cell that announces one."""
    for n, _, output in book.outputs():
        cell = book.notebook.cells[n - 1]
        if output.output_type == "error" and "raises-exception" not in tags(cell):
            yield n, f"stored error {output.ename}: {output.evalue}"


@rule
def stderr(book):
    """Nothing is stored that was written to standard error."""
    for n, _, output in book.outputs():
        if output.output_type == "stream" and output.name == "stderr":
            yield n, f"on standard error: {output.text.strip()[:60]!r}"


@rule
def reprs(book):
    """No output is the name of an object: it changes, and tells the reader nothing."""
    names = r"<Axes|<Figure|<matplotlib\.|<\w*Container object|^Text\(|array\(\[<Axes"
    for n, _, output in book.outputs():
        text = text_of(output)
        if not pictures(output) and (found := re.search(names, text, re.M)):
            yield n, f"shows {found[0]}...: end the cell by show(...) or '_ = ...'"
        elif found := re.search(r"\bat 0x[0-9a-fA-F]{5,}", text):
            yield n, f"shows an object {found[0]}: not the same at each run"


@rule
def absolute_paths(book):
    """No path of one machine stands in a cell or in an output."""
    path = r"(?<![\w.~/:}\])*-])/(?:home|root|work|tmp|Users)\b(?!>)|\b[A-Za-z]:\\\\?\w"
    texts = [(n, cell.source) for n, cell in book.cells]
    texts += [(n, text_of(output)) for n, _, output in book.outputs()]
    for n, text in texts:
        if found := re.search(path, text):
            yield n, f"absolute path: {text[found.start() :][:40].splitlines()[0]}"


# Text


def headings(book):
    """Return (cell number, line in the cell, level, text) of all headings outside code blocks."""
    found = []
    for n, cell in book.prose:
        # Blank lines instead of code, so that line numbers stay
        text = FENCE.sub(lambda code: "\n" * code[0].count("\n"), cell.source)
        lines = text.split("\n")
        for at, line in enumerate(lines):
            if match := re.match(r" {0,3}(#{1,6})(?:\s+(.*?))?\s*#*\s*$", line):
                found.append((n, at, len(match[1]), match[2] or ""))
            elif match := re.match(r"\s*<h([1-6])[\s>]", line):
                found.append((n, at, int(match[1]), line))
            elif at and re.match(r" {0,3}(=+|-+)\s*$", line) and re.match(r"\s*\w", lines[at - 1]):
                found.append((n, at - 1, 1 if "=" in line else 2, lines[at - 1].strip()))
    return found


@rule
def one_title(book):
    """The first line of the first cell is the only heading of level 1."""
    titles = [(n, at) for n, at, level, _ in headings(book) if level == 1]
    if not titles:
        yield None, "no heading of level 1"
    elif titles[0] != (1, 0):
        yield titles[0][0], "the title is not the first line of the notebook"
    for n, _ in titles[1:]:
        yield n, "a second heading of level 1"


@rule
def levels(book):
    """Headings go down by one level at a time."""
    before = 0
    for n, _, level, text in headings(book):
        if before and level > before + 1:
            yield n, f"level {level} after level {before}: {text}"
        before = level


@rule
def numbers(book):
    """A number in prose comes from a cell, or the tag numbers-checked says that one checks it."""
    free = False
    for n, cell in book.prose:
        text = re.sub(
            r"\$\$.*?\$\$|\$[^$\n]*[A-Za-z\\][^$\n]*\$", "", plain(cell.source), flags=re.S
        )
        text = re.sub(r"\]\([^)]*\)|https?://\S+|<[^>]+>", "", text)
        for line in text.split("\n"):
            if line.lstrip().startswith("#"):
                # what others found; and a question's numbers are made up
                free = "Further reading" in line or "Five questions" in line
            elif free or "numbers-checked" in tags(cell):
                continue
            elif found := re.search(r"\d+\.\d+|\d+\s*(?:\\?%|per ?cent\b)", line):
                yield n, f"a typed number, {found[0]}: {line.strip()[:60]}"


# Pictures


@rule
def alt_text(book):
    """A picture in an output has alt text in the output's metadata."""
    for n, _, output in book.outputs():
        for kind in pictures(output):
            if not str(output.metadata.get(kind, {}).get("alt", "")).strip():
                yield n, f"{kind} without alt text in its metadata"
        html = output.get("data", {}).get("text/html", "")
        if re.search(r"<img\b(?![^>]*\balt=[\"'][^\"'])", html):
            yield n, "<img> without alt text in an output"


@rule
def described(book):
    """Right after a picture, a sentence in Markdown says what it shows."""
    for n, place, output in book.outputs():
        after = book.notebook.cells[n - 1].outputs[place + 1 : place + 2]
        sentence = after[0].get("data", {}).get("text/markdown", "") if after else ""
        if pictures(output) and len(sentence.strip()) < 40:
            yield n, "picture without a sentence of 40 characters directly after it"


@rule
def markdown_pictures(book):
    """A picture in the text has alt text and comes from the project."""
    for n, cell in book.prose:
        text = plain(cell.source)
        if re.search(r"!\[\s*\]|<img\b(?![^>]*\balt=[\"']\s*[^\"'\s])", text):
            yield n, "picture without alt text"
        addresses = re.findall(r"!\[[^\]]*\]\(\s*<?(\S+)|<img\b[^>]*\bsrc=[\"']?([^\"'\s>]+)", text)
        labels = re.findall(r"!\[([^\]]*)\](?:\[([^\]]*)\])?(?![(\[])", text)
        for label in (b or a for a, b in labels):
            where = re.search(rf"^\s*\[{re.escape(label)}\]:\s*(\S+)", text, re.M)
            addresses.append((where[1] if where else "", ""))
        for address in (a or b for a, b in addresses):
            if re.match(r"(\w+:)?//", address):
                yield n, f"picture from the network: {address}"


# The frame of a lesson


def in_order(text, parts):
    """Yield the parts (name: pattern) that do not follow those before them in the text."""
    at = 0
    for name, pattern in parts.items():
        if found := re.compile(pattern, re.M | re.S).search(text, at):
            at = found.end()
        else:
            yield name


@rule
def frame(book):
    """A lesson begins and ends as all lessons do."""
    if not book.is_lesson:
        return
    first = book.notebook.cells[0].source if book.cells else ""
    beginning = {
        f"title '# {book.path.name[:2]} · ...'": rf"\A# {book.path.name[:2]} · \S",
        "summary in one line '> ...'": r"\A> \S|^> \S",
        "navigation block": r"^<!-- navigation -->.*?<!-- /navigation -->",
        "What you will do": r"^\*\*What you will do\b.*?\*\*",
        "What you will learn": r"^\*\*What you will learn\b.*?\*\*",
        "What you need": r"^\*\*What you need\b.*?\*\*",
        "time block": r"^<!-- time -->.*?<!-- /time -->",
    }
    for name in in_order(first, beginning):
        yield 1, f"first cell: {name} is missing or out of order"
    everything = "\n\n".join(cell.source for _, cell in book.prose)
    names = ["Try it yourself", "What you take away", "Further reading"]
    for name in in_order(everything, {name: rf"^## {name}\s*$" for name in names}):
        yield None, f"'## {name}' is missing or out of order"
    if book.prose and "<!-- /navigation -->" not in book.prose[-1][1].source:
        yield book.prose[-1][0], "last cell: navigation block is missing"


def faults(path):
    """Return what breaks a rule, one line each; the rule's name stands at the end."""
    book = Book(path)
    found = ((n, what, check.__name__) for check in RULES for n, what in check(book))
    return [f"{f'cell {n}' if n else 'notebook'}: {what} [{name}]" for n, what, name in found]


def main(paths):
    """Print the faults of some notebooks; return the exit status."""
    all_faults = [f"{path}: {fault}" for path in paths for fault in faults(path)]
    print("\n".join(all_faults) or "no faults")
    return bool(all_faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
