"""The trained policy of lesson 13 as an acquisition function, beside expected improvement.

``python -m benchmarks.policy FOLDER ... --out DIR`` deals the families of each folder of experience
to three folds. Policies are trained on two of them, with several seeds, and search the tasks of the
third; so do the others. Folders whose tasks have different configurations are left out. A fold and
method is a file in DIR: the run may be interrupted, and goes on where it stopped. `--table FILE`
writes the figures that the lesson quotes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from benchmarks.__main__ import append_results
from benchmarks.folders import read_folder
from metahpo_lite import (
    BayesianSearch,
    MetaDataset,
    PolicySearch,
    RandomSearch,
    WarmStart,
    bootstrap_interval,
    race,
    train_policy,
)
from metahpo_lite.bayes import log_expected_improvement
from metahpo_lite.storage import write_file

FOLDS, TRIALS, UPDATES = 3, 10, 60
POLICY = "policy"
TITLE = "A trained policy, and expected improvement"


def improvement(state):
    """Return the logarithm of the expected improvement of each configuration."""
    return log_expected_improvement(state.mean, state.std, state.best)


# name: (searches of a task, (space, rng, experience, pool) -> searcher)
METHODS = {
    "random": (20, lambda s, r, e, pool: RandomSearch(s, r, pool)),
    "gp_bo": (5, lambda s, r, e, pool: BayesianSearch(s, r, pool)),
    "expected improvement, same belief": (
        1, lambda s, r, e, pool: PolicySearch(s, r, e, improvement, TRIALS)),
    "warm_start, no meta-features": (5, lambda s, r, e, pool: WarmStart(s, r, e, None, pool)),
}  # fmt: skip


def split(experience: MetaDataset, fold: int) -> tuple[MetaDataset, MetaDataset]:
    """Return the sources and the targets of a fold: other families."""
    names = experience.families.unique()
    folds = np.random.default_rng(0).permutation(len(names)) % FOLDS
    held = experience.families.isin(names[folds == fold])
    parts = experience.tasks.index[~held], experience.tasks.index[held]
    return tuple(experience.subset(list(part)) for part in parts)


def run_cell(folder: Path, fold: int, method: str, seed: int, out: Path) -> None:
    """Do one cell, unless its file is there: the regrets after each trial, and the policy."""
    path = out / folder.name / f"{fold}-{method}-{seed}.json"
    if path.exists():
        return
    sources, targets = split(read_folder(folder).shared, fold)
    space, pool, about = sources.space, list(sources.configs), {}
    if method == POLICY:
        trained = train_policy(sources, np.random.default_rng([fold, seed]), TRIALS, UPDATES)
        about = {"weights": trained.weights.tolist(), "curve": trained.curve.tolist()}
        n, make = 1, lambda s, r, e, pool: PolicySearch(s, r, e, trained, TRIALS)
    else:
        n, make = METHODS[method]
    found = race(lambda i, rng: make(space, rng, sources, pool), targets, TRIALS, n)
    rows = {"task": list(targets.tasks.index), "family": list(targets.families)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps(rows | {"found": found.mean(axis=1).tolist(), **about}))


def figures(folder: Path, seeds: int, out: Path) -> pd.DataFrame:
    """Return a row for each method: mean regret, and how much less the policy has."""
    found = {}
    for method in (*METHODS, POLICY):
        cells = [
            json.loads((out / folder.name / f"{fold}-{method}-{seed}.json").read_text())
            for fold in range(FOLDS)
            for seed in range(seeds if method == POLICY else 1)
        ]
        columns = ["task", "family", "found"]
        table = pd.concat(pd.DataFrame({c: cell[c] for c in columns}) for cell in cells)
        table["regret"] = table["found"].map(np.mean)
        found[method] = table.groupby("task").agg({"family": "first", "regret": "mean"})
    rows = []
    for method, table in found.items():
        gain = table["regret"] - found[POLICY]["regret"]
        mean, low, high = bootstrap_interval(gain, table["family"], np.random.default_rng(0))
        rows.append({"folder": folder.name, "method": method, "tasks": len(table),
                     "regret": table["regret"].mean(), "policy_less": mean,
                     "low": low, "high": high})  # fmt: skip
    return pd.DataFrame(rows).round(5)


def report(table: pd.DataFrame, seeds: int) -> str:
    """Return Markdown."""
    text = (
        f"Three folds by family; {seeds} policies of {UPDATES} updates in each; mean regret over "
        f"the first {TRIALS} trials. `less` is the method's regret minus the policy's, with a 95 % "
        "interval over families: above 0 the policy is better.\n\n"
        "| folder | method | tasks | regret | less | 95 % |\n"
        "| --- | --- | ---: | ---: | ---: | ---: |\n"
    )
    for row in table.itertuples():
        less = f"{row.policy_less:+.4f} | {row.low:+.4f} to {row.high:+.4f}"
        less = " | " if row.method == POLICY else less
        text += f"| {row.folder} | {row.method} | {row.tasks} | {row.regret:.4f} | {less} |\n"
    return text


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.policy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="policies (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="(%(default)s)")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the figures as CSV")
    parser.add_argument("--results", type=Path, metavar="FILE", help="add the table at its end")
    args = parser.parse_args(argv)
    folders = [path.resolve() for path in args.folders if read_folder(path).shared is not None]
    joblib.Parallel(args.jobs, verbose=5)(
        joblib.delayed(run_cell)(folder, fold, method, seed, args.out)
        for folder in folders
        for method in (*METHODS, POLICY)
        for fold in range(FOLDS)
        for seed in range(args.seeds if method == POLICY else 1)
    )
    table = pd.concat([figures(folder, args.seeds, args.out) for folder in folders])
    text = report(table, args.seeds)
    print(text)
    if args.table:
        write_file(args.table, table.to_csv(index=False))
    if args.results:
        append_results(args.results, text, TITLE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
