"""What limits experience: the numbers of lesson 13 that take too long for a lesson.

``python -m benchmarks.limits --out DIR`` takes an hour or two on one core, may be interrupted, and
goes on where it stopped: each finished cell is a file in DIR. It writes ``limits_*.csv`` into the
folder of ``--results`` (this one, if not given), each with the columns of `plot_trends`. "Regret"
is the normalised regret of a searched task, mean over the first 25 trials; what is shown is mostly
its ratio to that of another search of the same tasks, with the 95 % interval over families. What a
search knows never includes its own family, and it reads no meta-features.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import default_rng
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from benchmarks.limits_searches import (
    EVERY,
    LEARNERS,
    RUNS,
    SHORT,
    TRIALS,
    altered,
    cold,
    figure,
    flagged,
    kept,
    load,
    other_families,
    random,
    ratios,
    searched,
    some_of,
)
from metahpo_lite import (
    BayesianSearch,
    MetaDataset,
    PerformancePredictor,
    TaskDistance,
    WarmStart,
    collect_experience,
    draw_configs,
    list_datasets,
    networks,
    race,
    response_similarity,
)
from metahpo_lite.inputs import TaskInputs, normal_ranks
from metahpo_lite.storage import write_file

LONG = 50  # trials
DRAWS, TASKS, CONFIGS = 5, (3, 10, 30, 100), (20, 67, 201)  # 100 x 20, 30 x 67, 10 x 201 cost alike
SHARES = (0.1, 0.25, 0.5, 1.0)
UNITS = ((1,), (4,), (16,), (64,), (256,), (64, 32), (64, 64, 64))
LEAVES = (2, 4, 8, 16, 32, 64, 128)  # of a decision tree, at most
OTHER, N_OTHER, CHEAP = "neg_log_loss", 100, 60.0  # the default and 100 configurations; seconds

HERE = Path(__file__).parent


def reference(out: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """All tasks, each with all other families; and by how far the known tasks are."""
    rows, thirds = [], []
    for name in LEARNERS:
        e = load(name)

        def warm(e=e):
            known = [e.without(family) for family in e.families]
            searches = race(
                lambda i, rng: WarmStart(e.space, rng, known[i], pool=e.configs), e, TRIALS
            )
            return searches.mean(axis=(1, 2))

        columns = {"warm start": kept(out / "reference" / f"{name}-warm.npy", warm)}
        columns |= {"cold": cold(out, name), "random": random(e)}
        found = pd.DataFrame(columns, e.tasks.index)
        points = [(method, "", method, "cold") for method in ("warm start", "random")]
        rows += ratios(name, found, points)
        # of the five nearest others: how alike they respond, how far their meta-features are
        measures = {
            "by responses": response_similarity(e),
            "by meta-features": -TaskDistance().fit(e)(e.meta_features),
        }
        for line, alike in measures.items():
            near = np.sort(alike, axis=1)[:, -6:-1].mean(axis=1)  # without the task itself
            third = near.argsort().argsort() * 3 // len(near)
            for k, x in enumerate(("far", "middle", "near")):
                thirds += ratios(name, found[third == k], [(line, x, "warm start", "cold")])
    yield "reference", figure(rows)
    yield "distance", figure(thirds)


def saved(name: str, long: np.ndarray, short: np.ndarray) -> tuple[int, float, float]:
    """Say how many trials later a cold search is as far as another one after `SHORT` trials.

    `long` are its curves, (n_tasks, `LONG`), `short` the regrets of the other one.
    """
    family = pd.factorize(load(name).families.iloc[::EVERY])[0]
    if len(set(family)) < len(family):
        raise RuntimeError("families of several tasks: not drawn as such")
    draws = default_rng(0).integers(len(short), size=(2000, len(short)))
    n = [(long[d].mean(axis=0) > short[d].mean()).sum() + 1 - SHORT for d in draws]
    middle = (long.mean(axis=0) > short.mean()).sum() + 1 - SHORT
    return middle, *np.quantile(n, [0.025, 0.975])


def demand(out: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Fewer source tasks, and fewer configurations of each: every draw has others."""
    trends, prices, bills = [], [], []
    for name in LEARNERS:
        e = load(name)
        some = some_of(e)
        found = pd.DataFrame({"cold": cold(out, name)[some.tasks.index], "random": random(some)})
        draws = {}

        def blind(some=some):
            searches = race(
                lambda _, rng: BayesianSearch(some.space, rng, some.configs), some, LONG, RUNS
            )
            return searches.mean(axis=1)

        long = kept(out / "reference" / f"{name}-cold-curves.npy", blind)
        for n, c in itertools.product(TASKS, CONFIGS):
            cells = []
            for draw in range(DRAWS):
                order = default_rng(draw).permutation(e.tasks.index)
                numbers = default_rng(draw).permutation(len(e.configs))[:c]

                def compute(e=e, some=some, order=order, numbers=numbers, n=n):
                    part = e if len(numbers) == len(e.configs) else e.with_configs(numbers)
                    return searched(
                        some, lambda i: other_families(part, some.tasks.index[i], order, n)
                    )

                cells.append(kept(out / "demand" / f"{name}-{n}-{c}-{draw}.npy", compute))
            warm, portfolio, _, short = np.mean(cells, axis=0)
            found[f"warm start {n} x {c}"], found[f"portfolio {n} x {c}"] = warm, portfolio
            draws[n, c] = [cell[0].mean() / found["cold"].mean() for cell in cells]
            middle, *ends = saved(name, long, short)
            row = (name, f"{n} x {c}", "", middle, *ends, short.mean(), len(short))
            bills.append((*row, n * c, n * c / middle))
        most = max(CONFIGS)
        for method in ("warm start", "portfolio", "random"):
            for n in TASKS:
                column = "random" if method == "random" else f"{method} {n} x {most}"
                (row,) = ratios(name, found, [(method, str(n), column, "cold")])
                ends = draws[n, most] if method == "warm start" else [np.nan]
                trends.append((*row, min(ends), max(ends)))
        pairs = [
            ("30 x 20", "3 x 201"),
            ("100 x 20", "10 x 201"),
            ("100 x 20", "100 x 201"),
            ("100 x 201", "3 x 201"),
        ]
        prices += ratios(name, found, [(f"{a} / {b}", "", f"warm start {a}", f"warm start {b}")
                                       for a, b in pairs])  # fmt: skip
    yield "demand", figure(trends, "lowest_draw", "highest_draw")
    yield "price", figure(prices)
    yield "bill", figure(bills, "evaluations", "searches")


CHANGES = {
    "shuffled": lambda y, rng: rng.permutation(y),
    "wrong sign": lambda y, rng: -y,
    "noise": lambda y, rng: y + rng.normal(size=len(y)) * y.std(),
    "noise x 3": lambda y, rng: y + 3 * rng.normal(size=len(y)) * y.std(),
}


def corruption(out: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Spoil the scores of a share of the source tasks, and of all of them."""
    rows, whole = [], []
    for name in LEARNERS:
        e = load(name)
        some = some_of(e)
        found = pd.DataFrame({"cold": cold(out, name)[some.tasks.index]})
        for kind, share in itertools.product(CHANGES, (0, *SHARES)):
            if ("noise" in kind and share < 1) or (kind == "wrong sign" and share == 1):
                continue  # lesson 11 has the second
            cells, flags = [], []
            for draw in range(RUNS if share else 1):
                bad = altered(e, CHANGES[kind], share, default_rng(draw))
                flags.append(flagged(e, bad))

                def compute(some=some, bad=bad):
                    return searched(some, lambda i: bad.without(some.families.iloc[i]))

                label = f"{kind}-{share}" if share else "shuffled-0"  # 0: the same for all kinds
                cells.append(kept(out / "corruption" / f"{name}-{label}-{draw}.npy", compute))
            found["spoiled"], _, trust, _ = np.mean(cells, axis=0)
            line, x = (f"all: {kind}", "") if share == 1 else (kind, f"{share:g}")
            (row,) = ratios(name, found, [(line, x, "spoiled", "cold")])
            (whole if share == 1 else rows).append((*row, trust.mean(), *np.mean(flags, axis=0)))
    more = "trust", "spoiled_flagged", "others_flagged"
    yield "corruption", figure(rows, *more)
    yield "spoiled", figure(whole, *more)


def kinds(e: MetaDataset) -> dict[str, tuple[pd.Series, pd.Series]]:
    """Say which tasks are known and which are searched, for each kind of one-sided experience."""
    rows, classes = e.tasks["rows"], e.tasks["classes"]
    numeric = e.meta_features["numeric_share"]
    return {
        "small, then large": (rows < 500, rows >= 2000),
        "large, then small": (rows >= 1000, rows < 300),
        "two classes, then more": (classes == 2, classes > 2),
        "more classes, then two": (classes > 2, classes == 2),
        "numbers, then categories": (numeric == 1, numeric < 0.5),
    }


def bias(out: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Know tables of one kind alone, and search another; beside it as many of all kinds."""
    rows = []
    for name in LEARNERS:
        e = load(name)
        for kind, (known, asked) in kinds(e).items():
            some = e.subset(list(e.tasks.index[asked]))
            n, found = min(30, known.sum()), pd.DataFrame(index=some.tasks.index)
            for label, left in (("one kind", e.tasks.index[known]), ("all kinds", e.tasks.index)):
                cells = []
                for draw in range(RUNS):
                    order = default_rng(draw).permutation(left)

                    def compute(e=e, some=some, order=order, n=n):
                        return searched(
                            some, lambda i: other_families(e, some.tasks.index[i], order, n)
                        )

                    path = out / "bias" / f"{name}-{kind}-{label}-{draw}.npy"
                    cells.append(kept(path, compute))
                found[label] = np.mean(cells, axis=0)[0]
            found["cold"] = cold(out, name)[found.index]
            (row,) = ratios(name, found, [(kind, "", "one kind", "all kinds")])
            ((_, _, _, *interval, _, _),) = ratios(name, found, [(kind, "", "one kind", "cold")])
            rows.append((*row, *interval))
    yield "bias", figure(rows, "cold_middle", "cold_low", "cold_high")


def complexity(out: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Meta-models of several sizes: regret of the first ten of their list, seen and unseen."""
    rows, trees = [], []
    for name in LEARNERS:
        e = load(name)
        regrets, third = e.regrets.to_numpy(), np.arange(len(e.tasks)) % 3
        known = [e.without(list(e.families[third == k])) for k in range(3)]

        def first_ten(f, regrets=regrets):
            order = np.argsort(-f, axis=1)[:, :10]
            tried = np.take_along_axis(regrets, order, axis=1)
            return np.minimum.accumulate(tried, axis=1).mean(axis=1)

        def compute(units, seed, e=e, known=known, third=third, first_ten=first_ten):
            seen, unseen, seconds = np.zeros((3, len(e.tasks)))
            for k in range(3):
                networks.UNITS = units  # `Ensemble.fit` looks it up
                begin = time.process_time()
                model = PerformancePredictor("network", "listwise", seed=seed).fit(known[k])
                seconds[third == k] = time.process_time() - begin
                found = first_ten(model.predict(e.meta_features, e.configs))
                unseen[third == k] = found[third == k]
                seen[third != k] += found[third != k] / 2  # each task is seen twice
            return np.array([seen, unseen, seconds])

        # one list for all, by the mean normal rank on the known tasks
        ranks = [normal_ranks(k.scores.to_numpy()) for k in known]
        one_list = first_ten(np.array([y.mean(axis=0) for y in ranks])[third])
        found = pd.DataFrame({"one list": one_list}, e.tasks.index)
        for leaves in LEAVES:
            found["seen"], found["unseen"] = 0.0, 0.0
            for k in range(3):
                inputs = TaskInputs(known[k].meta_features)
                tree = DecisionTreeRegressor(max_leaf_nodes=leaves, random_state=0)
                tree.fit(inputs(known[k].meta_features), ranks[k])
                regret = first_ten(tree.predict(inputs(e.meta_features)))
                found["seen"] += np.where(third != k, regret / 2, 0)  # each task is seen twice
                found["unseen"] += np.where(third == k, regret, 0)
            points = [(kind, str(leaves), kind, "one list") for kind in ("seen", "unseen")]
            trees += ratios(name, found, points)
        sizes = {"-".join(map(str, units)): units for units in UNITS}
        for size, units in sizes.items():
            cells = [
                kept(out / "complexity" / f"{name}-{size}-{seed}.npy",
                     lambda units=units, seed=seed: compute(units, seed))
                for seed in range(RUNS)
            ]  # fmt: skip
            found["seen"], found["unseen"], seconds = np.mean(cells, axis=0)
            points = [(kind, size, kind, "one list") for kind in ("seen", "unseen")]
            cost = seconds.mean() / e.seconds.mean(axis=None)
            rows += [(*row, cost) for row in ratios(name, found, points)]
    for table in (rows, trees):
        table.sort(key=lambda row: (LEARNERS.index(row[0]), row[1]))  # line by line
    yield "complexity", figure(rows, "evaluations")
    yield "trees", figure(trees)


def metric(out: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Score configurations of the experience again, by the log loss, and search by that."""
    rows = []
    for name in LEARNERS[:2]:
        e, listed = load(name), list_datasets()
        here = listed.index[listed["available"] & listed.index.isin(e.tasks.index)]
        cheap = e.seconds.loc[here].sum(axis=1) < CHEAP
        configs = draw_configs(name, N_OTHER)
        if configs != list(e.configs[: N_OTHER + 1]):
            raise RuntimeError("the experience has other configurations than draw_configs")
        other = collect_experience(name, list(here[cheap]), configs, out / OTHER / name,
                                   metric=OTHER)  # fmt: skip
        usual, names = e.with_configs(range(N_OTHER + 1)), list(other.tasks.index)
        known = {
            "log loss, these tables": other,
            "accuracy, these tables": usual.subset(names),
            "accuracy, all tables": usual,
        }

        def blind(o=other):
            return race(lambda _, rng: BayesianSearch(o.space, rng, o.configs), o, TRIALS, RUNS)

        nothing = kept(out / "metric" / f"{name}-cold.npy", blind).mean(axis=(1, 2))
        found = pd.DataFrame({"cold": nothing}, names)
        for label, sources in known.items():

            def compute(other=other, sources=sources):
                return searched(other, lambda i: sources.without(other.families.iloc[i]))

            found[label] = kept(out / "metric" / f"{name}-{label}.npy", compute)[0]
        points = [(label, "", label, "cold") for label in known]
        # how alike both metrics rank the configurations of a table
        both = other.scores.corrwith(usual.scores.loc[names], axis=1, method="spearman").mean()
        rows += [(*row, both) for row in ratios(name, found, points)]
    yield "metric", figure(rows, "rank_correlation")


PARTS = {part.__name__: part for part in (reference, demand, corruption, bias, complexity, metric)}


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.limits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them (%(default)s)")
    parser.add_argument("--results", type=Path, default=HERE, metavar="FOLDER")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    with threadpool_limits(1):
        for part in args.parts.split(","):
            for name, table in PARTS[part](args.out):
                text = table.to_csv(index=False, float_format="%.4g", lineterminator="\n")
                write_file(args.results / f"limits_{name}.csv", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
