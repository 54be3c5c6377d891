"""What users rely on in metahpo_lite.policy."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from metahpo_lite import Float, MetaDataset, Policy, PolicySearch, SearchSpace, run, train_policy
from metahpo_lite.bayes import expected_improvement
from metahpo_lite.policy import FEATURES, Belief, State, policy_gradient, practise, trials_left

SPACE = SearchSpace([Float("x", 0, 1)])


def experience(scores):
    """Make experience of scores (n_tasks, n_configs), each task its own family."""
    scores = np.asarray(scores, dtype=float)
    n_tasks, n = scores.shape
    table = pd.DataFrame({
        "task": np.repeat([f"t{i:03}" for i in range(n_tasks)], n),
        "x": np.tile((np.arange(n) + 0.5) / n, n_tasks),
        "score": scores.ravel(),
    })  # fmt: skip
    return MetaDataset.from_trials(table, space=SPACE)


def chosen_first(policy, known):
    """Return the number of the configuration that the policy tries first."""
    return int(policy(Belief(known).state([], np.empty(0), 1.0)).argmax())


# ---- the gradient


@pytest.mark.parametrize("regrets", [[0.0, 1.0], [1.0, 0.0]])
def test_gradient_is_the_exact_one_of_a_two_armed_problem(regrets):
    """One trial: the mean regret is p0 r0 + p1 r1, with p a softmax of w . features."""
    known = experience([[0, 1], [0, 1], [0, 2], [1, 0]])
    belief, regrets = Belief(known), np.array(regrets)
    policy = Policy(np.array([0.3, -0.2, 0.1, 0.2, 0.0, 0.4]))
    state = belief.state([], np.empty(0), trials_left(0, 1))
    p, seen = softmax(policy(state)), state.features()
    exact = p[0] * p[1] * (regrets[0] - regrets[1]) * (seen[0] - seen[1])

    rng, estimates = np.random.default_rng(0), []
    for _ in range(3000):
        searches = [practise(belief, regrets, policy, 1, rng) for _ in range(2)]
        estimates.append(policy_gradient(*map(np.array, zip(*searches, strict=True))))
    error = np.std(estimates, axis=0) / np.sqrt(len(estimates))
    np.testing.assert_array_less(np.abs(np.mean(estimates, axis=0) - exact), 4 * error + 1e-12)
    assert np.abs(exact).max() > 20 * error.max()  # the check would see another sign or size


def test_gradient_is_the_exact_one_of_two_trials():
    """Three configurations, two trials: all six orders, by finite differences."""
    known = experience([[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 0, 1]])
    belief, regrets = Belief(known), np.array([0.4, 1.0, 0.0])

    def mean_regret(weights):
        total = 0.0
        for first in range(3):
            p = softmax(Policy(weights)(belief.state([], np.empty(0), 1.0)))[first]
            state = belief.state([first], -regrets[[first]], 0.0)
            value = Policy(weights)(state)
            value[first] = -np.inf
            for second, q in enumerate(softmax(value)):
                later = min(regrets[first], regrets[second])
                total += p * q * (regrets[first] + later) / 2
        return total

    weights = np.array([0.3, -0.2, 0.1, 0.2, 0.0, 0.4])
    step = 1e-5 * np.eye(6)
    exact = [(mean_regret(weights + h) - mean_regret(weights - h)) / 2e-5 for h in step]
    rng, estimates = np.random.default_rng(0), []
    for _ in range(1500):
        searches = [practise(belief, regrets, Policy(weights), 2, rng) for _ in range(4)]
        estimates.append(policy_gradient(*map(np.array, zip(*searches, strict=True))))
    error = np.std(estimates, axis=0) / np.sqrt(len(estimates))
    np.testing.assert_array_less(np.abs(np.mean(estimates, axis=0) - exact), 4 * error)
    assert np.abs(exact).max() > 10 * error.max()


def test_gradient_of_a_choice_says_what_makes_it_more_probable():
    known = experience([[0, 1, 2], [0, 2, 1], [1, 0, 2]])
    belief, policy = Belief(known), Policy(np.array([0.3, -0.2, 0.1, 0.2, 0.0, 0.4]))
    _, gradients = practise(belief, np.array([0.4, 1, 0]), policy, 1, np.random.default_rng(0))
    state = belief.state([], np.empty(0), 1.0)

    def log_probabilities(weights):
        return np.log(softmax(Policy(weights)(state)))

    step = 1e-6 * np.eye(6)
    exact = np.array(
        [
            log_probabilities(policy.weights + h) - log_probabilities(policy.weights - h)
            for h in step
        ]
    )
    assert any(np.allclose(gradients[0], column, atol=1e-6) for column in (exact / 2e-6).T)


def test_a_search_answers_for_what_it_did_beside_the_others():
    """By hand: 2 searches of 2 trials. Where all find the same, no choice was better."""
    gradients = np.arange(24.0).reshape(2, 2, 6)
    same = np.array([[0.8, 0.3], [0.8, 0.3]])
    np.testing.assert_array_equal(policy_gradient(same, gradients), np.zeros(6))
    found = np.array([[0.8, 0.2], [0.8, 0.4]])  # from the first trial on: 0.5 and 0.6
    ahead = (0.5 - 0.6) * (gradients[0, 0] - gradients[1, 0])
    ahead += (0.1 - 0.2) * (gradients[0, 1] - gradients[1, 1])
    np.testing.assert_allclose(policy_gradient(found, gradients), ahead / 2)


# ---- known best policies


def test_finds_the_policy_that_follows_the_prior_where_one_configuration_is_always_best():
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=(20, 8))
    scores[:, 3] = 2.0
    known = experience(scores)
    policy = train_policy(known, np.random.default_rng(1), n_trials=3, n_updates=60)
    assert chosen_first(policy, known) == 3
    assert policy.curve[-10:].mean() < 0.1 * policy.curve[0]
    weights = dict(zip(FEATURES, policy.weights, strict=True))
    assert weights["prior"] > 0


def test_finds_the_policy_that_takes_risks_where_caution_never_wins():
    """One configuration is always second; one of three others is best. Three trials find it.

    The cautious one has the best prior, so that only practice can teach to leave it out: three
    risky trials have a mean regret of 1/3, one cautious and two risky ones .4.
    """
    scores = [[0.4 if i == 3 else float(i == best) for i in range(4)] for best in range(3)] * 8
    known = experience(scores)
    assert Belief(known).prior.argmax() == 3
    policy = train_policy(known, np.random.default_rng(0), n_trials=3, n_updates=120)
    assert chosen_first(policy, known) != 3
    for best in range(3):
        task = known.replay(f"t{best:03}")
        history = run(PolicySearch(SPACE, np.random.default_rng(0), known, policy, 3), task, 3)
        assert set(history["score"]) == {0.0, 1.0}  # the cautious one was not tried


# ---- training


def test_same_seed_same_policy():
    known = experience(np.random.default_rng(0).normal(size=(12, 6)))
    one, two, other = (
        train_policy(known, np.random.default_rng(seed), n_trials=4, n_updates=3)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.weights, two.weights)
    np.testing.assert_array_equal(one.curve, two.curve)
    assert (one.weights != other.weights).any()


def test_trains_without_the_family_of_the_task():
    """A task's own scores would tell where its best is: with two tasks, each knows the other."""
    known = experience([[0, 0.5, 1], [1, 0.5, 0]])
    policy = train_policy(known, np.random.default_rng(0), n_trials=1, n_updates=40)
    # the prior of each task says the contrary of its scores: to follow it is always wrong
    assert policy.weights[0] < 0


def test_errors_of_training():
    known = experience(np.eye(3))
    with pytest.raises(ValueError, match="experience: got one family"):
        train_policy(known.subset(["t000"]), np.random.default_rng(0), n_trials=2)
    for name, value in (("n_trials", 0), ("n_trials", 4), ("n_updates", 0)):
        with pytest.raises(ValueError, match=name):
            train_policy(known, np.random.default_rng(0), **{"n_trials": 2, name: value})


# ---- the searcher


def test_searches_among_the_configurations_of_the_experience_each_once():
    known = experience(np.random.default_rng(0).normal(size=(10, 7)))
    policy = Policy(np.ones(6))
    searcher = PolicySearch(SPACE, np.random.default_rng(0), known, policy, n_trials=5)
    history = run(searcher, known.replay("t000"), 7)
    assert len({str(config) for config in history["config"]}) == 7
    with pytest.raises(StopIteration):
        searcher.suggest()


def test_a_formula_is_a_policy_too_and_failed_trials_are_the_worst():
    known = experience(np.random.default_rng(0).normal(size=(10, 7)))

    def improvement(state):
        return expected_improvement(state.mean, state.std, state.best)

    searcher = PolicySearch(SPACE, np.random.default_rng(0), known, improvement, n_trials=4)
    for score in (np.nan, 1.0, 0.0):
        searcher.update(searcher.suggest(), score)
    state = searcher.belief.state(searcher.tried, searcher.candidates.scores, 0.0)
    failed, best, worst = state.mean[searcher.tried] - state.prior[searcher.tried]
    assert best > max(failed, worst)
    assert searcher.suggest() in known.configs


def test_another_space_is_refused():
    known = experience(np.eye(3))
    other = SearchSpace([Float("x", 0, 2)])
    with pytest.raises(ValueError, match="space"):
        PolicySearch(other, np.random.default_rng(0), known, Policy(np.ones(6)))
    with pytest.raises(ValueError, match="n_trials"):
        PolicySearch(SPACE, np.random.default_rng(0), known, Policy(np.ones(6)), n_trials=0)


# ---- the state


def test_state_without_trials_is_the_prior():
    belief = Belief(experience(np.random.default_rng(0).normal(size=(10, 7))))
    state = belief.state([], np.empty(0), 1.0)
    np.testing.assert_array_equal(state.mean, belief.prior)
    assert (state.std > 0).all()
    assert state.left == 1.0


def test_trials_say_more_of_what_was_tried():
    belief = Belief(experience(np.random.default_rng(0).normal(size=(30, 7))))
    before, after = belief.state([], np.empty(0), 1.0), belief.state([2, 5], np.array([1, 0]), 0.5)
    assert (after.std[[2, 5]] < 0.5 * before.std[[2, 5]]).all()
    assert after.mean[2] > after.mean[5]
    np.testing.assert_array_equal(after.prior, belief.prior)


@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 0.0), (10.0, 5.0)])
def test_unit_of_the_scores_does_not_matter(scale, shift):
    belief = Belief(experience(np.random.default_rng(0).normal(size=(30, 7))))
    scores = np.array([0.3, 0.9, 0.1])
    one, two = (
        belief.state([1, 2, 4], s, 0.5).features() for s in (scores, scale * scores + shift)
    )
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9)


def test_features_are_in_the_order_of_their_names():
    state = State(np.array([1.0]), np.array([3.0]), np.array([2.0]), 1.0, 0.5)
    seen = dict(zip(FEATURES, state.features()[0], strict=True))
    assert [seen[name] for name in FEATURES[:3]] == [1, 1, np.log(2)]
    assert [seen[name] for name in FEATURES[3:]] == [0.5, 0.5, np.log(2) / 2]


@pytest.mark.parametrize(("t", "n", "left"), [(0, 10, 1), (9, 10, 0), (20, 10, 0), (0, 1, 1)])
def test_trials_left(t, n, left):
    assert trials_left(t, n) == left
