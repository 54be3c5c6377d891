"""metahpo_lite: learn to tune, from grid search to meta-learning."""
