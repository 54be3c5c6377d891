"""Searches that were made anyway become experience, and the next search begins with it."""

import re
from types import SimpleNamespace

import numpy as np
import optuna
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.datasets import load_wine
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from metahpo_lite import MetaDataset, MetaSampler, MetaSearchCV, SearchSpace
from metahpo_lite.hyperparameters import Float

X, Y = load_wine(return_X_y=True)
PIPELINE = make_pipeline(StandardScaler(), SVC())
GRIDS = [
    {"svc__kernel": ["rbf"], "svc__gamma": loguniform(1e-4, 10), "svc__C": loguniform(0.5, 2)},
    {"svc__kernel": ["linear"], "svc__C": loguniform(0.5, 2)},
]
Study = optuna.study.Study


pytestmark = pytest.mark.usefixtures("quiet_optuna")


def study(name, best=0.5, n=30, direction="maximize", storage=None, seed=0) -> Study:
    """Of a tree: its score has a peak, poly fails always, and degree is of poly."""

    def objective(trial):
        kernel = trial.suggest_categorical("kernel", ["rbf", "linear", "poly"])
        C = trial.suggest_float("C", 0.01, 100, log=True)
        if kernel == "poly":
            trial.suggest_int("degree", 2, 4)
            raise RuntimeError
        gamma = trial.suggest_float("gamma", 0, 1) if kernel == "rbf" else 0.9
        score = -((gamma - best) ** 2) - 0.01 * abs(np.log10(C))
        return score if direction == "maximize" else -score

    made = optuna.create_study(
        study_name=name, storage=storage, direction=direction,
        sampler=optuna.samplers.RandomSampler(seed=seed),
    )  # fmt: skip
    made.optimize(objective, n, catch=(RuntimeError,))
    return made


def random_search(seed, n=8, space=GRIDS):
    return RandomizedSearchCV(PIPELINE, space, n_iter=n, random_state=seed, cv=2).fit(X, Y)


@pytest.fixture(scope="module")
def searches():
    return [random_search(seed) for seed in range(2)]


@pytest.fixture(scope="module")
def mine(searches):
    return MetaDataset.from_cv_results([search.cv_results_ for search in searches])


def same(a: MetaDataset, b: MetaDataset) -> bool:
    tables = ("scores", "tasks", "meta_features")
    alike = all(
        getattr(a, t) is getattr(b, t) or getattr(a, t).equals(getattr(b, t)) for t in tables
    )
    return alike and a.space == b.space and a.configs == b.configs and a.about == b.about


# ------------------------------------------------------------------ Optuna


def test_studies_become_experience(tmp_path):
    made = MetaDataset.from_optuna([study("low", 0.2), study("high", 0.8, seed=1)])
    assert list(made.tasks.index) == ["low", "high"]
    lines = [" ".join(line.split()) for line in str(made.space).splitlines()]
    assert lines == [
        "kernel categorical rbf, linear, poly",
        "C float [0.01, 100] log",
        "gamma float [0, 1] when kernel in rbf",
    ]
    gammas = pd.Series([config.get("gamma") for config in made.configs], dtype=float)
    for task, best in (("low", 0.2), ("high", 0.8)):
        # the studies tried other configurations: a surrogate says how these would have done
        near = (gammas - best).abs() < 0.15
        far = (gammas - best).abs() > 0.5
        assert made.scores.loc[task, near].min() > made.scores.loc[task, far].max()
    assert same(MetaDataset.load(made.save(tmp_path / "made")), made)
    row = pd.DataFrame({"rows": [1.0, 2.0]}, index=["low", "high"])
    made = MetaDataset.from_optuna([study("low"), study("high", seed=1)], row, {"low": "f"})
    assert made.meta_features["rows"].to_dict() == {"low": 1, "high": 2}
    assert made.families.to_dict() == {"low": "f", "high": "high"}


def test_a_minimised_study_is_turned_round():
    """The same trials, one study of the loss, one of the score: the same experience."""
    up, down = (MetaDataset.from_optuna(study("s", direction=d)) for d in ("maximize", "minimize"))
    assert up.scores.equals(down.scores)
    assert up.scores.loc["s"].max() == study("s").best_value


def test_a_storage_holds_studies(tmp_path):
    address = f"sqlite:///{tmp_path}/studies.db"
    given = [study(name, storage=address, n=8) for name in ("a", "b")]
    made = MetaDataset.from_optuna(address)
    assert same(made, MetaDataset.from_optuna(given))
    assert same(made, MetaDataset.from_optuna(optuna.storages.RDBStorage(address)))
    assert not made.about  # the same trials in both: no surrogate was needed


def test_ranges_are_joined_and_steps_left_out():
    def made(name, high):
        ours = optuna.create_study(study_name=name, sampler=optuna.samplers.RandomSampler(seed=0))
        ours.optimize(lambda t: t.suggest_float("x", 0, high, step=0.5)
                      + t.suggest_int("k", 2, 2 * high, step=2)
                      + len(t.suggest_categorical("word", ["a", "b" * high])), 6)  # fmt: skip
        return ours

    space = MetaDataset.from_optuna([made("a", 2), made("b", 3)]).space
    assert (space["x"].low, space["x"].high) == (0, 3)
    assert (space["k"].low, space["k"].high) == (2, 6)
    assert space["word"].choices == ("a", "bb", "bbb")


def test_a_study_without_two_scores_is_left_out():
    with pytest.warns(UserWarning, match="'empty' has fewer than two trials with a score"):
        made = MetaDataset.from_optuna([study("empty", n=0), study("full")])
    assert list(made.tasks.index) == ["full"]


def other_kind(name):
    ours = optuna.create_study(study_name=name)
    ours.optimize(lambda trial: trial.suggest_float("C", 0, 1), 3)
    return ours


def without_a_reason(name):
    ours = optuna.create_study(study_name=name)
    ours.optimize(lambda t: t.suggest_float("x", 0, 1)
                  + (t.suggest_float("y", 0, 1) if t.number % 2 else 0), 4)  # fmt: skip
    return ours


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (lambda: [optuna.create_study(directions=["maximize"] * 2)], ValueError, "2 objectives"),
        (lambda: [study("a"), study("a")], ValueError, r"got \['a', 'a'\], .* different names"),
        (lambda: [], ValueError, r"got \[\], accepted are one or more"),
        (lambda: [study("a"), other_kind("b")], ValueError, "'C' is .*log=True.* in 'a', but"),
        (lambda: [without_a_reason("a")], ValueError, "'y' is missing .*space=SearchSpace"),
        (lambda: [3], TypeError, "studies: got 3, accepted are Optuna studies, or a storage"),
        (lambda: 3, TypeError, "studies: got 3"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*fewer than two")
def test_bad_studies_are_named(given, error, message):
    with pytest.raises(error, match=message):
        MetaDataset.from_optuna(given())


def test_a_space_of_ones_own():
    space = SearchSpace([Float("x", 0, 1)])
    with pytest.raises(ValueError, match=r"a: trial 0 is not of the space: .*'kernel'"):
        MetaDataset.from_optuna([study("a")], space=space)
    made = MetaDataset.from_optuna([other_kind("b")], space=SearchSpace([Float("C", 0, 2)]))
    assert made.space["C"].high == 2


# ------------------------------------------------------------------ scikit-learn


def test_cv_results_become_experience(mine, searches, tmp_path):
    assert list(mine.tasks.index) == ["search 1", "search 2"]
    C, kernel, gamma = (mine.space[f"svc__{name}"] for name in ("C", "kernel", "gamma"))
    assert 0.5 <= C.low < C.high <= 2
    assert not C.log  # the ends are less than a factor of 100 apart
    assert gamma.log
    assert gamma.when == {"svc__kernel": ("rbf",)}
    assert set(kernel.choices) == {"rbf", "linear"}
    assert len(mine.configs) == 16
    assert mine.about["surrogate"].startswith("100 extremely randomised trees")
    assert same(MetaDataset.load(mine.save(tmp_path / "mine")), mine)
    named = MetaDataset.from_cv_results({"a": searches[0].cv_results_}, families={"a": "f"})
    assert named.families.to_dict() == {"a": "f"}
    assert np.allclose(named.scores.loc["a"], searches[0].cv_results_["mean_test_score"])


def test_the_next_search_begins_with_it(mine):
    ours = MetaSearchCV(PIPELINE, mine, n_trials=3, cv=2, random_state=0).fit(X, Y)
    assert ours.configs_[0] == mine.best_default()
    assert set(ours.best_params_) <= {"svc__C", "svc__kernel", "svc__gamma"}


def test_texts_truth_values_and_none_are_choices():
    params = [{"depth": d, "flag": f, "x": x} for d, f, x in [(None, True, 1), (3, False, 0.5)]]
    made = MetaDataset.from_cv_results({"params": params, "mean_test_score": [0.1, 0.2]})
    assert made.space["depth"].choices == (None, 3)
    assert made.space["flag"].choices == (True, False)
    assert made.space["x"] == Float("x", 0.5, 1)


def test_trials_without_a_score_and_trials_twice():
    params = [{"x": x} for x in (1, 2, 2, 3, 9)]
    scores = [0.1, 0.2, 0.4, 0.5, np.nan]
    made = MetaDataset.from_cv_results({"params": params, "mean_test_score": scores})
    assert made.scores.to_numpy().tolist() == [[0.1, pytest.approx(0.3), 0.5]]
    assert made.space["x"].high == 3


@pytest.mark.parametrize(
    ("results", "error", "message"),
    [
        ([{"params": []}], ValueError, "'search 1' is .*accepted is the cv_results_"),
        (["text"], ValueError, "'search 1' is str; accepted is the cv_results_"),
        (3, TypeError, "results: got 3, accepted is"),
        ([], ValueError, r"got \[\], accepted are one or more"),
        (
            {"a": {"params": [{"est": SVC()}], "mean_test_score": [1]}}, ValueError,
            r"a: trial 0: 'est' is SVC\(\), accepted is a number, a text",
        ),
    ],
)  # fmt: skip
def test_bad_results_are_named(results, error, message):
    with pytest.raises(error, match=message):
        MetaDataset.from_cv_results(results)


# ------------------------------------------------------------------ one more task


def test_add_a_search(mine, searches, tmp_path):
    search = MetaSearchCV(PIPELINE, mine, n_trials=4, cv=2, random_state=0).fit(X, Y)
    more = mine.add(search).add(searches[0], "old", "family").add(search)
    assert list(mine.tasks.index) == ["search 1", "search 2"]  # as it was
    assert list(more.tasks.index[2:]) == ["search 3", "old", "search 4"]
    assert more.families["old"] == "family"
    assert more.scores.iloc[:2].equals(mine.scores)
    for config, score in zip(search.configs_, search.cv_results_["mean_test_score"], strict=True):
        if config in mine.configs:
            assert more.scores.loc["search 3", mine.configs.index(config)] == score
    assert search.configs_[0] in mine.configs
    low, high = np.nanmin(more.scores.loc["search 3"]), np.nanmax(more.scores.loc["search 3"])
    scores = search.cv_results_["mean_test_score"]
    assert scores.min() - 1e-9 < low <= high < scores.max() + 1e-9
    loaded = MetaDataset.load(more.save(tmp_path / "more"))
    assert same(loaded, more)
    assert loaded.about["added"] == ["search 3", "old", "search 4"]
    MetaSearchCV(PIPELINE, loaded, n_trials=1, cv=2, random_state=0).fit(X, Y)


def test_add_to_shipped_experience(tmp_path):
    svc = MetaDataset.load("svc")
    svc = svc.subset(list(svc.tasks.index[:10]))
    search = MetaSearchCV("svc", svc, n_trials=3, cv=2, random_state=0).fit(X, Y)
    more = svc.add(search, "my wine")
    assert more.meta_features.loc["my wine"].equals(search.meta_features_.rename("my wine"))
    assert same(MetaDataset.load(more.save(tmp_path / "more")), more)
    sampler = MetaSampler(svc, search.meta_features_, seed=0)
    ours = optuna.create_study(direction="maximize", sampler=sampler)
    ours.optimize(lambda trial: svc.space.suggest(trial)["C"], 3)
    more = svc.add(ours, "my study")
    best = max(range(len(more.configs)), key=lambda i: more.scores.loc["my study", i])
    assert more.configs[best]["C"] > 10
    with pytest.raises(ValueError, match="meta_features: 'log_rows' is missing"):
        svc.add(search, meta_features=pd.Series({"other": 1.0}))
    ours = optuna.create_study(direction="maximize")
    ours.optimize(lambda trial: svc.space.suggest(trial)["C"], 3)
    with pytest.raises(ValueError, match="meta_features: the search has none"):
        svc.add(ours)
    assert len(svc.add(ours, meta_features=search.meta_features_).tasks) == 11


def test_bad_additions_are_named(mine, searches):
    other = random_search(0, 2, {"svc__C": [1, 2]})
    table = {"params": [mine.configs[0]], "mean_test_score": [1.0]}
    single = SimpleNamespace(cv_results_=table)
    for search, name, error, message in [
        (searches[0], "search 1", ValueError, "name: there is a task 'search 1' already"),
        (searches[0], 3, ValueError, "name: got 3, accepted is a text"),
        (other, "new", ValueError, "new: trial 0 is not of the space: .*'svc__kernel' is missing"),
        (single, None, ValueError, "search: 1 trials have a score, accepted are two or more"),
        (MetaSearchCV("svc"), None, TypeError, "search: got a MetaSearchCV, accepted is a fitted"),
        (searches[0].cv_results_, None, TypeError, "search: got a dict, accepted is a fitted"),
    ]:
        with pytest.raises(error, match=message):
            mine.add(search, name)


def test_the_space_is_told_in_the_error(mine):
    with pytest.raises(ValueError, match=re.escape(str(mine.space.names))):
        mine.add(random_search(0, 2, {"svc__C": [1, 2]}))
