"""From predictions to figures: metrics, calibration, significance, reports, the paper's tables and plots.

Import what you need from its module; nothing here needs PyTorch.
"""
