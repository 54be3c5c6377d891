"""What a user relies on in learners: any table in, any valid configuration, the same result."""

import io
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from metahpo_lite.learners import LEARNERS, QuantileBins, Table, TotalVarianceScaler, get_learner

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size`"),
]
every_learner = pytest.mark.parametrize("learner", LEARNERS.values(), ids=list(LEARNERS))
N = 60
RNG = np.random.default_rng(0)
Y = np.array(["no", "yes"] * (N // 2))
SIGNAL = RNG.normal(size=N) + 2.0 * (Y == "yes")


@pytest.fixture(autouse=True)
def _one_thread():
    """Twenty times as fast for small tables where other programs use the cores too."""
    with threadpool_limits(1):
        yield


def few_steps(learner, config):
    """The same configuration, as small as its space allows where that only costs time."""
    small = {"max_iter": 10, "units_1": 8, "units_2": 8, "units_3": 8}
    return {name: small.get(name, value) for name, value in config.items()}


def fitted(learner, X, y=Y, config=None, seed=0):
    return learner.build(few_steps(learner, config or learner.default), seed).fit(X, y)


def check_predictions(pipeline, X):
    labels, probabilities = pipeline.predict(X), None
    assert len(labels) == len(X)
    assert set(labels) <= set(pipeline.classes_)
    if hasattr(pipeline, "predict_proba"):
        probabilities = pipeline.predict_proba(X)
        assert np.isfinite(probabilities).all()
    return labels


# ------------------------------------------------------------------ any configuration

MIXED = pd.DataFrame(
    {
        "number": np.where(RNG.random(N) < 0.1, np.nan, SIGNAL),
        "whole": RNG.integers(0, 9, N),
        "text": pd.Series(RNG.choice(["a", "b", "c"], N)),
        "object": pd.Series(RNG.choice(np.array(["u", "v", None]), N), dtype=object),
        "category": pd.Categorical(RNG.choice(["x", "y"], N), categories=["never", "y", "x"]),
        "levels": pd.Categorical(RNG.choice([1, 2, 3], N)),
        "flag": RNG.random(N) < 0.5,
        "date": pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 900, N), unit="D"),
        "nullable": pd.array(np.where(RNG.random(N) < 0.1, None, RNG.integers(0, 9, N)), "Int64"),
        "nothing": [None] * N,
        "nan": np.nan,
        "constant": 1.0,
        "word": "same",
        "name": [f"person {i}" for i in range(N)],
    }
)


@every_learner
def test_every_valid_configuration_fits_and_predicts(learner):
    for config in learner.space.sobol(20, np.random.default_rng(1)):
        labels = check_predictions(fitted(learner, MIXED, config=config), MIXED)
        assert labels.dtype.kind in "OU"


@every_learner
def test_a_configuration_reaches_the_model(learner):
    """Each hyperparameter changes a parameter of the model."""
    configs = learner.space.sobol(32, np.random.default_rng(2))
    models = [str(sorted(learner.model(c, 0).get_params().items())) for c in configs]
    assert len(set(models)) == len(configs)
    for h in learner.space:
        active = next(config for config in configs if h.name in config)
        if any(h.name in other.when for other in learner.space):
            continue  # the others change with it
        ends = [{**active, h.name: h.decode(u)} for u in (0.0, 1.0)]
        one, two = (learner.build(config)["model"].get_params() for config in ends)
        assert sum(one[name] != two[name] for name in one) == 1, h.name


@every_learner
def test_an_invalid_configuration_is_refused_in_the_words_of_the_space(learner):
    with pytest.raises(KeyError, match="unknown name 'nonsense'"):
        learner.build({**learner.default, "nonsense": 1})
    with pytest.raises(KeyError, match="is missing"):
        learner.build({})
    first = learner.space.names[0]
    with pytest.raises(ValueError, match=f"^{first}: got 1e\\+99, accepted is"):
        learner.build({**learner.default, first: 1e99})


def test_an_unknown_learner_is_refused_with_those_that_there_are():
    for name in ("svm", "", None, 3):
        with pytest.raises(KeyError, match=r"name: got .* accepted is one of \['svc', 'hist_"):
            get_learner(name)
    assert get_learner("svc") is LEARNERS["svc"]


# ------------------------------------------------------------------ the default


@every_learner
def test_the_default_is_valid_and_what_the_library_does(learner):
    assert learner.space.check(learner.default) == learner.default
    model = learner.build(learner.default, seed=3)["model"]
    library = type(model)()
    on_purpose = {
        "svc": {"gamma", "cache_size", "max_iter"},  # gamma=1 is "scale" after the scaler
        "hist_gradient_boosting": {"early_stopping", "l2_regularization"},  # 1e-6 instead of 0
        "mlp": {"max_iter", "batch_size"},  # 200, as "auto" in all but small tables
    }[learner.name] | {"random_state"}
    ours, theirs = model.get_params(), library.get_params()
    ours.update(hidden_layer_sizes=tuple(ours.get("hidden_layer_sizes", ())))
    theirs.setdefault("hidden_layer_sizes", ())
    assert {name for name in theirs if ours[name] != theirs[name]} <= on_purpose
    assert model.random_state == 3
    assert isinstance(library, SVC | HistGradientBoostingClassifier | MLPClassifier)


# ------------------------------------------------------------------ any table

WIDE = RNG.normal(size=(N, 2000))
TABLES = {
    "mixed": MIXED,
    "one column": pd.DataFrame({"x": SIGNAL}),
    "one column of text": pd.DataFrame({"x": np.where(SIGNAL > 0, "high", "low")}),
    "one column without a value": pd.DataFrame({"x": [None] * N}),
    "constant": pd.DataFrame({"x": np.ones(N), "y": "same"}),
    "array": np.column_stack([SIGNAL, RNG.normal(size=N)]),
    "float32": np.column_stack([SIGNAL, RNG.normal(size=N)]).astype("float32"),
    "whole numbers": RNG.integers(0, 3, (N, 3)),
    "objects": np.array([[s, w] for s, w in zip(SIGNAL, "ab" * (N // 2), strict=True)], object),
    "lists": [[float(s), "ab"[i % 2], None] for i, s in enumerate(SIGNAL)],
    "integer names": pd.DataFrame({3: SIGNAL, 0: list("abc" * (N // 3)), 1: RNG.normal(size=N)}),
    "odd names": pd.DataFrame({"": SIGNAL, "self": "x", "a__b": SIGNAL, "[<]": list("ab" * 30)}),
    "odd index": pd.DataFrame({"x": SIGNAL, "t": list("ab" * 30)}, index=[7] * N),
    "more columns than rows": WIDE[:, :100],
    "very large and very small": np.column_stack([SIGNAL * 1e150, SIGNAL * 1e-150]),
    "only missing and text": pd.DataFrame({"x": [None] * N, "t": list("ab" * 30)}),
}


@every_learner
@pytest.mark.parametrize("name", TABLES)
def test_any_table_fits_and_predicts(learner, name):
    X = TABLES[name]
    before = joblib.hash(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Got `batch_size`")
        pipeline = fitted(learner, X)
        labels = check_predictions(pipeline, X)
        assert (check_predictions(pipeline, X[:1]) == labels[:1]).all()  # one row, the same answer
    assert joblib.hash(X) == before  # the table is left as it was


@every_learner
def test_a_table_of_2000_columns(learner):
    X = pd.DataFrame(WIDE)
    X[0], X[1] = SIGNAL, list("abc" * (N // 3))
    check_predictions(fitted(learner, X), X)


@every_learner
def test_a_thousand_levels_neither_fail_nor_make_the_table_wide(learner):
    levels = np.array([f"level {i}" for i in range(1000)])
    X = pd.DataFrame({"many": np.r_[levels, levels], "x": np.tile(SIGNAL, 34)[:2000]})
    y = np.tile(Y, 34)[:2000]
    pipeline = fitted(learner, X, y)
    assert check_predictions(pipeline, X).shape == (2000,)
    assert pipeline["preprocess"].transform(X[:5]).shape[1] <= 40


@every_learner
def test_what_training_did_not_have(learner):
    """Parts of a table that look different from the part that was fitted on."""
    pipeline = fitted(learner, MIXED)
    changes = {
        "unseen": {"text": "new", "category": "new", "object": "new", "name": "someone else"},
        "missing texts": {"text": None, "object": np.nan, "category": None},
        "missing numbers": {"number": None, "whole": np.nan, "date": pd.NaT, "flag": None},
        "values where there were none": {"nothing": "text", "nan": 3.0},
        "no longer constant": {"constant": -7.0, "word": "another"},
        "levels as plain numbers": {"levels": 2},
    }
    for name, change in changes.items():
        part = MIXED[:5].assign(**change)
        assert len(check_predictions(pipeline, part)) == 5, name
    np.testing.assert_array_equal(
        pipeline.predict(MIXED[:9].assign(levels=[1, 2, 3] * 3)),
        pipeline.predict(MIXED[:9].assign(levels=pd.Categorical([1, 2, 3] * 3))),
    )
    whole = pipeline.predict(MIXED)
    np.testing.assert_array_equal(pipeline.predict(MIXED[MIXED.columns[::-1]]), whole)
    np.testing.assert_array_equal(pipeline.predict(MIXED.assign(extra="text")), whole)
    with pytest.raises(ValueError, match="column 'number' holds text"):
        pipeline.predict(MIXED.assign(number="text"))
    with pytest.raises(ValueError, match="column 'word' is missing"):
        pipeline.predict(MIXED.drop(columns="word"))


@every_learner
def test_missing_values_are_used_not_dropped(learner):
    """Where only the absence of a value tells the classes apart."""
    X = pd.DataFrame({"n": np.where(Y == "yes", np.nan, 1.0)})
    assert (fitted(learner, X).predict(X) == Y).mean() > 0.9 or learner.name == "mlp"
    X = pd.DataFrame({"t": pd.Series(np.where(Y == "yes", None, "a"), dtype=object)})
    assert (fitted(learner, X).predict(X) == Y).mean() > 0.9 or learner.name == "mlp"


# ------------------------------------------------------------------ scikit-learn's conventions


@every_learner
def test_same_seed_same_predictions(learner):
    config = few_steps(learner, learner.space.sample(np.random.default_rng(3)))

    def output(seed):
        pipeline = learner.build(config, seed).fit(MIXED, Y)
        how = "predict_proba" if hasattr(pipeline, "predict_proba") else "decision_function"
        return getattr(pipeline, how)(MIXED)

    np.testing.assert_array_equal(output(0), output(0))


@every_learner
def test_clone_set_params_and_pickle(learner):
    pipeline = fitted(learner, MIXED)
    expected = pipeline.predict(MIXED)
    file = io.BytesIO()
    joblib.dump(pipeline, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file).predict(MIXED), expected)

    again = clone(pipeline)
    assert isinstance(again, Pipeline)
    assert list(again.named_steps) == ["preprocess", "model"]
    np.testing.assert_array_equal(again.fit(MIXED, Y).predict(MIXED), expected)

    parameter = {"svc": "C", "hist_gradient_boosting": "learning_rate", "mlp": "alpha"}
    changed = clone(pipeline).set_params(**{f"model__{parameter[learner.name]}": 0.5})
    assert changed["model"].get_params()[parameter[learner.name]] == 0.5
    changed.fit(MIXED, Y)

    names = pipeline["preprocess"].get_feature_names_out()
    table = clone(pipeline["preprocess"]).set_output(transform="pandas").fit_transform(MIXED)
    assert list(table.columns) == list(names)


# ------------------------------------------------------------------ the parts


@parametrize_with_checks([TotalVarianceScaler(), QuantileBins()])
def test_our_steps_are_scikit_learn_transformers(estimator, check):
    check(estimator)


@pytest.mark.parametrize("columns", [1, 3, 40])
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_gamma_is_a_multiple_of_scale(columns, unit):
    rng = np.random.default_rng(columns)
    X = unit * (rng.normal(size=(80, columns)) + rng.normal(size=columns))
    y = (X[:, 0] > X[:, 0].mean()) ^ (rng.random(80) < 0.1)
    scale = 1 / (columns * X.var())
    for multiple, theirs in ((1.0, "scale"), (1.0, scale), (0.1, 0.1 * scale), (7.0, 7.0 * scale)):
        one = make_pipeline(TotalVarianceScaler(), SVC(gamma=multiple, tol=1e-9)).fit(X, y)
        other = SVC(gamma=theirs, tol=1e-9).fit(X, y)
        difference = one.decision_function(X) - other.decision_function(X)
        assert np.abs(difference).max() < 1e-7


def test_total_variance_scaler_leaves_a_constant_table_alone():
    X = np.full((5, 3), 7.0)
    np.testing.assert_array_equal(TotalVarianceScaler().fit_transform(X), X)


def test_the_default_svc_is_that_of_scikit_learn():
    learner = LEARNERS["svc"]
    pipeline = learner.build(learner.default).fit(MIXED, Y)
    X = pipeline["preprocess"].transform(MIXED)
    theirs = SVC().fit(X * pipeline["preprocess"][-1].scale_, Y)  # undoes the last step
    expected = theirs.decision_function(X * pipeline["preprocess"][-1].scale_)
    np.testing.assert_allclose(pipeline.decision_function(MIXED), expected, atol=2e-3)


def test_trees_get_categories_as_categories():
    pipeline = fitted(LEARNERS["hist_gradient_boosting"], MIXED)
    table = pipeline["preprocess"].transform(MIXED)
    text = {"text", "object", "category", "levels", "word", "name"}
    found = {
        name.split("__")[1]: bool(is_category)
        for name, is_category in zip(table.columns, pipeline["model"].is_categorical_, strict=True)
    }
    assert {name for name, is_category in found.items() if is_category} == text
    assert set(found) == set(MIXED.columns)


def test_trees_split_on_sets_of_categories():
    """Which level is which class has no order: only splits on sets find it with two leaves."""
    levels = np.array(list("abcdefgh"))[np.arange(400) % 8]
    y = np.isin(levels, list("adeh"))
    learner = LEARNERS["hist_gradient_boosting"]
    config = {**learner.default, "max_leaf_nodes": 3, "max_iter": 10, "learning_rate": 0.5}
    X = pd.DataFrame({"t": levels})
    assert (learner.build(config).fit(X, y).predict(X) == y).all()


def test_preprocessing_does_not_depend_on_the_configuration():
    for learner in LEARNERS.values():
        one, two = learner.space.sobol(2, np.random.default_rng(0))
        assert str(learner.build(one)["preprocess"]) == str(learner.build(two)["preprocess"])


def test_the_table_step_keeps_the_kinds_of_fit():
    step = Table().fit(MIXED)
    part = step.transform(MIXED[:3].assign(text=None, nothing="x", nan=1.0))
    assert isinstance(part["text"].dtype, pd.CategoricalDtype)
    assert part["text"].isna().all()
    assert (part[["nothing", "nan"]] == 0).all(axis=None)
    assert list(part.columns) == list(MIXED.columns) == list(step.get_feature_names_out())


def test_quantile_bins():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=2000), rng.integers(0, 9, 2000), np.full(2000, np.nan)])
    X[rng.random(2000) < 0.1, 0] = np.nan
    bins = QuantileBins().fit(X)
    B = bins.transform(X)
    np.testing.assert_array_equal(np.isnan(B), np.isnan(X))  # missing stays missing
    counts = np.unique(B[:, 0], return_counts=True)[1][:-1]  # the last are NaN
    assert len(counts) <= 255
    assert counts.max() <= 3 * counts.min()
    ranks = X[:, 1].argsort(kind="stable")
    assert (np.diff(B[ranks, 1]) >= 0).all()
    assert len(np.unique(B[:, 1])) == 9
    low, high, empty = bins.transform([[-9.0, 99.0, 5.0]])[0]  # beyond what was seen
    assert low == 0
    assert high >= B[:, 1].max()
    assert empty == 0
