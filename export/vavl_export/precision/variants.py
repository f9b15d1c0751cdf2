"""Adds lower-precision variants to a finished fp32 bundle, with the report of how far they drift."""

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import onnx

from vavl.corpora import Corpus, open_corpus
from vavl.errors import ConfigError
from vavl_export import golden
from vavl_export.errors import ParityError
from vavl_export.file_hashes import list_files
from vavl_export.golden import Arrays
from vavl_export.graph_lint import check_rules
from vavl_export.precision.calibration import calibration_inputs
from vavl_export.precision.corpus import corpus_drift, label_columns
from vavl_export.precision.drift import golden_cases, measure_drift
from vavl_export.precision.half_overflow import activation_peaks, lower_safely
from vavl_export.precision.int8 import quantization_drift, quantize, with_unsigned_activations
from vavl_export.precision.int8_selection import hold_back
from vavl_export.precision.latency import measure_speed, speed_record, target_name
from vavl_export.precision.report import PARITY_FILE, HalfReport, ParityReport
from vavl_export.weights import WeightFiles
from vavl_runtime.bundle import Bundle, open_bundle
from vavl_runtime.bundle.manifest import FILE_NAME, LowPrecision, Manifest, VariantRecord
from vavl_runtime.bundle.precision import VARIANT_GRAPHS
from vavl_runtime.files import write_atomically

Progress = Callable[[str], None]
WATCHED = 8  # inputs on which rounding is emulated; fp32 activations are watched on all


@dataclass(frozen=True)
class VariantRequest:
    """Which variants to make.

    Attributes:
        precisions: What to make beside fp32.
        calibration: Folder of clips; int8 needs it, the others are watched on them.
        allow_drift: Keep variants that drift beyond the tolerance, and int8 graphs that flip labels.
        corpus: Labelled clips on which flips and the loss of F1 or CCC are bounded; None to leave that out.
    """

    precisions: tuple[LowPrecision, ...] = ()
    calibration: Path | None = None
    allow_drift: bool = False
    corpus: Corpus | None = None

    @staticmethod
    def parse(
        precisions: str, calibration: Path | None, *, allow_drift: bool, corpus: tuple[str, Path] | None = None
    ) -> "VariantRequest":
        """Read a list of precisions.

        Args:
            precisions: Such as ``fp32,fp16``; fp32 is always there.
            calibration: See the class.
            allow_drift: See the class.
            corpus: Kind and folder.

        Returns:
            The request.

        Raises:
            ConfigError: An unknown precision, int8 without clips, or a corpus without a precision to measure on it.
            InputError: The corpus cannot be read.
        """
        named = [name.strip() for name in precisions.split(",") if name.strip()]
        known = get_args(LowPrecision)
        if wrong := [name for name in named if name not in ("fp32", *known)]:
            raise ConfigError(f"--precision {','.join(wrong)}: expected a list of fp32, {', '.join(known)}")
        if "int8" in named and calibration is None:
            raise ConfigError("--precision int8: its ranges come from real clips; name a folder of them: --calibration")
        lowered = tuple(name for name in known if name in named)
        if corpus is not None and not lowered:
            raise ConfigError("--corpus: nothing to measure on it; name a precision beside fp32: --precision fp16")
        labelled = open_corpus(*corpus) if corpus is not None else None
        return VariantRequest(lowered, calibration, allow_drift, labelled)


def add_variants(folder: Path, request: VariantRequest, progress: Progress) -> ParityReport:
    """Write variants into a bundle folder, with ``parity.json``, and list them in its manifest.

    Args:
        folder: A finished fp32 bundle.
        request: What to make.
        progress: Called with a line of text at each step.

    Returns:
        How far they drift.

    Raises:
        ConfigError: The clips do not reach every graph, or the corpus does not fit the bundle.
        ExportError: A variant breaks the rules for graphs.
        ParityError: A variant drifts beyond `golden.TOLERANCE`, or on the corpus beyond `golden.FLIPS` or
            `golden.METRIC_LOSS`, and that is not allowed.
    """
    with open_bundle(folder) as bundle:
        if request.corpus is not None:
            label_columns(bundle, request.corpus)  # one that does not fit is refused before minutes of work
        real: dict[str, list[Arrays]] | None = None
        if request.calibration is not None:
            progress(f"calibrating on {request.calibration}")
            real = calibration_inputs(folder, request.calibration, progress)
        writer = _Writer(bundle, real or {}, progress)
        for name in VARIANT_GRAPHS:
            writer.write_half(name, [low for low in request.precisions if low != "int8"])
        if "int8" in request.precisions:
            writer.write_int8(request)
    _save(folder, bundle.manifest, writer.records)
    with open_bundle(folder) as bundle:
        progress("measuring drift")
        drift = tuple(measure_drift(bundle, real))
        answers = tuple(corpus_drift(bundle, request.corpus, progress)) if request.corpus is not None else ()
    report = ParityReport(
        target=target_name(), clips=real is not None, half=tuple(writer.half), graphs=drift, corpus=answers
    )
    write_atomically(folder / PARITY_FILE, report.to_bytes())
    _save(folder, bundle.manifest, writer.records)
    _judge(report, request, progress)
    return report


class _Writer:
    """Makes the variants of one graph after the other; those of the paths share their weights in each precision."""

    def __init__(self, bundle: Bundle, real: dict[str, list[Arrays]], progress: Progress) -> None:
        self.half: list[HalfReport] = []
        self.records: dict[str, dict[LowPrecision, VariantRecord]] = {name: {} for name in VARIANT_GRAPHS}
        self._bundle = bundle
        self._real = real
        self._progress = progress
        self._weights = WeightFiles(bundle.root)

    def write_half(self, name: str, precisions: Sequence[LowPrecision]) -> None:
        """Write fp16 and bf16 of a graph."""
        model = onnx.load(self._bundle.graph_file(name))
        # Golden inputs are noise that may reach further than any clip, and verifying must not overflow either.
        watched = [*(fed for fed, _ in golden_cases(self._bundle, name)), *self._real.get(name, [])]
        exact = activation_peaks(model, watched) if precisions else {}
        if precisions and name not in self._real:
            self._progress(f"{name}: overflow is looked for on noise alone; --calibration adds clips")
        for precision in precisions:
            self._progress(f"lowering {name} to {precision}")
            half = lower_safely(model, precision, exact, watched[:: max(1, len(watched) // WATCHED)])
            self.half.append(HalfReport.of(name, precision, half))
            for tensor, peak in half.islands.items():
                self._progress(f"{name}.{tensor} reaches {peak:.3g}: stays fp32")
            self.records[name][precision] = self._save(name, half.model, precision)

    def write_int8(self, request: VariantRequest) -> None:
        """Write int8 of all graphs that stand it."""
        quantized: dict[str, onnx.ModelProto] = {}
        reasons: dict[str, str] = {}
        for name in VARIANT_GRAPHS:
            self._progress(f"lowering {name} to int8")
            made = self._quantize(name)
            if isinstance(made, str):
                reasons[name] = made
            else:
                quantized[name] = made
        labels = self._bundle.manifest.task == "classification"
        if labels and request.calibration is not None and not request.allow_drift:
            reasons |= hold_back(self._bundle, quantized, request.calibration, self._progress)
        for name in VARIANT_GRAPHS:
            if name in reasons:
                self.records[name]["int8"] = self._unquantized(name, reasons[name])
            else:
                self.records[name]["int8"] = self._save_int8(name, quantized[name])

    def _quantize(self, name: str) -> onnx.ModelProto | str:
        """The int8 graph, or why there is none."""
        model = onnx.load(self._bundle.graph_file(name))
        quantized = quantize(model, self._real[name])
        if quantized is None:
            return "nothing in it can be quantised"
        drift = quantization_drift(model, quantized, self._real[name])
        if drift > golden.TOLERANCE["int8"]:
            return f"int8 drifts by {drift:.1e} on real clips, at most {golden.TOLERANCE['int8']:.0e} expected"
        return quantized

    def _save_int8(self, name: str, model: onnx.ModelProto) -> VariantRecord:
        record, root = self._bundle.manifest.graphs[name], self._bundle.root
        file = beside(beside(record.file, "int8"), "cpu")  # a small one, as the weights are the same
        unsigned = self._save(name, with_unsigned_activations(model), "int8", file)
        saved = self._save(name, model, "int8")
        speed = measure_speed(root / record.file, root / unsigned.file, record, self._real[name])
        if speed.reason is not None:
            self._progress(f"{name} gains nothing from int8: {speed.reason}")
        return saved.model_copy(update={"cpu_file": unsigned.file, "speed": speed})

    def _unquantized(self, name: str, reason: str) -> VariantRecord:
        """The fp32 graph itself, where quantising makes no sense."""
        self._progress(f"{name} stays fp32: {reason}")
        record = self._bundle.manifest.graphs[name]
        return VariantRecord(file=record.file, data=record.data, speed=speed_record(1.0, f"stays fp32: {reason}"))

    def _save(
        self, name: str, model: onnx.ModelProto, precision: LowPrecision, file: str | None = None
    ) -> VariantRecord:
        check_rules(model, f"{name} {precision}")
        record = self._bundle.manifest.graphs[name]
        file, data = file or beside(record.file, precision), beside(record.data, precision)
        self._weights.externalize(model, file, data)
        self._weights.close(data)
        write_atomically(self._bundle.root / file, model.SerializeToString(deterministic=True))
        return VariantRecord(file=file, data=data)


def _save(folder: Path, manifest: Manifest, variants: dict[str, dict[LowPrecision, VariantRecord]]) -> None:
    """List variants, and whatever files are in the folder now, in the manifest."""
    graphs = {
        name: graph.model_copy(update={"variants": variants.get(name, {})}) for name, graph in manifest.graphs.items()
    }
    listed = manifest.model_copy(update={"graphs": graphs, "files": list_files(folder)})
    write_atomically(folder / FILE_NAME, (listed.model_dump_json(indent=1) + "\n").encode())


def _judge(report: ParityReport, request: VariantRequest, progress: Progress) -> None:
    far = [
        found.describe()
        for found in report.graphs
        if found.tolerance is not None and not found.worst <= found.tolerance
    ]
    far += [f"{found.name}: {found.describe()}" for found in report.corpus if found.overall and not found.passed]
    for line in far:
        progress(f"drifts too far: {line}")
    if far and not request.allow_drift:
        raise ParityError(f"{'; '.join(far)}; leave the precision out, or keep it with --allow-drift")


def beside(path: str, precision: str) -> str:
    """Where the variant of a file lies: ``audio.onnx`` becomes ``audio.fp16.onnx``."""
    stem, suffix = posixpath.splitext(path)
    return f"{stem}.{precision}{suffix}"
