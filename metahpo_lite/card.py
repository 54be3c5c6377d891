"""The data card of experience: what it is, how it was made, under which licences, what is wrong.

It says nothing that depends on the machine or the moment at which a collection was interrupted.
"""

from __future__ import annotations

from typing import Any

from metahpo_lite.catalogue import catalogue

FILES = """## Files

| file | holds |
|---|---|
| `space.json` | the space, and how the scores were made |
| `configs.parquet` | the configurations: index `config`; a cell is missing where a hyperparameter is inactive |
| `scores.parquet` | a row per task and configuration: task, config, score (higher is better), std over the folds, seconds, status (ok, failed, timeout), reason |
| `tasks.parquet` | task, family, rows, features, classes, source, licence |
| `meta_features.parquet` | index `task`; missing where a meta-feature is not defined |

Load it by `MetaDataset.load`. There are scores and meta-features in it, and no raw table.
"""  # noqa: E501


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
    if "metric" in about:
        lines += [
            f"The score is the mean {about['metric']} of {about['folds']} stratified folds. "
            + (f"Tables with more than {about['max_rows']} rows are represented by so many of "
               "them, drawn class by class. " if about["max_rows"] else "")
            + f"Rows, folds and models have the seed {about['seed']}. "
            + (f"An evaluation is stopped after {about['time_limit']:g} seconds. "
               if about["time_limit"] else "")
            + "Configuration 0 is the learner's default, where `draw_configs` made them. "
            "Seconds were measured on a shared machine: they are right to about a factor of two.",
            "",
        ]  # fmt: skip
    if "surrogate" in about:
        lines += [f"Scores are predictions: {about['surrogate']}, seed {about['seed']}.", ""]
    if "versions" in about:
        versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        lines += [f"Begun on {about['date']} with {versions}.", ""]
    lines += [FILES, "## Known flaws", ""]
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
    lines += [
        "- The splits are random: rows of one person, place or day are not kept together.",
        "- The tables are a choice of what is at hand in packages, with a bias to small ones.",
    ]
    for name in tasks.index:
        if note := catalogue().get(name, {}).get("note"):
            lines += [f"- {name}: {note}."]
    lines += ["", "## Tables and licences", "", "| task | family | source | licence |",
              "|---|---|---|---|"]  # fmt: skip
    cells = tasks[["family", "source", "licence"]].astype(object)
    for name, *row in cells.where(cells.notna(), "").itertuples():
        lines += ["| " + " | ".join(str(c).replace("|", "/") for c in (name, *row)) + " |"]
    return "\n".join(lines) + "\n"
