"""Meta-models on disk, without pickle."""

from __future__ import annotations

import os
from pathlib import Path

from metahpo_lite.config_predictor import ConfigPredictor, output_blocks
from metahpo_lite.inputs import check_fitted
from metahpo_lite.model_based import PerformancePredictor
from metahpo_lite.spaces import SearchSpace
from metahpo_lite.storage import write_file

TRUSTED = [  # what a file may hold beside arrays and scikit-learn's estimators; skops knows no code
    "metahpo_lite.bayes.GaussianProcess",  # where they stood before version 1.0
    "metahpo_lite.gaussian_process.GaussianProcess",
    "metahpo_lite.inputs.TaskInputs",
    "metahpo_lite.model_based.TaskInputs",
    "metahpo_lite.networks.Ensemble",
    "numpy.dtype",
    # parts of scikit-learn's trees; which of them skops trusts by itself depends on its version
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
]


def save_model(predictor: ConfigPredictor | PerformancePredictor, path: str | os.PathLike) -> Path:
    """Write a fitted meta-model to one file, without pickle.

    Parameters
    ----------
    predictor : ConfigPredictor or PerformancePredictor
    path : path
        By custom it ends in ``.skops``. A file that is there is replaced.

    Returns
    -------
    pathlib.Path
        Where it was written.

    Raises
    ------
    RuntimeError
        If the predictor is not fitted.
    """
    import skops.io

    check_fitted(predictor, "inputs_")
    state = dict(vars(predictor))
    state.pop("blocks_", None)  # follow from the spaces
    spaces = state.pop("spaces_", None) or {"": state.pop("space_")}
    state["spaces"] = [[learner, space.to_json()] for learner, space in spaces.items()]
    content = skops.io.dumps({"kind": type(predictor).__name__, "state": state})
    write_file(Path(path), content)
    return Path(path)


def load_model(path: str | os.PathLike) -> ConfigPredictor | PerformancePredictor:
    """Read a meta-model that `save_model` wrote.

    Nothing of the file is executed: it may hold arrays, trees and what this module defines.

    Parameters
    ----------
    path : path
        Of the file.

    Returns
    -------
    ConfigPredictor or PerformancePredictor
        Fitted.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not of a meta-model.
    """
    import skops.io

    path = Path(path)
    content = path.read_bytes()
    try:
        found = skops.io.loads(content, trusted=TRUSTED)
        state = dict(found["state"])
        spaces = {name: SearchSpace.from_json(text) for name, text in state.pop("spaces")}
        predictor: PerformancePredictor | ConfigPredictor
        if found["kind"] == "PerformancePredictor":
            predictor, (state["space_"],) = PerformancePredictor(), spaces.values()
        else:
            predictor, state["spaces_"] = ConfigPredictor(), spaces
            state["blocks_"] = output_blocks(spaces, state["given"])
        vars(predictor).update(state)
    except Exception as error:  # of a broken archive anything may be raised
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{path}: not a meta-model ({reason}); accepted is a file that "
                         "save_model wrote") from None  # fmt: skip
    return predictor
