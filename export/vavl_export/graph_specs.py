"""Which graphs a bundle has, with their inputs, outputs, dynamic axes and example inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vavl.config import VavlConfig
from vavl.encoders.base import FACE_SIZE, AudioEncoder, FaceEncoder
from vavl.encoders.mtcnn import PixelInput
from vavl.model import Vavl
from vavl_export.export_modules import AudioEncoderPath, AudioVisualPath, UnimodalPath, prepare_for_export

Axes = dict[int, str]  # axis -> symbolic name


@dataclass(frozen=True)
class GraphPlan:
    """Everything needed to export one graph and to try it.

    Attributes:
        name: Name of the graph in the manifest.
        file: Path of the ONNX file in the bundle.
        data: Path of its weight file in the bundle.
        module: What is exported.
        inputs: Input names, in the order of the module's arguments.
        outputs: Output names.
        axes: Symbolic axes of each input; everything else is fixed.
        example: Makes inputs of a batch size and a relative length (1 is about a second), seeded.
        sizes: The (batch, length) pairs that golden vectors are recorded at.
    """

    name: str
    file: str
    data: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axes: dict[str, Axes]
    example: Callable[[int, float], tuple[Tensor, ...]]
    sizes: tuple[tuple[int, float], ...] = ((1, 0.6), (2, 0.3))


def _lengths(batch: int, longest: int, generator: torch.Generator) -> Tensor:
    lengths = torch.randint(1, longest + 1, (batch,), generator=generator)
    lengths[0] = longest
    return lengths


def _generator(batch: int, length: float) -> torch.Generator:
    return torch.Generator().manual_seed(batch * 100_003 + round(length * 1000))


def _sequence(width: int, rate: float) -> Callable[[int, float], tuple[Tensor, Tensor]]:
    def make(batch: int, length: float) -> tuple[Tensor, Tensor]:
        generator = _generator(batch, length * rate)
        tokens = max(1, round(length * rate))
        return torch.randn(batch, tokens, width, generator=generator), _lengths(batch, tokens, generator)

    return make


def path_plans(model: Vavl) -> list[GraphPlan]:
    """Plan the three path graphs of a model; they share ``weights.bin``.

    Args:
        model: The model.

    Returns:
        Plans named ``audio``, ``visual`` and ``audio_visual``.
    """
    config: VavlConfig = model.config
    model = prepare_for_export(model)
    fixed_batch = config.layout == "released"  # D1: a larger batch would mix clips

    def axes(*prefixes: str) -> dict[str, Axes]:
        batch: Axes = {} if fixed_batch else {0: "batch"}
        named: dict[str, Axes] = {}
        for prefix in prefixes:
            named[f"{prefix}_features"] = {**batch, 1: f"{prefix}_tokens"}
            named[f"{prefix}_lengths"] = dict(batch)
        return named

    audio, visual = _sequence(config.audio_dim, 50.0), _sequence(config.visual_dim, 25.0)

    def both(batch: int, length: float) -> tuple[Tensor, ...]:
        return (*audio(batch, length), *visual(batch, length))

    def plan(name: str, module: nn.Module, example: Any, *prefixes: str) -> GraphPlan:
        inputs = tuple(f"{prefix}_{part}" for prefix in prefixes for part in ("features", "lengths"))
        sizes = ((1, 0.6), (1, 0.2)) if fixed_batch else ((1, 0.6), (2, 0.3))
        outputs = ("prediction", "embedding")
        return GraphPlan(name, f"{name}.onnx", "weights.bin", module, inputs, outputs, axes(*prefixes), example, sizes)

    return [
        plan("audio", UnimodalPath(model, "audio"), audio, "audio"),
        plan("visual", UnimodalPath(model, "visual"), visual, "visual"),
        plan("audio_visual", AudioVisualPath(model), both, "audio", "visual"),
    ]


def encoder_plans(audio: AudioEncoder, face: FaceEncoder) -> list[GraphPlan]:
    """Plan ``audio_encoder`` and ``face_encoder``.

    Args:
        audio: The audio encoder.
        face: The face encoder.

    Returns:
        The two plans.
    """

    def sound(batch: int, length: float) -> tuple[Tensor, Tensor]:
        generator = _generator(batch, length)
        size = max(audio.minimum_samples, round(16_000 * length))
        samples = torch.randint(audio.minimum_samples, size + 1, (batch,), generator=generator)
        samples[0] = size
        return 0.1 * torch.randn(batch, size, generator=generator), samples

    def faces(batch: int, length: float) -> tuple[Tensor, ...]:
        shape = (batch, FACE_SIZE, FACE_SIZE, 3)
        return (torch.randint(0, 256, shape, generator=_generator(batch, length), dtype=torch.uint8),)

    return [
        GraphPlan(
            "audio_encoder",
            "encoders/audio_encoder.onnx",
            "encoders/audio_encoder.bin",
            AudioEncoderPath(audio.eval()),
            ("waveform", "samples"),
            ("audio_features", "audio_lengths"),
            {"waveform": {0: "batch", 1: "samples_padded"}, "samples": {0: "batch"}},
            sound,
        ),
        GraphPlan(
            "face_encoder",
            "encoders/face_encoder.onnx",
            "encoders/face_encoder.bin",
            face.eval(),
            ("faces",),
            ("face_features",),
            {"faces": {0: "faces"}},
            faces,
            ((2, 1.0),),
        ),
    ]


def detector_plans(networks: dict[str, PixelInput]) -> list[GraphPlan]:
    """Plan ``pnet``, ``rnet`` and ``onet``; pixels 0..255 go in, face probability and box offsets come out."""

    def image(height: int, width: int) -> Callable[[int, float], tuple[Tensor, ...]]:
        def make(batch: int, length: float) -> tuple[Tensor, ...]:
            shape = (batch, round(height * length), round(width * length), 3)
            return (255.0 * torch.rand(shape, generator=_generator(batch, length)),)

        return make

    def plan(name: str, size: tuple[int, int], outputs: tuple[str, ...], axes: Axes) -> GraphPlan:
        file = f"detector/{name}"
        sizes = ((1, 1.0), (2, 1.0))
        return GraphPlan(
            name,
            f"{file}.onnx",
            f"{file}.bin",
            networks[name],
            ("pixels",),
            outputs,
            {"pixels": axes},
            image(*size),
            sizes,
        )

    return [
        plan("pnet", (51, 64), ("probability", "offsets"), {0: "images", 1: "height", 2: "width"}),
        plan("rnet", (24, 24), ("probability", "offsets"), {0: "boxes"}),
        plan("onet", (48, 48), ("probability", "offsets", "landmarks"), {0: "boxes"}),
    ]
