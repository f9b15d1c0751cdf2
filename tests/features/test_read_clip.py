"""Reading one clip: its modalities, the reasons for those that are missing, and features that a corpus ships."""

from pathlib import Path

import numpy as np
import pytest

from tests.features.made_clips import KINDS, assert_close, clip_of
from vavl.features.encoding import TorchGraphs
from vavl.features.extract import read_clip
from vavl.features.raw import CROP_BYTES, RawChoice, RawGraphs
from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.errors import InputError, NotFoundError


@pytest.mark.parametrize("kind", KINDS)
def test_modalities_and_reasons(graphs: TorchGraphs, limits: Limits, media: dict[str, Path], kind: str) -> None:
    audio, visual, heard, seen, reasons = KINDS[kind]
    clip = clip_of(media[audio] if audio else None, media[visual] if visual else None)
    features = read_clip(clip, graphs, CropRecipe(), limits)
    assert len(features.windows) == (heard or seen)
    for window in features.windows:
        assert ((window.audio is not None), (window.visual is not None)) == (heard, seen)
    assert features.reasons == reasons


def test_each_modality_comes_from_its_own_file(graphs: TorchGraphs, limits: Limits, media: dict[str, Path]) -> None:
    together = read_clip(clip_of(media["example"], media["film"]), graphs, CropRecipe(), limits).windows[0]
    sound = read_clip(clip_of(media["example"], None), graphs, CropRecipe(), limits).windows[0]
    picture = read_clip(clip_of(None, media["film"]), graphs, CropRecipe(), limits).windows[0]
    assert np.array_equal(together.audio, sound.audio)  # type: ignore[arg-type]
    assert np.array_equal(together.visual, picture.visual)  # type: ignore[arg-type]
    assert (together.audio_seconds, together.visual_seconds) == (sound.audio_seconds, picture.visual_seconds)
    assert together.audio_seconds == pytest.approx(3.2, abs=0.1) and together.visual_seconds == pytest.approx(0.24)


@pytest.mark.parametrize("suffix", [".npy", ".NPY"])
def test_features_that_a_corpus_ships(
    graphs: TorchGraphs, limits: Limits, media: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    """Released folders: features of faces beside sound, or both as features; never decoded, only cut to length."""
    faces = np.random.default_rng(0).standard_normal((2000, 8))
    with (tmp_path / f"faces{suffix}").open("wb") as file:
        np.save(file, faces)
    run_in_background = read_clip(clip_of(media["sound"], tmp_path / f"faces{suffix}"), graphs, CropRecipe(), limits)
    alone = read_clip(clip_of(media["sound"], None), graphs, CropRecipe(), limits)
    assert len(run_in_background.windows) == 1 and run_in_background.reasons == {}
    assert np.array_equal(run_in_background.windows[0].audio, alone.windows[0].audio)  # type: ignore[arg-type]
    assert np.array_equal(run_in_background.windows[0].visual, faces[: limits.max_tokens].astype(np.float32))  # type: ignore[arg-type]
    silent = read_clip(clip_of(media["silence"], tmp_path / f"faces{suffix}"), graphs, CropRecipe(), limits)
    assert silent.windows[0].audio is None and silent.windows[0].visual is not None
    assert silent.reasons == {"audio": "silence"}
    both = read_clip(clip_of(*[tmp_path / f"faces{suffix}"] * 2), graphs, CropRecipe(), limits)
    assert len(both.windows) == 1 and both.reasons == {}
    assert np.array_equal(both.windows[0].audio, both.windows[0].visual)  # type: ignore[arg-type]


BAD_FEATURES = {
    "text": (b"no features", "not a readable feature file"),
    "empty": (b"", "not a readable feature file"),
    "open bracket": (b"\x93NUMPY\x01\x00\x10\x00{'shape': (3, 8, \n", "not a readable feature file"),
    "archive": (b"PK\x05\x06" + bytes(18), "not a readable feature file"),
    "huge": (
        b"\x93NUMPY\x01\x00\x40\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1 << 40, 8)}",
        "not a readable",
    ),
    "pickle": (np.array([{"a": 1}]), "not a readable feature file"),
    "whole numbers": (np.ones((3, 8), np.int64), r"got int64 of shape \(3, 8\), expected floats of shape \(T, F\)"),
    "one axis": (np.ones(3), r"got float64 of shape \(3,\), expected floats of shape \(T, F\)"),
}


@pytest.mark.parametrize("what", BAD_FEATURES)
def test_feature_files_that_cannot_be_read(graphs: TorchGraphs, tmp_path: Path, what: str) -> None:
    values, message = BAD_FEATURES[what]
    path = tmp_path / "bad.npy"
    if isinstance(values, bytes):
        path.write_bytes(values)
    else:
        np.save(path, values)
    with pytest.raises(InputError, match=f"bad.npy: {message}"):
        read_clip(clip_of(None, path), graphs, CropRecipe(), Limits())
    with pytest.raises(NotFoundError, match="gone.npy: no such file"):
        read_clip(clip_of(tmp_path / "gone.npy", None), graphs, CropRecipe(), Limits())


def test_raw_material_is_what_encoders_would_get(media: dict[str, Path], graphs: TorchGraphs, limits: Limits) -> None:
    clip = clip_of(media["film"], media["film"])
    (raw,) = read_clip(clip, RawGraphs(RawChoice(every=1)), CropRecipe(), limits).windows
    (made,) = read_clip(clip, graphs, CropRecipe(), limits).windows
    assert raw.audio is not None and raw.visual is not None
    assert raw.audio.shape[1:] == (1,) and raw.visual.shape == (6, CROP_BYTES) and raw.visual.dtype == np.uint8
    waveform = np.ascontiguousarray(raw.audio[:, 0])[None]
    heard = graphs("audio_encoder", {"waveform": waveform, "samples": np.array([waveform.shape[1]], np.int64)})
    assert np.array_equal(heard["audio_features"][0], made.audio)  # type: ignore[arg-type]
    seen = graphs("face_encoder", {"faces": raw.visual.reshape(-1, 224, 224, 3)})
    assert_close(seen["face_features"], made.visual)  # type: ignore[arg-type]
