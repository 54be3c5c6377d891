"""Write docs/quality.md: what `make fuzz`, `crash`, `matrix`, `mutants` and `perf` found last.

    python tools/quality.py             take in what is in build/, and write the page
    python tools/quality.py --check     whether the page is as docs/quality.json says

Those commands leave their results in build/. What the page needs of them is kept in
docs/quality.json, so that a part stays until its command is run again.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT, PAGE = Path("docs/quality.json"), Path("docs/quality.md")
SHOWN = ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "optuna", "keras")
HEAD = """# Quality: what was tried, and what came of it

Each part is written by the command that its title names, which fails where a figure is beyond its
bound. A `+` after a commit means that files differed from it. [What is
asked](../CONTRIBUTING.md#Version-1.0) of a release is with the other rules.
"""


def read(path):
    """Return what a file of JSON holds, or None if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def replace(path, text):
    """Write a file whole, or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def only(found, *names):
    """Return some items of a mapping, as far as it has them."""
    return {name: found[name] for name in names if name in found}


# ---------------------------------------------------------------------- what is taken in


def take_in(build):
    """Return what the page needs of the results in a folder, by part."""
    found = {name: read(build / f"{name}.json") for name in ("fuzz", "crash", "perf")}
    cells = [read(path) for path in sorted(build.glob("matrix/*/result.json"))]
    if cells:
        order = sorted(cells, key=lambda cell: (cell["cell"].startswith("oldest"), cell["cell"]))
        keep = ("cell", "date", "commit", "status", "python", "passed", "failed", "skipped",
                "seconds", "failed_tests", "reason", "above_the_bound")  # fmt: skip
        found["matrix"] = [
            only(cell, *keep) | {"versions": only(cell.get("versions", {}), *SHOWN)}
            for cell in order
        ]
    if summary := read(build / "mutants" / "summary.json"):
        found["mutants"] = summary
    if lessons := read(build / "shuffled.json"):
        keep = ("lesson", "asserts", "failed", "held", "not reached", "first_failing_cell")
        found["shuffled"] = [only(lesson, *keep) for lesson in lessons]
    return {name: result for name, result in found.items() if result}


# ---------------------------------------------------------------------- the page


def table(heads, rows, left=1):
    """Return a table in Markdown; the first columns are texts, the others numbers."""
    lines = [heads, ["---"] * left + ["--:"] * (len(heads) - left), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def stamp(found):
    """Say of which commit a result is, and of when."""
    return f"*{found['date'][:10]}, commit {found['commit']}.*"


def minutes(seconds):
    """Say how long something took."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def fuzz(found):
    """Return the part on generated input."""
    rows = [(f"`{name}`", *counts.values()) for name, counts in found["tests"].items()]
    return f"""## Hostile input: `make fuzz`

{stamp(found)} {found["inputs"]:,} generated inputs in {minutes(found["seconds"])}
(seed {found["seed"]}): {found["right answers"]:,} right answers, {found["clear errors"]:,} clear
errors of ours, {len(found["failures"])} failures. A failure is anything else: an error from the
depth of another library, a wrong answer without an error, a hang, a changed file. A fixed sample is
part of `make test`.

<details><summary>Inputs for each test</summary>

{table(("test", "right answers", "clear errors"), rows)}

</details>
"""


def crash(found):
    """Return the part on sudden ends."""
    rows = [
        (row["what"].rstrip("."),
         ", ".join(f"{name} {figure}" for name, figure in row["figures"].items()), row["outcome"])
        for row in found["tried"]
    ]  # fmt: skip
    good = sum(row["outcome"] == "passed" for row in found["tried"])
    return f"""## Sudden ends: `make crash`

{stamp(found)} {good} of {len(rows)} passed, in {minutes(found["seconds"])}. What was finished
must be there afterwards, and the same call must go on.

{table(("what was tried", "figures", "outcome"), rows, left=3)}
"""


def matrix(cells):
    """Return the part on versions."""
    rows = []
    for cell in cells:
        took = minutes(cell["seconds"]) if "seconds" in cell else "-"
        versions = [cell["versions"].get(name) or "-" for name in SHOWN]
        counts = [cell.get(name, "-") for name in ("passed", "failed", "skipped")]
        of = f"{cell['date'][:10]}, {cell['commit']}"
        rows.append((cell["cell"], cell["status"], *counts, took, *versions, of))
    above = [
        f"- {cell['cell']}: " + ", ".join(f"{n} {v}" for n, v in cell["above_the_bound"].items())
        for cell in cells
        if cell.get("above_the_bound")
    ]
    heads = ("cell", "result", "passed", "failed", "skipped", "time", *SHOWN, "of")
    text = f"""## Old and new versions: `make matrix`

The whole suite, lessons included, and without a network. `oldest` has of each direct dependency
the lowest version that `pyproject.toml` allows and that has a wheel for this Python; `newest` the
newest of all.

{table(heads, rows, left=2)}
"""
    if above:
        text += (
            "\nThe lowest that is allowed has no wheel for that Python, or another package asks "
        )
        text += "for more, so this was taken:\n\n"
        text += "\n".join(above) + "\n"
    return text


def mutants(found):
    """Return the part on planted faults."""
    caught = found["caught"] + found["timeout"] + found["crash"]
    survivors = [f"- `{name}`: {why}" for name, why in found["survivors"].items()]
    return f"""## Planted faults: `make mutants`

{stamp(found)} {found["mutations"]} faults were planted in the library, one at a time: signs, sorts,
scales, folds, seeds, units. Its tests noticed {caught}, {100 * caught / found["mutations"]:.1f} %
({found["timeout"]} of them because they ran out of time, {found["crash"]} because a process died).
The list is in `tests/mutants/`. {"Not noticed:" if survivors else "None was missed."}

{chr(10).join(survivors)}
"""


def shuffled(rows):
    """Return the part on shuffled data."""
    lines = [
        (row["lesson"].replace("_", " "), row["asserts"], row["failed"], row["first_failing_cell"])
        for row in rows
    ]
    failing = sum(row["failed"] > 0 for row in rows)
    return f"""### Claims on shuffled data: `make mutants`

The scores that a lesson reads are dealt out anew among the configurations of each task (in lessons
that read tables, the labels). Claims about the real data must then fail: they do in {failing} of
{len(rows)} lessons. What holds in both are definitions, shapes and worked examples.

{table(("lesson", "asserts", "that fail", "first in cell"), lines)}
"""


def perf(found):
    """Return the part on speed."""
    rows = [
        (row["name"].replace("_", " "), row["what"], row["reference"], f"{row['ratio']:.3g}",
         f"{row['lowest']:.3g} to {row['highest']:.3g}", f"{row['bound']:.3g}",
         "kept" if row["ok"] else "**above**")
        if "ratio" in row
        else (row["name"], row["what"], row["reference"], "-", "-", f"{row['bound']:.3g}",
              f"**{row['error']}**")
        for row in found["measures"]
    ]  # fmt: skip
    kept = sum(row["ok"] for row in found["measures"])
    heads = ("measure", "what", "reference", "ratio", "lowest to highest", "bound", "result")
    return f"""## Speed: `make perf`

{stamp(found)} Seconds of each measure over those of a reference in the same run, in turns: {kept}
of {len(rows)} are within their bounds. Python {found["python"]}, {found["cores"]} cores.

{table(heads, rows, left=3)}
"""


PARTS = (fuzz, crash, matrix, mutants, shuffled, perf)


def page(found):
    """Return the text of the page."""
    parts = [HEAD, *(part(found[part.__name__]) for part in PARTS if part.__name__ in found)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def main(arguments=None):
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and say what differs")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    found = read(options.root / KEPT) or {}
    if options.check:
        if (options.root / PAGE).read_text(encoding="utf-8") != page(found):
            print(f"{PAGE} is not as {KEPT} says: run python tools/quality.py", file=sys.stderr)
            return 1
        return 0
    found |= take_in(options.root / "build")
    replace(options.root / KEPT, json.dumps(found, indent=1) + "\n")
    replace(options.root / PAGE, page(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
