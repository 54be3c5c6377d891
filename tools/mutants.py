"""Break the library on purpose, once for each line of a list, and see whether a test fails.

    python tools/mutants.py [NAME ...]      without a name, all of tests/mutants/*.toml

A mutation replaces a text that occurs once in a file of metahpo_lite. It is made in a copy of the
working tree. First the tests that run the changed lines are tried, then all that could notice: the
rest of their files, and the tests that start other processes. Each test file is run once without
mutation before, which must pass and says which lines each test runs. Results are kept in
build/mutants, and valid as long as the library, the test and the mutation stay as they are. The
exit status is 1 unless 95 % are caught, and each survivor is explained in the list, rightly.
"""

import argparse
import datetime
import hashlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copy2

from matrix import HIDE, LESSONS, commit, files
from mutants_list import MutantsError, read_list

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TESTS = "metahpo_lite", "tests"
# Not of the library: lessons, benchmarks, documents, the set-up, and tools such as this one
OTHERS = (*LESSONS, "benchmark", "limits", "transfer", "accessibility", "docs.", "setup", "lock.",
          "matrix", "mutants.", "perf", "quality", "shuffled")  # fmt: skip
ENOUGH = 0.95  # of the mutations are to be caught
# What takes long to import; but not TensorFlow, whose threads do not survive a fork
PRELOADED = ("coverage", "hypothesis.strategies", "joblib", "matplotlib.pyplot", "nbval.plugin",
             "optuna", "pandas", "pyarrow.parquet", "scipy.optimize", "scipy.stats",
             "sklearn.calibration", "sklearn.ensemble", "sklearn.model_selection",
             "sklearn.neighbors", "sklearn.neural_network", "sklearn.svm",
             "xdist.plugin")  # fmt: skip
CAUGHT = ("caught", "timeout", "crash")
QUICK = 0.5  # seconds of a test
KEPT = re.compile("scope=|cache|setdefault")  # where tests share what one of them made
PATIENCE = 30, 4  # seconds of processor, and times the time that the tests take unmutated


def digest(*parts):
    """Return a hash of texts and of the contents of files."""
    found = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else str(part).encode()
        found.update(hashlib.sha256(content).digest())
    return found.hexdigest()[:32]


class Project:
    """The tree, its library tests, and what each of them does without a mutation."""

    def __init__(self, root):
        self.root, self.out = root, root / "build" / "mutants"
        self.files = [name for name in files(root) if not name.startswith("notebooks/")]
        pattern = rf"{TESTS}/((crash|fuzz)/)?test_\w+\.py"
        tests = [name for name in self.files if re.fullmatch(pattern, name)]
        others = tuple(f"{TESTS}/test_{name}" for name in OTHERS)
        self.tests = [name for name in tests if not name.startswith(others)]
        read = [name for name in self.files if name.startswith((f"{PACKAGE}/", "data/"))]
        watch = Path(__file__).with_name("mutants_watch.py")
        self.library = digest(*read, *(root / name for name in read), watch)
        self.keys = {test: digest(self.library, *self.needed(test)) for test in self.tests}
        self.sources = {path.name: path.read_text(encoding="utf-8")
                        for path in (root / PACKAGE).glob("*.py")}  # fmt: skip
        self.baseline = {}

    def needed(self, test, known=()):
        """Return the files that a test file is made of: others may lend it helpers."""
        path = self.root / test
        text = path.read_text(encoding="utf-8")
        lent = re.findall(r"^\s*(?:from|import) (\w+)", text, re.M)
        lent = [name for name in lent if (path.parent / f"{name}.py").is_file()]
        shared = dict.fromkeys((path.with_name("conftest.py"), self.root / TESTS / "conftest.py"))
        found = [path, *(file for file in shared if file.is_file())]
        if "benchmarks" in text:
            found += sorted((self.root / "benchmarks").glob("*.py"))
        for name in lent:
            if name not in known:
                found += self.needed(path.with_name(f"{name}.py"), (*known, name))
        return found

    def source(self, file):
        """Return the source of a file of the package, as it was at the beginning."""
        if file not in self.sources:
            raise MutantsError(f"{file}: there is no such file in {PACKAGE}")
        return self.sources[file]

    def kept(self, name):
        """Return the result of that name, or None."""
        path = self.out / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def keep(self, name, result):
        """Write a result under another name first: an interrupted run leaves the old one."""
        path = self.out / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}.new")
        beside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        os.replace(beside, path)


class Workplace:
    """A copy of the tree, in which one process at a time runs tests (see `mutants_server.py`)."""

    def __init__(self, project, folder):
        self.project, self.tree, self.folder = project, folder / "tree", folder
        for name in project.files:
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            copy2(project.root / name, self.tree / name)
        makefile = (self.tree / "Makefile").read_text(encoding="utf-8")
        self.env = {n: v for n, v in os.environ.items() if n not in HIDE}
        self.env |= dict(re.findall(r"^export (\w+) := (\S+)$", makefile, re.M))
        # also for the processes that tests start
        self.env["PYTHONPATH"] = os.pathsep.join((str(self.tree), str(Path(__file__).parent)))
        self.env |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self.server = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("mutants_server.py"), *PRELOADED],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.env,
        )  # fmt: skip

    def run(self, test, order, seconds):
        """Run some tests of a file in an order, or all and see what they do; return what came."""
        out, log, wanted = (self.folder / name for name in ("out.json", "log.txt", "order.json"))
        for path in (out, log):
            path.unlink(missing_ok=True)
        env = self.env | {"MUTANTS_OUT": str(out)}
        if order is not None:
            wanted.write_text(json.dumps(order), encoding="utf-8")
            env["MUTANTS_ORDER"] = str(wanted)
        words = ["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-p", "mutants_watch",
                 "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # fmt: skip
        request = {"folder": str(self.tree), "environ": env, "arguments": [*words, test],
                   "log": str(log), "seconds": seconds}  # fmt: skip
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        code = json.loads(self.server.stdout.readline())
        if out.exists():
            return json.loads(out.read_text(encoding="utf-8"))
        if code is None or code < 0:
            kind, text = ("crash", f"signal {-code}") if code else ("timeout", "")
            return {"kind": kind, "test": test, "text": text}
        if code == 0:
            return None
        if code == 2:  # Ctrl-C that a test plays, and that the mutant no longer catches
            return {"kind": "failed", "test": test, "text": self.said()[-300:]}
        raise MutantsError(f"{test}: pytest ended with {code}:\n{self.said()}")

    def said(self):
        """Return the end of what pytest said."""
        return (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")[-3000:]

    def close(self):
        """End the server."""
        self.server.stdin.close()
        self.server.wait()

    @contextmanager
    def mutated(self, mutant):
        """Change the copy while the tests run."""
        path, source = self.tree / PACKAGE / mutant.file, self.project.source(mutant.file)

        def write(text):
            path.write_text(text, encoding="utf-8")
            # compiled in the same second, and of the same size: Python would not see a change
            for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
                compiled.unlink()

        write(mutant.applied(source))
        try:
            yield
        finally:
            write(source)


def watch(project, test, place):
    """Run a test file as it is; return what each of its tests does, which must pass."""
    kept = project.kept(f"baseline/{Path(test).stem}")
    if kept and kept["key"] == project.keys[test]:
        return kept
    begin = time.monotonic()
    found = place.run(test, None, 600)
    if not found or found.get("exit") != 0:  # once more: a bound on time says little of one run
        found = place.run(test, None, 600)
    if not found or found.get("exit") != 0:
        raise MutantsError(f"{test} fails without a mutation:\n{place.said()}")
    result = {"key": project.keys[test], "seconds": round(time.monotonic() - begin, 1)}
    result |= {"tests": found["tests"], "imports": found["imports"]}
    project.keep(f"baseline/{Path(test).stem}", result)
    return result


def rounds(project, mutant):
    """Return what to run, in order: pairs of a test file and the names of its tests.

    First what is quick, of files that run little else than the changed module. A test that runs
    none of the changed lines, in this process or another, cannot notice them; but what a test, or
    the import of its file, made may be kept for others. Last come tests with a clock.
    """
    lines, module = mutant.lines(project.source(mutant.file)), mutant.module
    files = []
    for test, seen in project.baseline.items():
        about, runs, share = seen["tests"], set(), 0
        for name, what in about.items():
            ran = what["lines"].get(module, ())
            if ran and (lines is None or not lines.isdisjoint(ran)):
                runs.add(name)
                share = max(share, len(ran) / sum(map(len, what["lines"].values())))
        made = lines is not None and not lines.isdisjoint(seen["imports"].get(module, ()))
        if runs and KEPT.search((project.root / test).read_text(encoding="utf-8")):
            made = True
        files.append((Path(test).stem != f"test_{module}", -round(share, 1), test, runs, made))
    found = {kind: [] for kind in ("quick", "slow", "others", "timed")}
    for *_, test, runs, made in sorted(files, key=lambda row: row[:3]):
        about, parts = project.baseline[test]["tests"], {kind: [] for kind in found}
        for name in sorted(about, key=lambda name: about[name]["seconds"]):
            if name in runs or made or about[name]["processes"]:
                kind = "quick" if about[name]["seconds"] < QUICK else "slow"
                kind = kind if name in runs else "others"
                parts["timed" if about[name]["timed"] else kind].append(name)
        for kind, names in parts.items():
            found[kind] += [(test, names)] if names else []
    return [pair for pairs in found.values() for pair in pairs]


def result_key(project, mutant, test=None):
    """Return what a result depends on: one test if it was caught, else all of them."""
    tests = [test] if test else project.tests
    what = [getattr(mutant, name) for name in ("file", "before", "after")]
    return digest(project.library, *what, *(project.keys.get(t) for t in tests))


def try_out(project, mutant, place):
    """Run the tests on a mutant until one fails; return what came of it.

    A test file that cannot be imported tells nothing, but that some other must be tried.
    """
    begin = time.monotonic()
    result = {"name": mutant.name, "file": mutant.file, "breaks": mutant.breaks}
    found, broken, tried = None, None, 0
    for test, names in rounds(project, mutant):
        about = project.baseline[test]["tests"]
        limit = PATIENCE[0] + PATIENCE[1] * sum(about[name]["seconds"] for name in names)
        with place.mutated(mutant):
            found = place.run(test, names, limit)
            if found and found["kind"] == "crash":  # once more: something else may have ended it
                found = place.run(test, names, limit)
        tried += len(names)
        if found and found["kind"] == "not collected":
            broken, found = broken or found, None
        elif (
            found
            and about.get(found["test"], {}).get("timed")
            and place.run(test, [found["test"]], limit)
        ):
            found = None  # it was the machine that is slow
        elif found:
            break
    found = found or broken or {"kind": "survived"}
    status = {"failed": "caught", "not collected": "broken"}.get(found["kind"], found["kind"])
    result |= {"status": status, "tests": tried, "seconds": round(time.monotonic() - begin, 1)}
    if "test" in found:
        result |= {"by": found["test"], "text": found["text"][:300]}
    test = found.get("test", "").split("::")[0]
    return result | {"key": result_key(project, mutant, test)}


def is_valid(project, mutant, result):
    """Tell whether a result is still of this mutation, library and test.

    One that no test could be imported with is not: any new test may notice the mutation.
    """
    test = result and result.get("by", "").split("::")[0]
    fits = bool(result) and result["key"] == result_key(project, mutant, test)
    return fits and result["status"] != "broken"


def run_all(project, mutants, jobs, again):
    """Run the tests as they are, then the mutants; return the results."""
    results = {m.name: project.kept(m.name) for m in mutants}
    todo = [m for m in mutants if again or not is_valid(project, m, results[m.name])]
    if not todo:
        return results
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-")))
        pool, places = ThreadPoolExecutor(jobs), queue.SimpleQueue()
        for i in range(jobs):
            place = Workplace(project, folder / str(i))
            stack.callback(place.close)
            places.put(place)

        def at_a_place(function, what):
            place = places.get()
            try:
                return function(project, what, place)
            finally:
                places.put(place)

        def one(mutant):
            result = at_a_place(try_out, mutant)
            project.keep(mutant.name, result)
            print(f"{mutant.name}: {result['status']} {result.get('by', '')} "
                  f"({result['seconds']:.0f} s)", flush=True)  # fmt: skip
            return mutant.name, result

        print(f"{len(project.tests)} test files without a mutation ...", flush=True)
        stack.callback(pool.shutdown, cancel_futures=True)  # if something ends this
        seen = pool.map(lambda test: at_a_place(watch, test), project.tests)
        project.baseline = dict(zip(project.tests, seen, strict=True))
        results |= dict(pool.map(one, todo))
    return results


def complaints(mutants, results):
    """Return what is wrong, a sentence each."""
    found = []
    for mutant in mutants:
        status = results[mutant.name]["status"]
        if status == "broken":
            found.append(f"{mutant.name}: a test cannot be imported: this is no mutation to catch")
        if status == "survived" and not mutant.survives:
            found.append(f"{mutant.name}: survived, and the list does not say why")
        if status in CAUGHT and mutant.survives:
            found.append(f"{mutant.name}: is caught, but the list says that it survives")
    caught = sum(result["status"] in CAUGHT for result in results.values())
    if caught < ENOUGH * len(mutants):
        found.append(f"{caught} of {len(mutants)} are caught, accepted are {ENOUGH:.0%}")
    return found


def table(mutants, results):
    """Return the results as a table in Markdown."""
    rows = ["| mutation | file | what it breaks | result |", "|---|---|---|---|"]
    for mutant in mutants:
        result = results[mutant.name]
        by = result.get("by", "").partition("::")[2] or mutant.survives
        rows.append(f"| {mutant.name} | {mutant.file} | {mutant.breaks} | "
                    f"{result['status']}{by and ': '}{by} |")  # fmt: skip
    return "\n".join(rows)


def ended(*_):
    """End what runs, too; what is finished is kept."""
    print("ended by a signal: the same call goes on from here", file=sys.stderr)
    sys.exit(143)


def main(arguments=None):
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a mutation")
    parser.add_argument("--again", action="store_true", help="also what has a result")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (%(default)s)")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, ended)
    begin = time.monotonic()
    try:
        project = Project(options.root)
        mutants = read_list(options.root / TESTS / "mutants")
        if unknown := sorted(set(options.names) - {mutant.name for mutant in mutants}):
            raise MutantsError(f"unknown: {', '.join(unknown)}")
        mutants = [m for m in mutants if not options.names or m.name in options.names]
        for mutant in mutants:
            mutant.applied(project.source(mutant.file))
        results = run_all(project, mutants, options.jobs, options.again)
    except MutantsError as error:
        print(error, file=sys.stderr)
        return 1
    counts = {kind: sum(r["status"] == kind for r in results.values())
              for kind in (*CAUGHT, "survived", "broken")}  # fmt: skip
    print(table(mutants, results), "", counts, *(wrong := complaints(mutants, results)), sep="\n")
    if not options.names:
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        survivors = {m.name: m.survives for m in mutants
                     if results[m.name]["status"] == "survived"}  # fmt: skip
        project.keep("summary", {
            "commit": commit(options.root), "date": now, "mutations": len(mutants), **counts,
            "complaints": wrong, "seconds": round(time.monotonic() - begin),
            "survivors": survivors,
        })  # fmt: skip
    return int(bool(wrong))


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(10)  # for hours that one works beside it
    sys.exit(main())
