"""Evaluation of predictions: metrics, calibration, significance tests, reports, the paper's tables, and plots.

Import names from their modules. Nothing here needs PyTorch.
"""
