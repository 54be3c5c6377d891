"""The data card of experience: what it is, how it was made, under which licences, what is wrong.

It says nothing that depends on the machine or the moment at which a collection was interrupted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from metahpo_lite.catalogue import catalogue

ALIKE = 0.9  # the correlation above which two tasks are looked at
COPY = 0.4  # nearer to a table than this are 97 % of its random halves, and no other table alike

FILES = """## Files

| file | holds |
|---|---|
| `space.json` | the space, and how the scores were made |
| `configs.parquet` | the configurations: index `config`; a cell is missing where a hyperparameter is inactive |
| `scores.parquet` | a row per task and configuration: task, config, score (higher is better), std over the folds, seconds, status (ok, failed, timeout), reason |
| `tasks.parquet` | task, family, rows, features, classes, source, licence |
{described}
Load it by `MetaDataset.load`. There are scores and meta-features in it, and no raw table.
"""  # noqa: E501
DESCRIBED = "| `meta_features.parquet` | index `task`; missing where one is not defined |\n"


def card(experience: Any, command: str = "") -> str:
    """Return the text of ``README.md``.

    Parameters
    ----------
    experience : MetaDataset
    command : str, optional
        What makes it again.
    """
    about, tasks, trials = experience.about, experience.tasks, experience.trials
    status = trials["status"].value_counts()
    families = tasks["family"].nunique()
    lines = [
        f"# Experience: {experience.name}",
        "",
        f"{len(tasks)} tasks of {families} families, each with the same "
        f"{len(experience.configs)} configurations: {len(trials)} evaluations. "
        "Generated, not written: a new collection overwrites this card.",
        "",
        "## How it was made",
        "",
    ]
    if command:
        lines += ["```", command, "```", ""]
        if "@FILE" in command:
            lines += ["FILE holds the names of the tasks below, one a line.", ""]
    if {"metric", "folds", "max_rows", "seed", "time_limit"} <= set(about):
        lines += [
            f"The score is the mean {about['metric']} of {about['folds']} stratified folds. "
            + (f"Tables with more than {about['max_rows']} rows are represented by so many of "
               "them, drawn class by class. " if about["max_rows"] else "")
            + f"Rows, folds and models have the seed {about['seed']}. "
            + (f"An evaluation is stopped after {about['time_limit']:g} seconds. "
               if about["time_limit"] else "")
            + ("Configuration 0 is the learner's default. " if "--configs" in command else "")
            + "Seconds depend on the machine and its load, by about a factor of two.",
            "",
        ]  # fmt: skip
    if {"surrogate", "seed"} <= set(about):
        lines += [f"Scores are predictions: {about['surrogate']}, seed {about['seed']}.", ""]
    if "added" in about:
        lines += [
            f"Added from searches: {', '.join(about['added'])}. Their scores are those of the "
            "search, by its metric and folds; where it did not try a configuration, a surrogate "
            "predicts (100 extremely randomised trees).",
            "",
        ]
    if {"versions", "date"} <= set(about):
        versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        lines += [f"Begun on {about['date']} with {versions}.", ""]
    described = "" if experience.meta_features is None else DESCRIBED
    lines += [FILES.format(described=described), "## Known flaws", ""]
    for kind in ("failed", "timeout"):
        if n := int(status.get(kind, 0)):
            rows = trials[trials["status"] == kind]
            where = rows["task"].value_counts(sort=False)
            tasks_of = ", ".join(f"{task} ({k})" for task, k in where.items())
            lines += [f"- Status {kind}: {n} of {len(trials)} evaluations; by task: {tasks_of}."]
            reasons = rows["reason"].str.slice(0, 100).value_counts()
            lines += [f"- The most frequent reason: {reasons.index[0]}"] if kind == "failed" else []
    flat = experience.scores.nunique(axis=1)
    if len(flat := list(flat.index[flat < 2])):
        lines += [f"- All configurations score the same on: {', '.join(flat)}."]
    lines += ["- The splits are random: rows of one person, place or day are not kept together."]
    known = [catalogue()[name] for name in tasks.index if name in catalogue()]
    if known:
        about = "The tables are a choice of what is at hand in packages, with a bias to small ones."
        lines += [f"- {about}"]
    noted = [f"- {row['name']}: {row['note']}.{_left_out(row)}" for row in known if row["note"]]
    if noted:
        about = "Of single tables, as their sources have them; what is left out is in no task:"
        lines += ["", about, "", *noted]
    lines += _tasks_alike(experience)
    lines += ["", "## Tables and licences", "", "| task | family | source | licence |",
              "|---|---|---|---|"]  # fmt: skip
    cells = tasks[["family", "source", "licence"]].astype(object)
    for name, *row in cells.where(cells.notna(), "").itertuples():
        lines += ["| " + " | ".join(str(c).replace("|", "/") for c in (name, *row)) + " |"]
    return "\n".join(lines) + "\n"


def alike(experience: Any) -> pd.DataFrame:
    """Find the tasks of different families whose scores rank the configurations alike.

    Two tables that are copies of each other do, and should be one family. So do tables that only
    want the same of a learner; their meta-features tell them apart.

    Parameters
    ----------
    experience : MetaDataset

    Returns
    -------
    DataFrame
        A row for each pair with a Spearman correlation above `ALIKE`, highest first: task, other,
        correlation, distance (of the meta-features: root mean square, in standard deviations over
        the tasks), copy (as many features and classes, and a distance below `COPY`).
    """
    tasks, described = experience.tasks, experience.meta_features
    correlation = experience.scores.T.corr("spearman").to_numpy()
    family = tasks["family"].to_numpy()
    one, two = np.nonzero(np.triu(correlation > ALIKE, 1) & (family[:, None] != family))
    distance = pd.Series(np.nan, range(len(one)))
    if described is not None:
        numbers = ((described - described.mean()) / described.std()).to_numpy()
        distance = (pd.DataFrame(numbers[one] - numbers[two]) ** 2).mean(axis=1) ** 0.5
    shape = tasks[["features", "classes"]].to_numpy()
    found = {
        "task": tasks.index[one],
        "other": tasks.index[two],
        "correlation": correlation[one, two],
        "distance": distance,
        "copy": (shape[one] == shape[two]).all(axis=1) & (distance < COPY),
    }
    return pd.DataFrame(found).sort_values("correlation", ascending=False, ignore_index=True)


def _tasks_alike(experience: Any) -> list[str]:
    """List the tasks that are alike, each pair once."""
    pairs, n = alike(experience), len(experience.tasks)
    if pairs.empty:
        return []
    copies = pairs[pairs["copy"]]
    named = ", ".join(f"{a} and {b}" for a, b in zip(copies["task"], copies["other"], strict=True))
    lines = [
        "",
        "## Tasks alike",
        "",
        f"{len(pairs)} of {n * (n - 1) // 2} pairs of tasks are of different families, and yet "
        f"rank the configurations alike: Spearman correlation above {ALIKE}. Copies of one table "
        "do so, and also tables that want the same of the learner. As many features and classes, "
        f"and meta-features within {COPY} standard deviations, as copies have: "
        f"{named or 'none of these pairs'}. Each pair once, with its correlation:",
        "",
    ]
    for task, others in pairs.groupby("task"):
        found = zip(others["other"], others["correlation"], strict=True)
        lines += [f"- {task}: " + ", ".join(f"{other} {r:.2f}" for other, r in found)]
    return lines


def _left_out(row: dict) -> str:
    """Say what of a table no learner saw: a flaw of such a column is none of the task."""
    columns = [name for name in row["drop"].split(";") if name]
    few = columns if len(columns) <= 6 else [*columns[:2], "...", columns[-1]]
    text = f" Left out: {', '.join(few)}." if few else ""
    return text + (" Left out: rows that occur again." if row["rows_rule"] == "distinct" else "")
