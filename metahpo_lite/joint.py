"""Many learners, one search: the learner is one more hyperparameter.

Algorithm selection and hyperparameter optimization are then one problem (CASH; Thornton et al.,
2013), and what searches a space searches this one too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from metahpo_lite.hyperparameters import Categorical, Hyperparameter
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.spaces import Config, SearchSpace

LEARNER = "learner"
COMPARABLE = ("metric", "folds", "seed", "max_rows")  # scores that differ in one cannot be compared


def joint_experience(experiences: Mapping[str, MetaDataset]) -> MetaDataset:
    """Put the experience of several learners side by side: learner and configuration in one space.

    Parameters
    ----------
    experiences : dict of name of the learner to MetaDataset
        Of the same tables, scored in the same way. Tasks that one of them lacks are left out.

    Returns
    -------
    MetaDataset
        Its space has the hyperparameter ``learner``, and those of each learner under names such as
        ``svc__C``, active only with that learner. Its configurations are those of all learners,
        one learner after the other, with the scores that they have; meta-features are those of the
        first experience that has any.

    Raises
    ------
    ValueError
        If there is no experience, no task is in all, the scores were not made in the same way
        (`COMPARABLE`), or a task is not of the same family and size in all.
    """
    if not experiences:
        raise ValueError("experiences: got none, accepted are one or more, by the learner's name")
    first, *others = experiences.values()
    for key in COMPARABLE:
        made = {name: e.about.get(key) for name, e in experiences.items()}
        if any(value != made[next(iter(made))] for value in made.values()):
            raise ValueError(f"{key}: got {made}, accepted is the same for all: else the scores "
                             "cannot be compared")  # fmt: skip
    names = [t for t in first.tasks.index if all(t in other.tasks.index for other in others)]
    if not names:
        raise ValueError(f"experiences: no task is in all of {list(experiences)}; accepted are "
                         "learners that were tried on the same tables")  # fmt: skip
    parts = {name: e.subset(names) for name, e in experiences.items()}
    tables = first.tasks.loc[names]
    for name, part in parts.items():
        for column in ("family", "rows", "features", "classes"):
            ours, theirs = tables[column], part.tasks[column]
            other = ~((ours == theirs) | (ours.isna() & theirs.isna()))
            if other.any():
                task = other.idxmax()
                raise ValueError(f"{name}: task {task!r} has {column} {theirs[task]}, elsewhere "
                                 f"{ours[task]}; accepted is the same table")  # fmt: skip
    hyperparameters: list[Hyperparameter] = [Categorical(LEARNER, list(parts))]
    configs: list[Config] = []
    trials = []
    for name, part in parts.items():
        hyperparameters += [_renamed(h, name) for h in part.space]
        trials.append(part.trials.assign(config=part.trials["config"] + len(configs)))
        configs += [joint_config(name, config) for config in part.configs]
    described = [p.meta_features for p in parts.values() if p.meta_features is not None]
    same = {k: v for k, v in first.about.items() if all(e.about.get(k) == v for e in others)}
    return MetaDataset(
        SearchSpace(hyperparameters),
        configs,
        pd.concat(trials),
        tables,
        described[0] if described else None,
        same | {"learner": " or ".join(parts)},
    )


def joint_config(learner: str, config: Config) -> Config:
    """Return the configuration of the joint space for a learner's own: ``svc__C`` for ``C``."""
    return {LEARNER: learner, **{f"{learner}__{name}": value for name, value in config.items()}}


def _renamed(h: Hyperparameter, learner: str) -> Hyperparameter:
    when = {LEARNER: [learner], **{f"{learner}__{p}": values for p, values in h.when.items()}}
    return replace(h, name=f"{learner}__{h.name}", when=when)
