"""What the two scripts on transfer keep apart, and how they count."""

import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng

from benchmarks import few_shot, transfer
from metahpo_lite import MetaDataset


@pytest.fixture(scope="module")
def experience():
    return {name: MetaDataset.load(name) for name in few_shot.LEARNERS}


@pytest.mark.parametrize("learner", few_shot.LEARNERS)
def test_nothing_of_a_new_family_is_known(experience, learner):
    e = experience[learner]
    new = e.subset(list(e.tasks.index[1::3]))
    known = {name: few_shot.without(other, new) for name, other in experience.items()}
    for case in ("learner", "space"):
        old = few_shot.sources(case, learner, known)
        assert not set(old.families) & set(new.families)
        name, left = few_shot.NEW[learner]
        if case == "space":
            assert {config[name] for config in old.configs} == set(left)
            assert set(left) < set(e.space[name].choices)
        else:
            assert not set(old.space.names) & set(e.space.names)


def test_ratios_of_the_same_tasks_over_families(experience):
    tasks = list(experience["svc"].tasks.index[:20])
    index = pd.MultiIndex.from_product(
        [["space"], ["svc"], [3], tasks], names=["case", "learner", "few", "task"]
    )
    regrets = pd.DataFrame({f"{method}_{i}": 0.1 if method == "tuned" else 0.2
                            for method in ("tuned", *few_shot.RIVALS) for i in (1, 5)},
                           index=index)  # fmt: skip
    found = few_shot.summary(regrets)
    assert np.allclose(found[["middle", "low", "high"]], 0.5)
    assert len(found) == 7  # the portfolio's first is the default
    no_old = regrets.assign(old_1=np.nan, old_5=np.nan)
    assert set(few_shot.summary(no_old)["line"]) == {"scratch", "few tasks' default", "portfolio"}


def test_draws_of_digits_are_balanced_and_apart():
    order = transfer.balanced(default_rng(0).permutation(len(transfer.digits.target)))
    assert sorted(order) == list(range(len(order)))
    counts = np.bincount(transfer.digits.target[order[:300]])
    assert (counts == 30).all()
    found = transfer.few(order[order % 2 == 0], 5, default_rng(0))
    assert (np.bincount(transfer.y[found]) == 5).all()
    assert len(set(found)) == 25
    with pytest.raises(ValueError, match="rows: a class has fewer than 200"):
        transfer.few(order[:300], 200, default_rng(0))


def test_weights_carried_to_the_same_classes_are_those_of_the_old_task(monkeypatch):
    pytest.importorskip("tensorflow")
    monkeypatch.setattr(transfer, "STEPS", 1)
    monkeypatch.setattr(transfer, "DRAWS", 1)
    order = transfer.balanced(default_rng(0).permutation(len(transfer.digits.target)))
    low = order[transfer.digits.target[order] < 5]
    old, rows = low[: transfer.OLD], low[transfer.OLD :]
    new = {transfer.SAME: rows, transfer.OTHER: rows}  # as other classes: new outputs
    config = transfer.DEFAULT | {"rate": 1e-7}  # the new task teaches nothing
    make = transfer.network

    def network(n, _, seed):
        return make(n, transfer.DEFAULT if n == 1 else config, seed)

    monkeypatch.setattr(transfer, "network", network)
    same, other = transfer.compete(transfer.DEFAULT, old, new, 0)[:, 0, :, 0]
    assert same[1] > 0.9
    assert max(same[0], *other) < 0.7


def test_points_won_are_against_neither_in_the_same_split():
    rows = [(split, task, k, way, value + 0.1 * split) for split in range(3) for task in "ab"
            for k in (5, 10)
            for way, value in (("neither", 0.5), ("weights", 0.6), ("hyperparameters", 0.5),
                               ("both", 0.4))]  # fmt: skip
    found = transfer.summary(
        pd.DataFrame(rows, columns=["split", "panel", "x", "line", "accuracy"])
    )
    won = found[found["x"].isna()].set_index(["panel", "line"])
    assert np.allclose(won.loc[("a", "weights"), ["middle", "low", "high"]].astype(float), 10)
    assert np.allclose(won.loc[("b", "both"), ["middle", "low", "high"]].astype(float), -10)
    assert len(found) == 2 * 2 * 4 + 2 * 3
