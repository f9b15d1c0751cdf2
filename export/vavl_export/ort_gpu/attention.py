"""Replaces attention by ONNX Runtime's ``Attention``: product, bias, scores, softmax and mixing in one operator.

Why this form:

- A pass over the exported graph takes milliseconds. Exporting the modules a second time with operators of their own
  takes minutes, and the rules for half precision would have to know those operators. ``onnxruntime.transformers`` knows
  neither this exporter's graphs nor the shifted position term.
- ``Attention`` multiplies by the weights of queries, keys and values at once. ``MultiHeadAttention`` behind a product
  of packed weights runs the same kernel, but needs a ``Split``, and its packed input has no CPU kernel to check it.
- The packed weight is a ``Concat`` of three weights of the weight file. ONNX Runtime folds it when it opens the graph,
  so the file holds each weight once.

The mask is ``mask_index`` of 3B + 2 values (`vavl_export.ort_gpu.clip_sizes`): the layout with which a GPU runs
memory-efficient attention. Where ONNX Runtime cannot run that, its unfused kernels read the starts of the clips as
starts of their keys, and every clip but the first is wrong (also if someone sets
``ORT_DISABLE_MEMORY_EFFICIENT_ATTENTION``). So this pass keeps the conditions of that kernel: heads
whose width is a multiple of 8, and a multiple of 8 tokens where there is a position term
(`vavl_export.ort_gpu.token_padding`). CPUs read the lengths alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper

from vavl_export.ort_gpu.clip_sizes import ClipSizes, add_clip_sizes
from vavl_export.ort_gpu.graph_view import GraphView, NoMatchError, attribute
from vavl_export.ort_gpu.position_term import PositionTerm, add_distances, add_position_term, find_position_term
from vavl_export.ort_gpu.projections import SPLIT, SPLIT_TRANSPOSED, Projection, projection

HEAD_MULTIPLE = 8  # memory-efficient attention loads vectors of so many half-precision values


@dataclass(frozen=True)
class Attention:
    """Attention as it was exported.

    Attributes:
        query: Its queries, scaled.
        key: Its keys.
        value: Its values.
        positions: The position term; None without.
        mask: Length mask, float32, (B, T).
        output: The operator that gives the result, (B, T, D).
    """

    query: Projection
    key: Projection
    value: Projection
    positions: PositionTerm | None
    mask: str
    output: NodeProto


def find_attention(view: GraphView) -> list[Attention]:
    """Find all attention of a graph.

    Args:
        view: The graph, in fp32 or half precision.

    Returns:
        What was found, in the order of the graph.

    Raises:
        NoMatchError: Some attention has a form that is not known.
    """
    order = {node.output[0]: place for place, node in enumerate(view.graph.node)}
    found = [_match(view, node) for node in view.graph.node if node.op_type == "Softmax" and _mixes(view, node)]
    return sorted(found, key=lambda attention: order[attention.output.output[0]])


def fuse_attention(view: GraphView, found: Sequence[Attention]) -> None:
    """Replace attention; sizes and encoded distances are computed once for all layers that share them.

    Args:
        view: The graph.
        found: What `find_attention` gave.
    """
    sizes: dict[str, ClipSizes] = {}
    distances: dict[tuple[str, str], str] = {}
    for attention in found:
        place, term = attention.output, attention.positions
        if attention.mask not in sizes:
            sizes[attention.mask] = add_clip_sizes(view, attention.mask, place)
        clips = sizes[attention.mask]
        positions: list[str] = []
        if term is not None:
            key = (attention.mask, term.table)
            if key not in distances:
                distances[key] = add_distances(view, term.table, clips, place)
            positions = ["", add_position_term(view, term, clips, distances[key], place)]  # no past keys
        parts = (attention.query, attention.key, attention.value)
        stem = place.output[0]
        packed = f"{stem}.qkv"
        bias = view.add_constant(f"{stem}.qkv_bias", np.concatenate([part.bias for part in parts]))
        fused = view.microsoft(
            "Attention",
            [attention.query.x, packed, bias, clips.mask_index, *positions],
            [stem],
            view.constants[attention.query.weight].data_type,
            num_heads=attention.query.heads,
            scale=attention.query.scale,
        )
        view.replace(place, [helper.make_node("Concat", [part.weight for part in parts], [packed], axis=1), fused])


def _mixes(view: GraphView, softmax: NodeProto) -> bool:
    """Whether a softmax gives weights that the values of heads are mixed with, and not probabilities or a mean."""
    mixed = [node.output[0] for node in view.readers(softmax.output[0]) if node.op_type == "MatMul"]
    return any(attribute(node, "perm") == list(SPLIT) for name in mixed for node in view.readers(name))


def _match(view: GraphView, softmax: NodeProto) -> Attention:
    name = softmax.output[0]
    scores = view.expect(softmax.input[0], "Add")
    content = view.expect(scores.input[0], "MatMul")
    query, key = projection(view, content.input[0]), projection(view, content.input[1], SPLIT_TRANSPOSED)
    padding, positions = scores.input[1], None
    if (added := view.maker(padding)) is not None and added.op_type == "Add":
        positions, padding = find_position_term(view, added.input[0]), added.input[1]
    mixed = view.only_reader(name, "MatMul")
    value = projection(view, mixed.input[1])
    joined = view.only_reader(mixed.output[0], "Transpose")
    parts = (query, key, value)
    alike = {(part.x, part.heads, len(part.bias), view.constants[part.weight].data_type) for part in parts}
    if len(alike) != 1 or attribute(joined, "perm") != list(SPLIT):
        raise NoMatchError(f"{name}: queries, keys and values differ: {sorted(alike)}")
    width = len(query.bias) // query.heads
    if width % HEAD_MULTIPLE or (key.scale, value.scale) != (1.0, 1.0):
        raise NoMatchError(f"{name}: got heads {width} wide, expected a multiple of {HEAD_MULTIPLE}")
    if positions is not None and (positions.query.x, positions.query.heads) != (query.x, query.heads):
        raise NoMatchError(f"{name}: the position term has other queries than the content term")
    output = view.only_reader(joined.output[0], "Reshape")
    return Attention(query, key, value, positions, _length_mask(view, padding), output)


def _length_mask(view: GraphView, padding: str) -> str:
    """Follow ``(mask - 1) * 1e4``, broadcast over heads and queries, back to the length mask."""
    scaled, _ = view.with_constant(view.expect(view.expect(padding, "Unsqueeze").input[0], "Mul"))
    lowered = view.expect(scaled, "Sub")
    if float(view.constant(lowered.input[1])) != 1.0:
        raise NoMatchError(f"{padding}: got no length mask minus 1")
    return str(lowered.input[0])
