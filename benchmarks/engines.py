"""What runs a graph: this runtime and its peers, each opened with the same threads and called the same way."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.backends.ort.session import CPU, import_onnxruntime
from vavl_runtime.bundle.manifest import GraphRecord

Arrays = Mapping[str, NDArray[Any]]
Run = Callable[[Arrays], dict[str, NDArray[Any]]]
Shapes = dict[str, tuple[int, ...]]


def open_runtime(file: Path, record: GraphRecord, threads: int) -> Run:
    """Open a graph as ``vavl-run`` does on the CPU.

    Args:
        file: The ONNX file.
        record: Its signature.
        threads: Threads within an operator.
    """
    backend = OnnxRuntimeBackend(threads)
    backend.load("graph", file, record)
    return partial(backend.run, "graph")


def open_default(file: Path, threads: int, sizes: Mapping[str, int] | None = None) -> Run:
    """Open a graph in ONNX Runtime, every option but the number of threads as it comes.

    Args:
        file: The ONNX file.
        threads: Threads within an operator.
        sizes: Fixed sizes of its free axes; by default they stay free, as in the file.
    """
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    for axis, size in (sizes or {}).items():
        options.add_free_dimension_override_by_name(axis, size)
    session = runtime.InferenceSession(str(file), options, providers=[CPU])
    names = [value.name for value in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, dict(inputs)), strict=True))


def open_openvino(
    file: Path, threads: int, precision: Literal["f32", "bf16"] = "f32", shapes: Shapes | None = None
) -> Run:
    """Open a graph in OpenVINO.

    Args:
        file: The ONNX file.
        threads: Threads of an inference.
        precision: What is computed in. OpenVINO's own default is bf16 where the processor has it.
        shapes: Fixed shapes of the inputs; by default they stay free, as in the file.
    """
    openvino: Any = importlib.import_module("openvino")  # only the `bench` extra has it
    core = openvino.Core()
    model = core.read_model(str(file))
    if shapes is not None:
        model.reshape(shapes)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
    }
    compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    names = [output.any_name for output in compiled.outputs]

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        values = request.infer(dict(inputs), share_inputs=True, share_outputs=True)
        return {name: values[number] for number, name in enumerate(names)}

    return run


def open_torch(module: nn.Module, record: GraphRecord, *, compiled: bool = False) -> Run:
    """Wrap a module; `torch.set_num_threads` holds for all of them.

    Args:
        module: Takes the graph's inputs in their order and gives its outputs.
        record: The graph's signature.
        compiled: Through ``torch.compile``, for the shapes of the first call.
    """
    if compiled:
        torch.compiler.reset()  # what was compiled for other shapes would make the next ones free
        module = torch.compile(module, dynamic=False)
    names = [tensor.name for tensor in record.inputs]

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        with torch.inference_mode():
            values = module(*(torch.from_numpy(inputs[name]) for name in names))
        tensors = values if isinstance(values, tuple) else (values,)
        return {tensor.name: value.numpy() for tensor, value in zip(record.outputs, tensors, strict=True)}

    return run


def largest_difference(got: Arrays, expected: Arrays) -> float:
    """Largest difference of an output, as a share of its largest value.

    Args:
        got: Outputs by name.
        expected: Outputs by name, the same.
    """
    return max(
        float(np.abs(got[name] - value).max() / max(np.abs(value).max(), 1e-9)) for name, value in expected.items()
    )
