"""fp16 ends at 65504: finds the tensors that real clips drive beyond it, and keeps those in fp32."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from vavl_export.golden import Arrays
from vavl_export.precision.activation_stats import peaks
from vavl_export.precision.emulate import emulate
from vavl_export.precision.half_conversion import choose_low, float_tensors, largest_value, lower_precision
from vavl_runtime.bundle.manifest import Precision

# Other clips may be louder than those at hand: 12 dB.
HEADROOM = 4.0


@dataclass(frozen=True)
class HalfGraph:
    """A graph in half precision that holds the activations it was shown.

    Attributes:
        model: The graph.
        islands: Tensors that would overflow and so stayed fp32, with their largest magnitude in fp32.
        worst: Name and largest magnitude in fp32 of the activation that comes closest to the limit, in what runs in
            half precision; None if nothing does.
        limit: The largest finite value of the precision.
    """

    model: onnx.ModelProto
    islands: dict[str, float]
    worst: tuple[str, float] | None
    limit: float


def activation_peaks(model: onnx.ModelProto, inputs: Sequence[Arrays]) -> dict[str, float]:
    """Find the largest magnitude of everything that an fp32 graph computes on some inputs.

    Args:
        model: The graph, weights inside.
        inputs: Inputs to watch it on, best of real clips.

    Returns:
        Largest absolute value by tensor, weights not included.
    """
    types = float_tensors(model)
    return peaks(model, {name for node in model.graph.node for name in node.output if name in types}, inputs)


def computed_from_data(model: onnx.ModelProto) -> set[str]:
    """Tensors that depend on sound, picture or features, not on their lengths alone.

    Args:
        model: A graph whose nodes are sorted.
    """
    reached = {value.name for value in model.graph.input if value.type.tensor_type.elem_type != TensorProto.INT64}
    for node in model.graph.node:
        if node.op_type != "Shape" and reached.intersection(node.input):
            reached.update(node.output)
    return reached


def lower_safely(
    model: onnx.ModelProto, precision: Precision, exact: dict[str, float], inputs: Sequence[Arrays]
) -> HalfGraph:
    """Convert a graph so that nothing overflows.

    Args:
        model: An fp32 graph, weights inside; not changed.
        precision: ``fp16`` or ``bf16``.
        exact: Its `activation_peaks`.
        inputs: Inputs to watch the result on.

    Returns:
        The graph, with islands of fp32 where a tensor comes within `HEADROOM` of the largest value in fp32, or is not
        finite when rounding is emulated.
    """
    limit = largest_value(precision)
    types = float_tensors(model)
    islands = {name: peak for name, peak in exact.items() if not peak <= limit / HEADROOM}
    while True:
        lowered = lower_precision(model, precision, islands)
        low = choose_low(model, precision, types, frozenset(islands))
        inside = {name for node in model.graph.node if node.output[0] in low for name in node.output}
        rounded = peaks(emulate(lowered, precision), inside & exact.keys(), inputs)
        broken = {name: exact[name] for name, peak in rounded.items() if not peak <= limit}
        if not broken:
            break
        islands |= broken
    data = computed_from_data(model)  # the padding mask is large on purpose, and the same for every clip
    activations = {name: exact[name] for name in inside & exact.keys() & data}
    worst = max(activations.items(), key=lambda item: item[1], default=None)
    # An operator that always runs in fp32 may well exceed the limit: only what half precision would have held counts.
    would = choose_low(model, precision, types, frozenset())
    touched = {
        name for node in model.graph.node if node.output[0] in would - low for name in (*node.input, *node.output)
    }
    return HalfGraph(lowered, {name: peak for name, peak in islands.items() if name in touched}, worst, limit)
