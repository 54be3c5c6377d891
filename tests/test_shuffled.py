"""tools/shuffled.py: on shuffled data the claims of a lesson fail; all lessons: make mutants."""

import sys
from pathlib import Path

import nbformat
import nbformat.v4 as nb
import numpy as np
import pandas as pd
import pytest

from metahpo_lite import MetaDataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import shuffled
import shuffled_kernel

ROOT = Path(__file__).resolve().parents[1]
SOME = ("iris", "german", "wine")
QUICK = ("00_start_here",)


def test_scores_are_permuted_within_each_task():
    experience = MetaDataset.load("svc")
    other = shuffled_kernel.shuffled_experience(experience)
    assert other.configs == experience.configs
    assert other.tasks.equals(experience.tasks)
    assert other.meta_features.equals(experience.meta_features)
    scores, theirs = experience.scores.to_numpy(), other.scores.to_numpy()
    assert np.array_equal(np.sort(scores, axis=1), np.sort(theirs, axis=1), equal_nan=True)
    assert (np.mean(scores == theirs, axis=1) < 0.9).mean() > 0.9
    # what came of a trial stays together, and each task has an order of its own
    ours, before = (
        [sorted(zip(e.seconds.loc[task], e.scores.loc[task], strict=True)) for task in SOME]
        for e in (other, experience)
    )
    assert ours == before
    best = experience.regrets.mean().argmin()
    assert other.regrets.mean()[best] > 2 * experience.regrets.mean()[best]
    assert other.trials.equals(shuffled_kernel.shuffled_experience(experience).trials)


def test_results_are_permuted_and_what_was_set_is_not():
    frame = pd.DataFrame({"line": list("abcdefgh"), "x": range(8), "low": range(8), "high": 9.0})
    found = shuffled_kernel.shuffled_results(frame, "name")
    assert found[["line", "x"]].equals(frame[["line", "x"]])
    assert sorted(found["low"]) == list(range(8))
    assert list(found["low"]) != list(range(8))
    columns = pd.MultiIndex.from_product([["network"], range(6)])
    wide = pd.DataFrame(np.arange(12).reshape(2, 6), columns=columns)
    found = shuffled_kernel.shuffled_results(wide, "name").to_numpy()
    assert (np.sort(found, axis=1) == wide).all(axis=None)
    assert (found != wide.to_numpy()).any()


def test_each_assert_is_counted_once_and_no_error_ends_the_lesson(tmp_path):
    cells = [
        "from metahpo_lite import MetaDataset\nbest = MetaDataset.load('svc').best_default()",
        "assert best['kernel'] == 'no such kernel'\nassert best",
        "for i in range(3):\n    assert i < 2, 'too large'\n    assert i > -1",
        "1 / 0\nassert best",
        "assert 1 / 0",
    ]
    book = nb.new_notebook(cells=[nb.new_markdown_cell("# Title"), *map(nb.new_code_cell, cells)])
    nbformat.write(book, tmp_path / "04_toy.ipynb")
    found, errors = shuffled.claims(tmp_path / "04_toy.ipynb")
    assert [(row["cell"], row["result"], row["source"]) for row in found] == [
        (3, "failed", "assert best['kernel'] == 'no such kernel'"),
        (3, "held", "assert best"),
        (4, "failed", "assert i < 2, 'too large'"),
        (4, "held", "assert i > -1"),
        (5, "not reached", "assert best"),
        (6, "not reached", "assert 1 / 0"),
    ]
    assert [row["cell"] for row in errors] == [5, 6]


@pytest.mark.parametrize("name", QUICK)
def test_a_lesson_fails_on_shuffled_data(name):
    failure = shuffled.first_failure(ROOT / "notebooks" / f"{name}.ipynb")
    assert failure is not None
    assert "AssertionError" in failure
