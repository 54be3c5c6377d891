"""Meta-models on disk, without pickle."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from metahpo_lite.arguments import as_path
from metahpo_lite.config_predictor import ConfigPredictor, output_blocks
from metahpo_lite.inputs import TaskInputs, check_fitted
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


KEPT = {  # the attributes of a fitted meta-model, beside its spaces and what follows from them
    "ConfigPredictor": ("model", "given", "seed", "inputs_", "levels_", "model_"),
    "PerformancePredictor": ("model", "loss", "seed", "inputs_", "points_", "unit_", "models_",
                             "slope_", "process_"),
}  # fmt: skip


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

    if not isinstance(predictor, (ConfigPredictor, PerformancePredictor)):
        raise TypeError(f"predictor: got {predictor!r}, accepted is a ConfigPredictor or a "
                        "PerformancePredictor")  # fmt: skip
    check_fitted(predictor, "inputs_")
    state = dict(vars(predictor))
    state.pop("blocks_", None)  # follow from the spaces
    spaces = state.pop("spaces_", None) or {"": state.pop("space_")}
    state["spaces"] = [[learner, space.to_json()] for learner, space in spaces.items()]
    content = skops.io.dumps({"kind": type(predictor).__name__, "state": state})
    path = as_path("path", path)
    write_file(path, content)
    return path


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

    path = as_path("path", path)
    if not os.path.isfile(path):  # a pipe would make us wait
        raise FileNotFoundError(f"path: there is no file {path}; accepted is one that save_model "
                                "wrote")  # fmt: skip
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > len(content):  # save_model compresses nothing
            raise ValueError(f"it would unpack to {size} bytes, more than it has")
        found = skops.io.loads(content, trusted=TRUSTED)
        state = dict(found["state"])
        spaces = {name: SearchSpace.from_json(text) for name, text in state.pop("spaces")}
        if set(state) != {*KEPT[found["kind"]]} or not isinstance(state["inputs_"], TaskInputs):
            raise ValueError(f"it holds {sorted(state)}")
        predictor: PerformancePredictor | ConfigPredictor
        if found["kind"] == "PerformancePredictor":
            predictor, (state["space_"],) = PerformancePredictor(), spaces.values()
        else:
            predictor, state["spaces_"] = ConfigPredictor(), spaces
            state["blocks_"] = output_blocks(spaces, state["given"])
        vars(predictor).update(state)
        predictor.__post_init__()  # checks the settings
    except Exception as error:  # of a broken archive anything may be raised
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{path}: not a meta-model ({reason}); accepted is a file that "
                         "save_model wrote") from None  # fmt: skip
    return predictor
