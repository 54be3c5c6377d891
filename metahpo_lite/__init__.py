"""metahpo_lite: learn to tune, from grid search to meta-learning.

The modules in the order in which the lessons build them; each imports only from those above it.
A module is loaded when one of its names is first used, so that importing the package is quick.
"""

from importlib import import_module

_NAMES = {
    "environment": ["check_environment"],  # lesson 00
    "hyperparameters": ["Float", "Int", "Categorical"],  # lesson 01
    "spaces": ["SearchSpace"],  # lessons 01, 02
    "catalogue": [],  # not needed in a lesson: how each real table is read
    "datasets": ["Dataset", "list_datasets", "load_dataset"],  # lesson 01
    "learners": ["Learner", "get_learner"],  # lesson 01
    "tasks": ["LiveTask"],  # lesson 01
    "search": ["GridSearch", "RandomSearch", "run"],  # lesson 02
    "evaluation": [  # lessons 02, 03
        "Comparison",
        "FriedmanTest",
        "average_seeds",
        "bootstrap_interval",
        "compare",
        "expected_incumbent",
        "friedman",
        "holm",
        "hyperparameter_importance",
        "leave_one_family_out",
        "mean_ranks",
        "mean_regret",
        "nemenyi_difference",
        "normalised_regret",
        "race",
        "regret_curve",
        "score_gap",
    ],
    "storage": [],  # not needed in a lesson: how experience lies on disk
    "bayes": [  # lesson 03
        "BayesianSearch",
        "GaussianProcess",
        "expected_improvement",
        "posterior",
    ],
    "histories": [],  # lesson 14: how your own searches are read
    "trials": [],  # not needed in a lesson: how tables of trials are checked
    "card": [],  # not needed in a lesson: the data card
    "metadata": ["MetaDataset", "ReplayTask"],  # lesson 04
    "worker": [],  # not needed in a lesson: what a worker of a collection does
    "collect": ["collect_experience", "draw_configs"],  # lesson 05
    "metafeatures": ["meta_features"],  # lesson 06
    "networks": ["listwise_loss"],  # lessons 07, 08
    "model_based": [  # lessons 07, 08
        "ConfigPredictor",
        "MetaModelSearch",
        "PerformancePredictor",
        "history_features",
        "load_model",
        "save_model",
    ],
    "metric_based": [  # lessons 09, 10
        "LearnedDistance",
        "NearestTasks",
        "TaskDistance",
        "mean_of_neighbours",
        "response_similarity",
        "task_distances",
    ],
    "warmstart": [  # lesson 11
        "Portfolio",
        "RankWeighted",
        "WarmStart",
        "greedy_portfolio",
        "warm_start",
    ],
    "joint": ["joint_experience"],  # lesson 12
    "policy": ["Policy", "PolicySearch", "train_policy"],  # lesson 13
    "recommendation": ["Recommendation", "recommend"],  # lesson 14
    "search_cv": ["MetaSearchCV"],  # lesson 14
    "optuna_sampler": ["MetaSampler", "enqueue_portfolio"],  # lesson 14
    "plots": ["show"],  # all lessons
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
