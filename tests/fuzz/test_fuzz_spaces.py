"""Search spaces of anything: made and used right, or refused with a clear error."""

import json
import math

import numpy as np
import pytest
from harness import REFUSED, fuzz, in_time, judged
from hypothesis import example
from hypothesis import strategies as st
from optuna import create_study, logging, trial
from optuna import distributions as od
from scipy import stats
from values import anything, arrays, mostly, numbers, scalars, texts

from metahpo_lite import Categorical, Float, Int, SearchSpace

logging.set_verbosity(logging.ERROR)

# ---- strategies

names = mostly(st.sampled_from(["a", "b", "learning rate", "é", "名"]), st.one_of(texts, anything))
logs = mostly(st.booleans())
whens = st.one_of(
    *[st.just({})] * 6,
    st.dictionaries(
        mostly(st.sampled_from("abc"), scalars), st.one_of(anything, st.lists(scalars))
    ),
    anything,
)
choice_lists = st.one_of(
    st.lists(st.sampled_from(["a", "b", 1, True, "1", 0, None, 0.5]), min_size=1, unique_by=repr),
    st.lists(st.sampled_from(["a", "b", 1, 1.0, True, 0, None, 0.5, -0.0, 2**70]), max_size=5),
    st.lists(scalars, max_size=5),
    st.lists(anything, max_size=3),
    anything,
)
SPACE = SearchSpace(
    [
        Float("C", 0.01, 100, log=True),
        Categorical("kernel", ["linear", "rbf", None, True, 1.5]),
        Float("gamma", -1, 10, when={"kernel": ["rbf", True]}),
        Int("layers", 1, 3),
        Int("units", 1, 2**40, log=True, when={"layers": [2, 3], "kernel": ["rbf", True]}),
        Categorical("é", ["\ud800", ""], when={"layers": [3]}),
    ]
)
D = len(SPACE)
configs = st.lists(st.floats(0, 1), min_size=D, max_size=D).map(SPACE.decode)


@st.composite
def odd_configs(draw):
    """A configuration with one or two changes."""
    config = draw(configs)
    for _ in range(draw(st.integers(0, 2))):
        name = draw(mostly(st.sampled_from(SPACE.names), scalars))
        if draw(st.booleans()):
            config.pop(name, None)
        else:
            config[name] = draw(anything)
    return config


@st.composite
def hyperparameters(draw):
    """A hyperparameter that can be made, with odd bounds."""
    ends = sorted(draw(st.lists(st.one_of(numbers.filter(_is_real), st.integers()), min_size=2)))
    kinds = [
        lambda: Float("x", ends[0], ends[-1], log=draw(st.booleans())),
        lambda: Int("x", ends[0], ends[-1], log=draw(st.booleans())),
        lambda: Categorical("x", draw(choice_lists)),
    ]
    return draw(st.sampled_from(kinds))


def _is_real(x) -> bool:
    return isinstance(x, (int, float)) and abs(x) < 1e301


def consistent(h) -> None:
    """What any hyperparameter promises: its values go to the unit interval and back."""
    assert h.n_values >= 1
    for u in (0.0, 1e-9, 0.25, 0.5, 0.9, 1.0):
        value = h.decode(u)
        assert type(h.check(value)) is type(value)
        assert h.check(value) == value
        v = h.encode(value)
        assert 0 <= v <= 1
        again = h.decode(v)
        if isinstance(h, Float):
            assert math.isclose(again, value, rel_tol=1e-9, abs_tol=1e-9 * (h.high - h.low))
        else:
            assert again == value
            assert type(again) is type(value)
    if not isinstance(h, Categorical):
        assert math.isclose(h.decode(0.0), h.low, rel_tol=1e-9, abs_tol=1e-9 * (h.high - h.low))
        assert math.isclose(h.decode(1.0), h.high, rel_tol=1e-9, abs_tol=1e-9 * (h.high - h.low))


def valid(found, space=SPACE) -> None:
    """All configurations are of the space."""
    for config in [found] if isinstance(found, dict) else found:
        assert space.check(config) == config


def same(a, b) -> bool:
    """Equal configurations, but for rounding and with equal types."""
    return a.keys() == b.keys() and all(
        type(a[n]) is type(b[n])
        and (math.isclose(a[n], b[n], rel_tol=1e-9) if isinstance(a[n], float) else a[n] == b[n])
        for n in a
    )


# ---- hyperparameters


ranges = st.one_of(
    st.tuples(numbers, numbers),
    st.lists(numbers.filter(_is_real), min_size=2, max_size=2).map(sorted),
    st.tuples(st.sampled_from([1e-308, 1e-9, 1]), st.sampled_from([2, 1e6, 2**40, 1e300])),
    st.lists(st.integers(-(2**41), 2**41), min_size=2, max_size=2).map(sorted),
)


@fuzz(names, ranges, logs, whens)
def test_float(name, ends, log, when):
    low, high = ends
    judged(lambda: Float(name, low, high, log, when), consistent)


@fuzz(names, ranges, logs, whens)
def test_int(name, ends, log, when):
    low, high = ends
    judged(lambda: Int(name, low, high, log, when), consistent)


@fuzz(names, choice_lists, whens)
def test_categorical(name, choices, when):
    judged(lambda: Categorical(name, choices, when), consistent)


@fuzz(hyperparameters(), st.one_of(anything, st.integers(-9, 9), st.floats(-9, 9)))
def test_value(make, value):
    h = judged(make, consistent)
    if h is REFUSED:
        return
    judged(lambda: h.check(value), lambda got: got == value and h.check(got) == got)


# ---- spaces


@st.composite
def lists_of_hyperparameters(draw):
    kinds = {
        "f": lambda name, when: Float(name, 0, 1, when=when),
        "i": lambda name, when: Int(name, 0, 3, when=when),
        "c": lambda name, when: Categorical(name, ["x", "y", 1, None], when=when),
    }
    made = []
    for name in draw(mostly(st.permutations("abcd"), st.just("aab"))):
        if draw(st.integers(0, 3)) == 3 and made:
            continue
        when = draw(
            mostly(
                st.dictionaries(
                    st.sampled_from("abc"),
                    st.lists(st.sampled_from(["x", "y", 0, 1, None, True, 9]), min_size=1),
                    max_size=2,
                ),
                st.just({}),
            )
        )
        kind = draw(st.sampled_from("fic"))
        if draw(st.integers(0, 15)) < 15:  # the conditions that can be
            able = {h.name: h for h in made if not isinstance(h, Float)}
            when = {p: [able[p].decode(0.3), able[p].decode(0.9)] for p in when if p in able}
        made.append(kinds[kind](name, when))
    if draw(st.integers(0, 15)) == 15:
        made.append(draw(anything))
    return made


@fuzz(mostly(lists_of_hyperparameters()), st.integers(1, 40), st.integers(0, 99))
def test_space(given, n, seed):
    """Samples, grid, JSON and text of any space that can be made."""
    space = judged(lambda: SearchSpace(given))
    if space is REFUSED:
        return
    found = judged(lambda: space.sample(np.random.default_rng(seed), n))
    valid(found, space)
    assert all(same(c, d) for c, d in zip(space.decode(space.encode(found)), found, strict=True))
    valid(judged(lambda: space.sobol(n, np.random.default_rng(seed)), lambda f: len(f) == n), space)
    valid(judged(lambda: space.grid(n), lambda f: 1 <= len(f) <= n), space)
    judged(lambda: SearchSpace.from_json(space.to_json()), lambda read: read == space)
    assert len(str(space).splitlines()) == len(space)


@example({"C": 1.0, "kernel": [], "layers": 1})
@example({"C": 1.0, "kernel": "rbf", "gamma": 1, "layers": np.array([1, 2])})
@fuzz(st.one_of(odd_configs(), anything))
def test_check(config):
    def right(found):
        valid(found)
        assert found == dict(config)

    judged(lambda: SPACE.check(config), right)


@fuzz(st.one_of(odd_configs(), anything))
def test_drop_inactive(config):
    judged(lambda: SPACE.drop_inactive(config), valid)


@fuzz(st.one_of(odd_configs(), st.lists(odd_configs(), max_size=3), anything))
def test_encode(given):
    def right(points):
        assert points.shape == ((D,) if isinstance(given, dict) else (len(given), D))
        assert ((points >= 0) & (points <= 1)).all()
        assert SPACE.decode(points) == SPACE.decode(SPACE.encode(SPACE.decode(points)))

    judged(lambda: SPACE.encode(given), right)


unit = st.lists(st.floats(0, 1), min_size=D, max_size=D)


@fuzz(
    st.one_of(unit, st.lists(unit, min_size=1, max_size=3), arrays((D,), (2, D), (0, D), (D, 1)),
              arrays((1, 1, D)), anything)
)  # fmt: skip
def test_decode(points):
    judged(lambda: SPACE.decode(points), valid)
    judged(lambda: SPACE.snap(points), lambda found: valid(found[0]))


@fuzz(mostly(st.integers(-1, 70)), mostly(st.integers(0, 9).map(np.random.default_rng)))
def test_samples(n, rng):
    judged(lambda: SPACE.sample(rng, n), valid)
    judged(lambda: SPACE.sobol(n, rng), valid)
    judged(lambda: SPACE.grid(n), valid)


@fuzz(st.one_of(st.sampled_from(SPACE.names), anything))
def test_name(name):
    judged(lambda: SPACE[name], lambda h: h.name == name)


# ---- JSON


@st.composite
def json_texts(draw):
    """The JSON of a space, changed in a place or two."""
    rows = json.loads(SPACE.to_json())["hyperparameters"]
    values = st.one_of(
        scalars.filter(_is_json), st.lists(scalars.filter(_is_json), max_size=3),
        st.dictionaries(st.sampled_from(["kernel", "layers", "C", ""]),
                        st.lists(scalars.filter(_is_json), max_size=2), max_size=2),
    )  # fmt: skip
    for _ in range(draw(st.integers(0, 2))):
        row = draw(st.sampled_from(rows))
        key = draw(st.one_of(st.sampled_from([*row]), st.sampled_from(["extra", "", "kind"])))
        if draw(st.booleans()):
            row.pop(key, None)
        else:
            row[key] = draw(values)
    whole = draw(mostly(st.just({"hyperparameters": rows}), st.one_of(values, st.just(rows))))
    text = json.dumps(whole)
    cut = draw(mostly(st.just(len(text)), st.integers(0, len(text))))
    return text[:cut]


def _is_json(value) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


ROW = '{"kind": "float", "name": "x", "low": 0, "high": 1, "log": false, "when": {}}'


@example("[" * 100_000)
@example('{"hyperparameters": ' + "[" * 900 + "]" * 900 + "}")
@example('{"hyperparameters": [' + ROW.replace("1,", "1" * 5000 + ",") + "]}")
@example('{"hyperparameters": [' + ROW.replace("1,", "1e999,") + "]}")
@example('{"hyperparameters": [' + ROW.replace("1,", "NaN,") + "]}")
@example('{"hyperparameters": [' + ROW.replace("}}", '}, "name": "y"}') + "]}")
@example('{"hyperparameters": [' + ROW + "], " + '"hyperparameters": []}')
@example('{"hyperparameters": [[["kind", "float"]]]}')
@example('{"hyperparameters": [[[1, 2]]]}')
@example('{"hyperparameters": {"a": 1}}')
@example('{"hyperparameters": [' + ROW.replace('"x"', '"\\ud800"') + "]}")
@example("\ufeff{}")
@fuzz(st.one_of(json_texts(), anything))
def test_from_json(text):
    def right(space):
        valid(space.sample(np.random.default_rng(0), 3), space)
        assert SearchSpace.from_json(space.to_json()) == space
        for h in space:
            consistent(h)

    judged(lambda: SearchSpace.from_json(text), right)


# ---- other tools


@fuzz(ranges, st.integers(0, 5), names)
def test_from_scipy(ends, kind, name):
    a, b = ends
    name = name if isinstance(name, str) else "x"
    kinds = [
        lambda: stats.uniform(a, b), lambda: stats.loguniform(a, b), lambda: stats.randint(a, b),
        lambda: [a, b], lambda: stats.norm(a, b), lambda: a,
    ]  # fmt: skip
    try:
        given = kinds[kind]()
    except Exception:  # scipy refused it itself
        given = a

    def right(space):
        for h in space:
            consistent(h)

    judged(lambda: SearchSpace.from_scipy({name: given}), right)


@fuzz(anything)
def test_from_other_objects(given):
    judged(lambda: SearchSpace.from_scipy(given))
    judged(lambda: SearchSpace.from_optuna(given))


@fuzz(ranges, st.booleans(), st.integers(0, 3), names, choice_lists)
def test_from_optuna(ends, log, kind, name, choices):
    a, b = ends
    name = name if isinstance(name, str) else "x"
    kinds = [
        lambda: od.FloatDistribution(a, b, log=log),
        lambda: od.IntDistribution(a, b, log=log),
        lambda: od.CategoricalDistribution(choices),
        lambda: a,
    ]
    try:
        given = kinds[kind]()
    except Exception:  # Optuna refused it itself
        given = a

    def right(space):
        for h in space:
            consistent(h)

    judged(lambda: SearchSpace.from_optuna({name: given}), right, warns="optuna|Categorical")


@fuzz(anything, share=0.3)
def test_no_trial(given):
    judged(lambda: SPACE.suggest(given))


@fuzz(hyperparameters(), st.floats(0, 1))
def test_suggest(make, u):
    """A space serves an Optuna trial; what it suggests is of the space."""
    h = judged(make)
    if h is REFUSED:
        return
    space = SearchSpace([h])
    fixed = trial.FixedTrial({"x": h.decode(u)})
    judged(lambda: space.suggest(fixed), lambda c: valid(c, space))
    asked = judged(lambda: create_study().ask(space.to_optuna()))
    if asked is not REFUSED:
        valid(space.drop_inactive(asked.params), space)


# ---- what once went wrong

MENDED = {
    "a set": lambda: Categorical("x", {"a", "b"}),
    "an endless integer": lambda: Float("x", 0, 10**400),
    "too many samples": lambda: SPACE.sample(np.random.default_rng(0), 2**31),
    "too many points": lambda: SPACE.sobol(2**31, np.random.default_rng(0)),
    "too fine a grid": lambda: SPACE.grid(10**9),
    "a seed for a generator": lambda: SPACE.sample(0),
    "a list for a name": lambda: SPACE[["C"]],
    "texts for points": lambda: SPACE.decode(["0.5"] * D),
    "no numbers in scipy": lambda: SearchSpace.from_scipy({"x": stats.uniform("a", None)}),
    "no dict of Optuna": lambda: SearchSpace.from_optuna([1]),
}


@pytest.mark.parametrize("name", MENDED)
def test_what_is_refused(name):
    assert judged(MENDED[name]) is REFUSED


@pytest.mark.parametrize("h", [Int("n", 1, 2**40, log=True), Int("n", 1, 2**40), Float("n", 0, 1)])
def test_a_fine_grid_of_one(h):
    """The levels of one number took cubic time."""
    with in_time(10):
        found = judged(lambda: SearchSpace([h]).grid(1000), valid_of(SearchSpace([h])))
    assert len({config["n"] for config in found}) == 1000


def valid_of(space):
    return lambda found: valid(found, space)
