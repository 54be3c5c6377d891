"""`MetaSearchCV` against `RandomizedSearchCV` and the default, by the score on rows kept aside.

``python -m benchmarks.search_cv --out DIR`` takes the shipped tables that are in the experience of
all three learners. Of each table half of the rows, at most 1,000, are searched by five-fold
cross-validation, with the experience of all other families; the best configuration is fitted to
them, and scored (balanced accuracy) on the other half. It takes hours, may be interrupted, and goes
on where it stopped: each table, learner and seed is a file in DIR.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import RandomizedSearchCV, train_test_split
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from benchmarks.__main__ import append_results
from metahpo_lite import MetaDataset, MetaSearchCV, list_datasets, load_dataset
from metahpo_lite.evaluation import bootstrap_interval
from metahpo_lite.learner_classifier import LearnerClassifier
from metahpo_lite.learners import LEARNERS
from metahpo_lite.spaces import SearchSpace
from metahpo_lite.storage import write_file

MAX_ROWS = 1000
TRIALS, RANDOM = 10, (10, 20, 40)
OURS = f"MetaSearchCV, {TRIALS} trials"
TITLE = "Score on rows kept aside: MetaSearchCV and RandomizedSearchCV"


class Draw:
    """A hyperparameter as what `RandomizedSearchCV` draws from."""

    def __init__(self, hyperparameter):
        self.hyperparameter = hyperparameter

    def rvs(self, random_state=None):
        """Draw one value."""
        return self.hyperparameter.decode(check_random_state(random_state).uniform())


def distributions(space: SearchSpace) -> list[dict]:
    """Return the space as `RandomizedSearchCV` takes it: a dict for each choice of the parents."""
    parents = list(dict.fromkeys(parent for h in space for parent in h.when))
    values = [[space[p].decode((i + 0.5) / space[p].n_values) for i in range(space[p].n_values)]
              for p in parents]  # fmt: skip
    return [
        {
            h.name: [chosen[h.name]] if h.name in chosen else Draw(h)
            for h in space
            if all(chosen[parent] in accepted for parent, accepted in h.when.items())
        }
        for chosen in (dict(zip(parents, v, strict=True)) for v in itertools.product(*values))
    ]


def scores(name: str, table: str, seed: int) -> dict[str, float]:
    """Search on one half of a table in all ways; return the scores on the other half."""
    learner, dataset = LEARNERS[name], load_dataset(table)
    X, X_test, y, y_test = train_test_split(
        dataset.X, dataset.y, test_size=0.5, stratify=dataset.y, random_state=seed
    )
    if len(X) > MAX_ROWS:
        X, _, y, _ = train_test_split(X, y, train_size=MAX_ROWS, stratify=y, random_state=seed)
    estimator = LearnerClassifier(learner, random_state=seed)

    def score(fitted) -> float:
        return balanced_accuracy_score(y_test, fitted.predict(X_test))

    shared = {"scoring": "balanced_accuracy", "random_state": seed}
    blind = RandomizedSearchCV(estimator, distributions(learner.space), n_iter=max(RANDOM),
                               refit=False, **shared).fit(X, y)  # fmt: skip
    found = {"default": score(clone(estimator).fit(X, y))}
    for n in RANDOM:  # fewer draws are the first ones
        best = blind.cv_results_["params"][
            int(np.nanargmax(blind.cv_results_["mean_test_score"][:n]))
        ]
        found[f"RandomizedSearchCV, {n} trials"] = score(
            clone(estimator).set_params(**best).fit(X, y)
        )
    experience = MetaDataset.load(name).without(dataset.family)
    for label, given in ((f"BayesianSearch, {TRIALS} trials", False), (OURS, experience)):
        found[label] = score(MetaSearchCV(learner, given, n_trials=TRIALS, **shared).fit(X, y))
    return found


def run_cell(name: str, table: str, seed: int, out: Path) -> None:
    """Do one cell, unless its file is there."""
    path = out / name / f"{table}-{seed}.json"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_file(path, json.dumps(scores(name, table, seed)))


def tables() -> pd.Series:
    """Return the families of the shipped tables that all three experiences have."""
    shipped = list_datasets().query("source == 'shipped'")
    for name in LEARNERS:
        shipped = shipped[shipped.index.isin(MetaDataset.load(name).tasks.index)]
    return shipped["family"]


def report(out: Path, families: pd.Series, seeds: int) -> str:
    """Return Markdown: a table for each learner, differences paired by table."""
    text = (
        f"{len(families)} shipped tables, {seeds} splits of each; of half of its rows, at most "
        f"{MAX_ROWS}, the best configuration by five-fold cross-validation, scored on the other "
        "half (balanced accuracy). The experience is that of all other families. Differences: "
        f"{OURS}, minus the method, in hundredths; splits are averaged first, the interval is "
        "bootstrapped over families.\n"
    )
    for name in LEARNERS:
        rows = [
            json.loads((out / name / f"{table}-{seed}.json").read_text()) | {"table": table}
            for table in families.index
            for seed in range(seeds)
        ]
        means = 100 * pd.DataFrame(rows).groupby("table").mean().loc[families.index]
        text += (
            f"\n## {name}\n\n| method | mean score | difference | 95 % | better on | worse on |\n"
        )
        text += "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        for method in means.columns[::-1]:
            gain = (means[OURS] - means[method]).to_numpy()
            mean, low, high = bootstrap_interval(gain, families, np.random.default_rng(0))
            row = f"| {method} | {means[method].mean():.2f} | "
            if method != OURS:
                row += (
                    f"{mean:+.2f} | {low:+.2f} to {high:+.2f} | {sum(gain > 0)} | {sum(gain < 0)} |"
                )
            text += row + ("" if method != OURS else "| | | |") + "\n"
    return text


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search_cv",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=4, metavar="N", help="splits (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="(%(default)s)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="add the tables at its end")
    args = parser.parse_args(argv)
    families = tables()
    cells = itertools.product(range(args.seeds), LEARNERS, families.index)
    joblib.Parallel(args.jobs, verbose=5)(
        joblib.delayed(run_cell)(name, table, seed, args.out) for seed, name, table in cells
    )
    text = report(args.out, families, args.seeds)
    print(text)
    if args.results:
        append_results(args.results, text, TITLE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
