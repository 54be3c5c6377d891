"""OpenBox's RGPE on a pool, run by the Python that has OpenBox: `peers.OpenBoxRGPE` starts it.

It reads JSON lines. The first has ``choices`` of each hyperparameter (none where it is a number),
``points`` of the pool (of choices and numbers in [0, 1]), ``sources`` (the scores of the pool on
each source task) and ``seed``. Then ``{"tell": [number, score]}``, null where the trial failed; or
``{"ask": true}``, answered by a line ``[number, seconds of processor time so far]``.
"""

import json
import os
import sys
import time

import numpy as np
from openbox import Advisor, History, Observation, space
from openbox.acq_optimizer.basic_maximizer import AcquisitionFunctionMaximizer
from openbox.utils.config_space import Configuration
from openbox.utils.constants import FAILED


class OnPool(AcquisitionFunctionMaximizer):
    """OpenBox's order by its acquisition, of what is untried instead of its own candidates."""

    def _maximize(self, acquisition_function, history, num_points, **kwargs):
        return self._sort_configs_by_acq_value(acquisition_function, list(self.untried))


def observation(config, score):
    """Return a trial for OpenBox, which minimises."""
    if score is None:
        return Observation(config, [np.inf], trial_state=FAILED)
    return Observation(config, [-score])


def quicken(model):
    """Make RGPE 9 times as fast, with the same numbers: it compares floats, not arrays of one."""
    normal, train, single = np.random.normal, model.train, model.build_single_surrogate

    def single_of_floats(X, y, normalize_y):
        floats = y.astype(float)
        made = single(X, floats, normalize_y)
        y[:] = floats  # it changes scores that are all the same
        return made

    np.random.normal = lambda mean, spread: normal(mean, spread).ravel().tolist()
    model.train = lambda X, y: train(X, y.astype(object))
    model.build_single_surrogate = single_of_floats


def main():
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what OpenBox prints is no answer
    task = json.loads(sys.stdin.readline())
    rng = np.random.default_rng(task["seed"])
    np.random.seed(task["seed"])  # noqa: NPY002 - RGPE draws by it
    domains = space.Space()
    domains.add_variables([
        space.Categorical(f"x{i}", choices) if choices else space.Real(f"x{i}", 0, 1)
        for i, choices in enumerate(task["choices"])
    ])  # fmt: skip
    points = [{f"x{i}": value for i, value in enumerate(point)} for point in task["points"]]
    pool = [Configuration(domains, point) for point in points]
    number = {config: i for i, config in enumerate(pool)}
    histories = [History(config_space=domains) for _ in task["sources"]]
    for history, scores in zip(histories, task["sources"], strict=True):
        history.observations = list(map(observation, pool, scores))
    rng.shuffle(histories)  # the first trials are the best of the first three
    advisor = Advisor(
        domains,
        transfer_learning_history=histories,
        random_state=task["seed"],
        output_dir=None,
        logger_kwargs={"level": "ERROR"},
    )
    untried = dict.fromkeys(pool)
    advisor.acq_optimizer = OnPool(domains, advisor.rng)
    advisor.acq_optimizer.untried = untried
    advisor.sample_random_configs = lambda *_, **__: [list(untried)[rng.integers(len(untried))]]
    quicken(advisor.surrogate_model)
    for message in map(json.loads, sys.stdin):
        if "tell" in message:
            i, score = message["tell"]
            del untried[pool[i]]
            advisor.update_observation(observation(pool[i], score))
            continue
        config = advisor.get_suggestion()
        if config not in untried:  # one of the first, but told before
            config = advisor._get_bo_candidates(advisor.history)[0]
        print(json.dumps([number[config], time.process_time()]), file=answers, flush=True)


if __name__ == "__main__":
    main()
