"""Fourth stage of an export: lower-precision variants of an fp32 bundle, and how far they drift."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from vavl.corpora import Corpus
from vavl.errors import ConfigError
from vavl_export.bundle_files import BundleFiles
from vavl_export.errors import ParityError
from vavl_export.precision.calibration import calibration_inputs
from vavl_export.precision.corpus import corpus_drift, label_columns
from vavl_export.precision.drift import GraphDrift, Source, measure_drift
from vavl_export.precision.latency import target_name
from vavl_export.precision.lowering import Lowering
from vavl_export.precision.report import PARITY_FILE, ParityReport
from vavl_export.precision.sessions import CheckedGraph
from vavl_export.progress import Progress
from vavl_runtime.bundle import Bundle, open_bundle
from vavl_runtime.bundle.golden import Arrays, Case, golden_cases
from vavl_runtime.bundle.manifest import LowPrecision, Manifest


@dataclass(frozen=True)
class VariantRequest:
    """Which variants to make.

    Attributes:
        precisions: Any of ``fp32``, ``fp16``, ``bf16`` and ``int8``; fp32 is always there.
        calibration: Folder of clips. int8 needs it; fp16 and bf16 use it to find tensors that would overflow.
        allow_drift: Keep variants that drift beyond the tolerance, and int8 graphs that change labels.
        corpus: Labelled clips on which changed labels and the loss of F1 or CCC are bounded; None to skip that test.

    Raises:
        ConfigError: An unknown precision, int8 without clips, or a corpus without a lower precision to test on it.
    """

    precisions: tuple[str, ...] = ("fp32",)
    calibration: Path | None = None
    allow_drift: bool = False
    corpus: Corpus | None = None

    def __post_init__(self) -> None:
        known = ("fp32", *get_args(LowPrecision))
        if unknown := [name for name in self.precisions if name not in known]:
            raise ConfigError(f"precisions: got {', '.join(unknown)}, expected any of {', '.join(known)}")
        if "int8" in self.precisions and self.calibration is None:
            raise ConfigError(
                "precisions: got int8 without clips, which its ranges are calibrated on; pass calibration=FOLDER"
            )
        if self.corpus is not None and not self.lower:
            raise ConfigError("corpus: it tests lower precisions only; add fp16, bf16 or int8 to the precisions")

    @property
    def lower(self) -> tuple[LowPrecision, ...]:
        """The precisions but fp32, in a fixed order."""
        return tuple(name for name in get_args(LowPrecision) if name in self.precisions)


@dataclass(frozen=True)
class Variants:
    """The variants of a bundle.

    Attributes:
        manifest: The bundle's manifest, with the variants.
        report: How far they drift.
    """

    manifest: Manifest
    report: ParityReport


def make_variants(
    bundle: Bundle,
    golden: Mapping[str, Sequence[Case]],
    request: VariantRequest,
    files: BundleFiles,
    progress: Progress,
) -> Variants:
    """Write variants of a bundle's graphs, and ``parity.json``.

    Args:
        bundle: A finished fp32 bundle.
        golden: Its golden vectors by graph.
        request: What to make.
        files: Takes the files of the variants.
        progress: Called with a line of text at each step.

    Returns:
        The manifest, which is not written yet, and the report.

    Raises:
        ConfigError: The clips do not reach every graph, or the corpus does not fit the bundle.
        ExportError: A variant breaks the rules for graphs.
        ParityError: A variant drifts beyond `TOLERANCE`, or on the corpus beyond `golden.FLIPS` or
            `golden.METRIC_LOSS`, and that is not allowed.
    """
    if request.corpus is not None:
        label_columns(bundle, request.corpus)  # refuse a corpus that does not fit before minutes of work
    calibration: dict[str, list[Arrays]] | None = None
    if request.calibration is not None:
        progress(f"calibrating on {request.calibration}")
        calibration = calibration_inputs(bundle, request.calibration, progress)
    classifies = bundle.manifest.task == "classification"
    label_clips = request.calibration if classifies and not request.allow_drift else None
    lowered = Lowering(bundle, golden, calibration, files, progress).run(request.lower, label_clips)
    graphs = {
        name: graph.model_copy(update={"variants": lowered.records.get(name, {})})
        for name, graph in bundle.manifest.graphs.items()
    }
    manifest = bundle.manifest.model_copy(update={"graphs": graphs})
    variants = files.preview(manifest)
    progress("measuring drift")
    report = ParityReport(
        target=target_name(),
        clips=calibration is not None,
        half=tuple(lowered.half),
        launches=tuple(lowered.launches),
        graphs=tuple(_drift(variants, golden, calibration)),
        corpus=tuple(corpus_drift(variants, request.corpus, progress)) if request.corpus is not None else (),
    )
    _judge(report, request, progress)
    files.write(PARITY_FILE, report.to_bytes())
    return Variants(manifest, report)


def add_variants(folder: Path, request: VariantRequest, progress: Progress) -> ParityReport:
    """Add variants to a bundle folder; see `make_variants`.

    Args:
        folder: A finished fp32 bundle. Its manifest is replaced only if everything succeeds.
        request: What to make.
        progress: Called with a line of text at each step.

    Returns:
        How far the variants drift.
    """
    with open_bundle(folder) as bundle:
        files = BundleFiles(folder, bundle.manifest.files)
        golden = {name: golden_cases(bundle, name) for name in bundle.manifest.graphs}
        variants = make_variants(bundle, golden, request, files, progress)
        files.write_manifest(variants.manifest)
    return variants.report


def _drift(
    bundle: Bundle, golden: Mapping[str, Sequence[Case]], calibration: Mapping[str, Sequence[Arrays]] | None
) -> Iterator[GraphDrift]:
    for name, graph in bundle.manifest.graphs.items():
        if not graph.variants:
            continue
        sources: dict[Source, Sequence[Case]] = {"golden": golden[name]}
        if calibration is not None and name in calibration:
            exact = CheckedGraph(bundle, name, "fp32", "run")
            sources["calibration"] = [(fed, exact.run(fed)) for fed in calibration[name]]
        for precision in graph.variants:
            yield from measure_drift(bundle, name, precision, sources)


def _judge(report: ParityReport, request: VariantRequest, progress: Progress) -> None:
    """Report variants that drift too far, and fail unless that is allowed."""
    far = [found.describe() for found in report.graphs if not found.passed]
    far += [f"{found.name}: {found.describe()}" for found in report.corpus if found.overall and not found.passed]
    for line in far:
        progress(f"drifts too far: {line}")
    if far and not request.allow_drift:
        raise ParityError(f"{'; '.join(far)}; leave the precision out, or pass allow_drift=True to keep it")
