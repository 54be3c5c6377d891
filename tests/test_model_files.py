"""A meta-model on disk predicts the same, and nothing of a file is executed."""

import importlib
import os
import sys

import numpy as np
import pytest
from meta_model_cases import CONFIG, NEW, SPACE, made, predictors

from metahpo_lite import (
    ConfigPredictor,
    MetaModelSearch,
    PerformancePredictor,
    load_model,
    save_model,
)

pytest.importorskip("tensorflow")


# ------------------------------------------------------------------ on disk


def test_saved_models_predict_the_same(tmp_path):
    for fitted in predictors():
        again = load_model(save_model(fitted, tmp_path / "model.skops"))
        assert np.array_equal(fitted.predict(NEW, made().configs),
                              again.predict(NEW, made().configs))  # fmt: skip
        search = [MetaModelSearch(SPACE, np.random.default_rng(0), made(), NEW, None, p)
                  for p in (fitted, again)]  # fmt: skip
        for trial in range(3):
            a, b = (s.suggest() for s in search)
            assert a == b
            for s in search:
                s.update(a, trial)
    for model in CONFIG:
        fitted = ConfigPredictor(model, given=["kernel"]).fit(made())
        again = load_model(save_model(fitted, tmp_path / "model.skops"))
        assert again.predict(NEW, given={"kernel": "rbf"}) == fitted.predict(
            NEW, given={"kernel": "rbf"}
        )


def test_a_file_that_is_no_meta_model(tmp_path):
    path = tmp_path / "model.skops"
    with pytest.raises(FileNotFoundError):
        load_model(path)
    path.write_bytes(b"cos\nsystem\n")
    with pytest.raises(ValueError, match="not a meta-model"):
        load_model(path)
    whole = save_model(predictors()[0], path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a meta-model"):
        load_model(path)
    with pytest.raises(RuntimeError, match="not fitted yet"):
        save_model(PerformancePredictor(), path)


def test_no_module_that_a_file_names_is_imported(tmp_path, monkeypatch):
    import skops.io

    (tmp_path / "stranger.py").write_text("class Guest:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    guest = importlib.import_module("stranger").Guest()
    path = tmp_path / "model.skops"
    skops.io.dump({"kind": "PerformancePredictor", "state": {"x": guest}}, path)
    del sys.modules["stranger"]
    with pytest.raises(ValueError, match="not a meta-model"):
        load_model(path)
    assert "stranger" not in sys.modules


def test_nothing_of_a_file_is_executed(tmp_path):
    import skops.io

    path = tmp_path / "model.skops"
    skops.io.dump({"kind": "PerformancePredictor", "state": {"x": os.system}}, path)
    with pytest.raises(ValueError, match="not a meta-model"):
        load_model(path)
