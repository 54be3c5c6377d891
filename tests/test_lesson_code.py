"""What a learner writes in a lesson equals what the library holds."""

import ast
import importlib
import inspect
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import norm, spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import RepeatedKFold

from metahpo_lite import (
    BayesianSearch,
    Categorical,
    Float,
    GaussianProcess,
    LiveTask,
    MetaDataset,
    NearestTasks,
    RandomSearch,
    SearchSpace,
    TaskDistance,
    collect_experience,
    draw_configs,
    expected_improvement,
    hyperparameter_importance,
    meta_features,
    posterior,
    race,
    response_similarity,
    run,
    task_distances,
)
from metahpo_lite.config_predictor import configuration_loss
from metahpo_lite.distances import first_trials, neighbour_weights
from metahpo_lite.gaussian_process import matern52, squared_differences
from metahpo_lite.learned_distance import OBJECTIVES
from metahpo_lite.metafeatures import GROUPS
from metahpo_lite.metric_based import AGREEMENT
from metahpo_lite.networks import listwise_loss
from metahpo_lite.policy import policy_gradient
from metahpo_lite.portfolio import Portfolio, greedy_portfolio
from metahpo_lite.warmstart import NOISE, Hypotheses, View

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("[0-9A]*.ipynb"))


def cells(number):
    (path,) = [path for path in NOTEBOOKS if path.name.startswith(number)]
    book = nbformat.read(path, as_version=4)
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def function(number, name, **names):
    """A function of a lesson, with the names that it uses."""
    for source in cells(number):
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                exec(compile(ast.Module([node], []), number, "exec"), names)
                return names[name]
    raise KeyError(f"lesson {number} has no function {name}")


@pytest.mark.parametrize(("low", "high"), [(0.01, 1e4), (1e-6, 1e-3), (3, 7)])
def test_lesson_01_log_scale(low, high):
    to_unit = function("01", "to_unit", np=np)
    from_unit = function("01", "from_unit", np=np)
    library = Float("x", low, high, log=True)
    for u in np.linspace(0, 1, 101):
        assert from_unit(u, low, high) == pytest.approx(library.decode(u))
        value = library.decode(u)
        assert to_unit(value, low, high) == pytest.approx(library.encode(value), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_lesson_02_random_search(seed):
    random_search = function("02", "random_search", np=np)
    task = LiveTask("iris", "svc")
    incumbent, best = random_search(task, 10, np.random.default_rng(seed))
    history = run(RandomSearch(task.space, np.random.default_rng(seed)), task, 10)
    assert best == history["incumbent"].iloc[-1]
    assert incumbent == history.loc[history["score"].idxmax(), "config"]


def test_lesson_03_posterior():
    """That of the library; the case done by hand has mean and standard deviation 1/2."""
    kernel, ours = function("03", "kernel", np=np), function("03", "posterior", np=np)
    by_hand = ours(np.array([[1, 0.5], [0.5, 1]]), np.array([[0.75], [0.75]]), np.array([0, 1]))
    np.testing.assert_allclose(by_hand, [[0.5], [0.5]])
    for seed in range(5):
        rng = np.random.default_rng(seed)
        at, x, y = rng.random(8), rng.random(50), rng.normal(size=8)
        differences = squared_differences(at[:, None], x[:, None], np.array([False]))
        k = kernel(at, x)
        np.testing.assert_allclose(k, matern52(differences, np.array([0.15])))
        K = kernel(at, at) + 0.01 * np.eye(8)
        np.testing.assert_allclose(ours(K, k, y), posterior(K, k, y), rtol=1e-6)


def test_lesson_03_expected_improvement():
    ours = function("03", "expected_improvement", norm=norm)
    mean, std = np.meshgrid(np.linspace(-3, 3, 13), [1e-3, 0.5, 2])
    np.testing.assert_allclose(ours(mean, std, 0.3), expected_improvement(mean, std, 0.3))


@pytest.mark.parametrize("seed", range(3))
def test_lesson_03_next_trial(seed, monkeypatch):
    """That of the library, with the scale and noise of the lesson, and no score clipped."""
    x, (a, b) = np.linspace(0, 1, 101), np.random.default_rng(seed).random(2)
    names = {"np": np, "norm": norm, "x": x, "truth": np.sin(9 * (x + a)) + b * x}
    for name in ("kernel", "posterior", "expected_improvement", "belief", "promise"):
        names[name] = function("03", name, **names)

    def as_in_the_lesson(X, y, *_):
        return GaussianProcess(X, y, np.array([0.15]), 1.0, 0.01, np.array([False]))

    monkeypatch.setattr(GaussianProcess, "fit", as_in_the_lesson)
    monkeypatch.setattr("metahpo_lite.bayes.standardise", lambda y: (y - np.mean(y)) / np.std(y))
    pool = [{"u": u} for u in x]
    space = SearchSpace([Float("u", 0, 1)])
    library, tried = BayesianSearch(space, np.random.default_rng(0), pool, initial=3), []
    for place in (5, 35, 95):
        library.update(pool[place], names["truth"][place])
        tried.append(place)
    for _ in range(6):
        tried.append(int(names["promise"](tried).argmax()))
        assert library.suggest() == pool[tried[-1]]
        library.update(pool[tried[-1]], names["truth"][tried[-1]])


def test_lesson_05_collect(tmp_path):
    collect = function("05", "collect", np=np, LiveTask=LiveTask)
    tables, configs = ["wine", "iris"], draw_configs("svc", 6)
    experience = collect_experience("svc", tables, configs, tmp_path / "e", time_limit=None)
    assert np.array_equal(collect("svc", tables, configs), experience.scores.loc[tables])


def test_lesson_05_importance():
    """That of the library; the case done by hand has share 1, what changes nothing has 0."""
    names = {"np": np, "RepeatedKFold": RepeatedKFold, "ExtraTreesRegressor": ExtraTreesRegressor}
    importance = function("05", "importance", **names)
    space = SearchSpace([Categorical("switch", ["on", "off"]), Float("idle", 0, 1)])
    configs = space.sample(np.random.default_rng(0), 300)
    by_hand = [2 * (config["switch"] == "on") - 1 for config in configs]
    scores = np.stack([by_hand, np.random.default_rng(1).normal(size=300)], axis=1)
    points = space.encode(configs)
    shares = importance(points, scores)
    np.testing.assert_allclose(shares, hyperparameter_importance(space, configs, scores))
    assert shares[0] == pytest.approx([1, 0], abs=0.1)
    assert shares[1].max() < 0.1 < importance(points, scores, seen=True)[1].min()


@pytest.mark.parametrize("seed", range(3))
def test_lesson_06_information(seed):
    entropy = function("06", "entropy", np=np)
    mutual_information = function("06", "mutual_information", entropy=entropy)
    rng = np.random.default_rng(seed)
    x = pd.Series(rng.choice(["a", "b", "a b"], 200)).astype("category")
    y = pd.Series(np.where(rng.random(200) < 0.7, x.astype(str), "b b"))
    library = meta_features(x.to_frame("x"), y, groups="information")
    assert entropy(y) == pytest.approx(library["class_entropy"])
    assert entropy(x) == pytest.approx(library["attribute_entropy_mean"])
    assert mutual_information(x, y) == pytest.approx(library["mutual_information_mean"])


def test_lesson_06_nearest_and_all():
    """With all other tasks as neighbours it is the single best default of the library."""
    ask, experience = function("06", "ask", np=np), MetaDataset.load("svc")
    tasks = list(experience.tasks.index[:12])
    part = experience.subset(tasks)
    gap = np.abs(np.subtract.outer(np.arange(12.0), 1.1 * np.arange(12)))
    found = ask(part.regrets, gap, 11)
    for i, task in enumerate(tasks):
        default = part.configs.index(part.without(part.families[task]).best_default())
        assert found[i] == pytest.approx(part.regrets.loc[task, default])
    first = part.regrets.loc[tasks[0], part.regrets.loc[tasks[1]].idxmin()]
    assert ask(part.regrets, gap, 1)[0] == pytest.approx(first)


def test_lesson_07_loss():
    """That of the library; the case done by hand, two tasks with two kernels, costs log 2."""
    keras = pytest.importorskip("keras")
    loss = function("07", "loss", keras=keras)
    right = np.array([[0.5, 1, 0, 0], [0.5, 0, 0, 1]])
    by_hand = loss(right, np.array([0.0, 0, -30, 0]))
    np.testing.assert_allclose(by_hand, np.log(2), rtol=1e-6)
    rng = np.random.default_rng(0)
    y = np.column_stack([rng.random(20), np.eye(3)[rng.integers(3, size=20)]])
    f = rng.normal(size=(20, 4))
    library = configuration_loss((1, 3))
    np.testing.assert_allclose(loss(y, f), library(y, f), rtol=1e-5)
    y, f = np.hstack([y, rng.random((20, 2))]), rng.normal(size=(20, 6))  # and more numbers
    np.testing.assert_allclose(loss(y, f), configuration_loss((1, 3, 1, 1))(y, f), rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_lesson_08_loss(seed):
    """That of the library; the case done by hand costs log 2, and a constant is free."""
    listwise = function("08", "listwise", softmax=softmax, log_softmax=log_softmax)
    assert listwise(np.log([3, 1]), np.zeros(2)) == pytest.approx(np.log(2))
    rng = np.random.default_rng(seed)
    y, f = rng.normal(size=(2, 4, 9))
    library = listwise_loss(y, f.astype(np.float32))
    np.testing.assert_allclose(listwise(y, f), library, rtol=1e-5)
    np.testing.assert_allclose(listwise(y, f + 7), library, rtol=1e-5)


def test_lesson_08_what_it_says_of_the_benchmarks():
    """On mlp, over 50 trials, only warm starts are as good as random search with twice as many."""
    results = (NOTEBOOKS[0].parents[1] / "benchmarks" / "results.md").read_text(encoding="utf-8")
    table = results.split("\n## mlp\n")[1].split("\n## ")[0]
    methods = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")]
    assert all(
        method.startswith("warm_start") for method in methods[2 : methods.index("random_2x")]
    )
    assert "meta_model" in methods[methods.index("random_2x") :]


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_lesson_09_distances(metric):
    """Those of the library; cosine does not see how far out a task is."""
    mine, rng = function("09", metric, np=np), np.random.default_rng(0)
    A, B = rng.normal(size=(4, 6)), rng.normal(size=(3, 6))
    by_hand = [[mine(a, b) for b in B] for a in A]
    np.testing.assert_allclose(by_hand, task_distances(A, B, metric))
    assert (mine(A[0], 2 * A[0]) == pytest.approx(0)) == (metric == "cosine")


def test_lesson_09_tau():
    """That by which the library's searcher changes its weights, ties included."""
    tau, experience = function("09", "tau", np=np), MetaDataset.load("svc")
    y, known = np.array([3.0, 1, 2]), np.array([[3.0, 2, 1], [6, 2, 4], [0, 0, 0]])
    np.testing.assert_allclose(tau(y, known), [1 / 3, 1, 0])
    task, rest = experience.tasks.index[0], experience.without(experience.families.iloc[:1])
    distance, pool = TaskDistance().fit(rest), experience.configs
    described = experience.meta_features.loc[task]
    searcher = NearestTasks(
        experience.space, np.random.default_rng(0), rest, described, distance, pool=pool
    )
    run(searcher, experience.replay(task), 6)
    scores = experience.scores.loc[task].to_numpy()[searcher.tried]
    weights = searcher.near * np.exp(
        AGREEMENT * 6**0.5 * tau(scores, -rest.regrets.to_numpy()[:, searcher.tried])
    )
    np.testing.assert_allclose(searcher.weights, weights / weights.sum())


def test_lesson_09_groups():
    """It splits the columns of meta-features where the library's groups end."""
    names = list(MetaDataset.load("svc").meta_features)
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=list("abc"))
    parts = np.split(np.array(names), (8, 17, 25))
    for group, part in zip(GROUPS, parts, strict=True):
        assert list(meta_features(table, [0, 1] * 15, groups=group).index) == list(part)
    assert any("(8, 17, 25)" in source for source in cells("09"))


def test_lesson_09_nearness_of_all_is_the_portfolio():
    """With all tasks alike its list has the regrets of the greedy portfolio."""
    e = MetaDataset.load("svc")
    rest = {e.name: [e.without(list(e.families[k::5])) for k in range(5)]}
    names = {"np": np, "replace": replace, "rest": rest, "TaskDistance": TaskDistance}
    names |= {"first_trials": first_trials, "neighbour_weights": neighbour_weights}
    listed = function("09", "listed", **names)
    curves = race(lambda i, _: Portfolio(rest[e.name][i % 5], 4), e, 4)
    np.testing.assert_allclose(listed(e, None, 4), curves.mean(axis=(1, 2)), atol=1e-12)


def test_lesson_09_relatives():
    """Made relatives keep what describes a task; the noise has the size that the lesson says."""
    names = {"np": np, "default_rng": np.random.default_rng, "replace": replace}
    collected_again, e = function("09", "collected_again", **names), MetaDataset.load("svc")
    again = collected_again(e)
    pd.testing.assert_frame_equal(again.meta_features, e.meta_features)
    noisy = e.trials["std"] > 1e-6
    luck = (again.trials["score"] - e.trials["score"])[noisy] / e.trials["std"][noisy]
    assert luck.std() == pytest.approx((2 / 3) ** 0.5, rel=0.05)


def test_lesson_04_best_default():
    best_default, experience = function("04", "best_default"), MetaDataset.load("svc")
    for family in experience.families[::40]:
        number = best_default(experience.regrets, experience.families, family)
        assert experience.configs[number] == experience.without(family).best_default()


@pytest.mark.parametrize("name", ["printed", "constrained", "contrastive", "similarity"])
def test_lesson_10_objectives(name):
    """Those of the library, value and derivative."""
    names = {"np": np, "pairs": function("10", "pairs", np=np)}
    names["printed"] = function("10", "printed", **names)
    rng = np.random.default_rng(0)
    Z, S = rng.normal(size=(9, 3)), np.corrcoef(rng.normal(size=(9, 20)))
    D = ((Z[:, None] - Z) ** 2).sum(axis=-1) / 6  # some pairs nearer than 1
    mine, library = function("10", name, **names)(D, S), OBJECTIVES[name](D, S)
    assert mine[0] == pytest.approx(library[0])
    np.testing.assert_allclose(mine[1], library[1], atol=1e-12)


def test_lesson_10_descent():
    """A step against the gradient by theta, which is that of finite differences."""
    rng = np.random.default_rng(0)
    x, S = rng.normal(size=(9, 30)), np.corrcoef(rng.normal(size=(9, 20)))
    G, start = (x[:, None] - x) ** 2, np.full(30, 30**-0.5)
    descend = function("10", "descend", np=np, G=G, S=S)
    (theta, past), similarity = descend(OBJECTIVES["similarity"], 1, 1e-3), OBJECTIVES["similarity"]
    up = [similarity(G @ (start + step) ** 2, S)[0] for step in 1e-6 * np.eye(30)]
    np.testing.assert_allclose((start - theta) / 1e-3, (up - past[0, 0]) / 1e-6, atol=1e-4)


def test_lesson_10_judge():
    """Rank correlations of nearness and likeness with the tasks of the other folds alone."""
    names = {"np": np, "DataFrame": pd.DataFrame, "concat": pd.concat}
    judge = function("10", "judge", response_similarity=response_similarity, **names)
    e = MetaDataset.load("svc")
    e = e.subset(e.tasks.index[:40])
    S, found = response_similarity(e), judge(e, {"given": TaskDistance()})
    known = e.without(list(e.families[2::5]))
    near, at = -TaskDistance().fit(known)(e.meta_features.iloc[7])[0], np.arange(40) % 5 != 2
    typical = S[at][:, at].mean(axis=0)
    row = found.loc[e.tasks.index[7]]
    for way, part, a in (("given", 0, near), ("given", 1, near), ("typical", 0, typical)):
        assert row[way, part] == pytest.approx(spearmanr(a, S[7, at] - part * typical)[0])
    assert judge(e, {"given": TaskDistance()}, 10).shape == (40, 4)


IMPORTED = sorted(
    {
        (node.module, alias.name)
        for path in NOTEBOOKS
        for source in cells(path.name[:2])
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("metahpo_lite")
        for alias in node.names
    }
)


@pytest.mark.parametrize(("module", "name"), IMPORTED)
def test_what_a_lesson_imports_is_described(module, name):
    """Shapes, errors and source stand where a learner presses Shift+Tab."""
    thing = getattr(importlib.import_module(module), name)
    if isinstance(thing, (dict, float)):  # constants, described beside them
        return
    doc = inspect.getdoc(thing) or ""
    assert len(doc.splitlines()) > 1 or not inspect.signature(thing).parameters
    names = [n for n in inspect.signature(thing).parameters if not n.startswith("_")]
    assert not names or re.search(r"^(Parameters|Attributes)\n-+$", doc, re.MULTILINE)
    if "np.ndarray" in str(inspect.signature(thing)):
        assert re.search(r"shape|length", doc), "does not give the shape of its arrays"


def test_lessons_import_something():
    assert len(IMPORTED) > 15


def test_greedy_portfolio_of_lesson_11():
    greedy = function("11", "greedy", np=np)
    experience = MetaDataset.load("svc")
    chosen = greedy(experience.regrets.to_numpy(), 8)
    assert greedy_portfolio(experience, 8) == [experience.configs[i] for i in chosen]


def test_log_weights_of_lesson_11(monkeypatch):
    """They are the library's where the size of the responses is known."""
    monkeypatch.setattr("metahpo_lite.warmstart.SIZE", 1e6)  # then the factor of the scores is 1
    rng = np.random.default_rng(0)
    view = View.of(rng.random((4, 2)), np.zeros(2, dtype=bool), rng.normal(size=(9, 4)))
    found = Hypotheses(1, lambda a, b, _: a.covariance(b), View.variance)
    for t in range(4):
        found.add(view[: t + 1])
    M, z = view.like_each(), rng.normal(size=4)
    S = view.covariance(view)[0] + NOISE * np.eye(4)
    ours, theirs = function("11", "log_weights", np=np)(S, M, z), found.judge(M, z)[0]
    assert np.allclose(ours - ours[0], theirs - theirs[0], atol=1e-3)
    assert np.ptp(ours) > 1


@pytest.mark.parametrize("seed", range(3))
def test_gradient_of_lesson_13(seed):
    rng = np.random.default_rng(seed)
    found, choices = rng.random((4, 7)), rng.normal(size=(4, 7, 6))
    gradient = function("13", "gradient", np=np)
    np.testing.assert_allclose(gradient(found, choices), policy_gradient(found, choices))
