"""What the machine reaches at best, and what a graph asks of it: operations of products, and bytes of weights."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from threadpoolctl import threadpool_limits
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rounds import take_turns

SIZE = 1024  # of square matrices: large enough to be bound by arithmetic, small enough for the caches
LAYER = (150, 512, 2048)  # rows, inner size, columns: 3 s of sound in a feed-forward layer of the paper's size
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
    """Bytes a second that all threads together read from memory: the best of the turns.

    Args:
        threads: Readers, a part of the array each.
        rounds: Turns.
    """
    parts = np.array_split(np.ones(READ_BYTES // 8, np.uint64), threads)
    with ThreadPoolExecutor(threads) as pool:
        turns = take_turns({"read": lambda: list(pool.map(np.max, parts))}, rounds, TURN_S)
    return READ_BYTES / min(turns["read"])


def product_rates(threads: int, rounds: int) -> dict[str, float]:
    """Operations a second of a large float32 matrix product, by library: the best of its turns.

    Args:
        threads: Of each library.
        rounds: Turns of each library.
    """
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal((2, SIZE, SIZE), np.float32)
    session = _session(_product("MatMul", SIZE, right), threads)
    with threadpool_limits(threads):
        sides: dict[str, Callable[[], object]] = {
            "numpy": lambda: left @ right,
            "torch": lambda: torch.from_numpy(left) @ torch.from_numpy(right),
            "onnxruntime": lambda: session.run(None, {"left": left[None]}),
        }
        turns = take_turns(sides, rounds, TURN_S)
    return {name: 2 * SIZE**3 / min(taken) for name, taken in turns.items()}


def form_rates(threads: int, rounds: int) -> dict[str, float]:
    """Operations a second of a product of the paper's layers in ONNX Runtime, by the operator it is written as.

    Args:
        threads: Of each session.
        rounds: Turns of each form.
    """
    rows, inner, columns = LAYER
    weights = np.random.default_rng(0).standard_normal((inner, columns), np.float32)
    left = np.ones((rows, inner), np.float32)
    shaped = {"MatMul": left[None], "Gemm": left, "Conv": left.T[None]}  # a batch, rows, and channels first
    sides: dict[str, Callable[[], object]] = {}
    for form, value in shaped.items():
        session = _session(_product(form, rows, weights), threads)
        sides[form] = partial(session.run, None, {"left": np.ascontiguousarray(value)})
    turns = take_turns(sides, rounds, TURN_S)
    return {form: 2 * math.prod(LAYER) / min(taken) for form, taken in turns.items()}


def _product(form: str, rows: int, right: NDArray[np.float32]) -> bytes:
    """A model of one product with a matrix of weights: ``MatMul``, ``Gemm`` with a bias, ``Conv`` of width 1."""
    inner, columns = right.shape
    weights, bias = right, [numpy_helper.from_array(np.zeros(columns, np.float32), "bias")]
    if form == "Conv":
        weights = right.T[:, :, None]  # (out, in, width)
    shapes = {"MatMul": ([1, rows, inner], [1, rows, columns]), "Gemm": ([rows, inner], [rows, columns])}
    given, made = shapes.get(form, ([1, inner, rows], [1, columns, rows]))
    names = ["left", "right"] if form == "MatMul" else ["left", "right", "bias"]
    graph = helper.make_graph(
        [helper.make_node(form, names, ["product"])],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, made)],
        [numpy_helper.from_array(np.ascontiguousarray(weights), "right"), *(bias if form != "MatMul" else [])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString()


def _session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
