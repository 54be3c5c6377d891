"""The command line: ``python -m metahpo_lite collect --help``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import joblib
import pandas as pd

from metahpo_lite.collect import collect, draw_configs
from metahpo_lite.datasets import Dataset, list_datasets
from metahpo_lite.learners import LEARNERS


def read_names(given: list[str]) -> list[str]:
    """Return the names given, with ``@FILE`` replaced by the lines of the file."""
    names = []
    for name in given:
        if name.startswith("@"):
            lines = Path(name[1:]).read_text(encoding="utf-8").splitlines()
            lines = [line.partition("#")[0].strip() for line in lines]
            names += [line for line in lines if line]
        else:
            names.append(name)
    return names


def read_own(path: str, target: str) -> Dataset:
    """Read a table of your own: CSV, TSV or Parquet."""
    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        frame = pd.read_parquet(path)
    else:
        frame = pd.read_csv(path, sep="\t" if suffix in (".tsv", ".tab") else ",")
    return Dataset.from_frame(frame, target, Path(path).stem, source=Path(path).name)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="python -m metahpo_lite")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("collect", help="evaluate configurations on tables")
    one.add_argument("--learner", required=True, choices=list(LEARNERS))
    one.add_argument("--configs", type=int, default=200, metavar="N")
    one.add_argument("--out", required=True, metavar="DIR")
    one.add_argument("--datasets", nargs="+", metavar="NAME", help="names, or @FILE")
    one.add_argument("--table", metavar="FILE")
    one.add_argument("--target", metavar="COLUMN")
    one.add_argument("--jobs", type=int, default=1, metavar="N")
    one.add_argument("--time-limit", type=float, default=20.0, metavar="S")
    return top


def main(argv: list[str] | None = None) -> int:
    """Run the command line, and return its exit code."""
    args = parser().parse_args(argv)
    datasets: list = read_names(args.datasets) if args.datasets else []
    if args.table:
        datasets.append(read_own(args.table, args.target))
    elif not args.datasets:
        datasets = list(list_datasets().index)
    try:
        with joblib.parallel_config(n_jobs=args.jobs):
            folder = collect(args.learner, datasets, draw_configs(args.learner, args.configs),
                             args.out, time_limit=args.time_limit)  # fmt: skip
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (KeyError, ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"metahpo_lite: {text}", file=sys.stderr)
        return 1
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
