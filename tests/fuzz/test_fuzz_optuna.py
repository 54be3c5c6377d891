"""Optuna's studies of any kind: they become experience and guide a search, or are refused."""

import math
import tempfile
import warnings
from pathlib import Path

import optuna
import pytest
from experience_cases import study_file
from harness import REFUSED, fuzz, judged
from hostile import SPACE, experience, json_values, objects, whole
from hypothesis import example
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from values import mostly, texts

from metahpo_lite import MetaDataset, MetaSampler, enqueue_portfolio
from metahpo_lite.optuna_sampler import PROPOSED

E = experience(meta_features=None)
LEFT_OUT = "UserWarning: .* has fewer than two trials with a score: left out"
OURS = "of no use|are no use to the experience|the experience does not know it"


@pytest.fixture(autouse=True)
def _quiet():
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    yield
    optuna.logging.set_verbosity(level)


# ---- strategies


@st.composite
def distributions(draw):
    kind = draw(st.sampled_from(["float", "int", "choices", "log", "step", "one"]))
    if kind == "choices":
        some = st.sampled_from([1.0, 0.5, math.inf, (1, 2), None, True, False]) | texts
        choices = st.lists(some | st.integers(-1, 2), min_size=1, max_size=4)
        return CategoricalDistribution(draw(choices))
    if kind == "int":
        return IntDistribution(-3, draw(st.sampled_from([5, 2**41, 2**53])))
    if kind == "step":
        return draw(
            st.sampled_from([IntDistribution(0, 9, step=3), FloatDistribution(0, 1, step=0.25)])
        )
    if kind == "one":
        return draw(st.sampled_from([IntDistribution(2, 2), FloatDistribution(0.5, 0.5)]))
    low, high = draw(st.sampled_from([(1e-5, 1.0), (0.5, 2.0), (1e-320, 1e-300), (0.1, 1e301)]))
    return FloatDistribution(low, high, log=kind == "log")


@st.composite
def trials(draw, names=("x", "y", "z")):
    """A trial in any state, with some hyperparameters."""
    params, known = {}, {}
    for name in draw(st.lists(st.sampled_from(names) | texts, max_size=3, unique=True)):
        known[name] = distribution = draw(distributions())
        if isinstance(distribution, CategoricalDistribution):
            params[name] = draw(st.sampled_from(distribution.choices))
        elif isinstance(distribution, IntDistribution):
            params[name] = distribution.low
        else:
            params[name] = draw(st.sampled_from([distribution.low, distribution.high]))
    return made(draw, params, known)


@st.composite
def studies(draw):
    """Trials of a few studies that agree on their hyperparameters, but where one is inactive."""
    known = {"k": CategoricalDistribution(["a", "b", None]), "x": draw(distributions()),
             "y": FloatDistribution(1e-3, 1.0, log=True)}  # fmt: skip
    several = []
    for _ in range(draw(st.integers(1, 3))):
        some = []
        for _ in range(draw(st.integers(2, 6))):
            unit = draw(st.floats(0, 1))
            kind = draw(st.sampled_from(["a", "b", None]))
            params = {"k": kind, "x": known["x"].to_external_repr(
                known["x"].to_internal_repr(draw(values_of(known["x"]))))}  # fmt: skip
            if kind != "a":
                params["y"] = 0.001 + 0.999 * unit
            some.append(made(draw, params, {name: known[name] for name in params}))
        several.append(some)
    return several


def values_of(distribution):
    if isinstance(distribution, CategoricalDistribution):
        return st.sampled_from(distribution.choices)
    return st.sampled_from([distribution.low, distribution.high])


def made(draw, params, known):
    states = [TrialState.COMPLETE] * 6 + [*TrialState]
    state = draw(st.sampled_from(states))
    value = draw(st.floats(allow_nan=False) | st.floats(-1, 1))
    value = value if state == TrialState.COMPLETE else None
    steps = draw(st.dictionaries(st.integers(0, 9), st.floats(), max_size=2))
    return optuna.trial.create_trial(
        state=state, value=value, params=params, distributions=known, intermediate_values=steps
    )


@st.composite
def our_trials(draw):
    """A trial of the space, mostly."""
    known = SPACE.to_optuna()
    params = {n: draw(st.sampled_from(d.choices)) if hasattr(d, "choices") else d.low
              for n, d in known.items()}  # fmt: skip
    if not draw(st.integers(0, 3)):
        gone = draw(st.sampled_from([*params]))
        del params[gone], known[gone]
    trial = made(draw, params, known)
    if draw(st.booleans()):
        proposed = draw(mostly(st.sampled_from(E.configs), json_values))
        trial.system_attrs[PROPOSED] = proposed
    return trial


def scored(x, score):
    known = {"x": FloatDistribution(0, 1)}
    return optuna.trial.create_trial(value=score, params={"x": x}, distributions=known)


def study_of(some, direction="maximize", name=None, storage=None):
    study = optuna.create_study(direction=direction, study_name=name, storage=storage)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for trial in some:
            try:
                study.add_trial(trial)
            except ValueError:  # Optuna refuses a change of a hyperparameter's kind
                continue
    return study


# ---- experience


@example([[scored(x, y) for x in (0.1, 0.5)] for y in (3.6e306, 1.0)], "minimize")
@example([[scored(0.1, 3.6e306), scored(0.4, -1e155), scored(0.7, 1), scored(0.9, 2)]], "maximize")
@fuzz(studies() | st.lists(st.lists(trials(), max_size=6), min_size=1, max_size=3),
      st.sampled_from(["maximize", "minimize"]))  # fmt: skip
def test_studies(several, direction):
    studies = [study_of(some, direction, f"s{i}") for i, some in enumerate(several)]
    before = [len(study.trials) for study in studies]
    judged(lambda: MetaDataset.from_optuna(studies, n_configs=3), whole, warns=LEFT_OUT)
    assert [len(study.trials) for study in studies] == before


@example(given=[None])
@example(given=optuna.create_study(directions=["minimize", "maximize"]))
@example(given="redis:")
@example(given="sqlite:///")
@fuzz(given=objects | texts.map("sqlite:///{}".format))
def test_what_is_no_study(given):
    judged(lambda: MetaDataset.from_optuna(given))
    judged(lambda: MetaDataset.from_optuna([study_of([])], space=given), warns=LEFT_OUT)


@pytest.fixture(scope="module")
def stored():
    """The bytes of a storage with a study."""
    with tempfile.TemporaryDirectory() as here:
        return study_file(Path(here) / "studies.db").read_bytes()


def read(content: bytes | None) -> object:
    with tempfile.TemporaryDirectory() as here:
        path = Path(here) / "studies.db"
        if content is not None:
            path.write_bytes(content)
        return judged(lambda: MetaDataset.from_optuna(f"sqlite:///{path}"), whole,
                      keep=[Path(here)], warns=LEFT_OUT)  # fmt: skip


@example(part=0.0)
@fuzz(part=st.floats(0, 1), share=0.4)
def test_a_truncated_file(stored, part):
    read(stored[: int(part * len(stored))])


@fuzz(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=9),
    share=0.4,
)
def test_a_file_with_other_bytes(stored, changes):
    content = bytearray(stored)
    for part, byte in changes:
        content[int(part * len(content))] = byte
    read(bytes(content))


def test_other_files(stored):
    """None is made, and none gets Optuna's tables."""
    assert read(stored) is not REFUSED
    for content in (None, b"", b"text", b"SQLite format 3\0" + bytes(99)):
        assert read(content) is REFUSED


# ---- searches


@fuzz(st.lists(our_trials(), max_size=6), st.sampled_from(["maximize", "minimize"]), share=0.3)
def test_a_study_goes_on(some, direction):
    study = study_of(some, direction)
    study.sampler = MetaSampler(E, pool=E.configs, seed=0)

    def right(trial):
        config = SPACE.drop_inactive(trial.params)  # one that waited had its own
        return config in [*E.configs] or TrialState.WAITING in [t.state for t in some]

    judged(lambda: asked(study), right, warns=OURS)
    judged(lambda: enqueue_portfolio(study, E, 2), lambda found: len(found) == 2)


def asked(study):
    trial = study.ask()
    SPACE.suggest(trial)
    return trial


@fuzz(st.dictionaries(st.sampled_from(["experience", "meta_features", "pool", "seed"]), objects,
                      min_size=1, max_size=2), share=0.5)  # fmt: skip
def test_samplers(given):
    options = {"experience": E, "seed": 0, **given}
    sampler = judged(lambda: MetaSampler(**options))
    if sampler is not REFUSED:
        study = study_of([])
        study.sampler = sampler
        judged(lambda: asked(study), lambda trial: SPACE.drop_inactive(trial.params))


@fuzz(objects, objects)
def test_portfolios(study, n):
    assert judged(lambda: enqueue_portfolio(study, E)) is REFUSED
    judged(lambda: enqueue_portfolio(study_of([]), E, n), lambda found: len(found) <= n)
    judged(lambda: enqueue_portfolio(study_of([]), n), len)
