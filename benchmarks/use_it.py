"""What lesson 12 reads and is too long for it: which part of a network pays, and many learners.

    python -m benchmarks.use_it

It takes half an hour on one core, and writes

- ``use_it_networks.csv``: networks on the tables that come with the course or with scikit-learn and
  are in the experience "mlp", cross-validated three times, each time with other folds and other
  first weights (the seeds 0, 1 and 2); what is finished lies in ``build/use_it``, and an
  interrupted run goes on there;
- ``use_it_learners.csv``: searches among the configurations of three learners at once, on all
  tasks that the three have, each with the experience of other families: a row a method and task,
  the normalised regret in the joint pool after each trial, mean over runs.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import default_rng
from threadpoolctl import threadpool_limits

from metahpo_lite import (
    BayesianSearch,
    MetaDataset,
    Portfolio,
    WarmStart,
    collect_experience,
    expected_incumbent,
    get_learner,
    greedy_portfolio,
    joint_experience,
    list_datasets,
    race,
    regret_curve,
    run,
    warm_start,
)
from metahpo_lite.learners import LEARNERS
from metahpo_lite.spaces import Config
from metahpo_lite.storage import config_key, write_file

LAYOUTS = ((8,), (32,), (100,), (256,), (8, 8), (32, 16), (64, 32), (128, 128),
           (8, 8, 8), (32, 32, 32), (64, 64, 64), (128, 128, 128))  # fmt: skip
LEARNING_RATES, ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1), (1e-4, 1e-2, 1.0)
USUAL = {
    name: get_learner("mlp").default[name] for name in ("learning_rate", "batch_size", "alpha")
}
FASTER = USUAL | {"learning_rate": 10 * USUAL["learning_rate"]}
FIXED = "64-32 relu"
OURS = "joint warm start"
SEEDS, BUILD, HERE = range(3), Path("build/use_it"), Path(__file__).parent
FOLDS, TRIALS, RUNS = 5, 25, 3


# ---------------------------------------------------------------------- which part pays


def architecture(layout: tuple[int, ...], activation: str) -> Config:
    """Return the part of a configuration that says what network to build."""
    units = {f"units_{i}": n for i, n in enumerate(layout, 1)}
    return {"layers": len(layout), **units, "activation": activation}


def networks() -> dict[tuple[str, str], Config]:
    """Return the configurations by what is changed and how: 60 names for 58 of them.

    "network" are 24 architectures, with the learner's default for how to train them; "network,
    faster" the same with ten times its learning rate; "training" are 12 ways to train 64-32.
    """
    built = {
        f"{'-'.join(map(str, layout))} {activation}": architecture(layout, activation)
        for layout, activation in itertools.product(LAYOUTS, ("relu", "tanh"))
    }
    ways = {
        f"rate {rate:g}, alpha {alpha:g}": USUAL | {"learning_rate": rate, "alpha": alpha}
        for rate, alpha in itertools.product(LEARNING_RATES, ALPHAS)
    }
    return (
        {("network", name): build | USUAL for name, build in built.items()}
        | {("training", name): built[FIXED] | way for name, way in ways.items()}
        | {("faster", name): build | FASTER for name, build in built.items()}
    )


def scores() -> pd.DataFrame:
    """Cross-validate the networks, or go on: a row a seed and table, a column a network."""
    here = list_datasets().query("source in ['shipped', 'scikit-learn']").index
    tables = [name for name in MetaDataset.load("mlp").tasks.index if name in here]
    named = {name: config_key(config) for name, config in networks().items()}
    default = get_learner("mlp").default  # is to be number 0
    configs = list({config_key(c): c for c in (default, *networks().values())}.values())
    found = {}
    for seed in SEEDS:
        e = collect_experience("mlp", tables, configs, BUILD / f"seed_{seed}", seed=seed)
        found[seed] = e.scores.set_axis([config_key(config) for config in e.configs], axis=1)
    table = pd.concat(found, names=["seed"])
    return table[list(named.values())].set_axis(pd.MultiIndex.from_tuples(named), axis=1).round(5)


# ---------------------------------------------------------------------- many learners


def races() -> pd.DataFrame:
    """Search all tasks with each method; a row a task and method, a column a trial."""
    experience = {name: MetaDataset.load(name) for name in LEARNERS}
    joint = joint_experience(experience)
    parts = {name: e.subset(list(joint.tasks.index)) for name, e in experience.items()}
    folds = [list(joint.families[k::FOLDS]) for k in range(FOLDS)]
    rest = [joint.without(fold) for fold in folds]  # for task i: rest[i % FOLDS]
    of = {name: [part.without(fold) for fold in folds] for name, part in parts.items()}

    def cold(i, rng):
        return BayesianSearch(joint.space, rng, joint.configs)

    def five_then_cold(i, rng):
        return warm_start(cold(i, rng), greedy_portfolio(rest[i % FOLDS], 5))

    def warm(i, rng, x=None):  # draws little: one run of it is enough
        return WarmStart(joint.space, default_rng(0), rest[i % FOLDS], x, joint.configs)

    def described(i, rng):
        return warm(i, rng, joint.meta_features.iloc[i])

    found = {}
    for name, part in parts.items():

        def alone(i, rng, name=name, part=part):
            return WarmStart(part.space, default_rng(0), of[name][i % FOLDS], pool=part.configs)

        found[f"{name} alone"] = in_joint(race(alone, part, TRIALS), part, joint)
    alone = np.array(list(found.values()))  # (n_learners, n_tasks, 1, n_trials)
    found["even split"] = even_split(alone)
    best = joint.scores.to_numpy().argmax(axis=1)  # the configurations of a learner are together
    best = np.searchsorted(np.cumsum([len(part.configs) for part in parts.values()]), best, "right")
    found["the right one alone"] = alone[best, np.arange(len(best))]
    found |= {
        "random": expected(joint, TRIALS),
        "cold": race(cold, joint, TRIALS, RUNS),
        "portfolio": race(lambda i, rng: Portfolio(rest[i % FOLDS], TRIALS), joint, TRIALS),
        "five of the portfolio, then cold": race(five_then_cold, joint, TRIALS, RUNS),
        "with meta-features": race(described, joint, TRIALS),
    }
    tried, curves = {}, []
    with threadpool_limits(1):
        for i, name in enumerate(joint.tasks.index):
            task = joint.replay(name)
            history = run(warm(i, None), task, TRIALS)
            curves.append(regret_curve(history["score"], task.best, task.worst, TRIALS))
            tried[name] = " ".join(config["learner"] for config in history["config"])
    tables = {OURS: as_table(np.array(curves)[:, None], joint).assign(learners=tried)}
    tables |= {name: as_table(regrets, joint) for name, regrets in found.items()}
    return pd.concat(tables, names=["method"])


def even_split(alone: np.ndarray) -> np.ndarray:
    """Take turns among searches (n_learners, ..., n_trials): the regret of the best of them."""
    n, trials = len(alone), alone.shape[-1]
    turns = []
    for k, regrets in enumerate(alone):
        regrets = np.repeat(regrets, n, axis=-1)  # it waits while the others are at it
        before = np.ones((*regrets.shape[:-1], k))
        turns.append(np.concatenate([before, regrets], axis=-1)[..., :trials])
    return np.min(turns, axis=0)


def as_table(regrets: np.ndarray, joint: MetaDataset) -> pd.DataFrame:
    """Average regrets (n_tasks, n_runs, n_trials) over runs: a row a task, a column a trial."""
    return pd.DataFrame(regrets.mean(axis=1), joint.tasks.index, range(1, TRIALS + 1)).round(5)


def expected(e: MetaDataset, n_trials: int) -> np.ndarray:
    """Return what random search in the pool expects of its regret, (n_tasks, 1, n_trials)."""
    curves = [-expected_incumbent(-r)[None, :n_trials] for r in e.regrets.to_numpy()]
    return np.array(curves)


def in_joint(regrets: np.ndarray, part: MetaDataset, joint: MetaDataset) -> np.ndarray:
    """Turn regrets in one learner's own pool into those in the pool of all."""
    (best, worst), (own_best, own_worst) = (
        (s.max(axis=1)[:, None, None], s.min(axis=1)[:, None, None])
        for s in (joint.scores.to_numpy(), part.scores.to_numpy())
    )
    return (best - own_best + regrets * (own_best - own_worst)) / (best - worst)


if __name__ == "__main__":
    write_file(HERE / "use_it_networks.csv", scores().to_csv())
    write_file(HERE / "use_it_learners.csv", races().to_csv())
