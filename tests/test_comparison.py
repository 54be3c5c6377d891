"""What a user relies on when two methods are compared: the ratio, its interval, Holm."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metahpo_lite.evaluation import compare, holm

SAME = settings(max_examples=50, deadline=None, derandomize=True)


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
