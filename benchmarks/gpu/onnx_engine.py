"""ONNX Runtime with everything on the device: one graph or several, one stream or two, with or without CUDA graphs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor

from benchmarks.gpu.accelerator import Accelerator
from benchmarks.gpu.graphs import graph_file
from benchmarks.gpu.models import Inputs
from benchmarks.gpu.plan import Engine, Point
from vavl_export.fused import fused_name
from vavl_runtime.backends.ort.providers import preload_libraries

_TYPES: dict[str, tuple[torch.dtype, Any]] = {
    "tensor(float)": (torch.float32, np.float32),
    "tensor(float16)": (torch.float16, np.float16),
    "tensor(int64)": (torch.int64, np.int64),
    "tensor(uint8)": (torch.uint8, np.uint8),
    "tensor(bool)": (torch.bool, np.bool_),
}
_NO_GRAPH, _GRAPH = "-1", "1"


@dataclass(frozen=True)
class Step:
    """A graph of a program.

    Attributes:
        graph: Its name in the work folder.
        side: It runs on the side stream; the first step after it that does not waits for it.
    """

    graph: str
    side: bool = False


def steps(point: Point, streams: int) -> list[Step]:
    """The graphs that make up a point; a fused one for one clip on one stream, else a chain."""
    if point.scope == "path":
        return [Step(point.path)]
    if point.scope == "encoder":
        return [Step("audio_encoder" if point.path == "audio" else "face_encoder")]
    if point.batch == 1 and streams == 1:
        return [Step(fused_name(point.path))]
    face = [Step("face_encoder", side=streams == 2)] if point.path != "audio" else []
    sound = [Step("audio_encoder")] if point.path != "visual" else []
    return [*face, *sound, Step(point.path)]


class OnnxProgram:
    """A point that ONNX Runtime runs.

    Args:
        accelerator: The device.
        engine: How to run.
        point: What to run.
        folder: The work folder with the graphs.
        inputs: On the device; they stay at their addresses.
    """

    def __init__(self, accelerator: Accelerator, engine: Engine, point: Point, folder: Path, inputs: Inputs) -> None:
        preload_libraries(ort)
        self._accelerator = accelerator
        self._tensors = dict(inputs)
        self._clips = point.batch
        self._steps: list[tuple[Step, Any, Any, Any]] = []
        for step in steps(point, engine.streams):
            session = self._open(graph_file(folder, step.graph, engine.precision), step, engine)
            self._add(step, session, graphs=engine.style == "graph")

    def run(self) -> None:
        """Enqueue one run: on the main stream, parts of it on the side stream."""
        aside = False
        for step, session, binding, options in self._steps:
            if step.side:
                aside = True
                with self._accelerator.aside():
                    session.run_with_iobinding(binding, options)
                continue
            if aside and step is self._steps[-1][0]:
                self._accelerator.join()
            session.run_with_iobinding(binding, options)

    def outputs(self) -> Inputs:
        """What the last run gave."""
        return self._tensors

    def close(self) -> None:
        """Release sessions, graphs and buffers."""
        self._steps.clear()
        self._tensors.clear()

    def _open(self, file: Path, step: Step, engine: Engine) -> Any:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        if engine.fixed:
            for name, size in self._free_dimensions(file).items():
                options.add_free_dimension_override_by_name(name, size)
        provider = self._accelerator.provider(
            side=step.side, graphs=engine.style == "graph", fixed=engine.fixed, nhwc=engine.nhwc
        )
        session = ort.InferenceSession(file, options, providers=[provider], enable_fallback=0)
        if session.get_providers()[0] != provider[0]:
            raise RuntimeError(f"{file.name}: ONNX Runtime started {session.get_providers()}, not {provider[0]}")
        return session

    def _free_dimensions(self, file: Path) -> dict[str, int]:
        """Sizes of the named dimensions of a graph's inputs, from the tensors at hand."""
        sizes: dict[str, int] = {}
        for value in onnx.load(file, load_external_data=False).graph.input:
            dims = value.type.tensor_type.shape.dim
            for dim, size in zip(dims, self._input(value.name).shape, strict=True):
                if dim.dim_param:
                    sizes[dim.dim_param] = size
        return sizes

    def _input(self, name: str) -> Tensor:
        if name == "visual_features" and name not in self._tensors:  # of a chain: clips one after the other
            features = self._tensors["face_features"]
            return features.view(self._clips, -1, features.shape[-1])
        return self._tensors[name]

    def _add(self, step: Step, session: Any, *, graphs: bool) -> None:
        """Bind a session's inputs and outputs; the shapes of the outputs come from a first run."""
        device = self._accelerator.device.partition(":")[0]

        def bind(way: Any, value: Any, tensor: Tensor) -> None:
            way(value.name, device, 0, _TYPES[value.type][1], list(tensor.shape), tensor.data_ptr())

        first, kept = session.io_binding(), session.io_binding()
        for value in session.get_inputs():
            for binding in (first, kept):
                bind(binding.bind_input, value, self._input(value.name))
        for value in session.get_outputs():
            first.bind_output(value.name, device)
        if step.side:
            with self._accelerator.aside():
                session.run_with_iobinding(first, _options(graphs, capture=False))
        else:
            session.run_with_iobinding(first, _options(graphs, capture=False))
        self._accelerator.synchronize()
        for value, given in zip(session.get_outputs(), first.get_outputs(), strict=True):
            dtype = _TYPES[value.type][0]
            self._tensors[value.name] = torch.empty(given.shape(), dtype=dtype, device=self._accelerator.device)
            bind(kept.bind_output, value, self._tensors[value.name])
        self._steps.append((step, session, kept, _options(graphs, capture=True)))
        # What the first run left must be right when the next step runs for the first time.
        session.run_with_iobinding(kept, _options(graphs, capture=False))
        self._accelerator.synchronize()


def _options(graphs: bool, *, capture: bool) -> Any:
    """Do not wait at the end of a run: everything is on our streams. One graph for each session."""
    options = ort.RunOptions()
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    if graphs:
        options.add_run_config_entry("gpu_graph_id", _GRAPH if capture else _NO_GRAPH)
    return options
