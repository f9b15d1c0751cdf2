"""Follows tensors of attention heads back to the linear layers that give them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_export.ort_gpu.graph_view import GraphView, NoMatchError, attribute

SPLIT, SPLIT_TRANSPOSED = (0, 2, 1, 3), (0, 2, 3, 1)  # (B, T, H, D/H) to (B, H, T, D/H) and (B, H, D/H, T)


@dataclass(frozen=True)
class Projection:
    """A linear layer split into heads: ``scale * (x @ weight + bias)``.

    Attributes:
        x: The tokens, (B, T, D).
        weight: Name of the weight, (D, D).
        bias: Of all heads, (D,).
        scale: Factor behind the bias.
        heads: Number of heads.
    """

    x: str
    weight: str
    bias: NDArray[Any]
    scale: float
    heads: int


def projection(view: GraphView, name: str, permutation: tuple[int, ...] = SPLIT) -> Projection:
    """Follow a tensor of heads back to the linear layer that gives it.

    Args:
        view: The graph.
        name: The tensor, (B, H, T, D/H).
        permutation: How it is transposed from (B, T, H, D/H).

    Returns:
        The linear layer.

    Raises:
        NoMatchError: Something else computes it.
    """
    transpose = view.expect(name, "Transpose")
    if tuple(attribute(transpose, "perm")) != permutation:
        raise NoMatchError(f"{name}: transposed by {attribute(transpose, 'perm')}, expected {permutation}")
    name, scale, heads = transpose.input[0], 1.0, None
    biases: list[NDArray[Any]] = []
    while (node := view.maker(name)) is not None and node.op_type in ("Add", "Mul", "Reshape"):
        if node.op_type == "Reshape":
            heads = int(view.constant(view.expect(node.input[1], "Concat").input[2])[0])
            name = node.input[0]
            continue
        name, constant = view.with_constant(node)
        if node.op_type == "Add":
            biases.append(constant.reshape(-1))
        elif constant.size == 1 and not biases:
            scale *= float(constant)
        else:
            raise NoMatchError(f"{node.output[0]}: scales by {constant.size} values before a bias")
    product = view.expect(name, "MatMul")
    weight = view.constant(product.input[1])
    if heads is None or weight.ndim != 2 or weight.shape[0] != weight.shape[1]:
        raise NoMatchError(f"{name}: a weight of {weight.shape} for {heads} heads, expected a square one")
    bias = np.sum(biases, axis=0, dtype=np.float32) + np.zeros(len(weight), np.float32)
    return Projection(product.input[0], product.input[1], bias.astype(weight.dtype), scale, heads)
