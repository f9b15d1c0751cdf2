"""Specifies the graphs of a bundle: inputs, outputs, dynamic axes and example inputs."""

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
class GraphSpec:
    """Everything that is needed to export and to test one graph.

    Attributes:
        name: Name of the graph in the manifest.
        file: Path of the ONNX file in the bundle.
        data: Path of its weight file in the bundle.
        module: The module to export.
        inputs: Input names, in the order of the module's arguments.
        outputs: Output names.
        axes: Names of the dynamic axes of each input; other axes have a fixed size.
        example: Makes seeded inputs for a batch size and a relative length; 1 is about a second.
        sizes: The (batch, length) pairs for which golden vectors are recorded.
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


def path_specs(model: Vavl) -> list[GraphSpec]:
    """Specify the three path graphs of a model; they share ``weights.bin``.

    Args:
        model: The model.

    Returns:
        Specifications of ``audio``, ``visual`` and ``audio_visual``.
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

    def spec(name: str, module: nn.Module, example: Any, *prefixes: str) -> GraphSpec:
        inputs = tuple(f"{prefix}_{part}" for prefix in prefixes for part in ("features", "lengths"))
        sizes = ((1, 0.6), (1, 0.2)) if fixed_batch else ((1, 0.6), (2, 0.3))
        outputs = ("prediction", "embedding")
        return GraphSpec(name, f"{name}.onnx", "weights.bin", module, inputs, outputs, axes(*prefixes), example, sizes)

    return [
        spec("audio", UnimodalPath(model, "audio"), audio, "audio"),
        spec("visual", UnimodalPath(model, "visual"), visual, "visual"),
        spec("audio_visual", AudioVisualPath(model), both, "audio", "visual"),
    ]


def encoder_specs(audio: AudioEncoder, face: FaceEncoder) -> list[GraphSpec]:
    """Specify ``audio_encoder`` and ``face_encoder``.

    Args:
        audio: The audio encoder.
        face: The face encoder.

    Returns:
        The two specifications.
    """

    def waveform(batch: int, length: float) -> tuple[Tensor, Tensor]:
        generator = _generator(batch, length)
        size = max(audio.minimum_samples, round(16_000 * length))
        samples = torch.randint(audio.minimum_samples, size + 1, (batch,), generator=generator)
        samples[0] = size
        return 0.1 * torch.randn(batch, size, generator=generator), samples

    def faces(batch: int, length: float) -> tuple[Tensor, ...]:
        shape = (batch, FACE_SIZE, FACE_SIZE, 3)
        return (torch.randint(0, 256, shape, generator=_generator(batch, length), dtype=torch.uint8),)

    return [
        GraphSpec(
            "audio_encoder",
            "encoders/audio_encoder.onnx",
            "encoders/audio_encoder.bin",
            AudioEncoderPath(audio.eval()),
            ("waveform", "samples"),
            ("audio_features", "audio_lengths"),
            {"waveform": {0: "batch", 1: "samples_padded"}, "samples": {0: "batch"}},
            waveform,
        ),
        GraphSpec(
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


def detector_specs(networks: dict[str, PixelInput]) -> list[GraphSpec]:
    """Specify ``pnet``, ``rnet`` and ``onet``, from pixels 0..255 to face probability and box offsets."""

    def image(height: int, width: int) -> Callable[[int, float], tuple[Tensor, ...]]:
        def make(batch: int, length: float) -> tuple[Tensor, ...]:
            shape = (batch, round(height * length), round(width * length), 3)
            return (255.0 * torch.rand(shape, generator=_generator(batch, length)),)

        return make

    def spec(name: str, size: tuple[int, int], outputs: tuple[str, ...], axes: Axes) -> GraphSpec:
        file = f"detector/{name}"
        sizes = ((1, 1.0), (2, 1.0))
        return GraphSpec(
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
        spec("pnet", (51, 64), ("probability", "offsets"), {0: "images", 1: "height", 2: "width"}),
        spec("rnet", (24, 24), ("probability", "offsets"), {0: "boxes"}),
        spec("onet", (48, 48), ("probability", "offsets", "landmarks"), {0: "boxes"}),
    ]
