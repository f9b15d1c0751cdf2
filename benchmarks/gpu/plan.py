"""What is measured on the GPU, the most important first: points (what, how long, how many) and the sides of each."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.record import Record
from vavl_bench.plan import MeasurementSpec
from vavl_bench.schema import ScopeName
from vavl_bench.steady_state import WindowSettings

SECONDS = 3.0
OTHER_LENGTHS_S = (1.0, 10.0)
BATCHES = (4, 16)
WINDOWS = WindowSettings(warm_up_s=1.0, window_s=0.3, windows=5, limit_s=15.0)

RUNTIME = ("onnxruntime", "tensorrt")
PYTORCH = ("pytorch eager", "pytorch CUDA graph", "torch.compile")
# Backend and precision. Where time runs out, the last ones are left for the next command.
SIDES = (
    ("onnxruntime", "fp16"),
    ("tensorrt", "fp16"),
    ("torch.compile", "fp16"),
    ("pytorch CUDA graph", "fp16"),
    ("pytorch eager", "fp16"),
    ("onnxruntime", "fp32"),
    ("pytorch eager", "fp32"),
    ("onnxruntime", "bf16"),
)
EVERYWHERE = SIDES[:5]  # the others are measured at the first point alone


@dataclass(frozen=True)
class Point:
    """What a row of the table is about.

    Attributes:
        scope: ``model``: waveform and face crops in, prediction out; ``graph``: one graph.
        subject: The path, or the graph.
        seconds: Length of a clip.
        batch: Clips in a query.
    """

    scope: ScopeName
    subject: str
    seconds: float = SECONDS
    batch: int = 1


HEADLINE = Point("model", "audio_visual")


def points() -> list[Point]:
    """All points, the most important first."""
    return [
        HEADLINE,
        *(Point("model", "audio_visual", batch=batch) for batch in BATCHES),
        *(Point("model", "audio_visual", seconds) for seconds in OTHER_LENGTHS_S),
        *(Point("model", path) for path in ("audio", "visual")),
        *(Point("graph", graph) for graph in ("audio_encoder", "face_encoder", "audio", "visual", "audio_visual")),
    ]


def sides(point: Point) -> tuple[tuple[str, str], ...]:
    """Backends and precisions that are measured at a point; torch.compile takes a minute or two for each shape."""
    if point == HEADLINE:
        return SIDES
    compiled = point.scope == "model" and point.subject == "audio_visual"
    return tuple(side for side in EVERYWHERE if compiled or side[0] != "torch.compile")


def point_of(entry: Record) -> Point:
    """The point of an entry of the record."""
    return Point(entry["scope"], entry["subject"], entry["seconds"], entry["batch"])


def side_name(backend: str, precision: str) -> str:
    """The name of a side in record and table."""
    return f"{backend} {precision}"


def specification(point: Point, backend: str, precision: str, bundle: Path, device: str) -> MeasurementSpec:
    """How `vavl_bench` measures a side of a point.

    Args:
        point: The point.
        backend: The side's backend.
        precision: The side's precision.
        bundle: Folder of the bundle.
        device: ``cuda:N``, or ``cpu`` for a rehearsal.
    """
    return MeasurementSpec(
        bundle=bundle,
        scope=point.scope,
        subject=point.subject,
        scenario="single-stream",
        device=device,
        backend=backend,
        precision=precision,
        threads=None,
        batch=point.batch,
        seconds=None if point.subject == "face_encoder" else point.seconds,
        clip=None,
        bound_ms=1000.0,
        windows=WINDOWS,
    )
