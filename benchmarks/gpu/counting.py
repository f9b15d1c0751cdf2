"""Counts the arithmetic and the traffic that a subject cannot do without, and the time that a device needs for them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

BYTES_PER_NUMBER = 2  # fp16


@dataclass(frozen=True)
class Ceilings:
    """What the device reaches at best, measured.

    Attributes:
        copy_bytes_per_s: Of a large copy on the device, bytes read plus bytes written.
        matmul_flops_per_s: Of a large fp16 matrix product, two operations for each multiplication.
    """

    copy_bytes_per_s: float
    matmul_flops_per_s: float


@dataclass
class Counts:
    """Work of one run in fp16.

    Attributes:
        operations: Of all matrix products and convolutions, two for each multiplication.
        weight_bytes: Of the weights that take part, each once.
        io_bytes: Of the subject's inputs and outputs.
        products: Operations and bytes (operands and result, each once) of every product.
    """

    operations: int = 0
    weight_bytes: int = 0
    io_bytes: int = 0
    products: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Roofline:
    """Times below which a run cannot come, milliseconds.

    Attributes:
        floor_ms: All operations at the rate of products, or weights, inputs and outputs at the rate of copies,
            whichever is longer: as if the whole network were one kernel that keeps everything else on the chip.
        layered_ms: The same for every product on its own, summed: a kernel for each product, everything between
            products fused into them.
    """

    floor_ms: float
    layered_ms: float


def roofline(counts: Counts, ceilings: Ceilings) -> Roofline:
    """Turn counts into times."""

    def needed(operations: int, traffic: int) -> float:
        return 1000 * max(operations / ceilings.matmul_flops_per_s, traffic / ceilings.copy_bytes_per_s)

    whole = needed(counts.operations, counts.weight_bytes + counts.io_bytes)
    return Roofline(whole, max(whole, sum(needed(*product) for product in counts.products)))


def count(subject: nn.Module, inputs: dict[str, Tensor]) -> Counts:
    """Count without computing.

    Args:
        subject: A module from inputs to outputs by name, on any device; it is not changed.
        inputs: Inputs of the shapes to count for.

    Returns:
        The counts.
    """
    counts = Counts()
    counter = _Counter(counts, {name: value.to("meta") for name, value in subject.state_dict(keep_vars=True).items()})
    absent = {name: value.to("meta") for name, value in inputs.items()}
    state = counter.state | {
        name: value.to("meta") for name, value in subject.named_buffers() if name not in counter.state
    }
    with torch.no_grad(), counter:
        outputs = torch.func.functional_call(subject, state, (absent,))
    # Sound and pictures come as fp32 and uint8, predictions leave as fp32.
    counts.io_bytes = sum(value.nbytes for value in (*inputs.values(), *outputs.values()))
    counts.weight_bytes = BYTES_PER_NUMBER * sum(value.numel() for value in counter.used.values())
    return counts


class _Counter(TorchDispatchMode):
    def __init__(self, counts: Counts, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.state = state
        self.used: dict[int, Tensor] = {}
        self._counts = counts
        self._weights = {id(value): value for value in state.values()}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        self.used.update({id(value): self._weights[id(value)] for value in tensors if id(value) in self._weights})
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            operations = int(formula(*args, **(kwargs or {}), out_val=result))
            traffic = BYTES_PER_NUMBER * sum(prod(value.shape) for value in (*tensors, result))
            self._counts.operations += operations
            self._counts.products.append((operations, traffic))
        return result
