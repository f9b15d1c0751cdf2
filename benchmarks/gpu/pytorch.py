"""PyTorch as a side: eager, compiled, or as a CUDA graph, from host memory to host memory."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.gpu.apart import Context, Results
from benchmarks.gpu.contact import compare_with_reference
from benchmarks.gpu.networks import build_networks, fill
from benchmarks.gpu.plan import Point
from benchmarks.gpu.sides import idle_meters, measure_points
from benchmarks.gpu.weights import parameters, read_recipe
from vavl_bench.inputs import FPS, graph_inputs, noise_faces, noise_waveform
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import GraphRecord, Manifest

WARM_UPS = 3  # before a CUDA graph is captured

Tensors = dict[str, Tensor]


def measure_pytorch(context: Context, side: str) -> Results:
    """Measure PyTorch with the weights of the filled bundle.

    At each headline its answer is compared with that of ONNX Runtime's CPU before it is timed: both sides compute the
    same. A path that fails there is not timed at other lengths and batches either.

    Args:
        context: What to run it on.
        side: One of `benchmarks.gpu.plan.POINTS`.
    """
    with idle_meters(context) as meters, open_bundle(context.bundle) as bundle:
        manifest = bundle.manifest
        networks = build_networks(context.preset)
        fill(networks, parameters(read_recipe(context.structures)))
        # fp32 means fp32: TF32 would be another precision.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        how, precision = side.rsplit(" ", 1)
        graphs = {name: Graph(module, manifest.graphs[name]) for name, module in networks.graphs().items()}
        for module in graphs.values():
            module.eval().to(context.device)
            if precision == "fp16":
                _store_half(module)
        opened: dict[Point, PytorchSubject] = {}
        right: set[str] = set()

        def open_point(point: Point) -> PytorchSubject:
            opened.clear()  # a captured graph holds its memory
            opened[point] = PytorchSubject(point, graphs, manifest, how, precision, context.device)
            return opened[point]

        def check(point: Point) -> None:
            if point in context.headlines:
                outputs = {name: value.numpy() for name, value in opened[point].outputs().items()}
                compare_with_reference(context, point, outputs, precision)
                right.add(point.subject)
            elif point.subject not in right:
                raise ValueError(
                    f"not timed: {point.subject} was not shown to compute what ONNX Runtime's CPU computes"
                )

        yield from measure_points(context, meters, context.points(side), open_point, check)
        yield "backend", {"text": f"{how} {torch.__version__}"}


class PytorchSubject:
    """The modules of a graph, or of a path with its encoders.

    Args:
        point: What to run.
        graphs: All graphs, on the device.
        manifest: Of the bundle.
        how: ``pytorch eager``, ``pytorch CUDA graph`` or ``torch.compile``.
        precision: ``fp16`` by autocast, or ``fp32``.
        device: Where to run.
    """

    def __init__(
        self, point: Point, graphs: dict[str, "Graph"], manifest: Manifest, how: str, precision: str, device: str
    ) -> None:
        *encoders, head = point.graphs
        self._module = Chain({name: graphs[name] for name in encoders}, graphs[head]) if encoders else graphs[head]
        self._inputs = {name: torch.from_numpy(value) for name, value in _inputs(point, manifest).items()}
        self._how, self._half, self._device = how, precision == "fp16", device
        self._run: Callable[[Tensors], Tensors] = self._module

    def load(self) -> None:
        """Pin the inputs, then compile or capture."""
        on_gpu = self._device != "cpu"
        if on_gpu:
            self._inputs = {name: value.pin_memory() for name, value in self._inputs.items()}
        run: Any = self._module
        if self._how == "torch.compile":
            run = torch.compile(run, backend="inductor" if on_gpu else "aot_eager", dynamic=False)
        self._run = partial(_infer, run, self._device.partition(":")[0], self._half)
        if self._how == "pytorch CUDA graph" and on_gpu:
            self._run = _capture(self._run, self._place())

    def query(self) -> None:
        """Copy the inputs to the device, run, and copy the outputs back."""
        self.outputs()

    def outputs(self) -> Tensors:
        """Do what `query` does, and return the outputs, on the host."""
        return {name: value.cpu() for name, value in self._run(self._place()).items()}

    def _place(self) -> Tensors:
        return {name: value.to(self._device, non_blocking=True) for name, value in self._inputs.items()}


class Graph(nn.Module):
    """A graph's module, from inputs to outputs by name.

    Args:
        module: Takes the graph's inputs in their order.
        record: The graph's signature.
    """

    def __init__(self, module: nn.Module, record: GraphRecord) -> None:
        super().__init__()
        self.module = module
        self._given = [tensor.name for tensor in record.inputs]
        self._made = [tensor.name for tensor in record.outputs]

    def forward(self, inputs: Tensors) -> Tensors:
        """Run the module."""
        values = self.module(*(inputs[name] for name in self._given))
        return dict(zip(self._made, values if isinstance(values, tuple) else (values,), strict=True))


class Chain(nn.Module):
    """A path with its encoders: waveform and face crops to the prediction.

    Args:
        encoders: By name.
        head: The path.
    """

    def __init__(self, encoders: dict[str, Graph], head: Graph) -> None:
        super().__init__()
        self.encoders, self.head = nn.ModuleDict(encoders), head

    def forward(self, inputs: Tensors) -> Tensors:
        """Encode all faces at once, and predict."""
        features: Tensors = {}
        if "audio_encoder" in self.encoders:
            features |= self.encoders["audio_encoder"](inputs)
        if "face_encoder" in self.encoders:
            encoded = self.encoders["face_encoder"](inputs)["face_features"]
            lengths = inputs["visual_lengths"]
            features["visual_features"] = encoded.reshape(len(lengths), -1, encoded.shape[-1])  # (B, T_v, F)
            features["visual_lengths"] = lengths
        outputs: Tensors = self.head(features)
        return outputs


def _inputs(point: Point, manifest: Manifest) -> dict[str, NDArray[Any]]:
    """The inputs that `vavl_bench` gives the same point of a bundle."""
    if point.scope == "graph":
        return graph_inputs(point.subject, manifest.graphs[point.subject], point.batch, point.seconds)
    inputs: dict[str, NDArray[Any]] = {}
    frames = round(point.seconds * FPS)
    if "audio" in point.subject:
        waveform = noise_waveform(point.batch, point.seconds)
        inputs |= {"waveform": waveform, "samples": _filled(point.batch, waveform.shape[1])}
    if "visual" in point.subject:
        inputs |= {"faces": noise_faces(point.batch * frames), "visual_lengths": _filled(point.batch, frames)}
    return inputs


def _filled(size: int, value: int) -> NDArray[Any]:
    filled: NDArray[Any] = torch.full((size,), value).numpy()
    return filled


def _infer(run: Callable[[Tensors], Tensors], device: str, half: bool, inputs: Tensors) -> Tensors:
    # A cache of casts would keep tensors of one run alive in the CUDA graph of another.
    autocast = torch.autocast(device, torch.float16, cache_enabled=False) if half else contextlib.nullcontext()
    with torch.no_grad(), autocast:
        return run(inputs)


def _capture(run: Callable[[Tensors], Tensors], inputs: Tensors) -> Callable[[Tensors], Tensors]:
    """Capture a run as a CUDA graph; a replay copies the new inputs over the captured ones."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            run(inputs)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = run(inputs)

    def replay(given: Tensors) -> Tensors:
        for name, value in given.items():
            inputs[name].copy_(value, non_blocking=True)
        graph.replay()
        return outputs

    return replay


def _store_half(module: nn.Module) -> None:
    """Store weights in fp16; norms read and write fp16 and sum in fp32, which is faster than autocast by itself."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.LayerNorm):
            part.half()
        if isinstance(part, nn.LayerNorm):
            part.forward = partial(_normalise, part)


def _normalise(module: nn.LayerNorm, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return nn.functional.layer_norm(x.half(), module.normalized_shape, module.weight, module.bias, module.eps)
