"""Wrong arrays in memory are an `InvalidArrayError` that says what came and what was expected, and nothing else."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from numpy.typing import NDArray

from vavl_runtime import ArrayClip, Recognizer
from vavl_runtime.errors import InvalidArrayError

HANG_S = 30
DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "int64",
    "float16",
    "float32",
    "float64",
    ">f4",
    "complex64",
    "object",
    "U3",
]
quick = settings(max_examples=60, deadline=None)


def tone(samples: int = 16_000) -> NDArray[np.float32]:
    return np.sin(np.arange(samples) * (2 * np.pi * 220 / 16_000)).astype(np.float32) * np.float32(0.4)


def black(count: int = 2) -> NDArray[np.uint8]:
    return np.zeros((count, 48, 64, 3), np.uint8)


def refused(recognizer: Recognizer, clip: Any, message: str) -> None:
    with pytest.raises(InvalidArrayError, match=message) as caught:
        recognizer.predict(clip)
    assert type(caught.value) is InvalidArrayError
    assert caught.value.exit_code == 3


# Types, dtypes, shapes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clip", "came"),
    [(None, "NoneType"), (3, "int"), (tone(), "ndarray"), ({"audio": tone()}, "dict")],
    ids=["none", "int", "array", "dict"],
)
def test_clip_of_another_type(clip: Any, came: str, recognizer: Recognizer) -> None:
    refused(recognizer, clip, f"clip: got {came}, expected a path, bytes, a file")


@pytest.mark.parametrize(
    ("audio", "came"),
    [
        ([0.0, 0.1], "list"),
        (0.5, "float"),
        (np.float32(0.5), "float32"),
        ("sound", "str"),
        (tone().astype(np.float64), r"float64 \(16000,\)"),
        ((tone() * 32767).astype(np.int16), r"int16 \(16000,\)"),
        (tone().astype(">f4"), r">f4 \(16000,\)"),
        (tone()[None], r"float32 \(1, 16000\)"),
        (np.float32(0.5) * np.ones(()), "float"),
        (tone(0), r"float32 \(0,\)"),
    ],
)
def test_wrong_audio(audio: Any, came: str, recognizer: Recognizer) -> None:
    refused(recognizer, ArrayClip(audio=audio), f"audio: got {came}.*, expected mono float32 at 16 kHz of shape")


@pytest.mark.parametrize(
    ("frames", "came"),
    [
        ([black()], "list"),
        ("picture", "str"),
        (black().astype(np.float32), r"float32 \(2, 48, 64, 3\)"),
        (black().astype(np.int64), r"int64 \(2, 48, 64, 3\)"),
        (black()[0], r"uint8 \(48, 64, 3\)"),
        (black()[..., 0], r"uint8 \(2, 48, 64\)"),
        (black()[..., :1], r"uint8 \(2, 48, 64, 1\)"),
        (np.zeros((2, 48, 64, 4), np.uint8), r"uint8 \(2, 48, 64, 4\)"),
        (np.zeros((2, 3, 48, 64), np.uint8), r"uint8 \(2, 3, 48, 64\)"),
        (black(0), r"uint8 \(0, 48, 64, 3\)"),
        (np.zeros((2, 0, 64, 3), np.uint8), r"uint8 \(2, 0, 64, 3\)"),
    ],
)
def test_wrong_frames(frames: Any, came: str, recognizer: Recognizer) -> None:
    refused(recognizer, ArrayClip(frames=frames), rf"frames: got {came}, expected RGB uint8 of shape \(frames, height")


@quick
@given(dtype=st.sampled_from(DTYPES), shape=array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
def test_every_array_but_mono_float32_is_refused_as_sound(
    dtype: str, shape: tuple[int, ...], recognizer: Recognizer
) -> None:
    clip: Any = ArrayClip(audio=np.zeros(shape, dtype))
    if np.dtype(dtype) == np.float32 and len(shape) == 1 and shape[0] > 0:
        assert recognizer.predict(clip).reasons.audio == "too_short"
    else:
        refused(recognizer, clip, "audio: got .*, expected mono float32")


@quick
@given(dtype=st.sampled_from(DTYPES), shape=array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
def test_every_array_but_rgb_uint8_is_refused_as_frames(
    dtype: str, shape: tuple[int, ...], recognizer: Recognizer
) -> None:
    clip: Any = ArrayClip(frames=np.zeros(shape, dtype))
    if np.dtype(dtype) == np.uint8 and len(shape) == 4 and shape[3] == 3 and 0 not in shape:
        assert recognizer.predict(clip).reasons.visual == "no_face"
    else:
        refused(recognizer, clip, "frames: got .*, expected RGB uint8")


def test_wrong_frames_are_refused_although_the_sound_is_fine(recognizer: Recognizer) -> None:
    refused(recognizer, ArrayClip(audio=tone(), frames=black()[..., :2]), "frames: got uint8")


# Values ---------------------------------------------------------------------------------------------------------


@quick
@given(
    at=st.lists(st.integers(0, 15_999), min_size=1, max_size=5, unique=True),
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_every_sample_must_be_finite(at: list[int], value: float, recognizer: Recognizer) -> None:
    audio = tone()
    audio[at] = value
    refused(recognizer, ArrayClip(audio=audio), rf"audio: {len(at)} of 16000 samples are NaN, infinite or beyond")


@pytest.mark.parametrize("loudest", [1e5, 1e20, 1e30, 3e38])
def test_absurdly_loud_sound_never_gives_nan(loudest: float, recognizer: Recognizer) -> None:
    """Samples are nominally in [-1, 1]: far beyond, an error or an answer of numbers, but never NaN."""
    try:
        result = recognizer.predict(ArrayClip(audio=tone() * np.float32(loudest)))
    except InvalidArrayError as error:
        assert "audio: " in str(error)
        return
    assert all(math.isfinite(value) for value in result.scores.values()), dict(result.scores)
    assert result.prediction is None or np.isfinite(result.prediction.embedding).all()


@pytest.mark.parametrize(
    "fps", [0, -1, -25.0, math.nan, math.inf, -math.inf, None, "25", 25j, [25], np.array([25.0, 25.0]), 10**400],
    ids=lambda fps: str(fps)[:12],
)  # fmt: skip
def test_wrong_fps(fps: Any, recognizer: Recognizer) -> None:
    refused(recognizer, ArrayClip(frames=black(), fps=fps), "fps: got .*, expected a number of frames a second")


@pytest.mark.parametrize(
    "times",
    [
        [0.0],
        [0.0, 0.1, 0.2],
        [],
        0.0,
        [[0.0, 0.1]],
        [0.1, 0.0],
        [0.0, math.nan],
        [0.0, math.inf],
        [None, None],
        ["a", "b"],
        "ab",
        [0.0, 1j],
        {0: 0.0, 1: 0.1},
        [0.0, object()],
        [[0.0], [0.1, 0.2]],
    ],
    ids=lambda times: str(times)[:24].split(" at 0x")[0],
)
def test_wrong_times(times: Any, recognizer: Recognizer) -> None:
    clip = ArrayClip(frames=black(), times_s=times)
    refused(recognizer, clip, "times_s: got .*, expected 2 finite seconds that never decrease, one for each frame")


def test_times_without_frames(recognizer: Recognizer) -> None:
    refused(recognizer, ArrayClip(audio=tone(), times_s=np.array([0.0])), "times_s: got .*, expected 0 finite seconds")


@quick
@given(times=st.lists(st.floats(0, 5), min_size=2, max_size=6).filter(lambda times: sorted(times) != times))
def test_times_that_decrease_are_refused(times: list[float], recognizer: Recognizer) -> None:
    clip = ArrayClip(frames=black(len(times)), times_s=np.array(times))
    refused(recognizer, clip, rf"times_s: got float64 \({len(times)},\), expected {len(times)} finite seconds")


FAR = """
import sys
import numpy as np
from vavl_runtime import ArrayClip, InputError, Recognizer
frames = np.zeros((2, 48, 64, 3), np.uint8)
with Recognizer(sys.argv[1], threads=1) as recognizer:
    try:
        print(recognizer.predict(ArrayClip(frames=frames, {})).path)
    except InputError as error:
        print(error.kind)
"""


@pytest.mark.parametrize("how", ["times_s=np.array([0.0, 1e15])", "fps=1e-15", "fps=1e-320"])
def test_frames_years_apart_do_not_hang(how: str, light_bundle: Path) -> None:
    """In a process of its own, so that a loop over endless empty windows can be ended."""
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", FAR.format(how), str(light_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert done.stderr == ""
    assert done.stdout.strip() in ("None", "invalid_array")


# Nothing to answer, and what is unusual but right ---------------------------------------------------------------


@pytest.mark.parametrize("use", ["auto", "audio", "visual"])
def test_neither_sound_nor_picture(use: Any, recognizer: Recognizer) -> None:
    result = recognizer.predict(ArrayClip(name="nothing"), use=use)
    assert result.path is None
    assert result.prediction is None
    assert (result.reasons.audio, result.reasons.visual) == ("no_audio_stream", "no_video_stream")
    assert result.to_dict()["scores"] == {}
    assert result.to_dict()["clip"] == "nothing"


def test_silence_without_a_face(recognizer: Recognizer) -> None:
    result = recognizer.predict(ArrayClip(audio=np.zeros(16_000, np.float32), frames=black()))
    assert (result.path, result.reasons.audio, result.reasons.visual) == (None, "silence", "no_face")


def test_views_give_the_answer_of_their_copy(recognizer: Recognizer) -> None:
    stereo = np.stack([tone(), -tone()], axis=1)
    view = recognizer.predict(ArrayClip(audio=stereo[:, 0], frames=black()[:, ::-2, ::2]))
    copy = recognizer.predict(ArrayClip(audio=stereo[:, 0].copy()))
    assert view.path == copy.path == "audio"
    assert view.scores == copy.scores


def test_read_only_arrays_are_left_as_they_are(recognizer: Recognizer) -> None:
    audio, frames = tone(), black()
    audio.flags.writeable = frames.flags.writeable = False
    assert recognizer.predict(ArrayClip(audio=audio, frames=frames)).path == "audio"
    assert (audio == tone()).all()


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 1, 3000, 3), (1, 3000, 1, 3)])
def test_pictures_of_odd_shapes_show_no_face(shape: tuple[int, ...], recognizer: Recognizer) -> None:
    assert recognizer.predict(ArrayClip(frames=np.zeros(shape, np.uint8))).reasons.visual == "no_face"
