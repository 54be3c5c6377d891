"""The script behind lesson 13: what it changes in experience, and what it makes of the results."""

import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng

from benchmarks import limits
from metahpo_lite import MetaDataset


@pytest.fixture(scope="module")
def svc():
    return MetaDataset.load("svc")


def test_fewer_configurations_keep_their_scores(svc):
    numbers = default_rng(0).permutation(len(svc.configs))[:7]
    part = svc.with_configs(numbers)
    assert list(part.configs) == [svc.configs[i] for i in numbers]
    assert (part.scores.to_numpy() == svc.scores.to_numpy()[:, numbers]).all()
    assert (part.seconds.to_numpy() == svc.seconds.to_numpy()[:, numbers]).all()
    for wrong, match in (([0, 201], "numbers: got"), ([-1], "numbers: got"), ([], "configs: none")):
        with pytest.raises(ValueError, match=match):
            svc.with_configs(wrong)
    with pytest.raises(ValueError, match="configs: none, or one occurs twice"):
        svc.with_configs([3, 3])


def test_the_own_family_is_never_known(svc):
    order = list(svc.tasks.index[:5])
    part = limits.other_families(svc, order[1], order, 3)
    assert list(part.tasks.index) == [order[0], order[2], order[3]]


@pytest.mark.parametrize("kind", limits.CHANGES)
def test_a_share_of_the_tasks_is_spoiled(svc, kind):
    bad = limits.altered(svc, limits.CHANGES[kind], 0.25, default_rng(0))
    ours, theirs = bad.scores.to_numpy(), svc.scores.to_numpy()
    changed = (ours != theirs).any(axis=1)
    assert changed.sum() == round(0.25 * len(svc.tasks))
    if kind == "wrong sign":
        assert (ours[changed] == -theirs[changed]).all()
        assert limits.flagged(svc, bad) == (1, 0)
    elif kind == "shuffled":
        assert (np.sort(ours, axis=1) == np.sort(theirs, axis=1)).all()
    else:
        noise = (ours - theirs)[changed] / theirs[changed].std(axis=1, keepdims=True)
        assert noise.std() == pytest.approx(3 if "3" in kind else 1, rel=0.05)


def test_saved_trials():
    """A cold search that loses a hundredth a trial is at 0.9 with trial 10, at 0.75 with 25."""
    n = len(MetaDataset.load("svc").tasks.index[:: limits.EVERY])
    curves = np.tile(1 - np.arange(1, limits.LONG + 1) / 100, (n, 1))
    assert limits.saved("svc", curves, np.full(n, 0.9 + 1e-9)) == (0, 0, 0)
    assert limits.saved("svc", curves, np.full(n, 0.75 + 1e-9)) == (15, 15, 15)


def test_stored_results_agree_with_each_other():
    """The lesson reads them; a part that was not run again would disagree."""
    tables = {p.stem[7:]: pd.read_csv(p) for p in limits.HERE.glob("limits_*.csv")}
    assert set(tables) == {
        *("reference", "distance", "demand", "price", "bill", "corruption", "spoiled"),
        *("bias", "complexity", "trees", "metric"),
    }
    for table in tables.values():
        assert (table["low"] <= table["middle"]).all()
        assert (table["middle"] <= table["high"]).all()
        assert set(table["panel"]) <= set(limits.LEARNERS)
    # two ways to the same mean regret: the cold search of the searched tasks
    demand, spoiled = (tables[k] for k in ("demand", "corruption"))
    for name in limits.LEARNERS:
        cold = [t[t["panel"] == name].eval("regret / middle") for t in (demand, spoiled)]
        assert np.ptp(np.concatenate(cold)) < 1e-3
