"""Computes, once for each length mask, the numbers that all attention over the same clips needs."""

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, TensorProto, helper

from vavl_export.ort_gpu.graph_view import GraphView


@dataclass(frozen=True)
class ClipSizes:
    """Names of tensors that describe a batch of B clips of T tokens.

    Attributes:
        mask_index: ``[length of each clip, start of each clip, end, start of each clip, end]``, int32, (3B + 2,).
        batch: B, int64, (1,), on the CPU.
        tokens: T, int64, (1,), on the CPU.
    """

    mask_index: str
    batch: str
    tokens: str


def add_clip_sizes(view: GraphView, mask: str, place: NodeProto) -> ClipSizes:
    """Compute the sizes of a batch.

    Args:
        view: The graph.
        mask: Length mask, float32, (B, T).
        place: They are computed before this operator.

    Returns:
        Names of the results.
    """
    stem = f"{mask}.sizes"
    first = view.add_constant("sizes.first", np.array([0], np.int64))
    second = view.add_constant("sizes.second", np.array([1], np.int64))
    one_before = view.add_constant("sizes.one_before", np.array([1, 0], np.int64))
    all_of_it = view.add_constant("sizes.all", np.array([np.iinfo(np.int64).max], np.int64))
    zero = view.add_constant("sizes.zero", np.zeros((), np.int32))
    batch, tokens, mask_index = f"{stem}.batch", f"{stem}.tokens", f"{stem}.mask_index"
    nodes = [
        helper.make_node("ReduceSum", [mask, second], [f"{stem}.sums"], keepdims=0),
        # The lengths begin with a number that is cut off again: see below. Pad has no CUDA kernel for integers.
        helper.make_node("Pad", [f"{stem}.sums", one_before], [f"{stem}.one_more"]),
        helper.make_node("Cast", [f"{stem}.one_more"], [f"{stem}.lengths"], to=TensorProto.INT32),
        helper.make_node("Shape", [mask], [batch], start=0, end=1),
        helper.make_node("Shape", [mask], [tokens], start=1, end=2),
        helper.make_node("Add", [batch, second], [f"{stem}.edges"]),
        helper.make_node("Mul", [f"{stem}.edges", tokens], [f"{stem}.end_long"]),
        # Behind the last start, which is B T.
        helper.make_node("Squeeze", [f"{stem}.end_long", first], [f"{stem}.end_scalar"]),
        helper.make_node("Cast", [f"{stem}.end_scalar"], [f"{stem}.end"], to=TensorProto.INT32),
        helper.make_node("Squeeze", [tokens, first], [f"{stem}.step_long"]),
        helper.make_node("Cast", [f"{stem}.step_long"], [f"{stem}.step"], to=TensorProto.INT32),
        helper.make_node("Range", [zero, f"{stem}.end", f"{stem}.step"], [f"{stem}.starts"]),  # (B + 1,)
        # Parts of equal size: for others, the CUDA kernel of Concat copies their sizes from the host at each run, which
        # a captured CUDA graph must not do.
        helper.make_node("Concat", [f"{stem}.lengths", *2 * [f"{stem}.starts"]], [f"{stem}.joined"], axis=0),
        helper.make_node("Slice", [f"{stem}.joined", second, all_of_it, first], [mask_index]),
    ]
    view.insert_before(place, nodes)
    return ClipSizes(mask_index, batch, tokens)
