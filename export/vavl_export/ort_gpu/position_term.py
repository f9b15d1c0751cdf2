"""Rewrites the conformer's position term for ``Attention``: fewer kernels, and no padding of scores.

The exported form transposes queries and distances, multiplies, pads, and shifts by two reshapes. Here the product reads
both as they lie (``transBatchA``, ``transBatchB``), and one more distance takes the place of the padding. The score of
query i and key j is in row i, column ``T - 1 - i + j`` of 2T columns. In one line, that is place
``T - 1 + i (2T - 1) + j``. So rows of 2T - 1 that begin at place T - 1 have key j in column j.

The batch of the product is the heads alone. The exported form broadcasts distances over clips: ONNX Runtime then copies
a table of pointers from the host at each run, which a captured CUDA graph must not do.
"""

from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper

from vavl_export.ort_gpu.clip_sizes import ClipSizes
from vavl_export.ort_gpu.graph_view import GraphView, NoMatchError, attribute
from vavl_export.ort_gpu.projections import Projection, projection

# Rows added at both ends of the table: `token_padding` makes sequences up to 7 tokens longer than the longest. Only
# pairs with padding are so far apart, so what the rows hold does not matter.
SPARE = 8


@dataclass(frozen=True)
class PositionTerm:
    """A position term as it was exported.

    Attributes:
        query: Its queries; their bias differs from that of the content term.
        weight: Name of the weight of the distances, (D, D), transposed.
        table: Name of the encodings of all distances, (2 max_tokens - 1, D).
    """

    query: Projection
    weight: str
    table: str


def find_position_term(view: GraphView, shifted: str) -> PositionTerm:
    """Follow a position term back to what it is computed from.

    Args:
        view: The graph.
        shifted: The term, (B, H, T, T).

    Returns:
        What it is computed from.

    Raises:
        NoMatchError: Something else computes it.
    """
    name = shifted
    for operator in ("Slice", "Reshape", "Slice", "Reshape", "Pad"):
        name = view.expect(name, operator).input[0]
    product = view.expect(name, "MatMul")
    name = product.input[1]
    for operator in ("Transpose", "Reshape", "Unsqueeze"):
        name = view.expect(name, operator).input[0]
    distances = view.expect(name, "Gemm")
    table = view.source(view.expect(distances.input[0], "Slice").input[0])
    if attribute(distances, "transB") != 1 or len(view.constant(table)) % 2 == 0:
        raise NoMatchError(f"{shifted}: its distances are not encoded by a table of 2 max_tokens - 1 rows")
    query = projection(view, product.input[0])
    types = {view.constants[weight].data_type for weight in (query.weight, distances.input[1], table)}
    if len(types) != 1:
        raise NoMatchError(f"{shifted}: its weights have the types {sorted(types)}, expected one type")
    return PositionTerm(query, distances.input[1], table)


def add_distances(view: GraphView, table: str, sizes: ClipSizes, place: NodeProto) -> str:
    """Cut the encodings of the distances T - 1 … -T out of a table.

    Args:
        view: The graph.
        table: The table, (2 max_tokens - 1, D).
        sizes: Sizes of the clips.
        place: The encodings are cut before this operator.

    Returns:
        Name of the encodings, (2T, D); the last row is never read.
    """
    rows, width = view.constant(table).shape
    stem = f"{sizes.tokens}.{table}"
    dtype = view.constant(table).dtype
    before = view.add_constant(f"{table}.before", np.zeros((SPARE, width), dtype))
    behind = view.add_constant(f"{table}.behind", np.zeros((SPARE + 1, width), dtype))
    middle = view.add_constant(f"{table}.middle", np.array([(rows + 1) // 2 + SPARE], np.int64))
    first = view.add_constant("sizes.first", np.array([0], np.int64))
    nodes = [
        helper.make_node("Concat", [before, table, behind], [f"{stem}.spared"], axis=0),  # folded on opening
        helper.make_node("Sub", [middle, sizes.tokens], [f"{stem}.from"]),
        helper.make_node("Add", [middle, sizes.tokens], [f"{stem}.to"]),
        helper.make_node("Slice", [f"{stem}.spared", f"{stem}.from", f"{stem}.to", first], [f"{stem}.distances"]),
    ]
    view.insert_before(place, nodes)
    return f"{stem}.distances"


def add_position_term(view: GraphView, term: PositionTerm, sizes: ClipSizes, distances: str, place: NodeProto) -> str:
    """Compute a position term in the form that ``Attention`` takes.

    Args:
        view: The graph.
        term: What it is computed from.
        sizes: Sizes of the clips.
        distances: Result of `add_distances`.
        place: The term is computed before this operator.

    Returns:
        Name of the term, (B, H, T, T).
    """
    stem = f"{place.output[0]}.positions"
    query = term.query

    def integers(name: str, *values: int) -> str:
        return view.add_constant(f"positions.{name}", np.array(values, np.int64))

    heads, rest = integers(f"heads{query.heads}", query.heads), integers("rest", -1)
    split = integers(f"split{query.heads}", -1, query.heads, len(query.bias) // query.heads)
    bias = view.add_constant(f"{stem}.bias", query.bias)
    nodes = [
        helper.make_node("MatMul", [query.x, query.weight], [f"{stem}.product"]),
        helper.make_node("Add", [f"{stem}.product", bias], [f"{stem}.query"]),
        helper.make_node("Reshape", [f"{stem}.query", split], [f"{stem}.queries"]),  # (B T, H, D/H)
        helper.make_node("Gemm", [distances, term.weight], [f"{stem}.encoded"], transB=1),
        helper.make_node("Reshape", [f"{stem}.encoded", split], [f"{stem}.keys"]),  # (2T, H, D/H)
        view.microsoft(
            "FusedMatMul",
            [f"{stem}.queries", f"{stem}.keys"],
            [f"{stem}.scores"],  # (H, B T, 2T)
            view.constants[term.weight].data_type,
            alpha=query.scale,
            transBatchA=1,
            transBatchB=1,
            transB=1,
        ),
        helper.make_node("Concat", [heads, sizes.batch, rest], [f"{stem}.line_shape"], axis=0),
        helper.make_node("Reshape", [f"{stem}.scores", f"{stem}.line_shape"], [f"{stem}.line"]),  # (H, B, 2T T)
        helper.make_node("Sub", [sizes.tokens, integers("one", 1)], [f"{stem}.begin"]),
        helper.make_node("Slice", [f"{stem}.line", f"{stem}.begin", rest, integers("axis2", 2)], [f"{stem}.cut"]),
        helper.make_node("Concat", [heads, sizes.batch, sizes.tokens, rest], [f"{stem}.rows_shape"], axis=0),
        helper.make_node("Reshape", [f"{stem}.cut", f"{stem}.rows_shape"], [f"{stem}.rows"]),  # (H, B, T, 2T - 1)
        helper.make_node(
            "Slice", [f"{stem}.rows", integers("zero", 0), sizes.tokens, integers("axis3", 3)], [f"{stem}.aligned"]
        ),
        helper.make_node("Transpose", [f"{stem}.aligned"], [stem], perm=[1, 0, 2, 3]),
    ]
    view.insert_before(place, nodes)
    return stem
