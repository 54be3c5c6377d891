"""metahpo_lite: learn to tune, from grid search to meta-learning.

The modules in the order in which the lessons build them; each imports only from those above it.
A module is loaded when one of its names is first used, so that importing the package is quick.
"""

from importlib import import_module

_NAMES = {
    "environment": ["check_environment"],  # lesson 00
    "hyperparameters": ["Float", "Int", "Categorical"],  # lesson 01
    "arguments": [],  # not needed in a lesson: checks that many functions share
    "formats": [],  # lesson 14: a hyperparameter as JSON, Optuna and scipy write it
    "grids": [],  # lesson 02
    "spaces": ["SearchSpace"],  # lessons 01, 02
    "catalogue": [],  # not needed in a lesson: how each real table is read
    "datasets": ["Dataset", "list_datasets", "load_dataset"],  # lesson 01
    "learners": ["Learner", "get_learner"],  # lesson 01
    "tasks": ["LiveTask"],  # lesson 01
    "search": ["GridSearch", "RandomSearch", "run"],  # lesson 02
    "regret": [  # lesson 02
        "expected_incumbent",
        "mean_regret",
        "normalised_regret",
        "race",
        "regret_curve",
        "score_gap",
    ],
    "importance": ["hyperparameter_importance"],  # lesson 05
    "evaluation": [  # lessons 02, 03
        "Comparison",
        "average_seeds",
        "bootstrap_interval",
        "compare",
        "holm",
        "leave_one_family_out",
    ],
    "ranks": [
        "FriedmanTest",
        "friedman",
        "mean_ranks",
        "nemenyi_difference",
    ],  # many at once
    "about": [],  # not needed in a lesson: how scores were made
    "storage": [],  # not needed in a lesson: how experience lies on disk
    "gaussian_process": ["GaussianProcess", "posterior"],  # lesson 03
    "bayes": ["BayesianSearch", "expected_improvement"],  # lesson 03
    "histories": [],  # lesson 14: how your own searches are read
    "trials": [],  # not needed in a lesson: how tables of trials are checked
    "card": [],  # not needed in a lesson: the data card
    "experience_files": [],  # not needed in a lesson: experience in a folder
    "additions": [],  # lesson 14: how your own search is added
    "parts": [],  # lesson 04: fewer tasks, configurations or choices
    "replay": ["ReplayTask"],  # lesson 04
    "metadata": ["MetaDataset"],  # lesson 04
    "worker": [],  # not needed in a lesson: what a worker of a collection does
    "collect": ["collect_experience", "draw_configs"],  # lesson 05
    "landmarkers": [],  # lesson 06
    "metafeatures": ["meta_features"],  # lesson 06
    "networks": ["listwise_loss"],  # lessons 07, 08
    "inputs": ["history_features"],  # lesson 07
    "config_predictor": ["ConfigPredictor"],  # lesson 07
    "model_based": ["MetaModelSearch", "PerformancePredictor"],  # lesson 08
    "model_files": ["load_model", "save_model"],  # lesson 08
    "distances": ["TaskDistance", "task_distances"],  # lesson 09
    "learned_distance": ["LearnedDistance", "response_similarity"],  # lesson 10
    "metric_based": ["NearestTasks", "mean_of_neighbours"],  # lesson 09
    "portfolio": ["Portfolio", "greedy_portfolio", "warm_start"],  # lesson 11
    "warmstart": ["RankWeighted", "WarmStart"],  # lesson 11
    "joint": ["joint_experience"],  # lesson 12
    "policy": ["Policy", "PolicySearch", "train_policy"],  # lesson 13
    "recommendation": ["Recommendation", "recommend"],  # lesson 14
    "learner_classifier": [],  # lesson 14
    "cv_trials": [],  # not needed in a lesson: from trials to scikit-learn's tables
    "search_cv": ["MetaSearchCV"],  # lesson 14
    "optuna_sampler": ["MetaSampler", "enqueue_portfolio"],  # lesson 14
    "style": ["show"],  # all lessons
    "critical_difference": [],  # not needed in a lesson: a figure for many methods
    "plots": [],  # all lessons
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}
__all__ = list(_MODULE_OF)
__version__ = "0.1.0"


def __getattr__(name: str):
    if name in _NAMES:
        return import_module(f"{__name__}.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"metahpo_lite has no {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # found at once the next time
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *__all__})
