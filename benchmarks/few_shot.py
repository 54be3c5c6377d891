"""What lesson 12 reads of few-shot: a meta-model fine-tuned with 3, 10 and 30 tasks.

    python -m benchmarks.few_shot

It takes a quarter of an hour on one core, and writes ``benchmarks/few_shot.csv``: the regret of the
fine-tuned meta-model as a share of each rival's, a row a case, number of trials (1: the first
proposal; 5: the best of the first five), panel (learner), line (rival) and x (number of few tasks),
with its 95 % interval over families. Regret is normalised, and the mean over `SEEDS` seeds.

Cases: *learner*, a meta-model of the two other learners; *space*, one of the same learner before a
choice was added (`NEW`). A third of the families is left out at a time: nothing of them is in what
any method knows, of whatever learner. Methods, from the same few tasks: ``tuned``, the meta-model
fine-tuned; ``scratch``, one that saw nothing else; ``default``, the single best default, and the
next best; ``portfolio``, whose first is that default. And for *space* alone ``old``: the default
and the next best of the space as it was, from all known tasks of it, and none of the new ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import default_rng

from benchmarks import TENSORFLOW
from metahpo_lite import (
    MetaDataset,
    PerformancePredictor,
    compare,
    greedy_portfolio,
    joint_experience,
)
from metahpo_lite.learners import LEARNERS
from metahpo_lite.storage import write_file

NEW = {  # the choices that were there before, and so which one is new
    "svc": ("kernel", ["rbf", "linear"]),
    "hist_gradient_boosting": ("class_weight", ["none"]),
    "mlp": ("activation", ["tanh"]),
}
RIVALS = {  # as the lesson calls them
    "scratch": "scratch",
    "default": "few tasks' default",
    "portfolio": "portfolio",
    "old": "old default",
}
SHOTS, SEEDS, THIRDS = (3, 10, 30), 10, 3
RESULTS = Path(__file__).with_name("few_shot.csv")


def sources(case: str, learner: str, known: dict[str, MetaDataset]) -> MetaDataset:
    """Return what the meta-model is first fitted to."""
    if case == "space":
        return known[learner].with_choices(*NEW[learner])
    return joint_experience({name: e for name, e in known.items() if name != learner})


def proposals(
    case: str, known: MetaDataset, old: MetaDataset, new: MetaDataset, seed: int
) -> Iterator[tuple[int, str, np.ndarray]]:
    """Yield (few tasks, method, numbers of its first five configurations, (n_tasks, 5))."""
    fitted = PerformancePredictor("network", "listwise", seed).fit(old)
    order = default_rng(seed).permutation(known.tasks.index)
    for n in SHOTS:
        few = known.subset(list(order[:n]))
        scratch = PerformancePredictor("network", "listwise", seed).fit(few)
        for method, model in (("tuned", fitted.fine_tune(few)), ("scratch", scratch)):
            yield n, method, ranked(-model.predict(new.meta_features, new.configs))
        first = [new.configs.index(config) for config in greedy_portfolio(few, 5)]
        yield n, "portfolio", np.tile(first, (len(new.tasks), 1))
        yield n, "default", np.tile(ranked(few.regrets.mean(axis=0)), (len(new.tasks), 1))
        if case == "space":
            best = [new.configs.index(old.configs[i]) for i in ranked(old.regrets.mean(axis=0))]
            yield n, "old", np.tile(best, (len(new.tasks), 1))


def ranked(regrets) -> np.ndarray:
    """Return the numbers of the five of least regret."""
    return np.argsort(np.asarray(regrets), axis=-1, kind="stable")[..., :5]


def main() -> None:
    """Run all, and write the results."""
    os.environ |= TENSORFLOW  # before it is imported
    experience = {name: MetaDataset.load(name) for name in LEARNERS}
    rows = []
    for case in ("learner", "space"):
        for learner, e in experience.items():
            for seed in range(SEEDS):
                for third in range(THIRDS):
                    new = e.subset(list(e.tasks.index[third::THIRDS]))
                    known = {name: without(other, new) for name, other in experience.items()}
                    old, r = sources(case, learner, known), new.regrets.to_numpy()
                    for n, method, first in proposals(case, known[learner], old, new, seed):
                        best = np.minimum.accumulate(np.take_along_axis(r, first, axis=1), axis=1)
                        rows += [
                            (case, learner, n, task, f"{method}_{i}", value)
                            for i in (1, 5)
                            for task, value in zip(new.tasks.index, best[:, i - 1], strict=True)
                        ]
                print(case, learner, "seed", seed, flush=True)
    table = pd.DataFrame(rows, columns=["case", "learner", "few", "task", "method", "regret"])
    keys = ["case", "learner", "few", "task"]
    found = summary(table.pivot_table("regret", keys, "method", sort=False))
    write_file(RESULTS, found.to_csv(index=False))


def summary(regrets: pd.DataFrame) -> pd.DataFrame:
    """Compare the fine-tuned meta-model with each rival, over families."""
    families = pd.concat([MetaDataset.load(name).families for name in LEARNERS])
    families = families[~families.index.duplicated()]
    rows = []
    for (case, learner, few), t in regrets.groupby(level=[0, 1, 2], sort=False):
        family = families[t.index.get_level_values("task")]
        for trials, rival in product((1, 5), RIVALS):
            ours, theirs = t[f"tuned_{trials}"], t[f"{rival}_{trials}"]
            if theirs.notna().all() and not (trials == 1 and rival == "portfolio"):
                found = compare(ours, theirs, family, default_rng(0)).interval
                rows.append((case, trials, learner, RIVALS[rival], few, *found))
    columns = ["case", "trials", "panel", "line", "x", "middle", "low", "high"]
    return pd.DataFrame(rows, columns=columns).round(4)


def without(experience: MetaDataset, new: MetaDataset) -> MetaDataset:
    """Return the experience without the families of some tasks."""
    return experience.without([f for f in new.families if f in set(experience.families)])


if __name__ == "__main__":
    main()
