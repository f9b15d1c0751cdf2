"""A clip's answer belongs to the clip alone: not to its batch, its order, its padding, or the other modality."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vavl_runtime import ArrayClip, Recognizer
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle

TOLERANCE = 1e-4
MANIFEST = open_bundle(PACKAGED_BUNDLE).manifest
WIDTHS = {"audio": MANIFEST.encoders["audio"].dim, "visual": MANIFEST.encoders["face"].dim}
SHORTEST = MANIFEST.limits.minimum_samples
Floats = NDArray[np.float32]


@cache
def _session(name: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    file = open_bundle(PACKAGED_BUNDLE).graph_file(name)
    return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _pad(clips: list[Floats], longest: int) -> tuple[Floats, NDArray[np.int64]]:
    padded = np.full((len(clips), longest, *clips[0].shape[1:]), 7.5, np.float32)  # padding that would be seen
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip)] = clip
    return padded, np.array([len(clip) for clip in clips])


def _ask(path: str, *modalities: list[Floats], padding: int = 0) -> Floats:
    inputs = {}
    names = ("audio", "visual") if path == "audio_visual" else (path,)
    for name, clips in zip(names, modalities, strict=True):
        features, lengths = _pad(clips, max(map(len, clips)) + padding)
        inputs |= {f"{name}_features": features, f"{name}_lengths": lengths}
    return np.concatenate(_session(path).run(["prediction", "embedding"], inputs), axis=1)


def _clips(path: str, lengths: list[int], seed: int) -> list[list[Floats]]:
    generator = np.random.default_rng(seed)
    names = ("audio", "visual") if path == "audio_visual" else (path,)
    return [[generator.standard_normal((n, WIDTHS[name]), np.float32) for n in lengths] for name in names]


paths = pytest.mark.parametrize("path", ["audio", "visual", "audio_visual"])
lengths = st.lists(st.integers(1, 60), min_size=2, max_size=4)
few = settings(max_examples=12, deadline=None)


@paths
@few
@given(lengths=lengths, padding=st.integers(0, 40), seed=st.integers(0, 99))
def test_batch_and_padding_do_not_matter(path: str, lengths: list[int], padding: int, seed: int) -> None:
    clips = _clips(path, lengths, seed)
    together = _ask(path, *clips, padding=padding)
    alone = [_ask(path, *([modality[i]] for modality in clips)) for i in range(len(lengths))]
    assert np.abs(together - np.concatenate(alone)).max() <= TOLERANCE


@paths
@few
@given(lengths=lengths, seed=st.integers(0, 99))
def test_order_in_the_batch_does_not_matter(path: str, lengths: list[int], seed: int) -> None:
    clips = _clips(path, lengths, seed)
    forward = _ask(path, *clips)
    backward = _ask(path, *(modality[::-1] for modality in clips))
    assert np.abs(forward - backward[::-1]).max() <= TOLERANCE


@paths
@few
@given(length=st.integers(8, 60), seed=st.integers(0, 99))
def test_time_order_matters(path: str, length: int, seed: int) -> None:
    clips = _clips(path, [length], seed)
    shuffled = [[clip[::-1].copy() for clip in modality] for modality in clips]
    assert np.abs(_ask(path, *clips) - _ask(path, *shuffled)).max() > 10 * TOLERANCE


def _encode(waveform: Floats, samples: NDArray[np.int64]) -> list[Any]:
    return list(_session("audio_encoder").run(None, {"waveform": waveform, "samples": samples}))


@few
@given(sizes=st.lists(st.integers(SHORTEST, 20_000), min_size=2, max_size=3), seed=st.integers(0, 99))
def test_audio_encoder_ignores_padding(sizes: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    clips = [0.1 * generator.standard_normal(size, np.float32) for size in sizes]
    waveform, samples = _pad(clips, max(sizes) + 5_000)
    together, tokens = _encode(waveform, samples)
    for row, count, clip in zip(together, tokens, clips, strict=True):
        alone, length = _encode(clip[None], np.array([len(clip)]))
        assert length[0] == count == alone.shape[1] >= 1
        assert np.abs(row[:count] - alone[0]).max() <= TOLERANCE * max(1.0, np.abs(alone).max())


def test_the_shortest_sound_is_one_token() -> None:
    features, tokens = _encode(np.full((1, SHORTEST), 0.1, np.float32), np.array([SHORTEST]))
    assert tokens.tolist() == [1]
    assert features.shape == (1, 1, WIDTHS["audio"])
    assert np.isfinite(features).all()


def test_unimodal_answers_never_depend_on_the_other_modality(recognizer: Recognizer, example_clip: Path) -> None:
    generator = np.random.default_rng(0)
    sound = 0.1 * generator.standard_normal(16_000, np.float32)
    frames = [generator.integers(0, 256, (4, 64, 64, 3), np.uint8) for _ in range(2)]
    alone = recognizer.predict(ArrayClip(audio=sound), use="audio")
    for pictures in frames:
        both = recognizer.predict(ArrayClip(audio=sound, frames=pictures), use="audio")
        assert both.scores == alone.scores
        assert both.faces.frames == 0
    from_file = recognizer.predict(example_clip, all_paths=True)
    assert from_file.path == "audio_visual"
    assert list(from_file.paths) == ["audio_visual", "audio", "visual"]  # in every process
    assert from_file.paths["audio"].scores == recognizer.predict(example_clip, use="audio").scores
    assert from_file.paths["visual"].scores == recognizer.predict(example_clip, use="visual").scores
