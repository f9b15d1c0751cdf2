"""Training, evaluation and comparison of systems on cached features.

experiment.py   describes one run; settings.py how it trains
material.py     opens the corpus, its partition and the features
fit.py          the epochs of a run; trainer.py one epoch
run.py          runs an experiment in its folder (run_folder.py)
evaluate.py     finished runs to a report; compare.py all systems to the paper's tables
encoder_run.py  trains a feature encoder instead of a system
"""
