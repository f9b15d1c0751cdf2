"""Measures how far variants drift: error of outputs, changed labels, and the tensor inside with the largest error."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import onnx
from pydantic import BaseModel, ConfigDict

from vavl_export.precision.activation_stats import capture_tensors
from vavl_export.precision.emulate import emulate
from vavl_export.precision.half_conversion import float_tensors
from vavl_export.precision.sessions import RUN_MODES, CheckedGraph
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.golden import TOLERANCE, Arrays, Case, relative_l2
from vavl_runtime.bundle.manifest import LowPrecision, Precision, TensorRecord

GPU_EMULATED = "emulated, the file for onnxruntime_gpu"
Source = Literal["golden", "calibration"]
Run = tuple[Arrays, Arrays, Arrays]  # inputs, expected outputs, outputs of the variant


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class TensorDrift(_Record):
    """A tensor inside a graph, and its relative L2 error against the fp32 graph."""

    name: str
    relative_l2: float


class LengthDrift(_Record):
    """Drift on inputs of about one size.

    Attributes:
        sizes: Upper bound of each dynamic axis, by name; the axis is longer than half of it.
        outputs: Largest relative L2 error by output.
    """

    sizes: dict[str, int]
    outputs: dict[str, float]


class GraphDrift(_Record):
    """Drift of one variant.

    Attributes:
        graph: Name of the graph.
        precision: Precision of the variant.
        how: ``run`` as it is on ONNX Runtime's CPU; ``emulated`` with fp32 operators and every tensor rounded;
            `GPU_EMULATED` the same for the file for ONNX Runtime on GPUs, which no CPU runs as it is; else the
            backend that ran it, as the backend describes itself.
        inputs: ``golden``: seeded inputs, compared with PyTorch in fp32. ``calibration``: the inputs that real clips
            give the graph, compared with the fp32 graph.
        outputs: Largest relative L2 error by output.
        lengths: The same by size of the inputs.
        answers: Predictions compared; 0 if the graph makes none.
        flips: Predictions whose most probable label changed.
        worst_tensor: The tensor inside with the largest error on the first input; None where the backend does not show
            tensors inside.
    """

    graph: str
    precision: Precision
    how: str
    inputs: Source
    outputs: dict[str, float]
    lengths: tuple[LengthDrift, ...]
    answers: int
    flips: int
    worst_tensor: TensorDrift | None

    @property
    def worst(self) -> float:
        """The largest relative L2 error of any output."""
        return max(self.outputs.values())

    @property
    def tolerance(self) -> float | None:
        """The bound of `worst`; None for int8 on golden inputs: they are noise, which calibration never saw."""
        return None if self.precision == "int8" and self.inputs == "golden" else TOLERANCE[self.precision]

    @property
    def passed(self) -> bool:
        """Whether `worst` is within `tolerance`."""
        return self.tolerance is None or self.worst <= self.tolerance

    def describe(self) -> str:
        """Describe the drift in one line."""
        bound = "not bounded" if self.tolerance is None else f"at most {self.tolerance:.0e}"
        line = (
            f"{self.graph} {self.precision} ({self.how}, {self.inputs} inputs): relative L2 {self.worst:.1e}, {bound}"
        )
        if self.answers:
            line += f", {self.flips} of {self.answers} labels flip"
        if self.worst_tensor is not None:
            line += f", worst inside: {self.worst_tensor.name} {self.worst_tensor.relative_l2:.1e}"
        return line


def measure_drift(
    bundle: Bundle, name: str, precision: LowPrecision, sources: Mapping[Source, Sequence[Case]]
) -> Iterator[GraphDrift]:
    """Compare a variant of a graph with the expected outputs.

    Args:
        bundle: The bundle.
        name: The graph.
        precision: A precision that the graph has a variant in.
        sources: Inputs with their expected outputs, by source; at least one of each.

    Yields:
        One result for each way of running the variant and each source of inputs.
    """
    variant = onnx.load(bundle.graph_file(name, precision, "cpu"))
    modes = RUN_MODES[precision]
    for mode in modes:
        graph = CheckedGraph(bundle, name, precision, mode, variant)
        for source, cases in sources.items():
            inside = _worst_tensor(bundle, name, precision, variant, cases[0][0]) if mode == modes[-1] else None
            runs = ((fed, expected, graph.run(fed)) for fed, expected in cases)
            yield compare(bundle, name, precision, mode, source, runs, inside)
    if "onnxruntime_gpu" in bundle.manifest.graphs[name].variants[precision].own_files:
        variant = onnx.load(bundle.graph_file(name, precision, "onnxruntime_gpu"))
        graph = CheckedGraph(bundle, name, precision, "emulated", variant)
        for source, cases in sources.items():
            runs = ((fed, expected, graph.run(fed)) for fed, expected in cases)
            yield compare(bundle, name, precision, GPU_EMULATED, source, runs)


def compare(
    bundle: Bundle,
    name: str,
    precision: Precision,
    how: str,
    source: Source,
    runs: Iterable[Run],
    inside: TensorDrift | None = None,
) -> GraphDrift:
    """Compare outputs with the expected ones.

    Args:
        bundle: The bundle.
        name: The graph.
        precision: Its precision.
        how: See `GraphDrift`.
        source: Where the inputs come from.
        runs: At least one run.
        inside: The tensor inside with the largest error.

    Returns:
        The drift over all runs.
    """
    record = bundle.manifest.graphs[name]
    by_size: dict[tuple[tuple[str, int], ...], dict[str, float]] = {}
    answers = flips = 0
    for fed, expected, got in runs:
        worst = by_size.setdefault(_sizes(record.inputs, fed), dict.fromkeys(expected, 0.0))
        for output, reference in expected.items():
            worst[output] = max(worst[output], relative_l2(got[output], reference))
        if "prediction" in expected and bundle.manifest.task == "classification":
            answers += len(expected["prediction"])
            flips += int((got["prediction"].argmax(-1) != expected["prediction"].argmax(-1)).sum())
    return GraphDrift(
        graph=name,
        precision=precision,
        how=how,
        inputs=source,
        outputs={tensor.name: max(worst[tensor.name] for worst in by_size.values()) for tensor in record.outputs},
        lengths=tuple(LengthDrift(sizes=dict(sizes), outputs=worst) for sizes, worst in sorted(by_size.items())),
        answers=answers,
        flips=flips,
        worst_tensor=inside,
    )


def _sizes(signature: Sequence[TensorRecord], fed: Arrays) -> tuple[tuple[str, int], ...]:
    """Sizes of the dynamic axes of some inputs, rounded up to powers of two, by name, in order of name."""
    sizes = {
        axis: 1 << (size - 1).bit_length()
        for tensor in signature
        for axis, size in zip(tensor.shape, fed[tensor.name].shape, strict=True)
        if isinstance(axis, str)
    }
    return tuple(sorted(sizes.items()))


def _worst_tensor(
    bundle: Bundle, name: str, precision: Precision, variant: onnx.ModelProto, fed: Arrays
) -> TensorDrift | None:
    rounded = variant if precision == "int8" else emulate(variant, precision)
    exact = onnx.load(bundle.graph_file(name))
    shared = _computed_floats(rounded) & _computed_floats(exact)
    expected = capture_tensors(exact, shared, fed)
    del exact  # two large models need not be in memory at once
    got = capture_tensors(rounded, shared, fed)
    errors = {tensor: relative_l2(got[tensor], value) for tensor, value in expected.items() if np.any(value)}
    if not errors:
        return None
    worst = max(errors, key=lambda tensor: errors[tensor])
    return TensorDrift(name=worst, relative_l2=errors[worst])


def _computed_floats(model: onnx.ModelProto) -> set[str]:
    """fp32 tensors that operators of a graph compute."""
    return {output for node in model.graph.node for output in node.output} & float_tensors(model)
