"""TensorRT: an engine for each graph, built for exactly the shapes at hand, all of them in one CUDA graph."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from benchmarks.gpu.accelerator import Accelerator
from benchmarks.gpu.graphs import graph_file
from benchmarks.gpu.models import Inputs
from benchmarks.gpu.onnx_engine import steps
from benchmarks.gpu.plan import Engine, Point
from vavl_export.tensorrt.adapter import BuildOptions, build_plan
from vavl_runtime.backends.trt.engine_store import Profile, ShapeRange
from vavl_runtime.backends.trt.library import find_tensorrt, last_errors, new_log
from vavl_runtime.errors import EngineError

_WORKSPACE_BYTES = 8 << 30
_WARM_UPS = 3


class TensorRtProgram:
    """A point that TensorRT runs; the arguments are those of `OnnxProgram`.

    Raises:
        BackendUnavailableError: TensorRT is not installed.
        EngineError: It refuses a plan that it built itself.
    """

    def __init__(self, accelerator: Accelerator, engine: Engine, point: Point, folder: Path, inputs: Inputs) -> None:
        self._library = find_tensorrt()
        self._log = new_log(self._library)
        self._runtime = self._library.module.Runtime(self._log)
        self._accelerator = accelerator
        self._clips = point.batch
        self._tensors = dict(inputs)
        self._contexts: list[tuple[Any, Any]] = []
        for step in steps(point, engine.streams):
            self._add(graph_file(folder, step.graph, engine.precision))
        for _ in range(_WARM_UPS):
            self._enqueue()
        self._replay = accelerator.capture(self._enqueue)

    def run(self) -> None:
        """Enqueue one run on the main stream."""
        self._replay()

    def outputs(self) -> Inputs:
        """What the last run gave."""
        return self._tensors

    def close(self) -> None:
        """Release the graph, contexts and engines, in this order."""
        del self._replay
        self._contexts.clear()
        self._tensors.clear()

    def _enqueue(self) -> None:
        for context, _ in self._contexts:
            if not context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
                raise EngineError(f"{self._library} does not run: {last_errors(self._log)}")

    def _add(self, file: Path) -> None:
        names = [value.name for value in onnx.load(file, load_external_data=False).graph.input]
        if "visual_features" in names and "visual_features" not in self._tensors:
            features = self._tensors["face_features"]
            self._tensors["visual_features"] = features.view(self._clips, -1, features.shape[-1])
        shapes = {name: tuple(self._tensors[name].shape) for name in names}
        profile = Profile(inputs={name: ShapeRange(min=s, opt=s, max=s) for name, s in shapes.items()})
        built = build_plan(self._library, file, [profile], BuildOptions(_WORKSPACE_BYTES))
        engine = self._runtime.deserialize_cuda_engine(built.plan)
        if engine is None:
            raise EngineError(f"{file.name}: {self._library} refuses its own plan: {last_errors(self._log)}")
        context = engine.create_execution_context()
        for name, shape in shapes.items():
            context.set_input_shape(name, shape)
        for number in range(engine.num_io_tensors):
            name = engine.get_tensor_name(number)
            if name not in shapes:
                dtype = np.dtype(self._library.module.nptype(engine.get_tensor_dtype(name))).name
                self._tensors[name] = torch.empty(
                    tuple(context.get_tensor_shape(name)),
                    dtype=getattr(torch, dtype),
                    device=self._accelerator.device,
                )
            context.set_tensor_address(name, self._tensors[name].data_ptr())
        self._contexts.append((context, engine))
