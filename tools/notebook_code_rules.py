"""The rules of a notebook's code and of its checks."""

import ast
import re
import warnings

from IPython.core.inputtransformer2 import TransformerManager
from notebook_parts import dotted, rule, tags

CELL_LINES, COLUMNS, LESSON_LINES = 12, 79, 120
# None: an unknown magic passes under nbval, and a lesson's cells are plain Python elsewhere too
MAGICS_ALLOWED = set()
EXERCISE_LINES = 20  # of a cell: the marks of a solution, and what it is to fill in

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
