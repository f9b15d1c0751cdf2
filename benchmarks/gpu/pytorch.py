"""PyTorch as a subject of `vavl_bench`: eager, compiled, or as a CUDA graph, from host memory to host memory."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.modules import torch_modules
from vavl_bench.clock import SystemClock
from vavl_bench.inputs import FPS, graph_inputs, noise_faces, noise_waveform
from vavl_bench.measure import measure_subject
from vavl_bench.plan import MeasurementSpec
from vavl_bench.schema import Measurement, Media
from vavl_export.errors import ParityError
from vavl_export.golden import TOLERANCE, relative_l2
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import GraphRecord, Manifest
from vavl_runtime.timing import StageBudget

WARM_UPS = 3  # before a CUDA graph is captured
GROSS = 4.0  # PyTorch's own fp16 may drift a little more than an exported variant
ENCODERS = {"audio": ("audio_encoder",), "visual": ("face_encoder",), "audio_visual": ("audio_encoder", "face_encoder")}

Tensors = dict[str, Tensor]


def measure_pytorch(spec: MeasurementSpec, preset: str) -> Measurement:
    """Measure PyTorch in this process.

    Args:
        spec: What to measure; its backend is one of `benchmarks.gpu.plan.PYTORCH`.
        preset: Preset of the bundle, whose modules are run.

    Raises:
        ParityError: Its outputs are not those of eager PyTorch in fp32.
    """
    subject = PytorchSubject(spec, preset)
    measurement = measure_subject(spec, lambda stack: subject, SystemClock())
    reference = PytorchSubject(replace(spec, backend="pytorch eager", precision="fp32"), preset)
    reference.load()  # after the measurement, whose memory it would be counted in
    require_parity(subject.outputs(), reference.outputs(), spec.precision)
    return measurement


def require_parity(outputs: Tensors, expected: Tensors, precision: str) -> None:
    """Refuse outputs that are far from those of eager PyTorch in fp32.

    Raises:
        ParityError: The relative L2 error of an output is above `GROSS` times the exporter's tolerance.
    """
    limit = GROSS * TOLERANCE[precision]
    for name, reference in expected.items():
        error = relative_l2(outputs[name].numpy(), reference.numpy())
        if not error <= limit:
            raise ParityError(
                f"{name}: relative L2 error {error:.2e} against PyTorch in fp32, expected at most {limit:.0e}"
            )


class PytorchSubject:
    """The modules of a graph, or of a path with its encoders.

    Args:
        spec: What to run, on which device, how, and in which precision.
        preset: Preset of the bundle.
    """

    def __init__(self, spec: MeasurementSpec, preset: str) -> None:
        with open_bundle(spec.bundle) as bundle:
            manifest = bundle.manifest
        modules = torch_modules(manifest, preset)
        self._spec = spec
        self._inputs = {name: torch.from_numpy(value) for name, value in _inputs(spec, manifest).items()}
        self._module = graph_or_chain(spec.scope, spec.subject, modules, manifest).eval()
        self._run: Callable[[Tensors], Tensors] = self._module
        seen = "visual" in spec.subject
        self.media = Media(seconds=spec.seconds, frames=round((spec.seconds or 0.0) * FPS) if seen else None)
        self.budgets: list[StageBudget] = []

    @property
    def backend(self) -> str:
        """What runs the queries."""
        return f"{self._spec.backend} {torch.__version__}"

    def load(self) -> None:
        """Place the weights on the device, then compile or capture."""
        half = self._spec.precision == "fp16"
        # fp32 means fp32: TF32 would be another precision.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        self._module.to(self._spec.device)
        if half:
            _store_half(self._module)
        on_gpu = self._spec.device != "cpu"
        if on_gpu:
            self._inputs = {name: value.pin_memory() for name, value in self._inputs.items()}
        run = self._module
        if self._spec.backend == "torch.compile":
            run = torch.compile(run, backend="inductor" if on_gpu else "aot_eager", dynamic=False)
        self._run = partial(_infer, run, self._spec.device.partition(":")[0], half)
        if self._spec.backend == "pytorch CUDA graph" and on_gpu:
            self._run = _capture(self._run, self._place())

    def query(self) -> None:
        """Copy the inputs to the device, run, and copy the outputs back."""
        self.outputs()

    def outputs(self) -> Tensors:
        """Do what `query` does, and return the outputs, on the host."""
        return {name: value.cpu() for name, value in self._run(self._place()).items()}

    def _place(self) -> Tensors:
        return {name: value.to(self._spec.device, non_blocking=True) for name, value in self._inputs.items()}


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


def graph_or_chain(scope: str, subject: str, modules: dict[str, nn.Module], manifest: Manifest) -> nn.Module:
    """The module of a subject.

    Args:
        scope: ``graph`` or ``model``.
        subject: A graph, or a path.
        modules: By graph.
        manifest: Of the bundle.
    """
    graphs = {name: Graph(module, manifest.graphs[name]) for name, module in modules.items()}
    if scope == "graph":
        return graphs[subject]
    return Chain({name: graphs[name] for name in ENCODERS[subject]}, graphs[subject])


def _inputs(spec: MeasurementSpec, manifest: Manifest) -> dict[str, NDArray[Any]]:
    """The inputs that `vavl_bench` gives the same subject of a bundle."""
    seconds = spec.seconds or 1.0
    if spec.scope == "graph":
        return graph_inputs(spec.subject, manifest.graphs[spec.subject], spec.batch, seconds)
    inputs: dict[str, NDArray[Any]] = {}
    frames = round(seconds * FPS)
    if "audio" in spec.subject:
        waveform = noise_waveform(spec.batch, seconds)
        inputs |= {"waveform": waveform, "samples": _filled(spec.batch, waveform.shape[1])}
    if "visual" in spec.subject:
        inputs |= {"faces": noise_faces(spec.batch * frames), "visual_lengths": _filled(spec.batch, frames)}
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
