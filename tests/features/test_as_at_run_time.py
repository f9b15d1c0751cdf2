"""Extraction reads what the runtime hears and sees: the same features, windows and reasons."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.features.made_clips import assert_close, clip_of
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.features import ClipFeatures
from vavl.features.encoding import TorchGraphs
from vavl.features.extract import EncoderChoice, identify, read_clip
from vavl_runtime import Recognizer
from vavl_runtime.backends.base import Arrays, RunGraph
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.result import ClipResult

PATHS = ("audio", "visual", "audio_visual")
Inputs = list[dict[str, NDArray[Any]]]


class RecordingBackend(OnnxRuntimeBackend):
    """Keeps what the path graphs get.

    Args:
        encoders: Answers in place of the encoder graphs; None for the bundle's own.
    """

    def __init__(self, encoders: RunGraph | None = None) -> None:
        super().__init__(threads=1)
        self.inputs: dict[str, Inputs] = {path: [] for path in PATHS}
        self._encoders = encoders

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        if name in PATHS:
            self.inputs[name].append(dict(inputs))
            return {"prediction": np.zeros((1, 6), np.float32), "embedding": np.zeros((1, 64), np.float32)}
        if self._encoders is not None and name in ("audio_encoder", "face_encoder"):
            return self._encoders(name, inputs)
        return super().run(name, inputs)


@pytest.fixture(scope="module")
def graphs() -> TorchGraphs:
    """The encoders of the packaged bundle."""
    return TorchGraphs(load_audio_encoder("prosody").module, load_face_encoder("landmarks").module)


def runtime_windows(inputs: dict[str, Inputs], modality: str) -> list[NDArray[np.float32]]:
    """The features of a modality that its own path was asked with, window by window."""
    for values in inputs[modality]:
        assert values[f"{modality}_lengths"].tolist() == [values[f"{modality}_features"].shape[1]]
    return [values[f"{modality}_features"][0] for values in inputs[modality]]


def assert_as_at_run_time(features: ClipFeatures, inputs: dict[str, Inputs], result: ClipResult) -> None:
    for modality in ("audio", "visual"):
        mine = [values for window in features.windows if (values := getattr(window, modality)) is not None]
        for got, wanted in itertools.zip_longest(mine, runtime_windows(inputs, modality)):
            assert_close(got, wanted)
    both = [window for window in features.windows if window.audio is not None and window.visual is not None]
    for window, asked in itertools.zip_longest(both, inputs["audio_visual"]):
        assert_close(window.audio, asked["audio_features"][0])
        assert_close(window.visual, asked["visual_features"][0])
    for modality, reason in features.reasons.items():
        assert getattr(result.reasons, modality) == reason
    seconds = sum(max(window.audio_seconds, window.visual_seconds) for window in features.windows)
    assert seconds == pytest.approx(result.duration_s if features.windows else 0.0, abs=1.0)


@pytest.mark.parametrize(
    "name", ["example", "film", "mute film", "silent film", "long film", "nobody", "sound", "long sound", "silence"]
)
def test_features_are_what_the_path_graphs_get(
    graphs: TorchGraphs, light_bundle: Path, media: dict[str, Path], name: str
) -> None:
    """The detector runs as an ONNX graph there and in PyTorch here; the encoders are the same."""
    backend = RecordingBackend(graphs)
    with Recognizer(light_bundle, backend=backend) as recognizer:
        result = recognizer.predict(media[name], all_paths=True)
        manifest = recognizer.manifest
    visual = None if media[name].suffix == ".wav" else media[name]
    features = read_clip(clip_of(media[name], visual), graphs, manifest.crop, manifest.limits)
    assert_as_at_run_time(features, backend.inputs, result)
    windows = {"long film": 3, "long sound": 3, "silence": 0}.get(name, 1)
    assert len(features.windows) == windows


@pytest.mark.slow
def test_features_equal_those_of_an_exported_bundle(media: dict[str, Path], random_light_bundle: Path) -> None:
    from vavl_export.request import PRESETS

    _, audio, face = PRESETS["light"]
    choice = EncoderChoice(audio.format(seed=0), face.format(seed=0))
    graphs = TorchGraphs(load_audio_encoder(choice.audio).module, load_face_encoder(choice.face).module)
    made_by = identify(choice, CropRecipe(), Limits())
    for name in ("example", "long film", "silent film"):
        backend = RecordingBackend()
        with Recognizer(random_light_bundle, backend=backend) as recognizer:
            result = recognizer.predict(media[name], all_paths=True)
            manifest = recognizer.manifest
        assert manifest.encoders["audio"].weights_sha256 == made_by.encoders["audio"]
        assert manifest.encoders["face"].weights_sha256 == made_by.encoders["visual"]
        assert manifest.crop.model_dump(mode="json") == made_by.recipe["crop"]
        assert manifest.limits.model_dump(mode="json") == made_by.recipe["limits"]
        features = read_clip(clip_of(media[name], media[name]), graphs, manifest.crop, manifest.limits)
        assert_as_at_run_time(features, backend.inputs, result)
