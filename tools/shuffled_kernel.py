"""What `shuffled.py` does in the kernel of a lesson: shuffle what it reads, watch its asserts."""

import ast
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

KEYS = {"case", "trials", "panel", "line", "x", "folder", "method"}  # of tables in benchmarks/


def shuffle(labels=False):
    """Let all experience that is shipped, and all tables in benchmarks/, be read shuffled."""
    from metahpo_lite import MetaDataset, catalogue, datasets

    load, read, table = MetaDataset.load, pd.read_csv, datasets._load

    def shuffled_load(name):
        found = load(name)
        shipped = catalogue.data_folder().resolve()
        here = Path(name) if Path(name).is_dir() else shipped
        return shuffled_experience(found) if here.resolve().is_relative_to(shipped) else found

    def shuffled_read(path, *args, **options):
        found = read(path, *args, **options)
        return shuffled_results(found, str(path)) if "benchmarks/" in str(path) else found

    def shuffled_table(name):
        found = table(name)
        return replace(found, y=pd.Series(rng(name).permutation(found.y), found.y.index))

    MetaDataset.load = staticmethod(shuffled_load)
    pd.read_csv = shuffled_read
    if labels:
        datasets._load = shuffled_table


def rng(name):
    """Return a generator that depends on a name alone."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def shuffled_experience(experience):
    """Permute what came of the trials of each task over its configurations."""
    trials = experience.trials.copy()
    results = [name for name in trials.columns if name not in ("task", "config")]
    for task, rows in trials.groupby("task").indices.items():
        order = rng(f"{experience.name} {task}").permutation(rows)
        for name in results:
            values = trials[name].to_numpy(copy=True)
            values[rows] = values[order]
            trials[name] = values
    return replace(experience, trials=trials)


def shuffled_results(frame, name):
    """Permute the results in a table over its rows; over the columns, where these are what differs.

    A table with two rows of names has a configuration in each column, and a task in each row.
    """
    frame, random = frame.copy(), rng(name)
    if frame.columns.nlevels > 1:
        values = random.permuted(frame.to_numpy(), axis=1)
        return pd.DataFrame(values, frame.index, frame.columns)
    results = [column for column in frame.columns if column not in KEYS]
    frame[results] = frame[results].iloc[random.permutation(len(frame))].to_numpy()
    return frame.infer_objects()


class Asserts(ast.NodeTransformer):
    """Turns each assert into one that is noted, and does not end the cell."""

    def visit_Assert(self, node):
        """Put the assert into a try statement."""
        source = ast.unparse(node)
        text = f"""
try:
    {source}
except AssertionError:
    note_claim({source!r}, "failed")
except Exception:
    note_claim({source!r}, "not reached")
    raise
else:
    note_claim({source!r}, "held")
"""
        (new,) = ast.parse(text).body
        for part in ast.walk(new):
            ast.copy_location(part, node)
        return new

    def visit_Module(self, node):
        """Note first which asserts there are: an error may come before them."""
        found = [ast.unparse(n) for n in ast.walk(node) if isinstance(n, ast.Assert)]
        head = ast.parse("\n".join(f"note_claim({s!r}, 'not reached')" for s in found)).body
        self.generic_visit(node)
        for part in head:
            for inner in ast.walk(part):
                if "lineno" in inner._attributes and node.body:
                    ast.copy_location(inner, node.body[0])
        node.body = head + node.body
        return node


def watch(shell, out):
    """Write down what becomes of each assert that the shell runs in the cells after this one."""
    number = [0]  # of the cell of code

    def begin(info):
        number[0] += 1

    def note_claim(source, result):
        row = {"number": number[0], "source": source, "result": result}
        with open(out, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    shell.events.register("pre_run_cell", begin)
    shell.user_ns["note_claim"] = note_claim
    shell.ast_transformers.append(Asserts())
