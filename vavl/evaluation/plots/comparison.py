"""Figure 2 of the paper."""

from pathlib import Path

from vavl.evaluation.comparison import ComparisonResults
from vavl.evaluation.plots.figures import BLUE, new_figure, save_png
from vavl.evaluation.statistics import mean_and_deviation
from vavl_runtime.errors import InputError


def plot_cosine_distances(results: ComparisonResults, file: Path) -> None:
    """Draw the distance between the audio and the visual embeddings of the shared layers, for each system.

    Args:
        results: Results with at least one system that has shared embeddings.
        file: PNG file to write.

    Raises:
        InputError: No system has shared embeddings.
        OutputError: The file cannot be written.
    """
    samples = {system.name: system.cosine_distances() for system in results.systems}
    spreads = {name: mean_and_deviation(sample) for name, sample in samples.items() if sample is not None}
    if not spreads:
        raise InputError("cosine distances: no system in the results has shared embeddings")
    figure, axes = new_figure(2.0 + 1.2 * len(spreads), 3.8)
    means = [mean for mean, _ in spreads.values()]
    deviations = [deviation or 0.0 for _, deviation in spreads.values()]
    bars = axes.bar(list(spreads), means, yerr=deviations, capsize=4, width=0.6, color=BLUE)
    axes.bar_label(bars, fmt="%.3f", padding=3)
    axes.margins(y=0.12)
    axes.set(
        ylabel="average cosine distance, ± deviation", title=f"{results.corpus}: shared acoustic and visual embeddings"
    )
    save_png(figure, file)
