"""MetaSampler: Optuna runs the study, experience says what it tries."""

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from metahpo_lite import MetaDataset, MetaSampler, SearchSpace, WarmStart, enqueue_portfolio, run
from metahpo_lite.hyperparameters import Float, Int
from metahpo_lite.spaces import Config

SVC = MetaDataset.load("svc")
SVC = SVC.subset(list(SVC.tasks.index[:12]))
TASKS = list(SVC.tasks.index)
KNOWN = replace(SVC.subset(TASKS[1:]), meta_features=None)
SPACE = KNOWN.space
REPLAY = SVC.replay(TASKS[0])


pytestmark = pytest.mark.usefixtures("quiet_optuna")


def study(direction="maximize", experience=KNOWN, storage=None, **given):
    sampler = MetaSampler(experience, **{"pool": KNOWN.configs, "seed": 0} | given)
    return optuna.create_study(direction=direction, sampler=sampler, storage=storage)


def replayed(trial):
    return REPLAY.evaluate(SPACE.suggest(trial))


def tried(study) -> list[Config]:
    return [SPACE.drop_inactive(trial.params) for trial in study.trials]


def different(study) -> int:
    return len({str(sorted(config.items())) for config in tried(study)})


@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("task", TASKS[:3])
def test_a_study_tries_what_a_warm_start_tries(task, described):
    """The same any-time regret on a replayed task: the same trials, in the same order."""
    known = SVC.without(SVC.families[task])
    row = SVC.meta_features.loc[task] if described else None
    searcher = WarmStart(SPACE, np.random.default_rng(3), known, row, SVC.configs)
    history = run(searcher, SVC.replay(task), 12)
    ours = study(experience=known, meta_features=row, pool=SVC.configs, seed=3)
    ours.optimize(lambda trial: SVC.replay(task).evaluate(SPACE.suggest(trial)), 12)
    assert tried(ours) == history["config"].tolist()
    assert ours.best_value == history["incumbent"].iloc[-1]


def test_minimise_is_maximise_turned_round():
    up, down = study(), study("minimize")
    up.optimize(replayed, 10)
    down.optimize(lambda trial: -replayed(trial), 10)
    assert tried(up) == tried(down)
    assert up.best_value == -down.best_value


def test_shipped_experience_by_name_in_the_whole_space():
    ours = optuna.create_study(direction="maximize", sampler=MetaSampler("svc", seed=0))
    ours.optimize(lambda trial: -abs(np.log10(SPACE.suggest(trial)["C"])), 3)
    assert tried(ours)[0] in MetaDataset.load("svc").configs


def test_four_threads_on_one_study():
    ours = study()
    ours.optimize(replayed, 40, n_jobs=4)
    assert [trial.state for trial in ours.trials] == [TrialState.COMPLETE] * 40
    assert different(ours) == 40


CHILD = """
import optuna, pickle, sys
from metahpo_lite import MetaSampler
optuna.logging.set_verbosity(optuna.logging.ERROR)
known, replay = pickle.load(open(sys.argv[2], "rb"))
study = optuna.load_study(study_name="shared", storage=sys.argv[1],
                          sampler=MetaSampler(known, pool=known.configs))
study.optimize(lambda trial: replay.evaluate(known.space.suggest(trial)), 6)
"""


def test_two_processes_on_one_storage(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(study_name="shared", storage=storage, direction="maximize")
    (tmp_path / "known.pickle").write_bytes(pickle.dumps((KNOWN, REPLAY)))
    call = [sys.executable, "-c", CHILD, storage, str(tmp_path / "known.pickle")]
    workers = [subprocess.Popen(call) for _ in range(2)]
    assert [worker.wait(100) for worker in workers] == [0, 0]
    shared = optuna.load_study(study_name="shared", storage=storage)
    assert [trial.state for trial in shared.trials] == [TrialState.COMPLETE] * 12
    assert different(shared) > 8  # the first of both may be the same: they begin at once


def test_trials_that_still_run_are_not_proposed_again():
    ours = study()
    trials = [ours.ask() for _ in range(4)]
    configs = [SPACE.suggest(trial) for trial in trials]
    assert len({str(config) for config in configs}) == 4
    for trial, config in zip(trials[:2], configs, strict=False):
        ours.tell(trial, REPLAY.evaluate(config))
    ours.tell(trials[2], state=TrialState.FAIL)
    assert SPACE.suggest(ours.ask()) not in configs


def test_what_another_process_still_runs_is_not_proposed():
    """Two samplers on one study: all that they share is the storage."""
    storage = optuna.storages.InMemoryStorage()
    first = study(storage=storage)
    second = optuna.load_study(
        study_name=first.study_name, storage=storage,
        sampler=MetaSampler(KNOWN, pool=KNOWN.configs, seed=0),
    )  # fmt: skip
    assert SPACE.suggest(first.ask()) != SPACE.suggest(second.ask())


def test_ask_with_distributions():
    ours = study()
    for _ in range(3):
        trial = ours.ask(SPACE.to_optuna())
        assert set(trial.params) == set(SPACE.names)  # Optuna knows no conditions
        ours.tell(trial, REPLAY.evaluate(SPACE.drop_inactive(trial.params)))
    other = study()
    other.optimize(replayed, 3)
    assert tried(ours) == tried(other)


def told(ours):
    """Let a study propose once more, and return what its searcher was told before."""
    ours.sampler.study_name, scores = None, []

    class Listening(WarmStart):
        def update(self, config, score):
            scores.append(score)
            super().update(config, score)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metahpo_lite.optuna_sampler.WarmStart", Listening)
        SPACE.suggest(ours.ask())
    return scores


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_what_pruned_and_failed_trials_tell(direction, sign):
    ours = study(direction)

    def objective(trial):
        SPACE.suggest(trial)
        if trial.number == 0:
            raise optuna.TrialPruned  # before it had any value
        if trial.number == 1:
            trial.report(0.5, 3)
            trial.report(0.25, 7)
            raise optuna.TrialPruned
        if trial.number == 2:
            raise RuntimeError
        return [0.75, np.nan, np.inf][trial.number - 3]

    ours.optimize(objective, 6, catch=(RuntimeError,))
    states = ["PRUNED", "PRUNED", "FAIL", "COMPLETE", "FAIL", "COMPLETE"]
    assert [trial.state.name for trial in ours.trials] == states
    expected = [np.nan, sign * 0.25, np.nan, sign * 0.75, np.nan, np.nan]
    assert np.array_equal(told(ours), expected, equal_nan=True)


def test_with_a_pruner():
    ours = study()
    ours.pruner = optuna.pruners.MedianPruner(n_startup_trials=2)

    def objective(trial):
        config = SPACE.suggest(trial)
        for step in range(3):
            trial.report(-abs(np.log10(config["C"])) + step / 100, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return -abs(np.log10(config["C"]))

    ours.optimize(objective, 15)
    assert {trial.state for trial in ours.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert different(ours) == 15


def test_what_the_experience_does_not_know_is_sampled_independently():
    def objective(trial):
        extra = [trial.suggest_float("extra", 0, 1), trial.suggest_int("rows", 1, 9)]
        return replayed(trial) + 0 * sum(extra)

    ours = study()
    with pytest.warns(UserWarning, match="the experience does not know it") as caught:
        ours.optimize(objective, 5)
    messages = [str(w.message).split(":")[0] for w in caught]
    assert messages == ["extra", "rows"]  # once each
    assert len({trial.params["extra"] for trial in ours.trials}) == 5
    plain = study()
    plain.optimize(replayed, 5)
    known = [{n: v for n, v in t.params.items() if n in SPACE.names} for t in ours.trials]
    assert known == tried(plain)


def test_trials_of_another_sampler_are_learned_from():
    ours = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    ours.optimize(lambda trial: SPACE.suggest(trial)["C"], 8)
    ours.sampler = MetaSampler(KNOWN, seed=0)
    assert told(ours) == [trial.value for trial in ours.trials[:8]]


def test_trials_that_are_no_use_are_named_once():
    ours = study()
    wide = {"C": optuna.distributions.FloatDistribution(1, 1e9)}
    for i in range(3):
        ours.add_trial(optuna.create_trial(params={"C": 1e8 + i}, distributions=wide, value=1))
    with pytest.warns(UserWarning, match="no use to the experience: C: got 1") as caught:
        ours.optimize(replayed, 3)
    assert len(caught) == 1
    assert len(ours.trials) == 6


def test_a_sampler_and_a_study_survive_pickle():
    half = study()
    half.optimize(replayed, 4)
    first, second = (pickle.loads(pickle.dumps(half)) for _ in range(2))
    for again in (first, second):
        again.optimize(replayed, 4)
    assert tried(first) == tried(second)
    assert different(first) == 8
    other = copy.deepcopy(half.sampler)
    other.reseed_rng()
    assert other.rng.random() != half.sampler.rng.random()


def test_a_pool_that_is_used_up_begins_again():
    ours = study(pool=KNOWN.configs[:3])
    ours.optimize(replayed, 6)
    assert different(ours) == 3


def test_one_sampler_for_two_studies():
    first, second = study(), study()
    second.sampler = first.sampler
    first.optimize(replayed, 5)
    second.optimize(replayed, 5)
    assert tried(first)[0] == tried(second)[0]
    assert different(second) == 5


def test_enqueue_a_portfolio():
    ours = study()
    configs = enqueue_portfolio(ours, KNOWN, 3)
    ours.optimize(replayed, 5)
    assert tried(ours)[:3] == configs
    assert different(ours) == 5
    other = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    assert enqueue_portfolio(other, KNOWN, 3) == enqueue_portfolio(other, KNOWN, 3) == configs
    other.optimize(lambda trial: SPACE.suggest(trial)["C"], 4)
    assert tried(other)[:3] == configs
    assert len(enqueue_portfolio(optuna.create_study(), "svc")) == 5


def test_what_a_trial_keeps_is_json():
    ours = study()
    ours.optimize(replayed, 2)
    for trial, config in zip(ours.trials, tried(ours), strict=True):
        assert json.loads(json.dumps(trial.system_attrs["metahpo_lite:config"])) == config


# ------------------------------------------------------------------ what it refuses


def test_several_objectives_are_refused():
    ours = optuna.create_study(directions=["maximize"] * 2, sampler=MetaSampler(KNOWN))
    with pytest.raises(ValueError, match="study: it has 2 objectives, accepted is one"):
        ours.optimize(lambda trial: (1, replayed(trial)), 1)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (lambda t: t.suggest_float("C", 0.1, 10), "C: the study suggests .*low=0.1.* accepted is"),
        (lambda t: t.suggest_float("C", 1e-2, 1e4), "C: the study suggests .*log=False"),
        (lambda t: t.suggest_int("C", 1, 10), "C: the study suggests IntDistribution"),
        (lambda t: 0 * len(t.suggest_categorical("kernel", ["rbf", "poly"])), "kernel: the study"),
        (lambda t: t.suggest_float("C", 1e-2, 1e4, log=True), "trial 0: config: 'kernel' is miss"),
    ],
)
def test_a_study_of_other_distributions_is_refused(objective, message):
    with pytest.raises(ValueError, match=message):
        study().optimize(objective, 2)


def test_the_order_of_choices_does_not_matter():
    def objective(trial):
        trial.suggest_categorical("kernel", ["linear", "rbf", "poly"])
        return replayed_in_order(trial)

    def replayed_in_order(trial):
        config = {"kernel": trial.params["kernel"]}
        for h in SPACE:
            if h.name != "kernel" and not (h.when and config["kernel"] not in h.when["kernel"]):
                config[h.name] = trial._suggest(h.name, SPACE.to_optuna()[h.name])
        return REPLAY.evaluate(config)

    ours, plain = study(), study()
    ours.optimize(objective, 4)
    plain.optimize(replayed, 4)
    assert tried(ours) == tried(plain)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"experience": "nowhere"}, FileNotFoundError, "'nowhere' is neither shipped nor a folder"),
        ({"experience": 3}, TypeError, "experience: got 3, accepted is a MetaDataset"),
        ({"seed": -1}, ValueError, "seed: got -1"),
        ({"pool": []}, ValueError, "pool: got no"),
        ({"meta_features": SVC.meta_features.iloc[0]}, ValueError, "meta_features: got some"),
        ({"pool": [{"C": 1.0}]}, KeyError, "'kernel' is missing"),
    ],
)
def test_bad_arguments_are_named(given, error, message):
    with pytest.raises(error, match=message):
        study(**given).optimize(replayed, 1)
    with pytest.raises(ValueError, match="n: got 0"):
        enqueue_portfolio(study(), KNOWN, 0)


def test_suggest_in_a_space_with_conditions():
    space = SearchSpace([Int("layers", 1, 3), Float("rate", 0.1, 1, when={"layers": [2, 3]})])
    seen = []
    ours = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    ours.optimize(lambda trial: seen.append(space.suggest(trial)) or 0, 12)
    assert [trial.params for trial in ours.trials] == seen
    assert {frozenset(config) for config in seen} == {
        frozenset(["layers"]), frozenset(["layers", "rate"]),
    }  # fmt: skip
    for config in seen:
        assert space.check(config) == config
