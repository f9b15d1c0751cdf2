"""Keeps half precision from overflowing: tensors that exceed its range on real clips stay fp32."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from vavl_export.precision.activation_stats import largest_magnitudes
from vavl_export.precision.emulate import emulate
from vavl_export.precision.half_conversion import choose_half_operators, convert_to_half, float_tensors, largest_value
from vavl_runtime.bundle.golden import Arrays
from vavl_runtime.bundle.manifest import Precision

# Other clips may be louder than those at hand: 12 dB.
HEADROOM = 4.0


@dataclass(frozen=True)
class HalfGraph:
    """A graph in half precision that does not overflow on the inputs it was tried on.

    Attributes:
        model: The graph.
        kept_fp32: Tensors that would overflow and so stayed fp32, with their largest magnitude in fp32.
        worst: Name and largest magnitude, in fp32, of the half-precision activation that comes closest to the limit;
            None if nothing runs in half precision.
        limit: The largest finite value of the precision.
    """

    model: onnx.ModelProto
    kept_fp32: dict[str, float]
    worst: tuple[str, float] | None
    limit: float


def activation_peaks(model: onnx.ModelProto, inputs: Sequence[Arrays]) -> dict[str, float]:
    """Find the largest magnitude of everything that an fp32 graph computes.

    Args:
        model: The graph with its weights inside.
        inputs: Inputs to run it on, best of real clips.

    Returns:
        The largest absolute value by tensor, weights not included.
    """
    floats = float_tensors(model)
    computed = {name for node in model.graph.node for name in node.output if name in floats}
    return largest_magnitudes(model, computed, inputs)


def convert_without_overflow(
    model: onnx.ModelProto,
    precision: Precision,
    exact: dict[str, float],
    inputs: Sequence[Arrays],
    *,
    half_means: bool = False,
) -> HalfGraph:
    """Convert a graph to half precision so that nothing overflows.

    Args:
        model: An fp32 graph with its weights inside; not changed.
        precision: ``fp16`` or ``bf16``.
        exact: Its `activation_peaks`.
        inputs: Inputs to try the converted graph on.
        half_means: See `convert_to_half`.

    Returns:
        The converted graph. A tensor stays fp32 if it comes within `HEADROOM` of the largest value in fp32, or if it is
        not finite when rounding is emulated.
    """
    limit = largest_value(precision)
    floats = float_tensors(model)
    kept = {name: peak for name, peak in exact.items() if not peak <= limit / HEADROOM}
    while True:
        converted = convert_to_half(model, precision, kept, half_means=half_means)
        chosen = choose_half_operators(model, precision, floats, frozenset(kept), half_means=half_means)
        inside = {name for node in model.graph.node if node.output[0] in chosen for name in node.output}
        rounded = largest_magnitudes(emulate(converted, precision), inside & exact.keys(), inputs)
        overflowing = {name: exact[name] for name, peak in rounded.items() if not peak <= limit}
        if not overflowing:
            break
        kept |= overflowing
    data = _computed_from_data(model)  # the padding mask is large on purpose, and the same for every clip
    activations = {name: exact[name] for name in sorted(inside & exact.keys() & data)}  # equal peaks: the first name
    worst = max(activations.items(), key=lambda item: item[1], default=None)
    # An operator that always runs in fp32 may exceed the limit. Report only tensors that would have been in half.
    unrestricted = choose_half_operators(model, precision, floats, frozenset(), half_means=half_means)
    touched = {
        name
        for node in model.graph.node
        if node.output[0] in unrestricted - chosen
        for name in (*node.input, *node.output)
    }
    return HalfGraph(converted, {name: peak for name, peak in kept.items() if name in touched}, worst, limit)


def _computed_from_data(model: onnx.ModelProto) -> set[str]:
    """Tensors that depend on audio, video or features, and not on their lengths alone."""
    reached = {value.name for value in model.graph.input if value.type.tensor_type.elem_type != TensorProto.INT64}
    for node in model.graph.node:
        if node.op_type != "Shape" and reached.intersection(node.input):
            reached.update(node.output)
    return reached
