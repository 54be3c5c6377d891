"""What a user relies on in grids and Sobol points: within the budget, valid, no doubles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from space_cases import SOME, example, same, spaces

from metahpo_lite.spaces import Categorical, Float, Int, SearchSpace


@SOME
@given(spaces(), st.integers(1, 60))
def test_grids_fit_the_budget_and_have_no_doubles(space, budget):
    configs = space.grid(budget)
    assert 1 <= len(configs) <= budget
    assert len({tuple((k, type(v), v) for k, v in c.items()) for c in configs}) == len(configs)
    assert all(same(space.check(c), c) for c in configs)


@SOME
@given(spaces(), st.integers(1, 50), st.integers(0, 99))
def test_sobol_points_are_valid_and_repeatable(space, n, seed):
    configs = space.sobol(n, np.random.default_rng(seed))
    assert len(configs) == n
    assert configs == space.sobol(n, np.random.default_rng(seed))
    assert all(same(space.check(c), c) for c in configs)


def test_grid_by_hand():
    two = SearchSpace([Float("x", 0, 1), Float("y", 1, 100, log=True)])
    assert two.grid(1) == [{"x": 0.5, "y": 10.0}]
    grid = two.grid(11)  # 3 x 3: neither 3 x 4 nor 4 x 3 fits
    assert len(grid) == 9
    assert sorted({c["x"] for c in grid}) == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    assert sorted({c["y"] for c in grid}) == pytest.approx([10 ** (1 / 3), 10, 10 ** (5 / 3)])
    # an inactive hyperparameter takes no levels: 1 linear x C + rbf x C x gamma
    conditional = SearchSpace(example().hyperparameters[:3])
    grid = conditional.grid(12)
    assert len(grid) == 12
    assert sum(c["kernel"] == "linear" for c in grid) == 3
    # a parent comes to its second choice, and only then does its child take levels
    space = SearchSpace([Categorical("k", ["a", "b"]), Int("n", 1, 2, when={"k": ["b"]})])
    assert [len(space.grid(budget)) for budget in (1, 2, 3, 9)] == [1, 2, 3, 3]
    # of equally coarse hyperparameters the first is refined first
    four = SearchSpace([Float(name, 0, 1) for name in "abcd"])
    assert [len({c[name] for c in four.grid(36)}) for name in "abcd"] == [3, 3, 2, 2]
    # few values: the grid ends when it holds them all
    assert len(SearchSpace([Int("n", 1, 3), Categorical("c", [True, 1, "1"])]).grid(100)) == 9
