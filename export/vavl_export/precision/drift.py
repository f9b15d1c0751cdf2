"""How far variants drift: outputs, labels, and the tensor inside that is furthest off, graph by graph."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
import onnx
from pydantic import BaseModel, ConfigDict

from vavl_export import golden
from vavl_export.golden import Arrays, relative_l2
from vavl_export.precision.activation_stats import tensors_of
from vavl_export.precision.emulate import emulate
from vavl_export.precision.half_conversion import float_tensors
from vavl_export.precision.sessions import WAYS, CheckedGraph
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import Precision, TensorRecord
from vavl_runtime.bundle.precision import VARIANT_GRAPHS

Source = Literal["golden", "calibration"]
Case = tuple[Arrays, Arrays]  # inputs, and the outputs to compare with
Run = tuple[Arrays, Arrays, Arrays]  # the same, and the outputs that came


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class TensorDrift(_Record):
    """A tensor inside a graph, and its relative L2 distance from the fp32 graph's."""

    name: str
    relative_l2: float


class LengthDrift(_Record):
    """Drift on inputs of about one size: free axes by name, each at most this long and more than half as long."""

    sizes: dict[str, int]
    outputs: dict[str, float]


class GraphDrift(_Record):
    """Drift of one variant.

    Attributes:
        graph: Name of the graph.
        precision: Precision of the variant.
        how: ``run`` as it is on ONNX Runtime's CPU; ``emulated``: fp32 operators, every tensor rounded; else what ran
            it, as the backend describes itself.
        inputs: ``golden``: seeded inputs, against PyTorch in fp32. ``calibration``: what real clips feed the graph,
            against the fp32 graph.
        outputs: Largest relative L2 by output.
        lengths: The same by size of the inputs.
        answers: Answers compared; 0 if the graph gives none.
        flips: Answers whose most probable label changed.
        worst_tensor: The tensor inside that is furthest off on the first input; None where nobody can look inside.
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
        """The largest relative L2 of any output."""
        return max(self.outputs.values())

    @property
    def tolerance(self) -> float | None:
        """What `worst` may be; None for int8 on golden inputs, whose noise no calibration has seen."""
        return None if self.precision == "int8" and self.inputs == "golden" else golden.TOLERANCE[self.precision]

    def describe(self) -> str:
        """One line for people."""
        bound = "not bounded" if self.tolerance is None else f"at most {self.tolerance:.0e}"
        line = (
            f"{self.graph} {self.precision} ({self.how}, {self.inputs} inputs): relative L2 {self.worst:.1e}, {bound}"
        )
        if self.answers:
            line += f", {self.flips} of {self.answers} labels flip"
        if self.worst_tensor is not None:
            line += f", worst inside: {self.worst_tensor.name} {self.worst_tensor.relative_l2:.1e}"
        return line


def golden_cases(bundle: Bundle, name: str) -> list[Case]:
    """The golden vectors of a graph: inputs, and PyTorch's outputs."""
    prefix = f"{golden.FOLDER}/{name}."
    return [golden.read_golden(bundle.verified_file(path)) for path in bundle.manifest.files if path.startswith(prefix)]


def measure_drift(
    bundle: Bundle,
    calibration: dict[str, list[Arrays]] | None = None,
    *,
    only: tuple[str, Precision] | None = None,
) -> Iterator[GraphDrift]:
    """Compare every variant of a bundle.

    Args:
        bundle: The bundle.
        calibration: Inputs of real clips by graph, to be compared with the fp32 graphs; None to leave that out.
        only: A graph and a precision, to compare nothing else.

    Yields:
        One result for each variant, way of running it and source of inputs.
    """
    for name in VARIANT_GRAPHS:
        sources: dict[Source, list[Case]] = {"golden": golden_cases(bundle, name)}
        if calibration is not None:
            exact = CheckedGraph(bundle, name, "fp32", "run")
            sources["calibration"] = [(fed, exact.run(fed)) for fed in calibration[name]]
        variants: Iterable[Precision] = bundle.manifest.graphs[name].variants
        for precision in [low for low in variants if only in (None, (name, low))]:
            for how in WAYS[precision]:
                graph = CheckedGraph(bundle, name, precision, how)
                for source, cases in sources.items():
                    worst = None
                    if how == WAYS[precision][-1]:
                        worst = _worst_tensor(bundle, name, precision, cases[0][0])
                    runs = ((fed, expected, graph.run(fed)) for fed, expected in cases)
                    yield compare(bundle, name, precision, how, source, runs, worst)


def compare(
    bundle: Bundle,
    name: str,
    precision: Precision,
    how: str,
    source: Source,
    runs: Iterable[Run],
    inside: TensorDrift | None = None,
) -> GraphDrift:
    """Compare outputs that came with those that should have come.

    Args:
        bundle: The bundle.
        name: The graph.
        precision: Its precision.
        how: See `GraphDrift`.
        source: Where the inputs are from.
        runs: At least one.
        inside: The tensor inside that is furthest off.

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
    """Sizes of the free axes of some inputs, up to the next power of two, by name, in order of name."""
    sizes = {
        axis: 1 << (size - 1).bit_length()
        for tensor in signature
        for axis, size in zip(tensor.shape, fed[tensor.name].shape, strict=True)
        if isinstance(axis, str)
    }
    return tuple(sorted(sizes.items()))


def _worst_tensor(bundle: Bundle, name: str, precision: Precision, fed: Arrays) -> TensorDrift | None:
    variant = onnx.load(bundle.graph_file(name, precision, cpu=True))
    if precision != "int8":
        variant = emulate(variant, precision)
    computed = {output for node in variant.graph.node for output in node.output} & float_tensors(variant)
    exact = onnx.load(bundle.graph_file(name))
    computed &= {output for node in exact.graph.node for output in node.output} & float_tensors(exact)
    expected = tensors_of(exact, computed, fed)
    del exact  # large models need not lie in memory twice
    got = tensors_of(variant, computed, fed)
    errors = {tensor: relative_l2(got[tensor], value) for tensor, value in expected.items() if np.any(value)}
    if not errors:
        return None
    worst = max(errors, key=lambda tensor: errors[tensor])
    return TensorDrift(name=worst, relative_l2=errors[worst])
