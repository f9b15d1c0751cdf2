"""``vavl-export verify``: the checks that every bundle gets, and those that a device and a corpus add."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from vavl.corpora import open_corpus
from vavl_export.precision.corpus import CorpusDrift, corpus_drift
from vavl_export.precision.drift import GraphDrift
from vavl_export.precision.report import VerifyReport
from vavl_export.precision.target_device import TargetGraphs
from vavl_export.verify import Check, corpus_checks, target_checks, verify_bundle
from vavl_runtime.bundle import open_bundle
from vavl_runtime.files import write_atomically


def run(
    place: Path,
    *,
    corpus: tuple[str, Path] | None,
    target: tuple[str, str] | None,
    report: Path | None,
    progress: Callable[[str], None],
) -> Iterator[Check]:
    """Verify a bundle.

    Args:
        place: Bundle folder or ``.vavl`` file.
        corpus: Kind and folder of a labelled corpus to measure drift on.
        target: Device and engine to measure drift on.
        report: JSON file for the drift on both.
        progress: Called with a line of text now and then.

    Yields:
        One check after the other.

    Raises:
        BundleError: The bundle cannot be opened.
        InputError: The corpus is wrong.
        BackendUnavailableError: The device or the engine is missing.
        OutputError: The report cannot be written.
    """
    graphs: list[GraphDrift] = []
    answers: list[CorpusDrift] = []
    labelled = open_corpus(*corpus) if corpus is not None else None  # before checks that take minutes
    with ExitStack() as opened:
        bundle = opened.enter_context(open_bundle(place))
        on = opened.enter_context(TargetGraphs(bundle, *target, progress)) if target is not None else None
        yield from verify_bundle(bundle)
        if on is not None:
            yield from target_checks(bundle, on, graphs.append)
        if labelled is not None:
            answers = corpus_drift(bundle, labelled, progress, on)
            yield from corpus_checks(answers)
        if report is not None:
            write_atomically(report, VerifyReport(graphs=tuple(graphs), corpus=tuple(answers)).to_bytes())
