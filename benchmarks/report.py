"""The report: statistics over tasks, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.folders import Folder
from benchmarks.runner import Cell
from metahpo_lite.evaluation import average_seeds, bootstrap_interval, compare, holm
from metahpo_lite.ranks import friedman, mean_ranks, nemenyi_difference
from metahpo_lite.regret import mean_regret

AT = (1, 2, 5, 10, 25, 50)
# Pairs of a method and what it should be better than, where both were run
PAIRS = [
    ("meta_model", "random_2x"),
    ("meta_model", "default"),
    ("meta_model", "portfolio"),
    ("meta_model", "meta_model_mse_raw"),
    ("nearest_tasks", "portfolio"),
    ("learned_distance", "portfolio"),
    ("learned_distance", "nearest_tasks"),
    ("learned_distance", "portfolio_gp_bo"),
    ("warm_start", "portfolio_gp_bo"),
    ("warm_start", "portfolio_tpe"),
    ("warm_start", "syne_tune_zero_shot"),
    ("warm_start", "openbox_rgpe"),
    ("warm_start", "warm_start_no_meta"),
    ("warm_start", "learned_distance"),
]
SUMMARY = [
    "folder", "method", "tasks", "auc", "auc_low", "auc_high",
    *(f"regret_{t}" for t in AT), "rank_10", "rank_50", "suggest_ms",
]  # fmt: skip


def curves(cells: Sequence[Cell], n_trials: int, n_seeds: int) -> pd.DataFrame:
    """Return all regret curves: folder, method, task, family, seed, trial (from 1), regret.

    A method that failed on a task has its rows too, with a missing regret.
    """
    shape = (len(cells), n_seeds, n_trials)
    regrets = np.full(shape, np.nan)
    for i, cell in enumerate(cells):
        if not cell.reason:
            regrets[i] = cell.regrets
    each = n_seeds * n_trials
    table = {
        name: np.repeat([getattr(cell, name) for cell in cells], each)
        for name in ("folder", "method", "task", "family")
    }
    table["seed"] = np.tile(np.repeat(np.arange(n_seeds), n_trials), len(cells))
    table["trial"] = np.tile(np.arange(1, n_trials + 1), len(cells) * n_seeds)
    return pd.DataFrame({**table, "regret": regrets.ravel()})


class Figures:
    """What the tables are made of: the curves of each folder and method, seeds averaged.

    Attributes
    ----------
    by_task : dict of (folder, method) to DataFrame
        Tasks x trials, the mean regret over seeds; only tasks on which the method did not fail.
    families, gaps : dict of (folder, task)
        The family, and the best minus the worst score.
    """

    def __init__(self, cells: Sequence[Cell], n_trials: int):
        self.n_trials, self.n_auc = n_trials, min(n_trials, 50)
        self.methods = list(dict.fromkeys(cell.method for cell in cells))
        self.folders = list(dict.fromkeys(cell.folder for cell in cells))
        self.failed = [cell for cell in cells if cell.reason]
        self.families = {(c.folder, c.task): c.family for c in cells}
        self.gaps = {(c.folder, c.task): c.gap for c in cells}
        self.milliseconds: dict[tuple[str, str], list[float]] = {}
        means: dict[tuple[str, str], dict[str, np.ndarray]] = {}
        for c in cells:
            means.setdefault((c.folder, c.method), {})
            self.milliseconds.setdefault((c.folder, c.method), [])
            if not c.reason:
                means[c.folder, c.method][c.task] = np.mean(c.regrets, axis=0)
                self.milliseconds[c.folder, c.method].append(c.suggest_ms)
        trials = range(1, n_trials + 1)
        self.by_task = {
            key: pd.DataFrame.from_dict(rows, "index", columns=trials)
            for key, rows in means.items()
        }

    def auc(self, folder: str, method: str, n: int = 50) -> pd.Series:
        """Return the mean regret over the first n trials (all, if there are fewer), by task."""
        table = self.by_task[folder, method]
        if table.empty:
            return pd.Series(dtype=float)
        return pd.Series(mean_regret(table.to_numpy(), min(n, self.n_auc)), table.index)

    def ranks(self, folder: str, trial: int) -> dict[str, float]:
        """Return the mean rank of each method at a trial; one that failed on a task is last."""
        if trial > self.n_trials:
            return dict.fromkeys(self.methods, np.nan)
        tasks = sorted({task for name, task in self.families if name == folder})
        at = [self.by_task[folder, m][trial].reindex(tasks).fillna(2.0) for m in self.methods]
        return dict(zip(self.methods, mean_ranks(np.stack(at, axis=1)).tolist(), strict=True))

    def together(self, folder: str) -> tuple[dict[str, float], int, float, float] | None:
        """Rank the methods by AUC, over the families of the tasks on which none failed.

        Returns the mean ranks, the number of families, the p-value of Friedman's test and
        Nemenyi's critical difference; None with fewer than two methods or families.
        """
        table = pd.concat({m: self.auc(folder, m) for m in self.methods}, axis=1).dropna()
        families = [self.families[folder, task] for task in table.index]
        if len(self.methods) < 2 or len(set(families)) < 2:
            return None
        _, means = average_seeds(table.to_numpy(), families)  # of the tasks of a family, too
        ranks = dict(zip(self.methods, mean_ranks(means).tolist(), strict=True))
        n = len(means)
        return ranks, n, friedman(means).f_p_value, nemenyi_difference(len(ranks), n)

    def pair(
        self, folder: str, a: str, b: str, n: int = 50
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Return the AUC of two methods on the tasks where neither failed, and the families."""
        both = pd.concat([self.auc(folder, a, n), self.auc(folder, b, n)], axis=1).dropna()
        families = [self.families[folder, task] for task in both.index]
        return both.iloc[:, 0].to_numpy(), both.iloc[:, 1].to_numpy(), families


def summary(figures: Figures) -> pd.DataFrame:
    """Return a row per folder and method, the columns of `SUMMARY`.

    ``tasks`` counts those on which the method did not fail; the figures are over these.
    """
    rows = []
    for folder in figures.folders:
        ranks = {t: figures.ranks(folder, t) for t in (10, 50)}
        for method in figures.methods:
            table, auc = figures.by_task[folder, method], figures.auc(folder, method)
            families = [figures.families[folder, task] for task in auc.index]
            interval = [np.nan] * 3
            if len(auc):
                interval = bootstrap_interval(auc.to_numpy(), families, np.random.default_rng(0))
            regrets = [table[t].mean() if t in table else np.nan for t in AT]
            times = figures.milliseconds[folder, method]
            rows.append([
                folder, method, len(auc), *map(float, interval), *regrets,
                ranks[10][method], ranks[50][method], np.median(times) if times else np.nan,
            ])  # fmt: skip
    return pd.DataFrame(rows, columns=SUMMARY)


def geometric_ratio(
    figures: Figures, ours: str, theirs: str, draws: int = 2000
) -> tuple[float, float, float]:
    """Return the geometric mean over folders of the ratio of AUCs, and its 95 % interval.

    In each draw, families are drawn anew within each folder, for both methods alike.
    """
    rng, logs, drawn = np.random.default_rng(0), [], np.zeros(draws)
    for folder in figures.folders:
        a, b, families = figures.pair(folder, ours, theirs)
        if not len(a) or a.mean() <= 0 or b.mean() <= 0:
            return np.nan, np.nan, np.nan
        number = np.unique(families, return_inverse=True)[1]
        n = number.max() + 1
        weights = rng.multinomial(n, np.full(n, 1 / n), size=draws)  # (draws, n_families)
        with np.errstate(all="ignore"):
            drawn += np.log(weights @ np.bincount(number, a) / (weights @ np.bincount(number, b)))
        logs.append(np.log(a.mean() / b.mean()))
    low, high = np.quantile(drawn / len(logs), [0.025, 0.975])
    return tuple(np.exp([np.mean(logs), low, high]).tolist())


# ---------------------------------------------------------------------- Markdown


def markdown(figures: Figures, table: pd.DataFrame, folders: Sequence[Folder], n_seeds: int) -> str:
    """Return the whole report."""
    parts = []
    for folder in folders:
        parts += _folder_part(figures, table[table["folder"] == folder.name], folder, n_seeds)
    if len(figures.methods) > 1:
        parts += _together_part(figures)
        parts += _pairs_part(figures)
        parts += _gap_part(figures)
    return "\n\n".join(parts) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _number(value: float, digits: int = 3) -> str:
    return "-" if not np.isfinite(value) else f"{value:.{digits}f}"


def _interval(low: float, high: float, digits: int = 3) -> str:
    return "-" if not np.isfinite(low) else f"{_number(low, digits)} to {_number(high, digits)}"


def _folder_part(figures, table: pd.DataFrame, folder: Folder, n_seeds: int) -> list[str]:
    tasks = {task: family for (name, task), family in figures.families.items()
             if name == folder.name}  # fmt: skip
    auc = f"AUC{figures.n_auc}"
    text = (
        f"{len(tasks)} tasks of {len(set(tasks.values()))} families, {figures.n_trials} trials, "
        f"{n_seeds} seeds. {auc} is the mean normalised regret over the first {figures.n_auc} "
        "trials, with its 95 % interval over families. Lower is better everywhere."
    )
    if folder.left_out:
        text += (
            f"\n\nLeft out, since all scores are the same: {', '.join(folder.left_out)}."
        )  # fmt: skip
    failed = [cell for cell in figures.failed if cell.folder == folder.name]
    together = figures.together(folder.name)
    ranks = {}
    if together is not None:
        ranks, n, p, difference = together
        text += (
            f" Mean ranks by {auc}, over {n} families, differ by more than chance if they are "
            f"{difference:.2f} apart (Nemenyi; Friedman's test that all are equal: p = {p:.2g})."
        )
    header = ["method", auc, "95 %", "rank", *(f"regret {t}" for t in AT), "rank 10", "rank 50",
              "ms per suggestion", *(["failed on"] if failed else [])]  # fmt: skip
    rows = []
    for row in table.sort_values("auc", kind="stable").itertuples():
        count = sum(cell.method == row.method for cell in failed)
        rows.append([
            row.method, _number(row.auc, 4), _interval(row.auc_low, row.auc_high, 4),
            _number(ranks.get(row.method, np.nan), 2),
            *(_number(getattr(row, f"regret_{t}")) for t in AT),
            _number(row.rank_10, 2), _number(row.rank_50, 2), _number(row.suggest_ms, 1),
            *([f"{count} tasks" if count else ""] if failed else []),
        ])  # fmt: skip
    parts = [f"## {folder.name}", text, _table(header, rows)]
    for method in dict.fromkeys(cell.method for cell in failed):
        mine = [cell for cell in failed if cell.method == method]
        parts.append(
            f"`{method}` failed on {len(mine)} of {len(tasks)} tasks, there it ranks last, and its "
            f"other figures are without them. The first, {mine[0].task}: {mine[0].reason}"
        )
    return parts


def _together_part(figures: Figures) -> list[str]:
    """Compare every method with one, on each folder and over all."""
    means = {m: np.mean([figures.auc(f, m).mean() for f in figures.folders])
             for m in figures.methods}  # fmt: skip
    usable = [m for m in figures.methods if np.isfinite(means[m])]
    if not usable:
        return []
    base = "gp_bo" if "gp_bo" in usable else min(usable, key=means.get)
    others = [m for m in usable if m != base]
    parts = [
        f"## Compared with {base}",
        f"AUC divided by that of `{base}` on the same tasks, with the 95 % interval over families; "
        "p by Wilcoxon's signed-rank test over families, corrected for the number of methods "
        "(Holm); on how many tasks it is better, equal, worse.",
    ]
    for folder in figures.folders:
        found = {}
        for method in others:
            ours, theirs, families = figures.pair(folder, method, base)
            if len(set(families)) > 1:
                rng = np.random.default_rng(0)
                found[method] = compare(ours, theirs, families, rng)
        if not found:
            continue
        p_values = holm([c.p_value for c in found.values()])
        rows = [
            [method, _number(c.ratio), _interval(c.low, c.high), f"{p:.2g}",
             f"{c.wins}, {c.ties}, {c.losses}"]
            for (method, c), p in sorted(
                zip(found.items(), p_values, strict=True), key=lambda item: item[0][1].ratio
            )
        ]  # fmt: skip
        header = [folder, "ratio", "95 %", "p", "better, equal, worse"]
        parts.append(_table(header, rows))
    if len(figures.folders) > 1:
        bases = [b for b in ("random", base) if b in usable]
        rows = []
        first = {m: geometric_ratio(figures, m, bases[0], 2)[0] for m in usable}
        for method in sorted(usable, key=lambda m: (np.isnan(first[m]), first[m])):
            row = [method]
            for b in bases:
                ratio, *interval = geometric_ratio(figures, method, b)
                row += [_number(ratio), "" if method == b else _interval(*interval)]
            rows.append(row)
        header = ["method", *(text for b in bases for text in (f"AUC / {b}", "95 %"))]
        parts += [
            f"## Over all {len(figures.folders)} folders",
            "The geometric mean over folders of the ratio of AUCs.",
            _table(header, rows),
        ]
    return parts


def _pairs_part(figures: Figures) -> list[str]:
    """Compare pairs of methods on each folder: over the first ten trials, and over all."""
    rows = []
    for ours, theirs in PAIRS:
        if not {ours, theirs} <= set(figures.methods):
            continue
        for n in (10, figures.n_auc):
            row = [f"{ours} / {theirs}, {n}"]
            for folder in figures.folders:
                a, b, families = figures.pair(folder, ours, theirs, n)
                if len(set(families)) < 2:
                    row.append("-")
                    continue
                c = compare(a, b, families, np.random.default_rng(0))
                row.append(f"{_number(c.ratio, 2)} ({_interval(c.low, c.high, 2)})")
            rows.append(row)
    if not rows:
        return []
    return [
        "## Pairs",
        "The mean regret of one method over the first so many trials, divided by that of another "
        "on the same tasks, with the 95 % interval over families.",
        _table(["pair, trials", *figures.folders], rows),
    ]


def _gap_part(figures: Figures) -> list[str]:
    """The raw score that is missing, since a task with a small range counts as much in regret."""
    trials = [t for t in (10, 50) if t <= figures.n_trials] or [figures.n_trials]
    rows = []
    for method in figures.methods:
        row = [method]
        for folder in figures.folders:
            table = figures.by_task[folder, method]
            gaps = np.array([figures.gaps[folder, task] for task in table.index])
            row += [_number(float(np.mean(table[t] * gaps)) if len(table) else np.nan, 4)
                    for t in trials]  # fmt: skip
        rows.append(row)
    header = ["method", *(f"{folder}, {t}" for folder in figures.folders for t in trials)]
    return [
        "## Score still missing",
        "Best score of the task minus the incumbent's, in the unit of the score, mean over tasks, "
        "after so many trials.",
        _table(header, rows),
    ]
