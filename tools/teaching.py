"""Write what is generated in docs/teaching/: minutes of lessons and weeks, memory of a class.

    python tools/teaching.py [--check]

They come from notebooks/times.json; exercises get as much time as reading does, as in the README.
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Eight meetings of CLASS minutes: lessons, and minutes for the board and for questions
CLASS, TALK = 90, 20
SERVER = 0.2  # GB of a learner's JupyterLab server, measured at 0.14, rounded up
WEEKS = [("00", "01"), ("02", "03"), ("04", "05"), ("06", "07"), ("08", "09"), ("10", "11")]
WEEKS += [("12",), ("13", "14")]


def times(root):
    """Return of each lesson (its number): file, minutes to read, to run, for exercises, GB."""
    found = json.loads((root / "notebooks/times.json").read_text(encoding="utf-8"))
    return {
        name[:2]: {
            "stem": Path(name).stem,
            "read": t["minutes"],
            "run": math.ceil(t["seconds"] / 60),
            "exercises": t["minutes"],
            "gigabytes": t["gigabytes"],
        }
        for name, t in sorted(found.items())
    }


def minutes(t):
    """Say how long a lesson takes in class."""
    return (
        f"**Minutes:** {t['read']} to read, {t['run']} to run, {t['exercises']} for the exercises: "
        f"plan {t['read'] + t['run'] + t['exercises']}. It takes {t['gigabytes']} GB of memory."
    )


def week(t, lessons):
    """Return one week's minutes: lessons, talk, exercises, all three, exercises at home."""
    together = sum(t[n]["read"] + t[n]["run"] for n in lessons)
    exercises = sum(t[n]["exercises"] for n in lessons)
    here = min(exercises, CLASS - TALK - together)
    return together, TALK, here, together + TALK + here, exercises - here


def tables(root):
    """Return the generated text between the marks of the syllabi and of the contents."""
    t = times(root)
    weeks = [
        "| week | lessons | read and run | board, questions | exercises | in all | at home |",
        "|--:|---|--:|--:|--:|--:|--:|",
    ]
    for number, lessons in enumerate(WEEKS, start=1):
        cells = " | ".join(map(str, week(t, lessons)))
        links = ", ".join(f"[{n}]({t[n]['stem']}.md)" for n in lessons)
        weeks.append(f"| {number} | {links} | {cells} |")
    totals = map(sum, zip(*(week(t, lessons) for lessons in WEEKS), strict=True))
    weeks.append(f"| all |  | {' | '.join(map(str, totals))} |")
    pages = ["| lesson | read | run | exercises | GB |", "|---|--:|--:|--:|--:|"]
    for of in t.values():
        title = (root / f"docs/teaching/{of['stem']}.md").read_text(encoding="utf-8")
        title = title.partition("\n")[0].removeprefix("# Teaching ")
        numbers = " | ".join(str(of[k]) for k in ("read", "run", "exercises", "gigabytes"))
        pages.append(f"| [{title}]({of['stem']}.md) | {numbers} |")
    most = max(of["gigabytes"] for of in t.values())
    room = ["| learners at once | 1 | 10 | 20 | 30 |", "|---|--:|--:|--:|--:|"]
    gigabytes = (f"{math.ceil(n * (most + SERVER))} GB" for n in (1, 10, 20, 30))
    room.append(f"| memory | {' | '.join(gigabytes)} |")
    return {"weeks": "\n".join(weeks), "lessons": "\n".join(pages), "memory": "\n".join(room)}


def generated(root):
    """Return each page of docs/teaching/ as it should be."""
    t, made = times(root), {}
    blocks = tables(root)
    for path in sorted((root / "docs/teaching").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        own = blocks | ({"minutes": minutes(t[path.name[:2]])} if path.name[:2] in t else {})
        for name, new in own.items():
            text = re.sub(
                rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
                lambda found, new=new: f"{found[1]}{new}\n{found[2]}",
                text,
                flags=re.S,
            )
        made[path] = text
    return made


def main(words=None):
    parser = argparse.ArgumentParser(description="Write what is generated in docs/teaching/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    given = parser.parse_args(words)
    made = generated(ROOT)
    old = [path for path, text in made.items() if path.read_text("utf-8") != text]
    if given.check and old:
        sys.exit(
            f"teaching: run `python tools/teaching.py`; out of date: {', '.join(map(str, old))}"
        )
    for path in old:
        path.write_text(made[path], encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
