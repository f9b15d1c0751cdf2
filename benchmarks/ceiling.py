"""What the processor reaches at best, and what a graph asks of it: both in operations of matrix products."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from threadpoolctl import threadpool_limits
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rounds import take_turns

SIZE = 1024  # of square matrices: large enough to be bound by arithmetic, small enough for the caches
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


def product_rates(threads: int, rounds: int) -> dict[str, float]:
    """Operations a second of a large float32 matrix product, by library: the best of its turns.

    Args:
        threads: Of each library.
        rounds: Turns of each library.
    """
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal((2, SIZE, SIZE), np.float32)
    session = _session(right, threads)
    with threadpool_limits(threads):
        sides: dict[str, Callable[[], object]] = {
            "numpy": lambda: left @ right,
            "torch": lambda: torch.from_numpy(left) @ torch.from_numpy(right),
            "onnxruntime": lambda: session.run(None, {"left": left}),
        }
        turns = take_turns(sides, rounds, TURN_S)
    return {name: 2 * SIZE**3 / min(taken) for name, taken in turns.items()}


def _session(right: NDArray[np.float32], threads: int) -> onnxruntime.InferenceSession:
    shape = list(right.shape)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
