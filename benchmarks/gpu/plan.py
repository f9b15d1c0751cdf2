"""What is measured, the most important first: points (what, how long, how many) and the engines that meet there."""

from dataclasses import dataclass
from typing import Literal

LENGTHS_S = (3.0, 1.0, 10.0)
FRAMES_PER_S = 25
BATCHES = (4, 16, 64)
MOST_FACES = 1200  # in one run: their activations take about 8 MB each, in every engine that meets at a point

Scope = Literal["whole", "path", "encoder"]
Family = Literal["torch", "onnxruntime", "tensorrt"]
Style = Literal["eager", "compile", "graph"]


@dataclass(frozen=True)
class Engine:
    """One way to run a subject.

    Attributes:
        name: In the record and the tables.
        family: What runs it.
        precision: ``fp32``, ``fp16`` or ``bf16``.
        style: ``eager`` kernel by kernel, ``compile`` by torch.compile, ``graph`` as CUDA graphs.
        streams: 2 to run sound and pictures side by side.
        fixed: Shapes are told to ONNX Runtime when it opens the graph.
        nhwc: ONNX Runtime convolves channels last.
        compiled: A CUDA graph of what torch.compile made.
    """

    name: str
    family: Family
    precision: str
    style: Style
    streams: int = 1
    fixed: bool = False
    nhwc: bool = False
    compiled: bool = False


_GRAPH = "ONNX Runtime CUDA graph fp16"
_GRAPHS = "ONNX Runtime CUDA graphs fp16, two streams"
# Opened in this order: where time runs out, the last ones are left for the next command.
ENGINES = (
    Engine("torch.compile fp16", "torch", "fp16", "compile"),
    Engine("PyTorch eager fp16", "torch", "fp16", "eager"),
    Engine("PyTorch CUDA graph fp16", "torch", "fp16", "graph"),
    Engine(_GRAPH, "onnxruntime", "fp16", "graph"),
    Engine(f"{_GRAPH}, NHWC", "onnxruntime", "fp16", "graph", fixed=True, nhwc=True),
    Engine(_GRAPHS, "onnxruntime", "fp16", "graph", streams=2, fixed=True),
    Engine(f"{_GRAPHS}, NHWC", "onnxruntime", "fp16", "graph", streams=2, fixed=True, nhwc=True),
    Engine("TensorRT CUDA graph fp16", "tensorrt", "fp16", "graph"),
    Engine("PyTorch CUDA graph fp16, two streams", "torch", "fp16", "graph", streams=2),
    Engine("ONNX Runtime fp16", "onnxruntime", "fp16", "eager"),
    Engine("ONNX Runtime CUDA graph fp32", "onnxruntime", "fp32", "graph"),
    Engine("ONNX Runtime fp32", "onnxruntime", "fp32", "eager"),
    Engine("PyTorch eager fp32", "torch", "fp32", "eager"),
    Engine(f"{_GRAPH}, fixed shapes", "onnxruntime", "fp16", "graph", fixed=True),
    Engine("ONNX Runtime CUDA graph bf16", "onnxruntime", "bf16", "graph"),
    Engine("torch.compile in a CUDA graph fp16, two streams", "torch", "fp16", "graph", streams=2, compiled=True),
)
ENGINE = {engine.name: engine for engine in ENGINES}

# At batches the launches no longer count, so fewer ways to launch are worth their time; each of them takes seconds.
_ALONE = {"ONNX Runtime CUDA graph bf16", "torch.compile in a CUDA graph fp16, two streams"}
_TOGETHER = (
    "PyTorch eager fp16",
    "PyTorch CUDA graph fp16",
    _GRAPH,
    f"{_GRAPH}, NHWC",
    "TensorRT CUDA graph fp16",
)


@dataclass(frozen=True)
class Point:
    """What one table row is about.

    Attributes:
        scope: ``whole`` from waveform and crops, ``path`` from features, ``encoder`` for one encoder.
        path: ``audio``, ``visual`` or ``audio_visual``.
        seconds: Media length of a clip.
        batch: Clips at once.
    """

    scope: Scope
    path: str
    seconds: float
    batch: int

    def __str__(self) -> str:
        return f"{self.scope} {self.path}, {self.seconds:g} s, batch {self.batch}"

    @property
    def faces(self) -> int:
        """Face crops in one run."""
        return 0 if self.path == "audio" else self.batch * max(1, round(FRAMES_PER_S * self.seconds))


def fits(point: Point) -> bool:
    """Whether a point is worth trying: beyond it memory runs out without anything to learn."""
    return point.scope == "path" or point.faces <= MOST_FACES


def points() -> list[Point]:
    """All points, the most important first."""
    paths = ("audio_visual", "audio", "visual")
    ranked = [Point("whole", "audio_visual", 3.0, 1)]
    ranked += [Point("whole", "audio_visual", 3.0, batch) for batch in BATCHES]
    ranked += [Point("whole", "audio_visual", seconds, 1) for seconds in LENGTHS_S[1:]]
    ranked += [Point(scope, path, 3.0, 1) for scope in ("whole", "path") for path in paths]
    ranked += [Point("encoder", path, 3.0, 1) for path in paths[1:]]
    ranked += [Point("whole", path, 3.0, batch) for path in paths[1:] for batch in BATCHES]
    ranked += [Point("path", path, 3.0, batch) for path in paths for batch in BATCHES]
    ranked += [
        Point(scope, path, seconds, 1) for scope in ("whole", "path") for path in paths for seconds in LENGTHS_S[1:]
    ]
    ranked += [
        Point(scope, path, seconds, batch)
        for scope in ("whole", "path")
        for path in paths
        for seconds in LENGTHS_S[1:]
        for batch in BATCHES
    ]
    return [point for point in dict.fromkeys(ranked) if fits(point)]


def engines(point: Point) -> list[Engine]:
    """The engines that meet at a point."""
    chosen = list(ENGINES)
    if not _compiled(point):
        chosen = [engine for engine in chosen if engine.style != "compile"]
    if point.batch > 1:
        return [engine for engine in chosen if engine.style == "compile" or engine.name in _TOGETHER]
    if point.path != "audio_visual":
        chosen = [engine for engine in chosen if engine.streams == 1]
    if point.scope == "path":  # a single graph, with nothing to run beside it
        chosen = [engine for engine in chosen if engine.family == "torch" or engine.streams == 1]
    if point != points()[0]:
        chosen = [engine for engine in chosen if engine.name not in _ALONE]
    return chosen


def _compiled(point: Point) -> bool:
    """Whether a point is worth a minute or two of torch.compile, which works for one shape."""
    if point.batch > 1 or point.scope == "path":
        return point.path == "audio_visual" and point.seconds == LENGTHS_S[0]
    return point.scope == "whole" and (point.path == "audio_visual" or point.seconds == LENGTHS_S[0])
