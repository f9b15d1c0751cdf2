"""Plots as PNG files: confusion matrices, reliability, training curves, embedding distances.

Matplotlib is imported when the first plot is drawn; pyplot and its global state are not used.
"""

from vavl.evaluation.plots.comparison import plot_cosine_distances
from vavl.evaluation.plots.confusion import plot_confusion
from vavl.evaluation.plots.reliability import plot_reliability, pool_bins
from vavl.evaluation.plots.report import plot_report
from vavl.evaluation.plots.training import plot_training

__all__ = [
    "plot_confusion",
    "plot_cosine_distances",
    "plot_reliability",
    "plot_report",
    "plot_training",
    "pool_bins",
]
