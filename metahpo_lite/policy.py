"""A learned acquisition function: a policy that practised on known tasks which trial comes next.

Expected improvement is derived; a policy is learned by reinforcement. It searches known tasks, and
what it did before good results becomes more probable. The state is what is believed of each
configuration and how many trials are left, the action is the next configuration, the reward is
minus the regret (as Volpp et al., 2020, who have a network where this has six weights).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from metahpo_lite.arguments import whole_number
from metahpo_lite.bayes import Candidates, standardise
from metahpo_lite.gaussian_process import posterior
from metahpo_lite.inputs import normal_ranks
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.spaces import Config, SearchSpace, check_same_space
from metahpo_lite.storage import config_key
from metahpo_lite.warmstart import FLAT, NOISE, OFFSET, View

FEATURES = ("prior", "z", "log sd", "prior x left", "z x left", "log sd x left")
TASKS, SEARCHES = 16, 4  # of each update: so many tasks, each searched so often
STEP = 0.1  # of a weight in an update, at first


@dataclass(frozen=True, eq=False)
class State:
    """What a policy sees before it chooses a trial: each configuration's prospects.

    Attributes
    ----------
    prior, mean, std : numpy.ndarray of shape (n,)
        Of each configuration: its mean score over the known tasks; the posterior mean and standard
        deviation of its score on this task, after the trials so far.
    best : float
        The incumbent's score; before the first trial, the mean of the prior.
    left : float
        The share of the trials that are left: 1 before the first, 0 before the last.
    """

    prior: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    best: float
    left: float

    def features(self) -> np.ndarray:
        """Return what the policy weighs, shape (n, 6): see `FEATURES`.

        The prior; z, by how many standard deviations the mean is above the incumbent; the
        logarithm of the standard deviation; and each of them times what is left.
        """
        seen = np.column_stack([self.prior, (self.mean - self.best) / self.std, np.log(self.std)])
        return np.hstack([seen, seen * self.left])


class Belief:
    """Experience as one Gaussian process over its configurations (after Wang et al., 2024).

    Parameters
    ----------
    experience : MetaDataset

    Attributes
    ----------
    prior : numpy.ndarray of shape (n,)
        The mean over tasks of the normal ranks of the scores, in the unit of the deviations.
    covariance : numpy.ndarray of shape (n, n)
        Of a task's deviations from it, in part smooth; and a level, which is left free.
    """

    def __init__(self, experience: MetaDataset):
        ranks = normal_ranks(-experience.regrets)
        view = View.of(experience.points, experience.space.categorical, ranks)
        self.prior, self.covariance = view.mean, view.together(view)[0] + OFFSET

    def state(self, tried: list[int], scores: np.ndarray, left: float) -> State:
        """Return the state after trials: the numbers of configurations, and their scores."""
        m, K = self.prior, self.covariance
        if not tried:
            return State(m, m, np.sqrt(np.diag(K) - OFFSET), float(m.mean()), left)
        z = standardise(scores) * max(m[tried].std(), FLAT) + m[tried].mean()
        noisy = K[np.ix_(tried, tried)] + NOISE * np.eye(len(tried))
        mean, std = posterior(noisy, K[tried], z - m[tried], np.diag(K))
        return State(m, m + mean, std, float(z.max()), left)


@dataclass(frozen=True, eq=False)
class Policy:
    """A softmax policy: it chooses a configuration with probability exp(w . features) / sum.

    Attributes
    ----------
    weights : numpy.ndarray of shape (6,)
        Of `FEATURES`.
    curve : numpy.ndarray of shape (n_updates,)
        The mean regret of its searches, while it was trained.
    """

    weights: np.ndarray
    curve: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)

    def __call__(self, state: State) -> np.ndarray:
        """Return the value of each configuration, shape (n,)."""
        return state.features() @ self.weights


class PolicySearch:
    """Tries what an acquisition function, learned or derived, values most: experience as belief.

    Parameters
    ----------
    space : SearchSpace
        That of the experience.
    rng : numpy.random.Generator
    experience : MetaDataset
        It searches among the configurations of the experience.
    policy : function of a State
        Returns the value of each configuration, shape (n,): a `Policy`, or a formula.
    n_trials : int
        The budget, of which the state says how much is left.

    Raises
    ------
    ValueError
        If the experience has another space, or the budget is below 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        experience: MetaDataset,
        policy: Callable[[State], np.ndarray],
        n_trials: int = 10,
    ):
        check_same_space(space, experience.space)
        self.policy, self.n_trials = policy, whole_number("n_trials", n_trials)
        self.belief = Belief(experience)
        self.candidates = Candidates(space, rng, experience.configs)
        self.number = {key: i for i, key in enumerate(self.candidates.pool_keys)}
        self.tried: list[int] = []

    def suggest(self) -> Config:
        """Propose the configuration of the highest value; StopIteration when none is left."""
        left = trials_left(len(self.tried), self.n_trials)
        value = self.policy(self.belief.state(self.tried, self.candidates.scores, left))
        return self.candidates.best(lambda _: value[self.candidates.left])

    def update(self, config: Config, score: float) -> None:
        """Learn how a configuration of the experience did; NaN is a failed trial."""
        self.candidates.update(config, score)
        self.tried.append(self.number[config_key(self.candidates.space.check(config))])


def trials_left(t: int, n_trials: int) -> float:
    """Return the share of the trials that are left after t: 1 before the first, 0 at the last."""
    return max(0.0, 1 - t / max(n_trials - 1, 1))


# ---------------------------------------------------------------------- reinforcement


def practise(
    belief: Belief, regrets: np.ndarray, policy: Policy, n_trials: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Search a known task once, and note what made the choices more probable.

    Parameters
    ----------
    belief : Belief
        Of other families than the task's.
    regrets : array of shape (n,)
        Of all configurations on the task.
    policy : Policy
    n_trials : int
    rng : numpy.random.Generator

    Returns
    -------
    found : numpy.ndarray of shape (n_trials,)
        The regret of the best so far.
    gradients : numpy.ndarray of shape (n_trials, 6)
        Of the logarithm of each choice's probability, by the weights.
    """
    tried: list[int] = []
    gradients = []
    for t in range(n_trials):
        state = belief.state(tried, -regrets[tried], trials_left(t, n_trials))
        seen = state.features()
        value = seen @ policy.weights
        value[tried] = -np.inf  # each once
        probability = softmax(value)
        tried.append(int(rng.choice(len(value), p=probability)))
        gradients.append(seen[tried[-1]] - probability @ seen)
    return np.minimum.accumulate(regrets[tried]), np.array(gradients)


def policy_gradient(found: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Estimate how the weights change the mean regret of a task (REINFORCE; Williams, 1992).

    A choice answers for the regret from then on, beside what other searches of this task had at
    the same trial: that baseline changes no mean, and lowers the variance (Kool et al., 2019).

    Parameters
    ----------
    found : array of shape (n_searches, n_trials)
    gradients : array of shape (n_searches, n_trials, 6)
        From at least two searches, as `practise` returns them.

    Returns
    -------
    numpy.ndarray of shape (6,)
        The gradient of the mean over trials of the regret of the best so far.
    """
    later = found[:, ::-1].cumsum(axis=1)[:, ::-1] / found.shape[1]  # from this trial on
    others = (later.sum(axis=0) - later) / (len(later) - 1)
    return ((later - others)[:, :, None] * gradients).sum(axis=1).mean(axis=0)


@threadpool_limits.wrap(limits=1)  # of small matrices, threads cost more than they save
def train_policy(
    experience: MetaDataset, rng: np.random.Generator, n_trials: int = 10, n_updates: int = 60
) -> Policy:
    """Train a policy on the tasks of the experience, each believed without its own family.

    It begins with weights of 0, which is random search.

    Parameters
    ----------
    experience : MetaDataset
        Of at least two families.
    rng : numpy.random.Generator
        The same state gives the same policy.
    n_trials : int
        The budget that it is trained for.
    n_updates : int
        How often the weights change, each time after 4 searches of each of 16 tasks.

    Returns
    -------
    Policy

    Raises
    ------
    ValueError
        If there is only one family, a number is below 1, or there are more trials than
        configurations.
    """
    whole_number("n_trials", n_trials, 1, len(experience.configs))
    whole_number("n_updates", n_updates)
    families = experience.families
    if families.nunique() < 2:
        raise ValueError("experience: got one family, accepted are two or more: each task is "
                         "believed without its own family")  # fmt: skip
    beliefs = {family: Belief(experience.without(family)) for family in families.unique()}
    regrets = experience.regrets.to_numpy()
    policy = Policy(np.zeros(len(FEATURES)))
    mean = square = np.zeros(len(FEATURES))
    curve = []
    for update in range(1, n_updates + 1):
        gradient, total = np.zeros(len(FEATURES)), 0.0
        tasks = rng.choice(len(regrets), min(TASKS, len(regrets)), replace=False)
        for task in tasks:
            belief = beliefs[families.iloc[task]]
            searches = [
                practise(belief, regrets[task], policy, n_trials, rng) for _ in range(SEARCHES)
            ]
            found, gradients = map(np.array, zip(*searches, strict=True))
            gradient = gradient + policy_gradient(found, gradients) / len(tasks)
            total += found.mean() / len(tasks)
        # Adam (Kingma & Ba, 2015): steps of about the same size for all weights
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        step = mean / (1 - 0.9**update) / np.sqrt(square / (1 - 0.99**update) + 1e-12)
        curve.append(total)
        policy = Policy(policy.weights - STEP * step, np.array(curve))
    return policy
