"""What the machine reaches at best, and what a graph asks of it: operations of products, and bytes of weights."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vavl_bench.turns import take_turns

SIZE = 1024  # of square matrices: large enough to be bound by arithmetic, small enough for the caches
READ_BYTES = 1 << 28  # more than any cache holds
TURN_S = 0.2


def operations(module: nn.Module, inputs: Sequence[NDArray[Any]]) -> int:
    """Count the operations of a module's matrix products and convolutions, two for each multiplication.

    Args:
        module: Any module.
        inputs: Its inputs, in order.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:  # fails on weight norm in inference mode
        module(*map(torch.from_numpy, inputs))
    return int(counter.get_total_flops())


def weight_bytes(file: Path) -> int:
    """Count the bytes of a graph's weights, each of which a run reads at least once.

    Args:
        file: The ONNX file; its external data is not read.
    """
    initializers = onnx.load(file, load_external_data=False).graph.initializer
    sizes = (onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize for tensor in initializers)
    return sum(size * math.prod(tensor.dims) for size, tensor in zip(sizes, initializers, strict=True))


def read_rate(threads: int, rounds: int) -> float:
    """Bytes per second that all threads together read from memory: the best of the turns.

    Args:
        threads: Readers, each of a part of the array.
        rounds: Turns.
    """
    parts = np.array_split(np.ones(READ_BYTES // 8, np.uint64), threads)
    with ThreadPoolExecutor(threads) as pool:
        turns = take_turns({"read": lambda: list(pool.map(np.max, parts))}, rounds, TURN_S)
    return READ_BYTES / min(turns["read"])


def product_rates(threads: int, rounds: int) -> dict[str, float]:
    """Operations per second of a large float32 matrix product, by library: the best of its turns.

    Args:
        threads: Of each library.
        rounds: Turns of each library.
    """
    left, right = np.random.default_rng(0).standard_normal((2, SIZE, SIZE), np.float32)
    with threadpool_limits(threads):
        sides: dict[str, Callable[[], object]] = {
            "numpy": lambda: left @ right,
            "torch": lambda: torch.from_numpy(left) @ torch.from_numpy(right),
        }
        turns = take_turns(sides, rounds, TURN_S)
    return {name: 2 * SIZE**3 / min(taken) for name, taken in turns.items()}
