"""Run the tests with the oldest and the newest dependencies, on each supported Python.

    python tools/matrix.py [CELL ...]      a cell is oldest-3.10, newest-3.13, ...; without one, all

Each cell has its own environment, its own copy of the working tree, and its result.json, in
build/matrix/CELL. A cell that passed with these very files is not run again (--again does).
`oldest` takes of each dependency in pyproject.toml the lowest version that it allows and that has a
wheel for this Python; what those need in turn is the newest that fits them.
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import psutil
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest needs tomli before 3.11
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
CELLS = [f"{age}-{python}" for age in RESOLUTIONS for python in PYTHONS]
# Library: what is neither a lesson nor an exercise nor generated from them
LESSONS = ("exercises", "lesson_code", "lessons_tool", "notebooks", "teaching", "book")
PARTS = {
    "whole": [],
    "library": ["tests", *(f"--ignore=tests/test_{name}.py" for name in LESSONS)],
}
# Written from the results: it must not make them stale
GENERATED = {"docs/quality.md", "docs/quality.json"}
HIDE = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_ADDOPTS", "PYTHONWARNINGS")
SHOWN = ("numpy", "scipy", "scikit-learn", "pandas", "optuna", "keras")


class MatrixError(Exception):
    """A message for the user, without a traceback."""


def files(root):
    """Return the names of the files that belong to the project, or are about to."""
    command = "git -c safe.directory=* ls-files -z --cached --others --exclude-standard"
    done = subprocess.run(command.split(), cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise MatrixError(f"{root} is no git checkout: {done.stderr.strip()}")
    return sorted(name for name in set(done.stdout.split("\0")) if name and (root / name).is_file())


def commit(root):
    """Return the last commit, with a + where files differ from it, or "" before the first."""
    git = "git -c safe.directory=*"
    said = [
        subprocess.run(f"{git} {command}".split(), cwd=root, capture_output=True, text=True).stdout
        for command in ("rev-parse --short --verify --quiet HEAD", "status --porcelain")
    ]
    return said[0].strip() + ("+" if said[0] and said[1] else "")


def digest(root, names):
    """Return a hash of the names and contents of these files."""
    found = hashlib.sha256()
    for name in names:
        if name not in GENERATED:
            content = hashlib.sha256((root / name).read_bytes()).hexdigest()
            found.update(f"{content} {name}\n".encode())
    return found.hexdigest()


def copy(root, names, target):
    """Copy these files into a new git repository, as some tests ask git for the list."""
    shutil.rmtree(target, ignore_errors=True)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target / name)
    for command in ("git init -q", "git add -A"):
        subprocess.run(command.split(), cwd=target, check=True)


def version_of(python):
    """Return the full version of an interpreter, or None if it does not run."""
    command = [python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def interpreter(version):
    """Return path and full version of a Python such as "3.12", the newest one, or None."""
    names = (f"python{version}", f"python{version}.exe")
    folders = [*map(Path, os.get_exec_path()), Path("/usr/bin"), Path("/usr/local/bin")]
    found = [folder / name for folder in folders for name in names]
    for pattern in (".pyenv/versions", ".local/share/uv/python"):
        found += Path.home().glob(f"{pattern}/*{version}.*/bin/python{version}")
    runs = {path: version_of(path) for path in dict.fromkeys(found) if path.is_file()}
    runs = {path: v for path, v in runs.items() if v and v.startswith(f"{version}.")}
    return max(runs.items(), key=lambda item: Version(item[1])) if runs else None


def end(process):
    """End a process and all that came of it: kernels are in sessions of their own."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), process]
    except psutil.NoSuchProcess:
        family = [process]
    for member in family:
        try:
            member.kill()
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    process.wait()


def call(command, folder, log, seconds, env=None):
    """Run a command, its output into a file; return its exit status, or None if it took longer."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                end(process)


def requirements(project, extras, python):
    """Return what the project asks for by name, as far as it applies here."""
    texts = list(project["dependencies"])
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    where = {"python_version": python, "python_full_version": f"{python}.9"}
    found = map(Requirement, texts)
    return [r for r in found if r.marker is None or r.marker.evaluate(where)]


def above_the_bound(wanted, versions):
    """Return the versions that are higher than what `>=` says: the lower has no wheel here."""
    found = {}
    for r in wanted:
        lowest = [Version(s.version) for s in r.specifier if s.operator == ">="]
        has = versions.get(canonicalize_name(r.name))
        if has and lowest and Version(has) > max(lowest):
            found[canonicalize_name(r.name)] = has
    return found


def make_environment(cell, python, folder):
    """Resolve and install into folder/venv; return its interpreter and the extras."""
    age = cell.split("-")[0]
    checkout, log = folder / "checkout", folder / "environment.txt"
    makefile = (checkout / "Makefile").read_text(encoding="utf-8")
    extras = re.findall(r"--extra (\w+)", re.search(r"^EXTRAS := (.*)$", makefile, re.M)[1])
    env = {n: v for n, v in os.environ.items() if n not in HIDE} | {"UV_PYTHON_DOWNLOADS": "never"}
    own = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    lock = folder / "requirements.txt"
    extras_said = " ".join(f"--extra {extra}" for extra in extras)
    compiling = f"--upgrade --only-binary :all: --resolution {RESOLUTIONS[age]} {extras_said}"
    steps = [
        ("pip compile --no-header", compiling, "--python", python, "-o", lock, "pyproject.toml"),
        ("pip sync --compile-bytecode", "--python", own, lock),
        ("pip install --no-deps --no-build-isolation", "--python", own, "--editable", checkout),
    ]
    if not own.exists() or version_of(own) != version_of(python):
        steps.insert(1, ("venv --clear", "--python", python, folder / "venv"))
    log.unlink(missing_ok=True)
    for step in steps:
        words = [w for part in step for w in (part.split() if isinstance(part, str) else [part])]
        command = [sys.executable, "-m", "uv", "--quiet", *words]
        if call(command, checkout, log, 1800, env) != 0:
            said = log.read_text(encoding="utf-8", errors="replace").strip()
            raise MatrixError(f"{cell}: {' '.join(map(str, command))} failed:\n{said}")
    return own, extras


def installed(python):
    """Return the versions in an environment, by name."""
    command = [sys.executable, "-m", "uv", "pip", "list", "--format", "json", "--python", python]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {canonicalize_name(p["name"]): p["version"] for p in json.loads(done.stdout)}


def run_tests(python, folder, part, seconds):
    """Run the suite as `make test` does; return what came of it."""
    checkout, log, report = folder / "checkout", folder / f"{part}.txt", folder / f"{part}.xml"
    makefile = (checkout / "Makefile").read_text(encoding="utf-8")
    env = {n: v for n, v in os.environ.items() if n not in HIDE}
    env |= dict(re.findall(r"^export (\w+) := (\S+)$", makefile, re.M))
    env["PATH"] = os.pathsep.join((str(python.parent), env.get("PATH", "")))
    for old in (log, report):
        old.unlink(missing_ok=True)
    begin = time.monotonic()
    command = [python, "-m", "pytest", f"--junitxml={report}", *PARTS[part]]
    code = call(command, checkout, log, seconds, env)
    return {"seconds": round(time.monotonic() - begin), **read_report(report, code)}


def read_report(report, code):
    """Return the counts in pytest's report and how the run ended; code is its exit status."""
    counts, failed = {"passed": 0, "failed": 0, "skipped": 0}, []
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            kind = "failed" if kinds & {"failure", "error"} else "passed"
            kind = "skipped" if kinds == {"skipped"} else kind
            counts[kind] += 1
            if kind == "failed":
                failed.append(f"{case.get('classname')}::{case.get('name')}")
    good = code == 0 and counts["passed"] > 0 and not failed
    status = "timed out" if code is None else "passed" if good else "failed"
    return {"status": status, **counts, "failed_tests": sorted(failed)}


def run_cell(cell, root, out, part, seconds):
    """Make the environment of a cell, run the tests in it, and return the result."""
    found = interpreter(cell.split("-")[1])
    names = files(root)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    result = {
        "cell": cell,
        "part": part,
        "date": now,
        "commit": commit(root),
        "status": "not to be had",
    }
    if found is None:
        return result | {"files": digest(root, names)}
    folder = out / cell
    checkout = folder / "checkout"
    copy(root, names, checkout)
    result |= {"files": digest(checkout, names), "python": found[1]}
    try:
        python, extras = make_environment(cell, found[0], folder)
    except MatrixError as error:
        return result | {"status": "no environment", "reason": str(error)}
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted, versions = requirements(project, extras, cell.split("-")[1]), installed(python)
    direct = sorted({canonicalize_name(r.name) for r in wanted})
    result["versions"] = {name: versions.get(name) for name in direct}
    if cell.startswith("oldest"):
        result["above_the_bound"] = above_the_bound(wanted, versions)
    return result | run_tests(python, folder, part, seconds)


def result_file(out, cell, part):
    """Return where the result of a cell stands."""
    return out / cell / ("result.json" if part == "whole" else f"{part}.json")


def read_result(out, cell, part):
    """Return the result of a cell, or None."""
    file = result_file(out, cell, part)
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def write_result(out, result):
    """Write the result under another name first: an interrupted run leaves the old one."""
    file = result_file(out, result["cell"], result["part"])
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, file)


def table(results):
    """Return the results as a table in Markdown."""
    heads = ("cell", "Python", *SHOWN, "passed", "failed", "skipped", "minutes", "result")
    rows = [heads, ("---",) * 2 + ("--:",) * (len(heads) - 3) + ("---",)]
    for r in results:
        minutes = f"{r['seconds'] / 60:.0f}" if "seconds" in r else "-"
        counts = [str(r.get(key, "-")) for key in ("passed", "failed", "skipped")]
        versions = [r.get("versions", {}).get(name) or "-" for name in SHOWN]
        rows.append((r["cell"], r.get("python", "-"), *versions, *counts, minutes, r["status"]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main(arguments=None):
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("cells", nargs="*", metavar="CELL", help=", ".join(CELLS))
    parser.add_argument("--part", choices=PARTS, default="whole", help="library: no lessons")
    parser.add_argument("--again", action="store_true", help="also what passed with these files")
    parser.add_argument("--limit", type=float, default=60, help="minutes for the tests of a cell")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if unknown := set(options.cells) - set(CELLS):
        parser.error(f"unknown cell: {', '.join(sorted(unknown))}; there are {', '.join(CELLS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `end` is reached
    out, results = options.root / "build" / "matrix", []
    try:
        for cell in options.cells or CELLS:
            result = read_result(out, cell, options.part)
            old = result and result["status"] == "passed" and not options.again
            if not old or result["files"] != digest(options.root, files(options.root)):
                print(f"{cell}: ...", flush=True)
                result = run_cell(cell, options.root, out, options.part, options.limit * 60)
                write_result(out, result)
                print(f"{cell}: {result['status']}", flush=True)
                print(*result.get("failed_tests", []), result.get("reason", ""), sep="\n")
            results.append(result)
    except MatrixError as error:
        print(error, file=sys.stderr)
        return 1
    print(table(results))
    return int(any(r["status"] not in ("passed", "not to be had") for r in results))


if __name__ == "__main__":
    sys.exit(main())
