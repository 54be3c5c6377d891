"""What a user relies on in joint experience: no score changes, and every searcher runs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import use_it
from metahpo_lite import (
    BayesianSearch,
    Categorical,
    Float,
    Int,
    MetaDataset,
    MetaModelSearch,
    NearestTasks,
    Portfolio,
    RandomSearch,
    SearchSpace,
    WarmStart,
    joint_experience,
    run,
)
from metahpo_lite.joint import joint_config

NAMES = ("svc", "hist_gradient_boosting", "mlp")


@pytest.fixture(scope="module")
def parts():
    return {name: MetaDataset.load(name) for name in NAMES}


@pytest.fixture(scope="module")
def joint(parts):
    return joint_experience(parts)


@pytest.fixture(scope="module")
def some(joint):
    return joint.subset(list(joint.tasks.index[::6]))


def own(config):
    """The learner of a joint configuration, and its configuration under its own names."""
    learner = config["learner"]
    return learner, {k.removeprefix(f"{learner}__"): v for k, v in config.items() if k != "learner"}


def small(space, configs, scores, tasks=("a", "b"), about=(), **columns):
    """Experience with a row of scores for each task."""
    trials = pd.DataFrame(
        [(t, i, s) for t, row in zip(tasks, scores, strict=True) for i, s in enumerate(row)],
        columns=["task", "config", "score"],
    )
    table = pd.DataFrame({"family": list(tasks), **columns}, index=list(tasks))
    return MetaDataset(space, configs, trials, table, about=dict(about))


LINE = small(SearchSpace([Float("x", 0, 1)]), [{"x": 0.0}, {"x": 1.0}], [[1, 2], [3, np.nan]])
COIN = small(SearchSpace([Categorical("x", ["up", "down"])]), [{"x": "up"}], [[5], [7]])


def test_by_hand():
    made = joint_experience({"line": LINE, "coin": COIN})
    assert made.space == SearchSpace(
        [
            Categorical("learner", ["line", "coin"]),
            Float("line__x", 0, 1, when={"learner": ["line"]}),
            Categorical("coin__x", ["up", "down"], when={"learner": ["coin"]}),
        ]
    )
    assert list(made.configs) == [
        {"learner": "line", "line__x": 0.0},
        {"learner": "line", "line__x": 1.0},
        {"learner": "coin", "coin__x": "up"},
    ]
    np.testing.assert_array_equal(made.scores, [[1, 2, 5], [3, np.nan, 7]])
    assert made.meta_features is None
    assert made.name == "line or coin"


def test_conditions_of_a_learner_stay():
    space = SearchSpace([Int("layers", 1, 2), Float("u", 0, 1, when={"layers": [2]})])
    deep = small(space, [{"layers": 1}, {"layers": 2, "u": 0.5}], [[1, 2], [3, 4]])
    made = joint_experience({"deep": deep, "coin": COIN})
    assert made.space["deep__u"].when == {"learner": ("deep",), "deep__layers": (2,)}
    assert made.space.check({"learner": "deep", "deep__layers": 1})
    with pytest.raises(ValueError, match="deep__u"):
        made.space.check({"learner": "deep", "deep__layers": 1, "deep__u": 0.5})
    with pytest.raises(ValueError, match="coin__x"):
        made.space.check({"learner": "deep", "deep__layers": 1, "coin__x": "up"})


def test_every_score_of_every_learner_is_there(parts, joint):
    """Scores, seconds, folds' deviations, status: of the tasks that all three have."""
    common = [
        t for t in parts["svc"].tasks.index if all(t in p.tasks.index for p in parts.values())
    ]
    assert list(joint.tasks.index) == common
    assert len(common) > 100
    start = 0
    for name, part in parts.items():
        part = part.subset(common)
        stop = start + len(part.configs)
        assert [own(c) for c in joint.configs[start:stop]] == [(name, c) for c in part.configs]
        mine = joint.trials[joint.trials["config"].between(start, stop - 1)]
        columns = [c for c in mine if c != "config"]
        pd.testing.assert_frame_equal(
            mine[columns].reset_index(drop=True), part.trials[columns].reset_index(drop=True)
        )
        start = stop
    assert start == len(joint.configs)
    pd.testing.assert_frame_equal(joint.meta_features, parts["mlp"].meta_features.loc[common])
    assert joint.about["metric"] == parts["svc"].about["metric"]


def test_a_replayed_task_answers_as_the_learner_does(parts, joint):
    task = joint.replay("glass")
    for name, part in parts.items():
        for i in (0, 100, 200):
            score = part.replay("glass").evaluate(part.configs[i])
            assert task.evaluate(joint_config(name, part.configs[i])) == score
    assert task.best == max(p.scores.loc["glass"].max() for p in parts.values())


def test_points_of_the_cube_and_back(joint):
    points = joint.space.encode(joint.configs)
    np.testing.assert_allclose(joint.space.encode(joint.space.decode(points)), points)
    assert len(np.unique(points, axis=0)) == len(joint.configs)


def test_it_lies_on_disk_as_any_other(joint, some, tmp_path):
    some.save(tmp_path / "joint")
    again = MetaDataset.load(tmp_path / "joint")
    assert again.space == joint.space
    assert again.configs == joint.configs
    pd.testing.assert_frame_equal(again.scores, some.scores)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_a_configuration_has_one_learner_and_all_that_this_needs(seed):
    """Whatever is drawn of the joint space is valid for one learner, and returns to it."""
    made = DRAWN
    for config in made.space.sample(np.random.default_rng(seed), 5):
        learner, its = own(config)
        assert SPACES[learner].check(its) == its
        assert made.space.check(joint_config(learner, its)) == config


SPACES = {
    "deep": SearchSpace(
        [
            Int("layers", 1, 3),
            Int("units_2", 8, 256, log=True, when={"layers": [2, 3]}),
            Categorical("x", [True, 1, None]),
        ]
    ),
    "svc": SearchSpace(
        [Categorical("kernel", ["rbf", "linear"]), Float("x", 0, 1, when={"kernel": ["rbf"]})]
    ),
}
DRAWN = joint_experience(
    {n: small(s, [s.sample(np.random.default_rng(0))], [[1], [2]]) for n, s in SPACES.items()}
)


@pytest.mark.parametrize(
    "make",
    [
        lambda e, rng, x: RandomSearch(e.space, rng, e.configs),
        lambda e, rng, x: BayesianSearch(e.space, rng, e.configs),
        lambda e, rng, x: Portfolio(e, 9),
        lambda e, rng, x: NearestTasks(e.space, rng, e, x, pool=e.configs),
        lambda e, rng, x: MetaModelSearch(e.space, rng, e, x, e.configs),
        lambda e, rng, x: WarmStart(e.space, rng, e, x, e.configs),
        lambda e, rng, x: WarmStart(e.space, rng, e, pool=e.configs),
    ],
)
def test_searchers_search_it_as_any_other(some, make):
    name = some.tasks.index[0]
    searcher = make(some.without(name), np.random.default_rng(0), some.meta_features.loc[name])
    history = run(searcher, some.replay(name), 9)
    assert (history["status"] == "ok").all()
    assert len({str(c) for c in history["config"]}) == 9


@pytest.mark.parametrize("search", [BayesianSearch, WarmStart])
def test_without_a_pool_any_learner_may_be_proposed(joint, some, search):
    """In the whole space, beyond the configurations of the experience."""

    class Task:
        def evaluate(self, config):
            assert joint.space.check(config) == config
            return float(config["learner"] == "mlp")

    given = [some] if search is WarmStart else []
    history = run(search(joint.space, np.random.default_rng(0), *given), Task(), 25)
    assert history["status"].eq("ok").all()
    assert history["incumbent"].iloc[-1] == 1
    learners = [config["learner"] for config in history["config"]]
    assert learners[-5:].count("mlp") >= 3


def test_a_warm_start_goes_to_the_learner_that_is_better():
    """It begins with the one that wins on all known tasks, and leaves it where that one fails."""
    rng = np.random.default_rng(0)
    curves = np.arange(10) + rng.normal(size=(8, 10))
    line = small(LINE.space, [{"x": i / 9} for i in range(10)], curves, tasks="abcdefgh")
    other = replace(line, trials=line.trials.assign(score=line.trials["score"] + 20))
    made = joint_experience({"worse": line, "better": other})
    searcher = WarmStart(made.space, rng, made, pool=made.configs)
    assert searcher.suggest()["learner"] == "better"
    for i, config in enumerate(made.configs):
        if i != 9 and i != 19:
            searcher.update(config, 1.0 if config["learner"] == "worse" else 0.0)
    assert searcher.suggest()["learner"] == "worse"


@pytest.mark.parametrize(
    ("experiences", "message"),
    [
        ({}, "experiences: got none"),
        ({"line": LINE, "coin": replace(COIN, about={"metric": "neg_log_loss"})}, "metric: got"),
        ({"line": replace(LINE, about={"folds": 3}), "coin": COIN}, "folds: got"),
        (
            {"line": replace(LINE, about={"seed": 0}), "coin": replace(COIN, about={"seed": 1})},
            r"seed: got \{'line': 0, 'coin': 1\}",
        ),
        (
            {"line": LINE, "coin": small(COIN.space, [{"x": "up"}], [[5], [7]], tasks="cd")},
            "no task is in all of",
        ),
        (
            {"line": LINE,
             "coin": replace(COIN, tasks=COIN.tasks.assign(family=["a", "other"]))},
            "coin: task 'b' has family other",
        ),
        (
            {n: small(e.space, e.configs, e.scores.to_numpy(), rows=[9, rows])
             for (n, e), rows in zip({"line": LINE, "coin": COIN}.items(), (9, 8), strict=True)},
            "coin: task 'b' has rows 8",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(experiences, message):
    with pytest.raises(ValueError, match=message):
        joint_experience(experiences)


def test_what_lesson_12_reads_is_of_these_networks_and_tasks(joint):
    """The tables that `benchmarks.use_it` has written are those that it would write now."""
    grid = pd.read_csv(use_it.HERE / "use_it_networks.csv", header=[0, 1], index_col=[0, 1])
    assert list(grid.columns) == list(use_it.networks())
    assert (grid["network", use_it.FIXED] == grid["training", "rate 0.001, alpha 0.0001"]).all()
    assert (grid["faster", use_it.FIXED] == grid["training", "rate 0.01, alpha 0.0001"]).all()
    assert sorted(set(grid.index.get_level_values(0))) == list(use_it.SEEDS)
    assert grid.notna().all(axis=None)
    found = pd.read_csv(use_it.HERE / "use_it_learners.csv", index_col=[0, 1])
    ours = found.loc[use_it.OURS]
    assert list(ours.index) == list(joint.tasks.index)
    assert ours["learners"].str.split().map(len).eq(use_it.TRIALS).all()
    regrets = found.drop(columns="learners").to_numpy()
    assert (regrets[:, 1:] <= regrets[:, :-1]).all()
    assert ((regrets >= 0) & (regrets <= 1)).all()


def test_an_even_split_takes_turns():
    alone = np.array([[[0.5, 0.4, 0.1]], [[0.7, 0.3, 0.0]]])  # 2 learners, 1 task, 3 trials
    np.testing.assert_array_equal(use_it.even_split(alone), [[0.5, 0.5, 0.4]])


def test_regret_in_the_pool_of_all(parts, joint):
    part = parts["mlp"].subset(list(joint.tasks.index))
    ours = use_it.in_joint(part.regrets.to_numpy()[:, None], part, joint)[:, 0]
    np.testing.assert_allclose(ours, joint.regrets.to_numpy()[:, 402:])
