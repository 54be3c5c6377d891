"""What a user relies on in the statistics: intervals that cover, families kept apart."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metahpo_lite import MetaDataset
from metahpo_lite.evaluation import average_seeds, bootstrap_interval, leave_one_family_out

SAME = settings(max_examples=50, deadline=None, derandomize=True)

numbers = st.floats(-1e6, 1e6, allow_nan=False)
scores = st.lists(numbers, min_size=1, max_size=20)


# ------------------------------------------------------------------ bootstrap intervals


def interval(values, families, seed=0, **options):
    return bootstrap_interval(values, families, np.random.default_rng(seed), **options)


@given(scores, st.data())
@SAME
def test_mean_is_exact_and_the_interval_in_order(values, data):
    names = st.lists(st.sampled_from("abc"), min_size=len(values), max_size=len(values))
    mean, low, high = interval(values, data.draw(names), draws=200)
    assert mean == np.mean(values)
    assert low <= high
    slack = 1e-9 * max(map(abs, values), default=1)
    assert min(values) - slack <= low
    assert high <= max(values) + slack


def test_interval_shrinks_with_the_root_of_the_number_of_families():
    values = np.tile(np.random.default_rng(1).normal(size=100), 16)
    widths = {}
    for n in (100, 1600):
        _, low, high = interval(values[:n], range(n))
        widths[n] = high - low
        assert widths[n] == pytest.approx(2 * 1.96 * values[:n].std() / np.sqrt(n), rel=0.1)
    assert widths[100] / widths[1600] == pytest.approx(4, rel=0.1)


def test_one_family_says_nothing_about_others():
    mean, low, high = interval([1.0, 2.0, 4.0], ["a", "a", "a"])
    assert mean == pytest.approx(7 / 3, abs=1e-12)
    assert low == pytest.approx(mean, abs=1e-12)
    assert high == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_families_of_one_task_are_the_usual_bootstrap(level):
    values = np.random.default_rng(2).exponential(size=40)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=level,
        n_resamples=20_000,
        method="percentile",
        random_state=np.random.default_rng(3),
    ).confidence_interval
    _, low, high = interval(values, range(40), level=level, draws=20_000)
    error = 4 * values.std() / np.sqrt(40) / np.sqrt(20_000 * (1 - level) / 2)
    assert low == pytest.approx(theirs.low, abs=2 * error)
    assert high == pytest.approx(theirs.high, abs=2 * error)


def test_copies_of_a_task_within_its_family_add_no_certainty():
    values = np.random.default_rng(4).normal(size=30)
    once = interval(values, range(30))
    thrice = interval(np.repeat(values, 3), np.repeat(range(30), 3))
    np.testing.assert_allclose(once, thrice, atol=1e-12)
    naive = interval(np.repeat(values, 3), range(90))
    assert naive[2] - naive[1] < 0.7 * (once[2] - once[1])  # what ignoring the families claims


def test_a_curve_is_its_trials_one_by_one():
    rng = np.random.default_rng(5)
    values, families = rng.normal(size=(25, 7)), rng.integers(0, 9, 25)
    mean, low, high = interval(values, families)
    assert mean.shape == low.shape == high.shape == (7,)
    for trial in range(7):
        np.testing.assert_allclose(
            interval(values[:, trial], families), (mean[trial], low[trial], high[trial]), atol=1e-12
        )


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(6)
    covered, repeats = 0, 400
    for _ in range(repeats):  # 30 families of 1 to 4 tasks that share an effect; the mean is 0
        families = np.repeat(range(30), rng.integers(1, 5, 30))
        values = rng.normal(size=30)[families] + 0.5 * rng.normal(size=len(families))
        _, low, high = bootstrap_interval(values, families, rng, draws=500)
        covered += low <= 0 <= high
    assert 0.90 <= covered / repeats <= 0.98  # percentile intervals are a little short


def test_families_may_be_of_any_kind():
    values, names = [1.0, 2.0, 3.0, 5.0], ["a", "b", "a", "c"]
    expected = interval(values, names)
    categories = pd.Series(pd.Categorical(names, categories=["never", "c", "b", "a"]))
    for families in (
        tuple(names),
        np.array(names),
        np.array(names, dtype=object),
        pd.Series(names, index=[9, 7, 7, 1]),
        pd.Index(names),
        categories,
        [0, 1, 0, 2],
    ):
        np.testing.assert_array_equal(interval(values, families), expected)
    np.testing.assert_array_equal(interval(pd.Series(values, index=list("wxyz")), names), expected)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(7).normal(size=(20, 3))
    first, again = interval(values, range(20)), interval(values, range(20))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[1], interval(values, range(20), seed=1)[1])


@pytest.mark.parametrize(
    ("argument", "values", "families", "options"),
    [
        ("values", [], [], {}),
        ("values", np.empty((3, 0)), list("abc"), {}),
        ("values", 1.0, ["a"], {}),
        ("values", np.zeros((2, 2, 2)), ["a", "b"], {}),
        ("values", [1.0, np.nan], ["a", "b"], {}),
        ("values", [1.0, np.inf], ["a", "b"], {}),
        ("families", [1.0, 2.0], ["a"], {}),
        ("families", [1.0, 2.0], ["a", "b", "c"], {}),
        ("families", [1.0, 2.0], "ab", {}),
        ("families", [1.0, 2.0], ["a", None], {}),
        ("families", [1.0, 2.0], ["a", np.nan], {}),
        ("level", [1.0, 2.0], ["a", "b"], {"level": 0}),
        ("level", [1.0, 2.0], ["a", "b"], {"level": 1}),
        ("level", [1.0, 2.0], ["a", "b"], {"level": 95}),
        ("level", [1.0, 2.0], ["a", "b"], {"level": np.nan}),
        ("draws", [1.0, 2.0], ["a", "b"], {"draws": 0}),
        ("draws", [1.0, 2.0], ["a", "b"], {"draws": 1.5}),
    ],
)
def test_interval_refuses_what_it_cannot_average(argument, values, families, options):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted is "):
        interval(values, families, **options)


# ------------------------------------------------------------------ families and seeds


class Experience:
    """As much of a MetaDataset as is needed; counts how often a part was made."""

    def __init__(self, families):
        self.families, self.parts = families, 0

    def without(self, family):
        self.parts += 1
        return Experience(self.families[self.families != family])


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=12))
@SAME
def test_no_experience_of_the_same_family(names):
    families = pd.Series(names, index=[f"task {i}" for i in range(len(names))], name="family")
    experience = Experience(families)
    if families.nunique() < 2:
        with pytest.raises(ValueError, match=r"^experience: got 1 families.*at least two"):
            leave_one_family_out(experience)  # at the call, not at the first task
        return
    pairs = list(leave_one_family_out(experience))
    assert sorted(task for task, _ in pairs) == sorted(families.index)
    assert experience.parts == families.nunique()
    for task, rest in pairs:
        assert families[task] not in set(rest.families)
        others = families[families != families[task]]
        pd.testing.assert_series_equal(rest.families, others)  # and nothing else is lost


def test_families_of_a_real_experience_are_left_out():
    experience = MetaDataset.load("svc")
    some = experience.subset(experience.tasks.index[:4])
    for task, rest in leave_one_family_out(some):
        assert task not in rest.tasks.index
        assert some.families[task] not in set(rest.families)
        assert task not in set(rest.trials["task"])


def test_families_may_be_categories_but_not_missing():
    families = pd.Series(pd.Categorical(["b", "a", "b"], categories=list("xab")), index=[1, 2, 3])
    assert [task for task, _ in leave_one_family_out(Experience(families))] == [1, 3, 2]
    with pytest.raises(ValueError, match=r"^experience: .* 1 tasks without one"):
        leave_one_family_out(Experience(pd.Series(["a", "b", None])))


def test_seeds_are_averaged_within_a_task():
    curves = np.array([[1.0, 0.0], [4.0, 2.0], [3.0, 1.0]])
    names, means = average_seeds(curves, ["wine", "adult", "wine"])
    assert names == ["wine", "adult"]
    assert means.tolist() == [[2, 0.5], [4, 2]]
    names, means = average_seeds([1, 2, 6, 6], pd.Series([7, 7, 5, 7]))
    assert (names, means.tolist()) == ([7, 5], [3, 6])
    _, tables = average_seeds(np.ones((4, 2, 3)), list("aabb"))
    assert tables.shape == (2, 2, 3)


@given(scores, st.randoms(use_true_random=False))
@SAME
def test_averaging_one_run_of_each_task_changes_nothing(values, random):
    tasks = random.sample(range(100), len(values))
    names, means = average_seeds(values, tasks)
    assert names == tasks
    assert means.tolist() == values


@pytest.mark.parametrize(
    ("argument", "values", "tasks"),
    [
        ("values", [], []),
        ("values", 1.0, ["a"]),
        ("values", [1.0, np.nan], ["a", "b"]),
        ("values", [[1.0, np.inf]], ["a"]),
        ("tasks", [1.0, 2.0], ["a"]),
        ("tasks", [1.0, 2.0], "ab"),
        ("tasks", [1.0, 2.0], ["a", None]),
    ],
)
def test_average_of_seeds_refuses(argument, values, tasks):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted is "):
        average_seeds(values, tasks)
