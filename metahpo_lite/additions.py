"""Additions: experience with one task more, that of a search which has ended."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd

from metahpo_lite.arguments import check_text
from metahpo_lite.histories import of_search
from metahpo_lite.storage import config_key
from metahpo_lite.trials import surrogate


def with_search(
    experience: Any,
    search: Any,
    name: str | None,
    family: str | None,
    meta_features: pd.Series | None,
) -> dict[str, Any]:
    """Return what changes in a `MetaDataset` when a search is added; see its `add`."""
    if name is None:
        numbers = itertools.count(1)
        name = next(n for n in map("search {}".format, numbers) if n not in experience.tasks.index)
    check_text("name", name)
    check_text("family", name if family is None else family)
    history = of_search(search, experience.space, name)
    if len(history.scores) < 2:
        raise ValueError(f"search: {len(history.scores)} trials have a score, accepted are "
                         "two or more")  # fmt: skip
    if name in experience.tasks.index:
        raise ValueError(f"name: there is a task {name!r} already, accepted is another name")
    known = {config_key(c): s for c, s in zip(history.configs, history.scores, strict=True)}
    predict = surrogate(experience.space.encode(history.configs), history.scores, seed=0).predict
    pairs = zip(experience.configs, predict(experience.points), strict=True)
    scores = [known.get(config_key(config), score) for config, score in pairs]
    trials = pd.DataFrame({"task": name, "config": range(len(scores)), "score": scores})
    tasks = experience.tasks.copy()
    tasks.loc[name, ["family", "source", "licence"]] = [
        name if family is None else family,
        "your own search",
        "",
    ]
    described = experience.meta_features
    if described is not None:
        row = meta_features
        if row is None:  # a study has a sampler, which may have used some
            row = getattr(getattr(search, "sampler", search), "meta_features", None)
        if row is None:
            row = getattr(search, "meta_features_", None)
        if not isinstance(row, pd.Series):
            raise ValueError("meta_features: the search has none, accepted is a Series: "
                             "meta_features(X, y) of its table; this experience has some for "
                             "each task")  # fmt: skip
        if lacking := [n for n in described.columns if n not in row.index]:
            raise ValueError(f"meta_features: {lacking[0]!r} is missing; accepted are those of "
                             "the experience, as from meta_features(X, y)")  # fmt: skip
        row = row[described.columns]
        described = pd.concat([described, row.to_frame(name).T.rename_axis("task")])
    trials = pd.concat([experience.trials, trials], ignore_index=True)
    about = {**experience.about, "added": [*experience.about.get("added", ()), name]}
    return {"trials": trials, "tasks": tasks, "meta_features": described, "about": about}
