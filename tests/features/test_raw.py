"""Raw material: the very samples and face crops that the runtime would give to its encoders, every fourth crop."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.features.in_process import read_raw
from tests.runtime.made_media import RATE, film_of_a_face, jpeg
from vavl.corpora import Clip
from vavl.encoders.base import FACE_SIZE
from vavl.features import FeatureCache, WindowFeatures
from vavl.features import extract as extraction
from vavl.features.extract import Extraction, extract
from vavl.features.raw import CROP_BYTES, RawChoice
from vavl_runtime import open_bundle
from vavl_runtime.backends.base import Arrays
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.media import open_source
from vavl_runtime.pipeline.availability import Presence
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.feature_reader import FeatureReader
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.timing import StageTimer

FRAMES = 10
Crops = NDArray[np.uint8]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face that grows darker, so that no two frames are alike, with noise for sound."""
    data = pytest.importorskip("skimage.data", reason="scikit-image carries the picture of a face")
    face = data.astronaut()[:256, 100:356].astype(np.float32)
    pictures = [jpeg((face * (1 - 0.04 * number)).astype(np.uint8)) for number in range(FRAMES)]
    sound = 0.1 * np.random.default_rng(0).standard_normal(FRAMES * RATE // 25).astype(np.float32)
    return film_of_a_face(tmp_path_factory.mktemp("film") / "film.mkv", pictures, sound)


@pytest.fixture(scope="module")
def runtime(film: Path, light_bundle: Path) -> tuple[NDArray[np.float32], Crops]:
    """What the runtime gives to its encoders: the sound (S,), and the crops (N, 224, 224, 3)."""
    graphs, timer = GraphRunner(open_bundle(light_bundle), OnnxRuntimeBackend(1)), StageTimer()
    heard: list[NDArray[np.float32]] = []
    seen: list[Crops] = []

    def run(name: str, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        if name == "audio_encoder":
            heard.append(inputs["waveform"][0])
            return {"audio_features": np.zeros((1, 1, 1), np.float32)}
        if name == "face_encoder":
            seen.append(inputs["faces"])
            return {"face_features": np.zeros((len(inputs["faces"]), 1), np.float32)}
        return graphs.run(name, inputs, timer)

    source = open_source(film, Limits())
    reader = FeatureReader(ClipContext(source, CropRecipe(), Limits(), Presence(source, "auto", {}), timer), run)
    assert len(list(reader.windows())) == 1
    return np.concatenate(heard), np.concatenate(seen)


def raw_window(film: Path, cache: Path, choice: RawChoice, monkeypatch: pytest.MonkeyPatch) -> WindowFeatures:
    """Extract the film's raw material into a cache, and read it back."""
    monkeypatch.setattr(extraction, "_read_all", read_raw)
    clip = Clip("film", "somebody", (1.0, 0.0), film, film, "film.mkv")
    assert extract([clip], cache, choice) == Extraction(1, 0, {})
    with FeatureCache(cache) as opened:
        (window,) = opened.windows("film")
        audio, visual = (None if part is None else np.array(part) for part in (window.audio, window.visual))
        return WindowFeatures(audio, visual, window.audio_seconds, window.visual_seconds)


def test_sound_is_the_runtimes_to_the_last_bit(
    film: Path, runtime: tuple[NDArray[np.float32], Crops], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = raw_window(film, tmp_path, RawChoice(), monkeypatch)
    assert window.audio is not None
    assert (window.audio.dtype, window.audio.shape) == (np.float32, (FRAMES * RATE // 25, 1))
    assert np.array_equal(window.audio[:, 0], runtime[0])
    assert np.array_equal(window.audio[:, 0], np.concatenate([b.samples for b in open_source(film, Limits()).sound()]))
    assert window.audio_seconds == pytest.approx(FRAMES / 25)


@pytest.mark.parametrize(("every", "kept"), [(1, range(FRAMES)), (2, range(0, FRAMES, 2)), (4, (0, 4, 8))])
def test_crops_are_the_runtimes(
    every: int,
    kept: list[int],
    film: Path,
    runtime: tuple[NDArray[np.float32], Crops],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = raw_window(film, tmp_path, RawChoice(every), monkeypatch)
    assert len(runtime[1]) == FRAMES
    assert window.visual is not None
    assert (window.visual.dtype, window.visual.shape) == (np.uint8, (len(kept), CROP_BYTES))
    assert window.visual_seconds == pytest.approx(FRAMES / 25)
    crops = window.visual.reshape(-1, FACE_SIZE, FACE_SIZE, 3).astype(int)
    for crop, number in zip(crops, kept, strict=True):
        # Boxes of the detector in PyTorch and in ONNX Runtime may differ in their last bits.
        assert np.abs(crop - runtime[1][number]).max() <= 1
        assert np.abs(crop - runtime[1][(number + 1) % FRAMES]).mean() > 1  # no neighbour


def test_every_fourth_crop_is_kept_unless_something_else_is_asked_for() -> None:
    assert RawChoice() == RawChoice(every=4)
