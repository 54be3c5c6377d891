"""Figures that lessons share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metahpo_lite.critical_difference import plot_critical_difference
from metahpo_lite.evaluation import bootstrap_interval
from metahpo_lite.style import STYLES, label_lines, say, show, show_slider

__all__ = [  # a lesson imports from here whatever its figures need
    "STYLES",
    "label_lines",
    "plot_belief",
    "plot_critical_difference",
    "plot_heatmaps",
    "plot_intervals",
    "plot_landscapes",
    "plot_losses",
    "plot_point",
    "plot_race",
    "plot_races",
    "plot_trends",
    "say",
    "show",
    "show_slider",
]


def _other(axes: Axes) -> dict[str, Any]:
    """A line that no known method has, and a marker: others than those of the last such line."""
    i = sum(line.get_label() not in STYLES for line in axes.lines) % 4
    dashes = (5, 5), (1, 4), (2, 4), (10, 5)
    return {"linestyle": (0, dashes[i]), "marker": "d>x+"[i]}


def plot_race(
    axes: Axes, name: str, mean: np.ndarray, low: np.ndarray, high: np.ndarray, every: int = 5
) -> None:
    """Draw one method's line in the race: normalised regret by trial, with its band.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    name : str
        The method; known ones (`STYLES`) look the same in all lessons.
    mean, low, high : arrays of shape (n_trials,)
        As `bootstrap_interval` returns them.
    every : int
        A marker at every so many trials.
    """
    trials = np.arange(1, len(mean) + 1)
    style = STYLES.get(name) or _other(axes)
    (line,) = axes.plot(trials, mean, label=name, markevery=every, markersize=5, **style)
    axes.fill_between(trials, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    top = max(axes.get_ylim()[1], 1.05 * np.max(high))  # of all methods, not of the first alone
    axes.set(xlabel="trial", ylabel="normalised regret (0 = best)", ylim=(0, top))


def plot_point(axes: Axes, name: str, x: float, mean: float, low: float, high: float) -> None:
    """Draw one method's mean at one place, with its interval as a bar.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    name : str
        The method; known ones (`STYLES`) look the same in all lessons.
    x : float
        The trial.
    mean, low, high : float
        As `bootstrap_interval` returns them.
    """
    style = STYLES.get(name) or _other(axes) | {"linestyle": "none"}
    axes.errorbar(x, mean, [[mean - low], [high - mean]], label=name, capsize=4, **style)


def plot_landscapes(
    x: Sequence[float],
    y: Sequence[float],
    scores: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str,
) -> Figure:
    """Draw the scores of several tables over two hyperparameters, with the best of each marked.

    Parameters
    ----------
    x, y : sequences of length n_x and n_y
        The levels of the two hyperparameters, in equal factors, rising; both axes are logarithmic.
    scores : dict of table name to array of shape (n_y, n_x)
        Balanced accuracy, higher is better; each panel has a scale of its own.
    xlabel, ylabel : str
        The names of the two hyperparameters.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = plt.subplots(1, len(scores), sharey=True, figsize=(3 * len(scores), 3))
    for ax, (table, z) in zip(np.atleast_1d(axes), scores.items(), strict=True):
        image = ax.pcolormesh(_edges(x), _edges(y), z)
        row, column = np.unravel_index(np.nanargmax(z), z.shape)
        best = x[int(column)], y[int(row)]
        ax.plot(*best, "*", markersize=14, color="white", markeredgecolor="black")
        ax.set(xscale="log", yscale="log", title=table, xlabel=xlabel)
        ax.minorticks_off()
        bar = figure.colorbar(image, ax=ax)
    bar.set_label("balanced accuracy")
    np.atleast_1d(axes)[0].set_ylabel(ylabel)
    return figure


def plot_heatmaps(
    panels: Mapping[str, pd.DataFrame], title: str, xlabel: str, label: str, limit: float
) -> Figure:
    """Draw tables of numbers as colours, beside each other, with the best of each row marked.

    Parameters
    ----------
    panels : dict of name to DataFrame
        The same rows in all, and their names; the columns of each are named below it.
    title, xlabel : str
        What to see; what the columns are.
    label : str
        What the numbers are, with their unit; higher is better.
    limit : float
        The colours go from minus to plus this number; what lies beyond looks like it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = len(next(iter(panels.values())))
    figure, axes = plt.subplots(
        1, len(panels), sharey=True, squeeze=False, figsize=(10, 2 + 0.16 * rows)
    )
    for ax, (name, table) in zip(axes[0], panels.items(), strict=True):
        image = ax.imshow(table, vmin=-limit, vmax=limit, aspect="auto")
        best = table.to_numpy().argmax(axis=1)
        ax.plot(best, range(rows), "*", markersize=9, color="white", markeredgecolor="black")
        ax.set_xticks(range(table.shape[1]), table.columns, rotation=90)
        ax.set(title=name, xlabel=xlabel)
    axes[0, 0].set_yticks(range(rows), table.index)
    figure.colorbar(image, ax=axes, label=label, extend="both")
    figure.suptitle(title)
    return figure


def _edges(levels: Sequence[float]) -> np.ndarray:
    """Borders halfway between neighbouring levels, on a log scale."""
    logs = np.log(levels)
    steps = np.diff(logs)[[0, *range(len(logs) - 1), -1]] / 2
    return np.exp(np.append(logs - steps[:-1], logs[-1] + steps[-1]))


def plot_belief(
    x: np.ndarray, truth: np.ndarray, steps: Sequence[tuple], title: str, xlabel: str, ylabel: str
) -> Figure:
    """Draw what a surrogate believes of a function, and where it would try next, a panel a step.

    Parameters
    ----------
    x : array of shape (m,)
        Rising.
    truth : array of shape (m,)
        The function, which the surrogate has not seen: a dashed line.
    steps : sequence of (tried, mean, std) or (tried, mean, std, promise)
        `tried` are the indices in x of the trials: dots. `mean` and `std` of the belief, of shape
        (m,): a line, and a band of two standard deviations on both sides. `promise` is the
        acquisition function at x, of shape (m,): below, on a scale of its own in each panel, with
        a dotted line at its maximum.
    title, xlabel, ylabel : str
        What to see; what x and the function are.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = len(steps[0]) - 2  # with or without a promise
    figure, axes = plt.subplots(
        rows, len(steps), sharex=True, sharey="row", squeeze=False, height_ratios=[2, 1][:rows],
        figsize=(max(6.4, 2.3 * len(steps)), 2.8 + 0.8 * rows),
    )  # fmt: skip
    for (top, *below), (tried, mean, std, *promise) in zip(axes.T, steps, strict=True):
        top.fill_between(x, mean - 2 * std, mean + 2 * std, color="#0072B2", alpha=0.2, linewidth=0)
        top.plot(x, truth, "--", color="0.4")
        top.plot(x, mean, "-", color="#0072B2")
        top.plot(x[tried], truth[tried], "o", color="black")
        top.set_title(f"after {len(tried)} trial{'s' * (len(tried) != 1)}")
        for ax, value in zip(below, promise, strict=True):
            ax.fill_between(x, value / max(value.max(), 1e-300), color="#D55E00", linewidth=0)
            ax.set(ylim=(0, 1.1), yticks=[])
            for each in (top, ax):
                each.axvline(x[value.argmax()], color="black", linestyle=":")
    for ax in axes[-1]:
        ax.set_xlabel(xlabel)
    for ax, label in zip(axes[:, 0], (ylabel, "promise"), strict=False):
        ax.set_ylabel(label)
    figure.suptitle(title)
    return figure


def plot_races(
    races: Mapping[str, Mapping[str, np.ndarray]], title: str, ylim: tuple[float, float]
) -> Figure:
    """Draw several races side by side: normalised regret by trial, on a logarithmic scale.

    Parameters
    ----------
    races : dict of name to dict of method to array of shape (n_tasks, n_runs, n_trials)
        A panel a race, the same methods in all; the legend has the order in which they end in
        the last one. Each task is a family of its own; runs are averaged within a task. Bands are
        95 % intervals over tasks (`bootstrap_interval`).
    title : str
        What to see.
    ylim : pair of float
        Lowest and highest regret shown, the lowest above 0.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = plt.subplots(
        1, len(races), sharey=True, squeeze=False, figsize=(3.1 * len(races) + 3.2, 3.8)
    )
    for ax, (name, found) in zip(axes[0], races.items(), strict=True):
        for method, regrets in found.items():
            curves = regrets.mean(axis=1)
            rng = np.random.default_rng(0)
            plot_race(ax, method, *bootstrap_interval(curves, range(len(curves)), rng))
        ax.set_title(f"{name} (n = {len(curves)})")
        ax.label_outer()
    axes[0, 0].set(yscale="log", ylim=ylim)  # of all panels
    lines, _ = axes[0, -1].get_legend_handles_labels()
    lines.sort(key=lambda line: -line.get_ydata()[-1])  # as they end in the last panel
    figure.legend(handles=lines, loc="outside right center", handlelength=5, frameon=False)
    figure.suptitle(title)
    return figure


def plot_intervals(
    panels: Mapping[str, Mapping[str, tuple[float, float, float]]],
    title: str,
    xlabel: str,
    reference: float | None = 1.0,
) -> Figure:
    """Draw intervals as bars, a row each, such as ratios to the regret of another method.

    Parameters
    ----------
    panels : dict of name to dict of row to (middle, low, high)
        A panel each, the same rows in all, drawn from above.
    title : str
        What to see.
    xlabel : str
        What is measured, with its unit.
    reference : float or None
        Where there is no difference: a dotted line.

    Returns
    -------
    matplotlib.figure.Figure
        All panels share their axes.
    """
    rows = len(next(iter(panels.values())))
    figure, axes = plt.subplots(
        1, len(panels), sharex=True, sharey=True, squeeze=False, figsize=(9, 1.3 + 0.3 * rows)
    )
    for ax, (name, found) in zip(axes[0], panels.items(), strict=True):
        if reference is not None:
            ax.axvline(reference, color="grey", linestyle=":")
        for row, (middle, low, high) in found.items():
            ax.plot([low, high], [row, row], "k|-")
            ax.plot(middle, row, "kd")
        ax.set(title=name, xlabel=xlabel)
    axes[0, 0].margins(y=0.2)
    axes[0, 0].invert_yaxis()
    figure.suptitle(title)
    return figure


def plot_trends(
    table: pd.DataFrame | Mapping[tuple, tuple],
    title: str,
    xlabel: str,
    ylabel: str,
    reference: float | None = None,
) -> Figure:
    """Draw how something changes with a setting: lines with intervals as bars, several panels.

    Parameters
    ----------
    table : DataFrame
        A row a point: panel, line, x (the setting), middle, low and high. Panels, lines and
        settings in the order in which they come first; settings are set out at equal steps. All
        lines have all settings; or none has one, x is missing, and each line is a row of the
        figure (see `plot_intervals`). Or a dict of (panel, line, x) to (middle, low, high).
    title : str
        What to see.
    xlabel, ylabel : str
        What is set and what is measured, with their units; of rows, what is measured is `xlabel`.
    reference : float, optional
        Where there is no difference: a dotted line.

    Returns
    -------
    matplotlib.figure.Figure
        All panels share their axes, and have one legend.
    """
    if isinstance(table, Mapping):
        flat = [(*place, *found) for place, found in table.items()]
        table = pd.DataFrame(flat, columns=["panel", "line", "x", "middle", "low", "high"])
    panels = table.groupby("panel", sort=False)
    if table["x"].isna().all():
        rows = {
            name: {row.line: (row.middle, row.low, row.high) for row in lines.itertuples()}
            for name, lines in panels
        }
        return plot_intervals(rows, title, xlabel, reference)
    figure, axes = plt.subplots(1, len(panels), sharey=True, squeeze=False, figsize=(9, 3.2))
    for ax, (name, lines) in zip(axes[0], panels, strict=True):
        if reference is not None:
            ax.axhline(reference, color="grey", linestyle=":")
        lines = list(lines.groupby("line", sort=False))
        for i, (line, points) in enumerate(lines):
            plain: dict[str, Any] = {"color": f"C{i}", "linestyle": ("-", "--", "-.", ":")[i % 4],
                     "marker": "osv^dP"[i % 6]}  # fmt: skip
            # beside each other, so that bars do not cover each other
            places = np.arange(len(points)) + 0.08 * (i - (len(lines) - 1) / 2)
            middle, low, high = points[["middle", "low", "high"]].to_numpy().T
            ax.errorbar(places, middle, [middle - low, high - middle], label=line, capsize=3,
                        markersize=5, **STYLES.get(line, plain))  # fmt: skip
        settings = [x if isinstance(x, str) else f"{x:g}" for x in points["x"]]
        ax.set(title=name, xlabel=xlabel, xticks=range(len(settings)), xticklabels=settings)
        if len("".join(settings)) > 20:  # else they run into each other
            ax.tick_params(axis="x", labelrotation=45)
    axes[0, 0].set_ylabel(ylabel)
    handles, names = axes[0, -1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", handlelength=4, frameon=False)
    figure.suptitle(title)
    return figure


def plot_losses(
    runs: Mapping[Any, Mapping[str, Sequence[float]]],
    what: str,
    ignorant: float,
    ylabel: str = "loss (nats)",
    unseen: str = "validation",
) -> Figure:
    """Draw training and validation loss by epoch, a panel a run.

    Parameters
    ----------
    runs : dict of a hyperparameter's value to a Keras history (``loss`` and ``val_loss``)
    what : str
        The hyperparameter's name, for the titles.
    ignorant : float
        The loss of a model that ignores its inputs: a dotted line.
    ylabel : str
        What the loss is, with its unit.
    unseen : str
        What the network was not trained on, for the legend.

    Returns
    -------
    matplotlib.figure.Figure
        All panels share one scale, cut at twice the loss of ignorance; a dot marks the lowest
        validation loss.
    """
    figure, axes = plt.subplots(1, len(runs), sharey=True, figsize=(8, 2.8), squeeze=False)
    for ax, (value, losses) in zip(axes[0], runs.items(), strict=True):
        epochs, validation = np.arange(1, len(losses["loss"]) + 1), losses["val_loss"]
        ax.axhline(ignorant, color="grey", linestyle=":", label="ignores the table")
        ax.plot(epochs, losses["loss"], "-", color="#000000", label="training")
        ax.plot(epochs, validation, "--", color="#D55E00", label=unseen)
        ax.plot(epochs[np.argmin(validation)], min(validation), "o", color="#D55E00")
        ax.set(title=f"{what} {value:g}", xlabel="epoch", ylim=(0, 2 * ignorant))
    axes[0, 0].set_ylabel(ylabel)
    axes[0, 0].legend(frameon=False, fontsize="small")
    return figure
