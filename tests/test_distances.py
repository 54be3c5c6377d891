"""What a user relies on in distances of tasks, and in the weights that they give."""

import numpy as np
import pandas as pd
import pytest
from experience_cases import NEW, described, made
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import distance as scipy_distance

from metahpo_lite.distances import TaskDistance, expected_regrets, neighbour_weights, task_distances
from metahpo_lite.learned_distance import LearnedDistance

SAME = settings(max_examples=50, deadline=None, derandomize=True)
vectors = arrays(float, (4, 3), elements=st.floats(-10, 10).map(lambda v: round(v, 3)))
SCIPY = {"euclidean": scipy_distance.euclidean, "manhattan": scipy_distance.cityblock,
         "cosine": scipy_distance.cosine}  # fmt: skip


# ------------------------------------------------------------------ given distances


@pytest.mark.parametrize("metric", SCIPY)
@pytest.mark.parametrize("seed", range(5))
def test_given_distances_are_those_of_scipy(metric, seed):
    A, B = np.random.default_rng(seed).normal(size=(2, 7, 5))
    wanted = [[SCIPY[metric](a, b) for b in B] for a in A]
    assert np.allclose(task_distances(A, B, metric), wanted, rtol=0, atol=1e-12)


@given(vectors)
@SAME
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_given_distances_are_metrics(metric, A):
    D = task_distances(A, A, metric)
    assert np.allclose(D, D.T, atol=1e-9)
    assert (np.diag(D) == 0).all()
    assert (D[:, None] <= D[:, :, None] + D[None] + 1e-9).all()  # i to k, by way of j


def test_a_vector_of_zeros_has_no_direction():
    A, B = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    assert np.allclose(task_distances(A, B, "cosine"), [[0, 1, 1], [1, 0, 1]])


def test_distances_of_what_is_no_number():
    with pytest.raises(ValueError, match="NaN or infinity"):
        task_distances(np.array([[np.nan]]), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="metric: got 'city'"):
        task_distances(np.zeros((1, 1)), np.zeros((1, 1)), "city")


def test_a_long_tail_does_not_decide_who_is_near():
    experience = made()
    before = TaskDistance().fit(experience)(experience.meta_features.iloc[[3]])
    stretched = experience.meta_features.assign(noise=np.exp(5 * experience.meta_features["noise"]))
    far = TaskDistance().fit(described(experience, stretched))
    assert np.allclose(far(stretched.iloc[[3]]), before, atol=0.05)


# ------------------------------------------------------------------ transfer


def test_weights_by_hand():
    weights = neighbour_weights(np.array([[0.0, 1.0, 2.0, 4.0]]), 3)
    raw = np.exp([0, -1 / 4, -1, -4])
    assert np.allclose(weights, 0.3 / 4 + 0.7 * raw / raw.sum())


@pytest.mark.parametrize(
    ("distances", "k"), [([2.0, 2, 2], 1), ([0.0, 0, 0], 2), ([1.0, 2, 3], None), ([1.0, 2, 3], 3),
                         ([1.0, 2, 3], 99)]
)  # fmt: skip
def test_all_tasks_alike(distances, k):
    assert np.allclose(neighbour_weights(np.array([distances]), k), 1 / 3)


def test_tasks_at_distance_zero_share_all_weight_among_k():
    assert neighbour_weights(np.array([[0.0, 0, 5]]), 2)[0, :2].tolist() == [0.35 + 0.3 / 3] * 2


def test_expected_regrets_by_hand():
    regrets = np.array([[0.5, 0.2], [0.1, 0.9]])
    assert np.allclose(expected_regrets(np.array([0.75, 0.25]), regrets, np.array([0.4, 0.4])),
                       [0.75 * 0.4 + 0.25 * 0.1, 0.75 * 0.2 + 0.25 * 0.4])  # fmt: skip


# ------------------------------------------------------------------ bad input


def test_a_prediction_before_fit():
    for distance in (TaskDistance(), LearnedDistance()):
        with pytest.raises(RuntimeError, match="not fitted yet"):
            distance(NEW)


def test_experience_without_meta_features_has_no_distance():
    experience = made(5)
    bare = described(experience, None)
    for distance in (TaskDistance(), LearnedDistance()):
        with pytest.raises(ValueError, match="no meta-features"):
            distance.fit(bare)


def test_one_task_is_at_distance_zero():
    distance = TaskDistance().fit(made(1))
    assert distance(NEW).tolist() == [[0.0]]


def test_distances_of_tables():
    A = pd.DataFrame({"a": [0.0, 3.0], "b": [0.0, 4.0]})
    assert np.allclose(task_distances(A, A), [[0, 5], [5, 0]])


def test_the_shortest_vectors_have_a_direction():
    """Their squares are zero to a computer, and the cosine was NaN."""
    A, B = np.array([[0, 1e-300], [2e-300, 0]]), np.array([[0.0, 1.0]])
    assert np.allclose(task_distances(A, B, "cosine"), [[0], [1]])
