"""Makes the lower-precision graphs of a bundle and writes them with their weights."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from vavl_export.bundle_files import BundleFiles
from vavl_export.fused import FUSED, fuse_path, fused_name
from vavl_export.graph_lint import lint_graph
from vavl_export.ort_gpu.fuse import fuse_for_gpu
from vavl_export.ort_gpu.graph_view import NoMatchError
from vavl_export.ort_gpu.launches import Launches, count_launches
from vavl_export.precision.half_overflow import HalfGraph, activation_peaks, convert_without_overflow
from vavl_export.precision.int8 import quantization_drift, quantize, with_unsigned_activations
from vavl_export.precision.int8_selection import select_fp32_graphs
from vavl_export.precision.latency import compare_latency, speed_record
from vavl_export.precision.report import HalfReport, LaunchReport, PeakRecord
from vavl_export.progress import Progress
from vavl_export.weights import WeightFiles
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.golden import TOLERANCE, Arrays, Case
from vavl_runtime.bundle.manifest import LowPrecision, RunsOn, VariantRecord
from vavl_runtime.bundle.precision import VARIANT_GRAPHS

_EMULATED_INPUTS = 8  # inputs on which rounding is emulated; overflow in fp32 is looked for on all


@dataclass(frozen=True)
class LoweredGraphs:
    """The variants of a bundle.

    Attributes:
        records: How the manifest describes them, by graph and precision.
        half: How fp16 and bf16 were kept from overflowing.
        launches: What fp16 graphs launch on a GPU with ONNX Runtime.
    """

    records: dict[str, dict[LowPrecision, VariantRecord]]
    half: list[HalfReport]
    launches: list[LaunchReport]


class Lowering:
    """Makes variants of the graphs of a bundle; those of the three paths share their weights in each precision.

    Args:
        bundle: A finished fp32 bundle.
        golden: Golden vectors by graph.
        calibration: Inputs by graph that real clips give; None without clips.
        files: Takes the variants.
        progress: Called with a line of text at each step.
    """

    def __init__(
        self,
        bundle: Bundle,
        golden: Mapping[str, Sequence[Case]],
        calibration: Mapping[str, Sequence[Arrays]] | None,
        files: BundleFiles,
        progress: Progress,
    ) -> None:
        self._bundle = bundle
        self._golden = golden
        self._calibration = calibration
        self._files = files
        self._progress = progress
        self._weights = WeightFiles(files)
        self._lowered = LoweredGraphs({name: {} for name in VARIANT_GRAPHS}, [], [])

    def run(self, precisions: Sequence[LowPrecision], label_clips: Path | None) -> LoweredGraphs:
        """Make all variants.

        Args:
            precisions: The lower precisions. int8 needs calibration inputs.
            label_clips: Clips on which int8 may not change labels; None to skip that test.

        Returns:
            The variants.

        Raises:
            ExportError: A variant breaks the rules for graphs.
        """
        half: list[LowPrecision] = [precision for precision in precisions if precision != "int8"]
        quantized: dict[str, onnx.ModelProto] = {}
        reasons: dict[str, str] = {}
        for name in VARIANT_GRAPHS:
            # One graph at a time: with their weights, all graphs of a paper-sized model need several gigabytes.
            model = onnx.load(self._bundle.graph_file(name))
            if half:
                self._write_half(name, model, half)
            if "int8" in precisions:
                self._progress(f"converting {name} to int8")
                converted = self._quantize(name, model)
                if isinstance(converted, str):
                    reasons[name] = converted
                else:
                    quantized[name] = converted
        if "fp16" in half:
            self._compose_fused()
        if label_clips is not None and quantized:
            reasons |= select_fp32_graphs(self._bundle, quantized, label_clips, self._progress)
        for name in VARIANT_GRAPHS if "int8" in precisions else ():
            made = self._stay_fp32(name, reasons[name]) if name in reasons else self._write_int8(name, quantized[name])
            self._lowered.records[name]["int8"] = made
        return self._lowered

    def _write_half(self, name: str, model: onnx.ModelProto, precisions: Sequence[LowPrecision]) -> None:
        """Write fp16 and bf16 of a graph."""
        clips = self._calibration[name] if self._calibration is not None else ()
        if not clips:
            self._progress(f"{name}: without calibration clips, overflow is looked for on golden inputs only")
        # Golden inputs are noise that may be larger than any clip, and verification must not overflow on them either.
        inputs = [*(fed for fed, _ in self._golden[name]), *clips]
        exact = activation_peaks(model, inputs)
        for precision in precisions:
            self._progress(f"converting {name} to {precision}")
            some = inputs[:: max(1, len(inputs) // _EMULATED_INPUTS)]
            half = convert_without_overflow(model, precision, exact, some)
            self._lowered.half.append(_half_report(name, precision, half))
            for tensor, peak in half.kept_fp32.items():
                self._progress(f"{name}.{tensor} reaches {peak:.3g}: stays fp32")
            written = self._write(name, half.model, precision)
            if precision == "fp16":
                own = convert_without_overflow(model, precision, exact, some, half_means=True).model
                written = self._add_gpu_file(name, half.model, own, written)
            self._lowered.records[name][precision] = written

    def _add_gpu_file(
        self, name: str, plain: onnx.ModelProto, own: onnx.ModelProto, written: VariantRecord
    ) -> VariantRecord:
        """Write a graph's fp16 file for ONNX Runtime on GPUs, if it launches fewer kernels."""
        try:
            fuse_for_gpu(own)
        except NoMatchError as error:
            self._progress(f"{name} gets no file for ONNX Runtime on GPUs: {error}")
            return written
        before, after = count_launches(plain), count_launches(own)
        self._report_launches(name, before, after)
        if after.launches >= before.launches:
            return written
        file = variant_path(written.file, "ort")
        self._write(name, own, "fp16", file, "onnxruntime_gpu")
        return written.model_copy(update={"onnxruntime_gpu_file": file})

    def _compose_fused(self) -> None:
        """Compose the fp16 end-to-end graphs of those that were written; all their weights are in data files."""
        manifest, root = self._bundle.manifest, self._bundle.root
        for path in FUSED:
            name = fused_name(path)
            if name not in manifest.graphs:
                continue
            self._progress(f"composing {name} in fp16")
            parts = {part: self._lowered.records[part]["fp16"] for part in (path, "audio_encoder", "face_encoder")}
            own_files = {part: record.own_files.get("onnxruntime_gpu", record.file) for part, record in parts.items()}
            written = VariantRecord(
                file=variant_path(manifest.graphs[name].file, "fp16"),
                data=variant_path(manifest.graphs[name].data, "fp16"),
            )
            composed = fuse_path(path, {part: onnx.load(root / record.file) for part, record in parts.items()})
            before = count_launches(composed)
            self._write_file(name, composed, "fp16", written.file, None)
            composed = fuse_path(path, {part: onnx.load(root / file) for part, file in own_files.items()})
            after = count_launches(composed)
            self._report_launches(name, before, after)
            if after.launches < before.launches:
                written = written.model_copy(update={"onnxruntime_gpu_file": variant_path(written.file, "ort")})
                self._write_file(name, composed, "fp16", written.own_files["onnxruntime_gpu"], None, "onnxruntime_gpu")
            self._lowered.records[name] = {"fp16": written}

    def _report_launches(self, name: str, before: Launches, after: Launches) -> None:
        self._progress(f"{name} in fp16 on GPUs: {after.launches} launches in place of {before.launches}")
        self._lowered.launches.append(
            LaunchReport(
                graph=name,
                precision="fp16",
                nodes=before.nodes,
                launches=before.launches,
                own_nodes=after.nodes,
                own_launches=after.launches,
            )
        )

    def _quantize(self, name: str, model: onnx.ModelProto) -> onnx.ModelProto | str:
        """Return the int8 graph, or the reason why there is none."""
        assert self._calibration is not None  # `VariantRequest` refuses int8 without clips
        quantized = quantize(model, self._calibration[name])
        if quantized is None:
            return "nothing in it can be quantised"
        drift = quantization_drift(model, quantized, self._calibration[name])
        if drift > TOLERANCE["int8"]:
            return f"int8 drifts by {drift:.1e} on real clips, at most {TOLERANCE['int8']:.0e} expected"
        return quantized

    def _write_int8(self, name: str, model: onnx.ModelProto) -> VariantRecord:
        assert self._calibration is not None
        record, root = self._bundle.manifest.graphs[name], self._bundle.root
        cpu_file = variant_path(variant_path(record.file, "int8"), "cpu")  # small: its weights are the same
        self._write(name, with_unsigned_activations(model), "int8", cpu_file)
        written = self._write(name, model, "int8")
        speed = compare_latency(root / record.file, root / cpu_file, record, self._calibration[name])
        if speed.reason is not None:
            self._progress(f"{name} gains nothing from int8: {speed.reason}")
        return written.model_copy(update={"cpu_file": cpu_file, "speed": speed})

    def _stay_fp32(self, name: str, reason: str) -> VariantRecord:
        """Describe the fp32 graph as its own int8 variant."""
        self._progress(f"{name} stays fp32: {reason}")
        record = self._bundle.manifest.graphs[name]
        return VariantRecord(file=record.file, data=record.data, speed=speed_record(1.0, f"stays fp32: {reason}"))

    def _write(
        self,
        name: str,
        model: onnx.ModelProto,
        precision: LowPrecision,
        file: str | None = None,
        runs_on: RunsOn | None = None,
    ) -> VariantRecord:
        record = self._bundle.manifest.graphs[name]
        file, data = file or variant_path(record.file, precision), variant_path(record.data, precision)
        self._write_file(name, model, precision, file, data, runs_on)
        return VariantRecord(file=file, data=data)

    def _write_file(
        self,
        name: str,
        model: onnx.ModelProto,
        precision: LowPrecision,
        file: str,
        data: str | None,
        runs_on: RunsOn | None = None,
    ) -> None:
        lint_graph(model, f"{name} {precision}", runs_on)
        self._weights.externalize(model, file, data)
        self._files.write(file, model.SerializeToString(deterministic=True))


def _half_report(name: str, precision: LowPrecision, half: HalfGraph) -> HalfReport:
    worst = PeakRecord(name=half.worst[0], peak=half.worst[1]) if half.worst is not None else None
    kept = tuple(PeakRecord(name=tensor, peak=peak) for tensor, peak in sorted(half.kept_fp32.items()))
    return HalfReport(graph=name, precision=precision, limit=half.limit, worst=worst, kept_fp32=kept)


def variant_path(path: str, precision: str) -> str:
    """Path of the variant of a file: ``audio.onnx`` becomes ``audio.fp16.onnx``."""
    stem, suffix = posixpath.splitext(path)
    return f"{stem}.{precision}{suffix}"
