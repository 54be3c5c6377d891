"""Peers: searchers of other libraries, driven on a pool.

README.md in this folder says how each is driven, and what else was tried. None proposes a
configuration twice, and each may be told of one that it did not propose.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import os
import subprocess
import tempfile
import warnings
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from metahpo_lite.hyperparameters import Categorical
from metahpo_lite.metadata import MetaDataset
from metahpo_lite.search import RandomSearch
from metahpo_lite.spaces import Config, SearchSpace
from metahpo_lite.storage import config_key

INITIAL = 5  # random trials before a model is asked, as for our own Bayesian optimization


class _Pool:
    """The configurations of a pool by number, and which of them were not tried yet."""

    def __init__(self, configs: Sequence[Config]):
        self.configs = list(configs)
        self.number = {config_key(config): i for i, config in enumerate(self.configs)}
        self.untried = np.ones(len(self.configs), bool)

    def left(self) -> np.ndarray:
        """Return the numbers of the untried ones; StopIteration if there are none."""
        if not self.untried.any():
            raise StopIteration
        return np.flatnonzero(self.untried)

    def take(self, config: Config) -> int:
        """Count a configuration as tried, and return its number."""
        number = self.number[config_key(config)]
        self.untried[number] = False
        return number

    def draw(self, random: RandomSearch) -> Config:
        """Return the next untried configuration of a random search."""
        while True:
            config = random.suggest()
            if self.untried[self.number[config_key(config)]]:
                return config


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31 - 1))


class OptunaTPE:
    """Optuna's TPE, whose candidates are all untried configurations of the pool.

    Multivariate, in groups of hyperparameters that are active together (Optuna's setting for
    conditional spaces), in the unit cube, categorical hyperparameters as such.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        pool: Sequence[Config],
        initial: int = INITIAL,
    ):
        import optuna
        from optuna.samplers._tpe import sampler as tpe

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna, self.tpe, self.pool, self.initial = optuna, tpe, _Pool(pool), initial
        self.random = RandomSearch(space, rng, pool)
        self.columns, self.distributions, self.active = {}, {}, {}
        groups: dict[bytes, list[str]] = {}
        for h, column in zip(space, space.encode(self.pool.configs).T, strict=True):
            kind = optuna.distributions.FloatDistribution(0.0, 1.0)
            if isinstance(h, Categorical):
                places = [h.choices.index(c.get(h.name, h.choices[0])) for c in self.pool.configs]
                column = np.array(places)
                kind = optuna.distributions.CategoricalDistribution(range(len(h.choices)))
            self.columns[h.name], self.distributions[h.name] = column, kind
            self.active[h.name] = np.array([h.name in c for c in self.pool.configs])
            groups.setdefault(self.active[h.name].tobytes(), []).append(h.name)
        self.groups = list(groups.values())
        self.sampler = optuna.samplers.TPESampler(multivariate=True)
        self.study = optuna.create_study(direction="maximize", sampler=self.sampler)

    def suggest(self) -> Config:
        """Return the configuration with the largest l(x)/g(x); at random at first."""
        left = self.pool.left()
        states = (self.optuna.trial.TrialState.COMPLETE,)
        trials = self.study.get_trials(deepcopy=False, states=states)
        if len(trials) < self.initial:
            return self.pool.draw(self.random)
        parts = self.tpe._split_trials(self.study, trials, self.tpe.default_gamma(len(trials)))
        log_ratio = np.zeros(len(left))
        for names in self.groups:
            active = self.active[names[0]][left]
            if active.any():
                candidates = {name: self.columns[name][left[active]] for name in names}
                good, bad = (self._density(names, part).log_pdf(candidates) for part in parts)
                log_ratio[active] += good - bad
        return self.pool.configs[left[log_ratio.argmax()]]

    def _density(self, names: Sequence[str], trials: Sequence):
        """Return TPE's density of the hyperparameters of a group."""
        known = [trial for trial in trials if names[0] in trial.params]
        group = {name: self.distributions[name] for name in names}
        return self.sampler._build_parzen_estimator(self.study, group, known, handle_below=True)

    def update(self, config: Config, score: float) -> None:
        """Tell the study."""
        states, failed = self.optuna.trial.TrialState, math.isnan(score)
        number = self.pool.take(config)
        names = [name for name in self.columns if self.active[name][number]]
        self.study.add_trial(
            self.optuna.trial.create_trial(
                state=states.FAIL if failed else states.COMPLETE,
                value=None if failed else score,
                params={name: self.columns[name][number].item() for name in names},
                distributions={name: self.distributions[name] for name in names},
            )
        )


class SkoptGP:
    """scikit-optimize's Gaussian process and expected improvement, over the untried pool."""

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        pool: Sequence[Config],
        initial: int = INITIAL,
    ):
        import skopt

        self.pool, self.initial = _Pool(pool), initial
        self.random = RandomSearch(space, rng, pool)
        dimensions, columns = [], []
        for h, column in zip(space, space.encode(self.pool.configs).T, strict=True):
            dimension, values = skopt.space.Real(0.0, 1.0), column.tolist()
            if isinstance(h, Categorical):
                values = [str(config.get(h.name, "inactive")) for config in self.pool.configs]
                dimension = skopt.space.Categorical(list(dict.fromkeys(values)))
            if len(set(values)) > 1:
                dimensions.append(dimension)
                columns.append(values)
        self.points = [list(point) for point in zip(*columns, strict=True)]
        self.optimizer = skopt.Optimizer(
            dimensions,
            "GP",
            n_initial_points=initial,
            acq_func="EI",
            acq_optimizer="sampling",
            acq_optimizer_kwargs={"n_points": 10},  # its own candidates are not in the pool
            model_queue_size=1,
            random_state=_seed(rng),
        )
        self.X = self.optimizer.space.transform(self.points)
        self.waiting: list[int] = []  # failed before any trial succeeded

    def suggest(self) -> Config:
        """Return the configuration with the largest expected improvement; at random at first."""
        from skopt.acquisition import gaussian_ei

        left = self.pool.left()
        if len(self.optimizer.yi) < self.initial:
            return self.pool.draw(self.random)
        opt = self.optimizer
        gain = gaussian_ei(self.X[left], opt.models[-1], min(opt.yi))
        return self.pool.configs[left[gain.argmax()]]

    def update(self, config: Config, score: float) -> None:
        """Tell the optimizer, which minimises; a failed trial counts as the worst so far."""
        self.waiting.append(self.pool.take(config))
        losses = self.optimizer.yi
        if math.isnan(score) and not losses:
            return
        loss = max(losses) if math.isnan(score) else -score
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its model says when a length scale is at its bound
            for number in self.waiting:
                self.optimizer.tell(self.points[number], loss)
        self.waiting = []


# ---------------------------------------------------------------------- Syne Tune


def _scores(experience: MetaDataset) -> pd.DataFrame:
    """Return the scores, tasks x configurations, with the worst of the task where one failed."""
    scores = experience.scores
    return scores.apply(lambda row: row.fillna(row.min()), axis=1)


class SyneTuneZeroShot:
    """Syne Tune's ZeroShotTransfer, to which a configuration is its number in the pool."""

    def __init__(self, rng: np.random.Generator, experience: MetaDataset):
        from syne_tune.config_space import randint
        from syne_tune.optimizer.schedulers.transfer_learning import (
            transfer_learning_task_evaluation as evaluation,
        )
        from syne_tune.optimizer.schedulers.transfer_learning import zero_shot

        self.pool = _Pool(experience.configs)
        space = {"config": randint(0, len(self.pool.configs) - 1)}
        numbers = pd.DataFrame({"config": np.arange(len(self.pool.configs))})
        evaluations = {
            task: evaluation.TransferLearningTaskEvaluations(
                space, numbers, ["score"], row.to_numpy().reshape(-1, 1, 1, 1)
            )
            for task, row in _scores(experience).iterrows()
        }
        logging.getLogger(zero_shot.__name__).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.scheduler = zero_shot.ZeroShotTransfer(
                space,
                "score",
                evaluations,
                do_minimize=False,
                sort_transfer_learning_evaluations=False,
                random_seed=_seed(rng),
            )

    def suggest(self) -> Config:
        """Return its next configuration; its `suggest` would be that of a random search."""
        self.pool.left()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas, about a future version
            return self.pool.configs[int(self.scheduler.get_config()["config"])]

    def update(self, config: Config, score: float) -> None:
        """It learns nothing from the target."""
        self.pool.take(config)


class SyneTuneCTS:
    """Syne Tune's quantile-based transfer (CTS), whose candidates are the untried pool."""

    def __init__(self, space: SearchSpace, rng: np.random.Generator, experience: MetaDataset):
        from syne_tune.config_space import choice, uniform
        from syne_tune.optimizer.schedulers.transfer_learning import (
            transfer_learning_task_evaluation as evaluation,
        )
        from syne_tune.optimizer.schedulers.transfer_learning.quantile_based import (
            quantile_based_searcher as quantile_based,
        )

        pool = self.pool = _Pool(experience.configs)
        domains, columns = {}, {}
        for h, column in zip(space, experience.points.T, strict=True):
            domains[h.name], columns[h.name] = uniform(0.0, 1.0), column
            if isinstance(h, Categorical):
                values = [str(config.get(h.name, "inactive")) for config in pool.configs]
                domains[h.name], columns[h.name] = choice(list(dict.fromkeys(values))), values
        frame = pd.DataFrame(columns)
        rows = frame.to_dict("records")
        evaluations = {
            task: evaluation.TransferLearningTaskEvaluations(
                domains,
                frame,
                ["loss"],
                -row.to_numpy().reshape(-1, 1, 1, 1),  # it minimises
            )
            for task, row in _scores(experience).iterrows()
        }

        class OnPool(quantile_based.QuantileBasedSurrogateSearcher):
            """Its 100,000 random candidates cost no time, and are replaced by the pool."""

            def _sample_random_config(self):
                return rows[0]

        with contextlib.redirect_stdout(io.StringIO()):  # it prints how long it takes
            self.searcher = OnPool(domains, evaluations, random_seed=_seed(rng))
        self.mean = self.searcher.model_pipeline.predict(frame).reshape(-1, 1)  # (n_configs, 1)
        self.spread = float(self.searcher.sigma_pred[0, 0])  # one for all

    def suggest(self) -> Config:
        """Draw a score for each untried configuration, and return the best."""
        left = self.pool.left()
        s = self.searcher
        s.X_candidates = pd.DataFrame({"number": left})
        s.mu_pred, s.sigma_pred = self.mean[left], np.full((len(left), 1), self.spread)
        return self.pool.configs[int(s.suggest()["number"])]

    def update(self, config: Config, score: float) -> None:
        """It learns nothing from the target."""
        self.pool.take(config)


# ---------------------------------------------------------------------- OpenBox


def _end(process: subprocess.Popen, errors: IO[str]) -> None:
    process.kill()
    process.communicate()
    errors.close()


class OpenBoxRGPE:
    """OpenBox's RGPE (Feurer et al., 2018), in a process of the Python that OPENBOX_PYTHON names.

    OpenBox pins an older numpy than ours. The process, `openbox_worker.py`, ends with the searcher.

    Attributes
    ----------
    other_seconds : float
        Processor time of the process.
    """

    worker = Path(__file__).with_name("openbox_worker.py")

    def __init__(self, space: SearchSpace, rng: np.random.Generator, experience: MetaDataset):
        self.pool, self.other_seconds = _Pool(experience.configs), 0.0
        columns, choices = [], []
        for h, column in zip(space, experience.points.T, strict=True):
            choices.append([])
            columns.append(column.tolist())
            if isinstance(h, Categorical):
                columns[-1] = [str(config.get(h.name, "inactive")) for config in self.pool.configs]
                choices[-1] = list(dict.fromkeys(columns[-1]))
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe could fill
        self.process = subprocess.Popen(
            [os.environ["OPENBOX_PYTHON"], "-u", str(self.worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        weakref.finalize(self, _end, self.process, self.errors)
        self._send({"choices": choices, "points": list(zip(*columns, strict=True)),
                    "sources": _scores(experience).to_numpy().tolist(),
                    "seed": _seed(rng)})  # fmt: skip

    def _send(self, message: dict) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died: the next answer says so
            print(json.dumps(message), file=self.process.stdin, flush=True)

    def suggest(self) -> Config:
        """Return the configuration with the largest expected improvement."""
        self.pool.left()
        self._send({"ask": True})
        answer = self.process.stdout.readline()
        if not answer:
            code = self.process.wait()
            self.errors.seek(0)
            last = self.errors.read().strip().rpartition("\n")[2]
            raise RuntimeError(f"OPENBOX_PYTHON: {self.worker.name} ended with code {code}: {last}")
        number, self.other_seconds = json.loads(answer)
        return self.pool.configs[number]

    def update(self, config: Config, score: float) -> None:
        """Tell the process."""
        self._send({"tell": [self.pool.take(config), None if math.isnan(score) else score]})
