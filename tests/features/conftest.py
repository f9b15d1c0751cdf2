"""Fixtures of the feature tests: encoders, limits and media."""

from pathlib import Path

import numpy as np
import pytest

from tests.features.made_clips import CHOICE
from tests.features.made_features import CLIPS, fill
from tests.runtime.made_media import face_pictures, film_of_a_face, jpeg, pcm16, tone, write_matroska, write_wav
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.features.encoding import TorchGraphs
from vavl.features.extract import limits_for
from vavl_runtime.bundle.manifest import Limits


@pytest.fixture(scope="session")
def graphs() -> TorchGraphs:
    """The light encoders."""
    return TorchGraphs(load_audio_encoder(CHOICE.audio).module, load_face_encoder(CHOICE.face).module)


@pytest.fixture(scope="session")
def limits() -> Limits:
    """The limits of a bundle with the light encoders."""
    return limits_for(load_audio_encoder(CHOICE.audio).module, Limits())


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory, example_clip: Path) -> dict[str, Path]:
    """Media files of every kind, by name."""
    folder = tmp_path_factory.mktemp("media")
    faces, silence = face_pictures(6), np.zeros(8000, np.float32)
    (folder / "broken.mp4").write_text("This is not a film.\n" * 100)
    return {
        "example": example_clip,
        "sound": write_wav(folder / "sound.wav", pcm16(tone(0.7))),
        "long sound": write_wav(folder / "long.wav", pcm16(tone(26.0))),
        "short sound": write_wav(folder / "short.wav", pcm16(tone(0.05))),
        "silence": write_wav(folder / "silence.wav", pcm16(silence)),
        "film": film_of_a_face(folder / "film.mkv", faces, tone(0.24)),
        "mute film": film_of_a_face(folder / "mute.mkv", faces, None),
        "silent film": film_of_a_face(folder / "silent.mkv", faces, silence),
        "long film": write_matroska(
            folder / "long.mkv", faces * 5, tone(29.5), size=(256, 256), times_ms=range(0, 30_000, 1000)
        ),
        "nobody": write_matroska(folder / "nobody.mkv", [jpeg(np.full((64, 64, 3), 128, np.uint8))] * 3, tone(0.3)),
        "broken": folder / "broken.mp4",
        "missing": folder / "missing.mp4",
    }


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of six clips, for tests to copy."""
    return fill(tmp_path_factory.mktemp("filled") / "cache", CLIPS)
