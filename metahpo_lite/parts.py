"""Parts of experience: fewer tasks, configurations or choices, or the best of each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from metahpo_lite.arguments import as_list, is_text, whole_number
from metahpo_lite.datasets import did_you_mean
from metahpo_lite.hyperparameters import Categorical, Hyperparameter
from metahpo_lite.spaces import SearchSpace
from metahpo_lite.storage import config_key


def check_known(kind: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Raise a KeyError about the first name that is not known."""
    for name in given:
        if not is_text(name) or name not in known:
            hint = did_you_mean(str(name), known)
            raise KeyError(f"{kind}: {name!r} is not in this experience{hint}; accepted is "
                           f"one of {len(known)}")  # fmt: skip


def best_configs(experience: Any, n: int) -> pd.DataFrame:
    """Return the best `n` configurations of each task; see `MetaDataset.best_configs`."""
    ok = experience.trials.dropna(subset="score").sort_values(
        ["score", "config"], ascending=[False, True], kind="stable"
    )
    best = ok.groupby("task", sort=False).head(n)
    best = best.assign(rank=best.groupby("task").cumcount() + 1).set_index(["task", "rank"])
    best = best[["config", "score"]].sort_index()
    configs, names = list(experience.configs), experience.space.names
    values = pd.DataFrame(configs, columns=names, dtype=object)
    values = values.iloc[best["config"]].infer_objects().set_axis(best.index)
    return pd.concat([best, values], axis=1)


def of_tasks(experience: Any, tasks: Sequence[str]) -> dict[str, Any]:
    """Return what changes in a `MetaDataset` on fewer tasks; see its `subset`."""
    tasks = [tasks] if isinstance(tasks, str) else as_list("tasks", tasks, "a list of tasks")
    check_known("task", tasks, experience.tasks.index)
    if len(set(tasks)) < len(tasks) or not tasks:
        raise ValueError("tasks: none, or one twice; accepted are different tasks")
    described = experience.meta_features
    return {
        "trials": experience.trials[experience.trials["task"].isin(tasks)],
        "tasks": experience.tasks.loc[tasks],
        "meta_features": None if described is None else described.loc[tasks],
    }


def of_configs(experience: Any, numbers: Sequence[int]) -> dict[str, Any]:
    """Return what changes in a `MetaDataset` of fewer configurations; see its `with_configs`."""
    last = len(experience.configs) - 1
    numbers = [whole_number("numbers", i, 0, last) for i in as_list("numbers", numbers, "a list")]
    place = {number: i for i, number in enumerate(numbers)}
    trials = experience.trials[experience.trials["config"].isin(numbers)]
    return {
        "configs": [experience.configs[i] for i in numbers],
        "trials": trials.assign(config=trials["config"].map(place)),
    }


def of_choices(experience: Any, name: str, choices: Sequence) -> dict[str, Any]:
    """Return what changes in a `MetaDataset` with fewer choices; see its `with_choices`."""
    h = experience.space[name]
    choices = as_list("choices", choices, "a list of choices")
    try:
        if not isinstance(h, Categorical) or not choices:
            raise ValueError
        choices = [h.check(choice) for choice in choices]
    except ValueError:
        raise ValueError(f"choices: got {choices} of {name!r}, accepted are some of "
                         f"{list(getattr(h, 'choices', []))}") from None  # fmt: skip

    kept = {config_key({name: choice}) for choice in choices}  # True is not 1

    def stays(value, h=h):
        return config_key({name: h.check(value)}) in kept

    configs = enumerate(experience.configs)
    left = [i for i, config in configs if name not in config or stays(config[name])]
    if not left:
        raise ValueError(f"choices: no configuration has {name!r} in {choices}, accepted are "
                         "choices that some have")  # fmt: skip
    space: dict[str, Hyperparameter] = {}
    for h in experience.space:
        when = {p: [v for v in some if p != name or stays(v)] for p, some in h.when.items()}
        if all(some and p in space for p, some in when.items()):
            new = {"choices": choices} if h.name == name else {}
            space[h.name] = replace(h, when=when, **new)
    return {**of_configs(experience, left), "space": SearchSpace(list(space.values()))}
