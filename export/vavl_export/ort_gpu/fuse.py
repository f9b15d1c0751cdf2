"""Rewrites a graph for ONNX Runtime on NVIDIA GPUs: all passes, in order."""

import onnx

from vavl_export.ort_gpu.attention import find_attention, fuse_attention
from vavl_export.ort_gpu.elementwise import (
    join_gelu,
    join_norms,
    join_silu,
    scale_in_product,
    transpose_in_product,
)
from vavl_export.ort_gpu.graph_view import GraphView
from vavl_export.ort_gpu.token_padding import pad_tokens


def fuse_for_gpu(model: onnx.ModelProto) -> None:
    """Rewrite a graph; it computes the same, in operators of ONNX Runtime that launch fewer kernels.

    Args:
        model: A graph with its weights inside, changed in place. Half precision is what runs on GPUs. The rewritten
            fp32 graph is right on CPUs alone (`vavl_export.ort_gpu.attention`).

    Raises:
        NoMatchError: Some attention has a form that is not known; the graph is not changed.
    """
    view = GraphView(model, through_casts=True)
    found = find_attention(view)
    fuse_attention(view, found)
    if any(attention.positions is not None for attention in found):
        pad_tokens(view)
    view.commit()
    scale_in_product(model)
    join_gelu(model)
    join_silu(model)
    transpose_in_product(model)
    join_norms(model)
