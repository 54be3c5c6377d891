"""Portfolios: a few configurations, tried first, that did well on other tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metahpo_lite.arguments import whole_number
from metahpo_lite.distances import expected_regrets
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.search import Searcher
from metahpo_lite.spaces import Config


def greedy_portfolio(
    experience: MetaDataset, n: int, weights: np.ndarray | None = None
) -> list[Config]:
    """Choose `n` configurations that together do well on every task of the experience.

    Each is the one that lowers the mean regret of the best so far most, given those before it
    (Wistuba et al., 2015). The gain is submodular, so that n greedy ones are within 1 - 1/e of
    the best n (Nemhauser et al., 1978).

    Parameters
    ----------
    experience : MetaDataset
    n : int
        All configurations at most.
    weights : array of shape (n_tasks,), optional
        How much each task counts, 0 or more; all alike if not given.

    Returns
    -------
    list of dict
        The best first.

    Raises
    ------
    ValueError
        If `n` is below 1, or the weights are not one number for each task, 0 or more, not all 0.
    """
    regrets = experience.regrets.to_numpy()  # (n_tasks, n_configs)
    weights = np.ones(len(regrets)) if weights is None else np.asarray(weights, dtype=float)
    if weights.shape != (len(regrets),) or not (weights.min() >= 0 and 0 < weights.sum() < np.inf):
        raise ValueError(
            f"weights: got {weights}, accepted is a number for each of the {len(regrets)} tasks, "
            "0 or more, not all 0"
        )
    chosen: list[int] = []
    best = np.full(len(regrets), 2.0)  # worse than the worst
    for _ in range(min(whole_number("n", n), regrets.shape[1])):
        mean = expected_regrets(weights, regrets, best)
        mean[chosen] = np.inf  # each once
        chosen.append(int(mean.argmin()))
        best = np.minimum(best, regrets[:, chosen[-1]])
    return [experience.configs[i] for i in chosen]


class Portfolio:
    """The greedy portfolio as a searcher: its configurations in order, whatever they score.

    Parameters
    ----------
    experience : MetaDataset
    n : int
        How many configurations.
    weights : array of shape (n_tasks,), optional
        How much each task counts (see `greedy_portfolio`).
    """

    def __init__(self, experience: MetaDataset, n: int, weights: np.ndarray | None = None):
        self.left = greedy_portfolio(experience, n, weights)[::-1]

    def suggest(self) -> Config:
        """Return the next configuration; StopIteration when all were tried."""
        if not self.left:
            raise StopIteration
        return self.left.pop()

    def update(self, config: Config, score: float) -> None:
        """A portfolio is fixed before the first trial."""


def warm_start(searcher: Searcher, configs: Sequence[Config]) -> Searcher:
    """Begin a searcher with given configurations; it is told how they did.

    Parameters
    ----------
    searcher : Searcher
        One that learns from trials it did not propose, as `BayesianSearch` does.
    configs : sequence of dict
        Tried first, in this order.

    Returns
    -------
    Searcher
        With the same two methods.
    """
    return _WarmStarted(searcher, list(configs)[::-1])


@dataclass
class _WarmStarted:
    searcher: Searcher
    left: list[Config]

    def suggest(self) -> Config:
        return self.left.pop() if self.left else self.searcher.suggest()

    def update(self, config: Config, score: float) -> None:
        self.searcher.update(config, score)
