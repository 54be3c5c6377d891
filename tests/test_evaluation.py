"""What a user relies on in the statistics: regret between 0 and 1, intervals that cover."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metahpo_lite import Categorical, Float, Int, MetaDataset, SearchSpace
from metahpo_lite.evaluation import (
    average_seeds,
    bootstrap_interval,
    compare,
    expected_incumbent,
    explained_share,
    friedman,
    holm,
    hyperparameter_importance,
    leave_one_family_out,
    mean_ranks,
    mean_regret,
    nemenyi_difference,
    normalised_regret,
    race,
    regret_curve,
    score_gap,
)
from metahpo_lite.search import RandomSearch

SAME = settings(max_examples=50, deadline=None, derandomize=True)  # the same examples each time
numbers = st.floats(-1e6, 1e6, allow_nan=False)
scores = st.lists(numbers, min_size=1, max_size=20)


@st.composite
def pools(draw):
    """The best score, the worst, and incumbents between them."""
    worst = draw(st.floats(-1e3, 1e3))
    best = worst + draw(st.floats(1e-3, 1e3))
    return best, worst, np.array(draw(st.lists(st.floats(worst, best), min_size=1, max_size=20)))


# ------------------------------------------------------------------ normalised regret


@given(pools())
@SAME
def test_regret_is_0_at_the_best_and_1_at_the_worst(pool):
    best, worst, incumbents = pool
    assert normalised_regret([best, worst], best, worst).tolist() == [0, 1]
    regret = normalised_regret(incumbents, best, worst)
    assert regret.shape == incumbents.shape
    assert ((regret >= 0) & (regret <= 1)).all()


@given(pools(), st.floats(0.1, 10), st.floats(-100, 100))
@SAME
def test_regret_does_not_depend_on_the_unit_of_the_score(pool, scale, shift):
    best, worst, incumbents = pool
    moved = normalised_regret(
        scale * incumbents + shift, scale * best + shift, scale * worst + shift
    )
    np.testing.assert_allclose(moved, normalised_regret(incumbents, best, worst), atol=1e-6)


@given(pools())
@SAME
def test_regret_falls_as_the_incumbent_rises(pool):
    best, worst, incumbents = pool
    regret = normalised_regret(np.maximum.accumulate(incumbents), best, worst)
    assert (np.diff(regret) <= 0).all()
    assert normalised_regret(best + 1, best, worst) < 0  # better than what was known


@given(pools(), st.integers(0, 5))
@SAME
def test_regret_before_the_first_success_is_that_of_the_worst(pool, failures):
    best, worst, incumbents = pool
    late = normalised_regret([np.nan] * failures + list(incumbents), best, worst)
    assert (late[:failures] == 1).all()
    np.testing.assert_array_equal(late[failures:], normalised_regret(incumbents, best, worst))


def test_regret_takes_any_shape_and_leaves_its_argument_alone():
    incumbents = np.array([[0.5, np.nan], [1.0, 0.0]])
    before = incumbents.copy()
    assert normalised_regret(incumbents, 1, 0).tolist() == [[0.5, 1.0], [0.0, 1.0]]
    np.testing.assert_array_equal(incumbents, before)
    assert normalised_regret(0.25, 1, 0) == 0.75
    assert normalised_regret(pd.Series([0.25]), 1, 0).tolist() == [0.75]


@pytest.mark.parametrize(
    ("best", "worst"), [(0, 1), (1, 1), (np.nan, 0), (1, np.nan), (np.inf, 0), (1, -np.inf)]
)
def test_regret_refuses_a_best_that_is_not_above_the_worst(best, worst):
    with pytest.raises(ValueError, match=r"best, worst: got .* accepted are finite numbers"):
        normalised_regret([0.5], best, worst)


# ------------------------------------------------------------------ curves


def test_regret_curve_by_hand():
    scores = [np.nan, 0.5, 0.25, np.nan, 0.75]
    assert regret_curve(scores, 1, 0).tolist() == [1, 0.5, 0.5, 0.5, 0.25]
    # a search that ended early keeps its last value; a longer one is cut
    assert regret_curve(scores, 1, 0, 7).tolist() == [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert regret_curve(scores, 1, 0, 2).tolist() == [1, 0.5]
    assert regret_curve([np.nan], 1, 0, 3).tolist() == [1, 1, 1]
    assert regret_curve(pd.Series([0.5], index=[1]), 1, 0).tolist() == [0.5]


@given(pools(), st.data())
@SAME
def test_regret_curves_fall_and_stay_between_0_and_1(pool, data):
    best, worst, scores = pool
    failed = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    scores[failed] = np.nan
    n_trials = data.draw(st.integers(1, 30))
    curve = regret_curve(scores, best, worst, n_trials)
    assert curve.shape == (n_trials,)
    assert (np.diff(curve) <= 0).all()
    assert ((curve >= 0) & (curve <= 1)).all()
    for t in range(n_trials):  # as defined, trial by trial
        seen = [s for s in scores[: t + 1] if not np.isnan(s)]
        assert curve[t] == normalised_regret(max(seen, default=worst), best, worst)


@pytest.mark.parametrize(
    ("argument", "scores", "options"),
    [
        ("scores", [], {}),
        ("scores", 0.5, {}),
        ("scores", [[0.5]], {}),
        ("scores", [0.5, np.inf], {}),
        ("scores", [0.5, -np.inf], {}),
        ("n_trials", [0.5], {"n_trials": 0}),
        ("n_trials", [0.5], {"n_trials": 2.5}),
    ],
)
def test_regret_curve_refuses(argument, scores, options):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted is "):
        regret_curve(scores, 1, 0, **options)
    with pytest.raises(ValueError, match="best, worst"):
        regret_curve([0.5], 0, 1)


def test_mean_regret_is_that_of_the_first_trials():
    curve = np.array([1, 0.5, 0.5, 0.25])
    assert mean_regret(curve, 2) == 0.75
    assert mean_regret(curve, 4) == 0.5625
    assert mean_regret([curve, 2 * curve], 2).tolist() == [0.75, 1.5]
    rng = np.random.default_rng(0)
    long = rng.random(80)
    assert mean_regret(long) == pytest.approx(long[:50].mean())


@pytest.mark.parametrize(
    ("argument", "curves", "n_trials"),
    [
        ("curves", np.ones(49), 50),
        ("curves", np.ones((3, 49)), 50),
        ("curves", [1, np.nan], 2),
        ("curves", [1, np.inf], 2),
        ("curves", [], 1),
        ("curves", 1.0, 1),
        ("curves", np.ones((2, 2, 2)), 2),
        ("n_trials", [1, 1], 0),
    ],
)
def test_mean_regret_refuses(argument, curves, n_trials):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted (is|are) "):
        mean_regret(curves, n_trials)


def test_score_gap_is_in_the_unit_of_the_score():
    assert score_gap([[70, 95.5], [100, 101]], 100).tolist() == [[30, 4.5], [0, -1]]
    assert np.isnan(score_gap([np.nan, 1], 2)).tolist() == [True, False]
    for incumbents, best, argument in (([1], np.nan, "best"), ([np.inf], 1, "incumbents")):
        with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted "):
            score_gap(incumbents, best)


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


# ------------------------------------------------------------------ two methods

regrets = st.one_of(st.just(0.0), st.floats(1e-3, 1))
pairs_of_regrets = st.lists(st.tuples(regrets, regrets), min_size=2, max_size=12)


def comparison(ours, theirs, families=None, seed=0, **options):
    families = range(len(ours)) if families is None else families
    return compare(ours, theirs, families, np.random.default_rng(seed), **options)


def test_comparison_by_hand():
    found = comparison([0.1, 0.2, 0.3, 0.0], [0.2, 0.2, 0.6, 0.4])
    assert found.ratio == pytest.approx(0.6 / 1.4)
    assert (found.wins, found.ties, found.losses) == (3, 1, 0)
    assert 0 < found.low <= found.ratio <= found.high < 1
    # the three differences that are not 0 have one sign: of 8 sign patterns 2 are as extreme
    assert found.p_value == pytest.approx(0.25)


@given(pairs_of_regrets, st.data())
@SAME
def test_exchanging_the_methods_gives_the_reciprocal(pairs, data):
    ours, theirs = np.array(pairs).T
    families = st.lists(st.sampled_from("abcd"), min_size=len(pairs) - 1, max_size=len(pairs) - 1)
    families = ["e", *data.draw(families)]
    one, other = (comparison(*p, families, draws=101) for p in ((ours, theirs), (theirs, ours)))
    with np.errstate(divide="ignore"):
        assert one.ratio == pytest.approx(float(np.divide(1, other.ratio)))
        assert one.low == pytest.approx(float(np.divide(1, other.high)))
        assert one.high == pytest.approx(float(np.divide(1, other.low)))
    assert one.p_value == pytest.approx(other.p_value)
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins)
    assert one.wins + one.ties + one.losses == len(pairs)
    assert one.low <= one.high


@given(st.lists(regrets, min_size=2, max_size=12))
@SAME
def test_a_method_equals_itself(values):
    found = comparison(values, values, draws=50)
    assert (found.ratio, found.low, found.high, found.p_value) == (1, 1, 1, 1)
    assert (found.wins, found.ties, found.losses) == (0, len(values), 0)


def test_a_mean_of_0_below():
    found = comparison([0.1, 0.2, 0.1], [0, 0, 0])
    assert (found.ratio, found.low, found.high) == (np.inf, np.inf, np.inf)
    found = comparison([0, 0, 0], [0.1, 0.2, 0.1])
    assert (found.ratio, found.low, found.high) == (0, 0, 0)
    found = comparison([0.1, 0.1, 0.1, 0], [0, 0, 0, 0.3])  # a mean of 0 in some draws alone
    assert found.ratio == pytest.approx(1)
    assert (found.low, found.high) == (pytest.approx(1 / 9), np.inf)


def test_the_ratio_has_the_interval_of_the_usual_bootstrap():
    rng = np.random.default_rng(8)
    theirs = rng.exponential(size=40)
    ours = theirs * rng.uniform(0.3, 1.1, 40)
    bootstrap = stats.bootstrap(
        (ours, theirs),
        lambda a, b, axis: a.mean(axis=axis) / b.mean(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        random_state=rng,
    ).confidence_interval
    found = comparison(ours, theirs, draws=20_000)
    assert found.low == pytest.approx(bootstrap.low, abs=0.005)
    assert found.high == pytest.approx(bootstrap.high, abs=0.005)
    assert found.p_value == pytest.approx(stats.wilcoxon(ours, theirs).pvalue)
    # what makes a task hard for both does not matter: far narrower than without the pairing
    apart = comparison(ours, rng.permutation(theirs), draws=20_000)
    assert found.high - found.low < 0.5 * (apart.high - apart.low)


def test_copies_of_a_task_within_its_family_make_no_method_better():
    rng = np.random.default_rng(9)
    ours, theirs = rng.random((2, 10))
    once = comparison(ours, theirs)
    copies = comparison(*(np.tile(v, 3) for v in (ours, theirs)), np.tile(range(10), 3))
    for name in ("ratio", "low", "high", "p_value"):
        assert getattr(copies, name) == pytest.approx(getattr(once, name))
    assert copies.wins == 3 * once.wins


def test_the_p_value_is_right_when_nothing_differs():
    rng = np.random.default_rng(10)
    p = [compare(*rng.random((2, 20)), range(20), rng, draws=2).p_value for _ in range(400)]
    assert np.mean(np.less_equal(p, 0.05)) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.less_equal(p, 0.5)) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("argument", "ours", "theirs", "families", "options"),
    [
        ("ours", [], [], [], {}),
        ("ours", [1, np.nan], [1, 1], "ab", {}),
        ("theirs", [1, 1], [1, np.inf], "ab", {}),
        ("ours", [1, -0.1], [1, 1], "ab", {}),
        ("theirs", [1, 1], [-0.1, 1], "ab", {}),
        ("theirs", [1, 1], [1, 1, 1], "ab", {}),
        ("ours", [[1, 1]], [[1, 1]], "a", {}),
        ("families", [1, 1], [1, 1], "abc", {}),
        ("families", [1, 1], [1, 1], ["a", None], {}),
        ("families", [1, 1], [1, 1], "aa", {}),
        ("families", [1], [1], "a", {}),
        ("level", [1, 1], [1, 1], "ab", {"level": 1}),
        ("level", [1, 1], [1, 1], "ab", {"level": np.nan}),
        ("draws", [1, 1], [1, 1], "ab", {"draws": 0}),
    ],
)
def test_comparison_refuses(argument, ours, theirs, families, options):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted (is|are) "):
        comparison(ours, theirs, list(families), **options)


# ------------------------------------------------------------------ Holm

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=7)


def test_holm_on_printed_examples():
    # multiplied by 4, 3, 2 and 1, from the smallest up; none below the one before
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    # Demsar (2006), section 3.2.2: the first two of three hypotheses are rejected
    np.testing.assert_allclose(holm([0.016, 0.019, 0.607]), [0.048, 0.048, 0.607])
    assert holm([0.6, 0.9]).tolist() == [1, 1]
    assert holm([0.03]).tolist() == [0.03]


@given(probabilities)
@SAME
def test_holm_is_the_closed_test_of_bonferroni(p):
    """Independent of the steps: the largest Bonferroni p-value of all sets with the hypothesis."""
    sets = [s for r in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), r)]
    closed = [
        max(min(1, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(len(p))
    ]
    np.testing.assert_allclose(holm(p), closed, atol=1e-12)


@given(probabilities, st.randoms(use_true_random=False))
@SAME
def test_holm_keeps_the_order_and_never_lowers(p, random):
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    order = random.sample(range(len(p)), len(p))
    np.testing.assert_array_equal(holm(np.array(p)[order]), adjusted[order])


@pytest.mark.parametrize("p", [[], 0.5, [[0.5]], [0.5, np.nan], [-0.1], [0.5, 1.1], [np.inf]])
def test_holm_refuses(p):
    with pytest.raises(ValueError, match=r"^p_values: got .*0 to 1"):
        holm(p)


# ------------------------------------------------------------------ many methods

# Demsar (2006), table 6: AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 data sets. The last two
# on "voting" are both printed as 0.975, with the ranks 2 and 3: hence one digit more.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
tables = st.tuples(st.integers(2, 8), st.integers(2, 6)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(-9, 9), min_size=shape[1], max_size=shape[1]),
        min_size=shape[0],
        max_size=shape[0],
    )
)


def test_mean_ranks_of_the_printed_example():
    found = mean_ranks(-DEMSAR)  # of an AUC, higher is better
    np.testing.assert_array_equal(found.round(3), [3.143, 2.000, 2.893, 1.964])


def test_friedman_of_the_printed_example():
    """Printed are 9.28 and 3.69, without a correction for ties; here both are corrected."""
    ranks = stats.rankdata(-DEMSAR, axis=1)
    n, k = ranks.shape
    _, counts = zip(*(np.unique(row, return_counts=True) for row in ranks), strict=True)
    ties = 1 - sum(np.sum(c**3 - c) for c in counts) / (n * k * (k**2 - 1))
    found = friedman(-DEMSAR)
    plain = found.chi2 * ties
    assert round(plain, 2) == 9.28
    assert round((n - 1) * plain / (n * (k - 1) - plain), 2) == 3.69
    assert found.f > 3.69
    assert found.f_p_value < stats.f.sf(3.69, 3, 39) < 0.05  # printed: the critical value is 2.85


def test_friedman_without_ties_is_the_printed_formula():
    ranks = np.array([[1, 2, 3, 4], [2, 1, 3, 4], [1, 3, 2, 4], [1, 2, 4, 3], [4, 2, 1, 3]])
    n, k = ranks.shape
    chi2 = 12 * n / (k * (k + 1)) * (np.sum(ranks.mean(axis=0) ** 2) - k * (k + 1) ** 2 / 4)
    found = friedman(ranks)
    assert found.chi2 == pytest.approx(chi2)
    assert found.f == pytest.approx((n - 1) * chi2 / (n * (k - 1) - chi2))


@given(tables)
@SAME
def test_friedman_is_that_of_scipy_and_of_the_analysis_of_variance(table):
    values = np.array(table, dtype=float)
    n, k = values.shape
    found, ranks = friedman(values), stats.rankdata(values, axis=1)
    if np.ptp(ranks, axis=1).max() == 0:  # all methods tie everywhere
        assert (found.chi2, found.chi2_p_value, found.f, found.f_p_value) == (0, 1, 0, 1)
        return
    if k > 2:
        theirs = stats.friedmanchisquare(*values.T)
        assert found.chi2 == pytest.approx(theirs.statistic, abs=1e-9)
        assert found.chi2_p_value == pytest.approx(theirs.pvalue, abs=1e-9)
    between = n * np.sum((ranks.mean(axis=0) - (k + 1) / 2) ** 2)
    within = np.sum((ranks - ranks.mean(axis=0)) ** 2)  # what the methods do not explain
    if within < 1e-9:
        assert (found.f, found.f_p_value) == (np.inf, 0)
    else:
        f = (between / (k - 1)) / (within / ((k - 1) * (n - 1)))
        assert found.f == pytest.approx(f)
        assert found.f_p_value == pytest.approx(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))


@given(tables)
@SAME
def test_mean_ranks_sum_up_and_know_only_the_order(table):
    values = np.array(table, dtype=float)
    k = values.shape[1]
    ranks = mean_ranks(values)
    assert ranks.sum() == pytest.approx(k * (k + 1) / 2)
    assert ((ranks >= 1) & (ranks <= k)).all()
    np.testing.assert_array_equal(mean_ranks(np.exp(values)), ranks)
    np.testing.assert_array_equal(mean_ranks(values**3 + 5), ranks)
    np.testing.assert_allclose(mean_ranks(-values), k + 1 - ranks)
    assert friedman(np.exp(values)) == friedman(values)


def test_methods_that_tie_share_the_average_rank():
    assert mean_ranks([[0.1, 0.1, 0.5], [0.3, 0.2, 0.2]]).tolist() == [2.25, 1.5, 2.25]
    assert mean_ranks([[0.7]]).tolist() == [1]
    frame = pd.DataFrame({"random": [0.2, 0.3], "gp": [0.1, 0.1]})
    assert mean_ranks(frame).tolist() == [2, 1]


def test_nemenyi_on_the_printed_values():
    q = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]  # table 5 (a), at 0.05
    for k, expected in enumerate(q, start=2):
        factor = np.sqrt(k * (k + 1) / (6 * 14))
        assert nemenyi_difference(k, 14) == pytest.approx(expected * factor, abs=1e-3)
    assert round(nemenyi_difference(4, 14), 2) == 1.25  # printed for the example
    assert round(nemenyi_difference(4, 14, level=0.9), 2) == 1.12


def test_nemenyi_errs_as_often_as_it_says():
    rng = np.random.default_rng(11)
    ranks = np.array([mean_ranks(rng.random((40, 5))) for _ in range(500)])
    wrong = np.ptp(ranks, axis=1) >= nemenyi_difference(5, 40, level=0.8)
    assert wrong.mean() == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize(
    "values",
    [[], [1, 2], np.empty((3, 0)), [[1, np.nan]], [[1, 2], [np.inf, 1]], np.ones((2, 2, 2))],
)
@pytest.mark.parametrize("function", [mean_ranks, friedman])
def test_ranks_refuse(function, values):
    with pytest.raises(ValueError, match=r"^values: got shape .*accepted is a table"):
        function(values)


@pytest.mark.parametrize("values", [[[1, 2]], [[1], [2]]])
def test_friedman_refuses_one_task_and_one_method(values):
    with pytest.raises(ValueError, match=r"^values: got shape .*at least two tasks"):
        friedman(values)


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("n_methods", (1, 10)),
        ("n_methods", (2.5, 10)),
        ("n_tasks", (3, 1)),
        ("n_tasks", (3, np.nan)),
        ("level", (3, 10, 0)),
        ("level", (3, 10, 1)),
        ("level", (3, 10, 95)),
        ("level", (3, 10, np.nan)),
    ],
)
def test_nemenyi_refuses(argument, arguments):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*accepted is "):
        nemenyi_difference(*arguments)


# ------------------------------------------------------------------ expected incumbent


def test_expected_incumbent_by_hand():
    # of two draws from 1, 2, 3 the best is 3 in two cases of three, else 2
    np.testing.assert_allclose(expected_incumbent([2, 3, 1]), [2, 8 / 3, 3])
    np.testing.assert_allclose(expected_incumbent([5.0]), [5])
    np.testing.assert_allclose(expected_incumbent([2, np.nan, 1]), [4 / 3, 5 / 3, 2])


@SAME
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6))
def test_expected_incumbent_is_the_mean_over_all_orders(scores):
    orders = np.array(list(itertools.permutations(scores)))
    mean = np.maximum.accumulate(orders, axis=1).mean(axis=0)
    np.testing.assert_allclose(expected_incumbent(scores), mean, atol=1e-9)


def test_expected_incumbent_of_many_trials_stays_finite():
    scores = np.random.default_rng(0).normal(size=2000)
    curve = expected_incumbent(scores)
    assert np.isfinite(curve).all()
    assert (np.diff(curve) >= -1e-9).all()
    assert curve[0] == pytest.approx(scores.mean())
    assert curve[-1] == pytest.approx(scores.max())


@pytest.mark.parametrize("scores", [[], [np.nan], [1, np.inf], [[1, 2]], 3])
def test_expected_incumbent_refuses(scores):
    with pytest.raises(ValueError, match=r"^scores: .*accepted"):
        expected_incumbent(scores)


# ------------------------------------------------------------------ importance

SPACE = SearchSpace(
    [
        Float("a", 0, 1),
        Float("b", 1e-3, 1e3, log=True),
        Int("idle", 1, 9),
        Categorical("c", ["x", "y"]),
    ]
)


CONFIGS = SPACE.sample(np.random.default_rng(0), 300)


def test_importance_is_a_share_of_the_variance():
    # variances 27 and 1 of the two terms; what the forest cannot predict is in neither
    scores = [3 * np.log10(c["b"]) + 2 * (c["c"] == "x") for c in CONFIGS]
    a, b, idle, c = shares = hyperparameter_importance(SPACE, CONFIGS, scores)
    assert b == pytest.approx(27 / 28, abs=0.07)
    assert c == pytest.approx(1 / 28, abs=0.02)
    assert max(abs(a), abs(idle)) < 0.01 < c / 2
    assert 0.95 < explained_share(SPACE, CONFIGS, scores) <= 1
    np.testing.assert_array_equal(shares, hyperparameter_importance(SPACE, CONFIGS, scores))
    other = hyperparameter_importance(SPACE, CONFIGS, scores, seed=1)
    np.testing.assert_allclose(shares, other, atol=0.06)


def test_where_hyperparameters_interact_each_has_the_share():
    scores = [(c["c"] == "x") ^ (c["b"] > 1) for c in CONFIGS]
    a, b, idle, c = hyperparameter_importance(SPACE, CONFIGS, scores)
    assert min(b, c) > 0.8
    assert max(abs(a), abs(idle)) < 0.05


def test_noise_has_no_importance():
    noise = np.random.default_rng(1).normal(size=(300, 20))
    shares = hyperparameter_importance(SPACE, CONFIGS, noise)
    assert shares.shape == (20, 4)
    assert np.abs(shares.mean(axis=0)).max() < 0.05
    assert np.abs(shares).max() < 0.2
    assert explained_share(SPACE, CONFIGS, noise).max() < 0.1


def test_importance_of_a_table_of_tasks():
    """Each task in its own unit, in the order of the columns; one that does not differ has 0."""
    b, c = np.array([[np.log10(c["b"]), c["c"] == "x"] for c in CONFIGS]).T
    scores = np.stack([b, 1e3 * c - 7, np.full(300, 0.1)], axis=1)
    shares, explained = (
        f(SPACE, CONFIGS, scores) for f in (hyperparameter_importance, explained_share)
    )
    truth = np.array([[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    np.testing.assert_allclose(shares, truth, atol=0.1)
    np.testing.assert_allclose(explained, 1, atol=0.1)
    one = hyperparameter_importance(SPACE, CONFIGS, scores[:, :1])
    np.testing.assert_array_equal(one, [hyperparameter_importance(SPACE, CONFIGS, scores[:, 0])])


def test_a_failed_trial_counts_as_the_worst_of_its_task():
    scores = np.array([[c["a"], -c["a"]] for c in CONFIGS])
    failed = scores.copy()
    failed[scores[:, 0] > 0.7, 0] = np.nan
    worst = np.where(np.isnan(failed), np.nanmin(failed, axis=0), failed)
    np.testing.assert_array_equal(
        hyperparameter_importance(SPACE, CONFIGS, failed),
        hyperparameter_importance(SPACE, CONFIGS, worst),
    )


@pytest.mark.parametrize(
    "scores",
    [
        np.arange(299.0),
        np.arange(301.0),
        np.zeros((2, 300)),
        np.zeros((300, 0)),
        np.zeros((300, 2, 2)),
        3,
        np.where(np.arange(300) < 9, 1.0, np.nan),
        np.where(np.arange(600).reshape(300, 2) % 2, 1.0, np.nan),  # nothing of the first task
        np.where(np.arange(300) < 9, np.inf, 1.0),
    ],
)
@pytest.mark.parametrize("function", [hyperparameter_importance, explained_share])
def test_importance_refuses(function, scores):
    with pytest.raises(ValueError, match=r"^scores: got .*accepted"):
        function(SPACE, CONFIGS, scores)


def test_importance_refuses_no_configurations():
    with pytest.raises(ValueError, match=r"^scores: got .*accepted"):
        hyperparameter_importance(SPACE, [], [])


# ------------------------------------------------------------------ a race


def test_a_race_is_the_mean_of_searches():
    """Random search in the race comes near its exact expectation; runs and tasks draw anew."""
    experience = MetaDataset.load("svc")
    few = experience.subset(list(experience.tasks.index[:12]))
    found = race(lambda i, rng: RandomSearch(few.space, rng, few.configs), few, 10, n_runs=40)
    assert found.shape == (12, 40, 10)
    exact = [regret_curve(expected_incumbent(t.scores)[:10], t.best, t.worst)
             for t in map(few.replay, few.tasks.index)]  # fmt: skip
    assert np.allclose(found.mean(axis=(0, 1)), np.mean(exact, axis=0), rtol=0.1)
    again = race(lambda i, rng: RandomSearch(few.space, rng, few.configs), few, 10)
    assert np.array_equal(again[:, 0], found[:, 0])


def test_a_race_keeps_the_last_regret_of_a_searcher_that_stops():
    experience = MetaDataset.load("svc")
    few = experience.subset(list(experience.tasks.index[:2]))
    found = race(lambda i, rng: RandomSearch(few.space, rng, few.configs[i : i + 2]), few, 5)
    assert np.array_equal(found[:, :, 1:2].repeat(4, axis=2), found[:, :, 1:])


@pytest.mark.parametrize("kwargs", [{"n_trials": 0}, {"n_trials": 5, "n_runs": 0}])
def test_a_race_needs_a_trial(kwargs):
    experience = MetaDataset.load("svc")
    with pytest.raises(ValueError, match="whole number of at least 1"):
        race(lambda i, rng: None, experience, **kwargs)
