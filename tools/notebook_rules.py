"""The rules of a notebook that neither nbval nor ruff sees.

python tools/notebook_rules.py NOTEBOOK ... prints what breaks one, as "cell 3: what [rule]".
A rule is a function below; it takes a Book and yields (number of the cell or None, what is wrong).
"""

import ast
import re
import sys
import warnings
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

RULES = []
# None: an unknown magic passes under nbval, and a lesson's cells are plain Python elsewhere too
MAGICS_ALLOWED = set()
CELL_LINES, COLUMNS, LESSON_LINES, MEGABYTES = 12, 79, 120, 1.5
EXERCISE_LINES = 20  # of a cell: the marks of a solution, and what it is to fill in
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


# Code


@rule
def syntax(book):
    """Every code cell compiles."""
    for n, cell in book.code:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                text = TransformerManager().transform_cell(cell.source)
                compile(text, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            except SyntaxError as error:
                yield n, f"syntax error: {error.msg}"


@rule
def size(book):
    """Cells can be read at a glance, and a lesson in one sitting."""
    total = 0
    for n, cell in book.code:
        lines = cell.source.split("\n")
        total += sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in lines)
        if len(lines) > (most := CELL_LINES if book.is_lesson else EXERCISE_LINES):
            yield n, f"{len(lines)} lines, more than {most}"
        if (width := max(map(len, lines))) > COLUMNS:
            yield n, f"a line of {width} columns, more than {COLUMNS}"
    if book.is_lesson and total > LESSON_LINES:
        yield None, f"{total} lines of code, more than {LESSON_LINES}"


def imported(book):
    """Yield (cell number, full name) of what is imported, by statement or by importlib."""
    for n, node in book.nodes(ast.Import, ast.ImportFrom, ast.Call):
        if isinstance(node, ast.Import):
            yield from ((n, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((n, f"{node.module}.{name.name}") for name in node.names)
        elif re.search(r"import_module$|^__import__$", dotted(node.func)) and node.args:
            yield n, str(getattr(node.args[0], "value", ""))


FETCHES = (
    r"^(urllib\.request|urllib3|requests|httpx|aiohttp|http\.client|wget|pycurl|socket|ftplib|pooch"
    r"|gdown|kagglehub|huggingface_hub|openml|ucimlrepo|tensorflow_datasets|webbrowser)\b"
    r"|\bkeras\.(datasets|applications)\b|\b(sns|seaborn)\.load_dataset$"
    r"|(^|\.)(fetch_\w+|get_file|urlopen|urlretrieve|get_rdataset|from_pretrained)$"
)


@rule
def network(book):
    """No cell fetches anything: a lesson runs without a connection."""
    for n, node in book.nodes(ast.Constant):
        text = node.value.decode("latin1") if isinstance(node.value, bytes) else node.value
        if isinstance(text, str) and (found := re.search(r"(?:https?|s?ftp|s3|gs)://\S*", text)):
            yield n, f"a URL in code: {found[0][:60]}"
    names = ((n, dotted(node)) for n, node in book.nodes(ast.Attribute, ast.Name))
    for n, name in [*imported(book), *names]:
        if re.search(FETCHES, name):
            yield n, f"{name} fetches from the network"


@rule
def shell(book):
    """No cell runs a command or a magic: nbval passes both when they fail."""
    for n, node in book.nodes(ast.Call):
        name = dotted(node.func)
        first = getattr(node.args[0], "value", "") if node.args else ""
        if name.startswith("get_ipython()."):
            magic = first if "magic" in name else None
            if magic not in MAGICS_ALLOWED:
                yield n, f"IPython command: {name[14:]}({str(first)[:40]!r})"
        elif re.search(r"^os\.(system|popen|exec|spawn)|create_subprocess_(exec|shell)$", name):
            yield n, f"runs a command: {name}"
    for n, name in imported(book):
        if re.match(r"(subprocess|pty|sh|pexpect|os\.(system|popen|exec|spawn))\b", name):
            yield n, f"imports {name}, which runs commands"


# Checks


@rule
def checks_exist(book):
    """A lesson asserts something of what it says."""
    calls = (dotted(node.func).split(".")[-1] for _, node in book.nodes(ast.Call))
    if book.is_lesson and not (
        any(book.nodes(ast.Assert)) or any(name.startswith("assert_") for name in calls)
    ):
        yield None, "no assert: nothing that the lesson says is checked"


PURE = {"len", "abs", "sum", "min", "max", "round", "sorted", "set", "list", "tuple", "dict", "str"}


def same(a, b):
    """Whether two expressions must be equal: written alike, and calling nothing that may vary."""
    calls = {dotted(node.func) for node in ast.walk(a) if isinstance(node, ast.Call)}
    return ast.dump(a) == ast.dump(b) and calls <= PURE


def number(node):
    """Return the value of a number's node, else None."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
    return value if isinstance(value, (int, float)) else None


MIRROR = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}


def always_compares(left, operator, right):
    """Whether a comparison holds for all values: of x with itself, or of a length with zero."""
    if same(left, right):
        return isinstance(operator, (ast.Eq, ast.LtE, ast.GtE, ast.Is))
    kind = type(operator)
    if number(left) is not None and kind in MIRROR:
        left, kind, right = right, MIRROR[kind], left
    if isinstance(left, ast.Call) and dotted(left.func) == "len" and number(right) is not None:
        return (kind is ast.GtE and number(right) <= 0) or (
            kind in (ast.Gt, ast.NotEq) and number(right) < 0
        )
    return False


SELF_COMPARING = r"(^|\.)(allclose|array_equal|isclose|equals|assert_\w+)$"


def always(node):
    """Whether an expression is true whatever happens, as far as its form tells."""
    if isinstance(node, ast.BoolOp):
        parts = [always(value) for value in node.values]
        return any(parts) if isinstance(node.op, ast.Or) else all(parts)
    if isinstance(node, ast.Constant):
        return bool(node.value)
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return bool(node.elts)
    if isinstance(node, (ast.Lambda, ast.GeneratorExp, ast.JoinedStr)):
        return True
    if isinstance(node, ast.Dict):
        return bool(node.keys)
    if isinstance(node, ast.Call) and re.search(SELF_COMPARING, dotted(node.func)):
        method = dotted(node.func).endswith(".equals")
        pair = ([node.func.value] if method else []) + node.args[:2]
        return len(pair) > 1 and same(*pair[:2])
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        triples = zip(sides, node.ops, sides[1:], strict=False)
        if all(always_compares(*triple) for triple in triples):
            return True
    # Nothing in it that could have another value
    return not any(isinstance(part, ast.Name) for part in ast.walk(node))


@rule
def checks_can_fail(book):
    """An assert is about something that could be otherwise."""
    for n, node in book.nodes(ast.Assert):
        if always(node.test):
            yield n, f"cannot fail: assert {ast.unparse(node.test)}"
    for n, node in book.nodes(ast.Expr):
        testing = isinstance(node.value, ast.Call) and "assert_" in dotted(node.value.func)
        if testing and always(node.value):
            yield n, f"cannot fail: {ast.unparse(node)}"
    for n, node in book.nodes(ast.If, ast.While):
        if number(node.test) is not None and not number(node.test) and has_assert(node.body):
            yield n, "an assert that is never reached"


def has_assert(body):
    """Whether statements contain an assert."""
    return any(isinstance(node, ast.Assert) for part in body for node in ast.walk(part))


@rule
def checks_are_heard(book):
    """No assert stands where its failure is caught."""
    catches = r"\b(AssertionError|Exception|BaseException)\b"
    for n, node in book.nodes(ast.Try):
        for handler in node.handlers:
            caught = handler.type is None or re.search(catches, ast.unparse(handler.type))
            loud = any(isinstance(part, ast.Raise) for part in ast.walk(handler))
            if has_assert(node.body) and caught and not loud:
                yield n, "the failure of an assert is caught"
    for n, node in book.nodes(ast.With):
        managers = " ".join(ast.unparse(item.context_expr) for item in node.items)
        caught = re.search(r"suppress|raises", managers) and re.search(catches, managers)
        if caught and has_assert(node.body):
            yield n, "the failure of an assert is suppressed"


@rule
def markers(book):
    """No cell is kept from nbval, by a tag or a comment, and no marker is without effect."""
    for n, cell in book.code:
        lines = [line.strip() for line in cell.source.split("\n")]
        for line in lines:
            marker = re.match(r"#.*\b(NBVAL_\w+|PYTEST_VALIDATE_\w+)", line)
            if marker and not re.fullmatch(r"#+\s*NBVAL_(CHECK_OUTPUT|RAISES_EXCEPTION)", line):
                yield n, f"{marker[1]}: kept from nbval, or more text on the line of the marker"
        for tag in tags(cell) & {"nbval-skip", "nbval-ignore-output", "skip-execution"}:
            yield n, f"tag {tag}"
        comment = any(re.fullmatch(r"#+\s*NBVAL_RAISES_EXCEPTION", line) for line in lines)
        announced = comment or tags(cell) & {"raises-exception", "nbval-raises-exception"}
        if announced and not any(output.output_type == "error" for output in cell.outputs):
            yield n, "announces an exception and raises none"


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
