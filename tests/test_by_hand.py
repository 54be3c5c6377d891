"""Small promises of several modules, each on an example that can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from experience_cases import dataset, made
from scipy.stats import loguniform, randint, uniform

from metahpo_lite import Categorical, Float, Int, SearchSpace, bayes, worker
from metahpo_lite.about import checked_about
from metahpo_lite.bayes import BayesianSearch, Candidates, standardise
from metahpo_lite.gaussian_process import GaussianProcess
from metahpo_lite.learned_distance import LearnedDistance
from metahpo_lite.search import as_if_failed, suggest_batch

CUBE = SearchSpace([Float(name, 0, 1) for name in "abcdef"])


# ------------------------------------------------------------------ spaces


def test_a_hyperparameter_with_two_parents_needs_both():
    space = SearchSpace([
        Categorical("kernel", ["linear", "rbf"]),
        Int("layers", 1, 2),
        Float("gamma", 0, 1, when={"kernel": ["rbf"], "layers": [2]}),
    ])  # fmt: skip
    for kernel in ("linear", "rbf"):
        for layers in (1, 2):
            config = {"kernel": kernel, "layers": layers, "gamma": 0.5}
            both = kernel == "rbf" and layers == 2
            assert ("gamma" in space.drop_inactive(config)) == both
            if not both:
                with pytest.raises(ValueError, match="gamma: got"):
                    space.check(config)


@pytest.mark.parametrize("n", [4, 16, 64])
def test_sobol_points_have_one_in_each_part_of_each_axis(n):
    points = CUBE.encode(CUBE.sobol(n, np.random.default_rng(0)))
    for u in points.T:
        assert len(set(np.floor(n * u))) == n


def test_scipy_distributions_keep_their_ends_and_their_scale():
    space = SearchSpace.from_scipy({
        "C": loguniform(0.01, 100), "p": uniform(2, 3), "n": randint(1, 5), "kind": ["a", "b"],
    })  # fmt: skip
    assert list(space) == [
        Float("C", 0.01, 100, log=True), Float("p", 2, 5), Int("n", 1, 4),
        Categorical("kind", ["a", "b"]),
    ]  # fmt: skip


# ------------------------------------------------------------------ search


class Told:
    """A searcher that keeps what it is told."""

    def __init__(self):
        self.told = []

    def suggest(self):
        return {"n": len(self.told)}

    def update(self, config, score):
        self.told.append((config["n"], score))


def test_what_still_runs_is_believed_to_have_failed():
    searcher, rng = Told(), np.random.default_rng(0)
    searcher.update({"n": -1}, 0.5)
    liar = as_if_failed(searcher, [{"n": 7}, {"n": 8}], rng)
    assert [n for n, _ in liar.told] == [-1, 7, 8]
    assert np.isnan([score for _, score in liar.told[1:]]).all()
    assert searcher.told == [(-1, 0.5)]  # it is not told
    assert suggest_batch(searcher, 3, rng) == [{"n": 1}, {"n": 2}, {"n": 3}]


# ------------------------------------------------------------------ Bayesian optimization


@pytest.mark.parametrize("seed", range(4))
def test_candidates_come_closer_to_the_most_promising(seed):
    """Of some 500 random points in six dimensions, the nearest is farther off."""
    found = Candidates(CUBE, np.random.default_rng(seed)).best(
        lambda points: -((points - 0.3) ** 2).sum(axis=1)
    )
    assert np.abs(CUBE.encode(found) - 0.3).max() < 0.12


def test_candidates_are_looked_for_around_the_best_trials():
    """A narrow peak is found if it stands where a trial did well, not where one did badly."""
    for place, score in ((0.25, 1.0), (0.25, -1.0)):
        candidates = Candidates(CUBE, np.random.default_rng(0))
        for i in range(12):  # as good as each other, and elsewhere
            candidates.update(dict.fromkeys("abcdef", 0.7 + i / 100), 0.0)
        candidates.update(dict.fromkeys("abcdef", place), score)
        found = candidates.best(lambda p, at=place: -np.abs(p - at).max(axis=1).clip(max=0.15))
        near = np.abs(CUBE.encode(found) - place).max() < 0.15
        assert near == (score > 0)


def test_improvement_is_measured_over_the_best_trial(monkeypatch):
    asked = []

    def noted(mean, std, best):
        asked.append(best)
        return mean

    monkeypatch.setattr(bayes, "log_expected_improvement", noted)
    searcher, scores = BayesianSearch(CUBE, np.random.default_rng(0), initial=1), [0.1, 0.9, 0.4]
    for i, score in enumerate(scores):
        searcher.update(dict.fromkeys("abcdef", i / 10), score)
    searcher.suggest()
    assert set(asked) == {standardise(scores).max()}


def test_a_free_level_adds_to_what_is_not_known():
    """One observation, and a point so far away that only the level is common to both."""
    signal, noise, offset = 1.0, 0.5, 4.0
    process = GaussianProcess(
        np.zeros((1, 1)), np.ones(1), np.array([0.01]), signal, noise, np.array([False]), offset
    )
    mean, std = process.predict(np.ones((1, 1)))
    total = signal + offset + noise
    assert mean[0] == pytest.approx(offset / total)
    assert std[0] ** 2 == pytest.approx(signal + offset - offset**2 / total)


# ------------------------------------------------------------------ experience


@pytest.mark.parametrize(
    "bad",
    [{"learner": 3}, {"folds": "three"}, {"max_rows": 1.5}, {"versions": ["1.0"]}, {"added": [1]},
     {"seconds": np.inf}, {"learner": np.arange(2)}],
)  # fmt: skip
def test_what_experience_says_of_itself_is_of_its_kind(bad):
    with pytest.raises(ValueError, match=r"^about: "):
        checked_about(bad)
    good = {"learner": "svc", "folds": 3, "max_rows": None, "versions": {"a": "1"}, "added": ["b"]}
    assert checked_about(good) == good


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1e101])
def test_a_fold_without_a_finite_score_is_a_failure_with_a_reason(bad, monkeypatch):
    class Task:
        folds = np.array([0.5, bad, 0.7])

        def evaluate_folds(self, config):
            return self.folds

    monkeypatch.setattr(worker, "_hold", lambda job: Task())
    row = worker.evaluate(worker.Job("a", "iris", "svc", {}), 3, {})
    assert (row["status"], row["score"], row["std"]) == ("failed", None, None)
    assert row["reason"].endswith(str(Task.folds.tolist()))
    Task.folds = np.array([0.5, 0.7])
    row = worker.evaluate(worker.Job("a", "iris", "svc", {}), 3, {})
    assert (row["status"], row["reason"]) == ("ok", "")
    assert [row["score"], row["std"]] == pytest.approx([0.6, 0.1])


def test_of_equal_scores_the_first_configuration_is_best():
    configs = [{"x": x, "kind": "a"} for x in (0.3, 0.1, 0.2)]
    known = dataset(configs, np.array([[1, 2, 2], [5, 5, 5]]), None)
    assert known.best_configs(2)["config"].tolist() == [1, 2, 0, 1]
    assert known.best_default() == configs[1]


def test_fewer_configurations_keep_their_scores_in_any_order():
    configs = [{"x": x, "kind": "a"} for x in (0.3, 0.1, 0.2)]
    known = dataset(configs, np.array([[1, 2, 3], [6, 5, 4]]), None)
    some = known.with_configs([2, 0])
    assert list(some.configs) == [configs[2], configs[0]]
    assert some.scores.to_numpy().tolist() == [[3, 1], [4, 6]]


@pytest.mark.parametrize("seed", [5, 10])
def test_a_gain_that_chance_could_make_is_not_believed(seed):
    """Meta-features that say nothing; neighbours are ahead by less than a standard error."""
    assert LearnedDistance(seed=seed).fit(made(shuffled=True, seed=seed)).k_ is None


def test_the_scores_of_a_table_belong_to_its_configurations_in_any_order_of_its_rows():
    configs = [{"x": x, "kind": "a"} for x in (0.3, 0.1, 0.2)]
    known = dataset(configs, np.array([[1.0, 2, 3], [6, 5, 4]]), None)
    rows = known.trials.sample(frac=1, random_state=np.random.RandomState(1))
    again = type(known)(known.space, configs, rows, known.tasks)
    pd.testing.assert_frame_equal(again.scores, known.scores)
