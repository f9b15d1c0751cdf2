"""A modality that comes and goes: which path it leaves, and what the result says of it."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.runtime.made_media import tone
from vavl_runtime import ArrayClip, ClipResult, Recognizer
from vavl_runtime.pipeline.together import ENOUGH, Stretch, enough_together

FRAMES, FPS = 50, 12.5  # 4 s
TIMES = st.floats(0.0, 12.0)


@st.composite
def stretches(draw: st.DrawFn) -> Stretch:
    start_s, end_s = sorted((draw(TIMES), draw(TIMES)))
    return Stretch(start_s, end_s, draw(st.floats(0.0, 1.0)) * (end_s - start_s))


@given(stretches(), stretches(), st.floats(0.1, 12.0))
def test_neither_comes_first_and_more_is_never_less(one: Stretch, other: Stretch, window_s: float) -> None:
    together = enough_together(one, other, window_s)
    assert together == enough_together(other, one, window_s)
    more = Stretch(0.0, 12.0, 12.0)
    assert enough_together(more, other, window_s) >= together
    if min(one.end_s, other.end_s) <= max(one.start_s, other.start_s):
        assert not together


@pytest.fixture(scope="module")
def face(example_clip: Path) -> NDArray[np.uint8]:
    with av.open(str(example_clip)) as container:
        pixels: NDArray[np.uint8] = next(container.decode(video=0)).to_ndarray(format="rgb24")[::2, ::2]
    return pixels


def clip(face: NDArray[np.uint8], shown: range, sound_s: float) -> ArrayClip:
    """A face in some of the frames, and sound from the start."""
    frames = np.zeros((FRAMES, *face.shape), np.uint8)
    frames[shown.start : shown.stop] = face
    return ArrayClip(audio=tone(sound_s), frames=frames, times_s=np.arange(FRAMES) / FPS)


@pytest.mark.parametrize(
    ("shown", "sound_s", "path", "reasons"),
    [
        (range(FRAMES), 4.0, "audio_visual", (None, None)),
        (range(20), 4.0, "audio_visual", (None, None)),
        (range(5), 4.0, "audio", (None, "mostly_absent")),
        (range(30, FRAMES), 2.0, "audio", (None, "mostly_absent")),  # one after the other
        (range(25, FRAMES), 0.5, "visual", ("mostly_absent", None)),
    ],
    ids=["always", "two fifths", "a tenth", "after the sound", "after little sound"],
)
@pytest.mark.parametrize("jobs", [None, 1])
def test_both_are_used_where_they_are_there_together(
    recognizer: Recognizer,
    face: NDArray[np.uint8],
    shown: range,
    sound_s: float,
    path: str,
    reasons: tuple[str | None, str | None],
    jobs: int | None,
) -> None:
    (result,) = recognizer.predict_many([clip(face, shown, sound_s)], jobs=jobs)
    assert result.path == path
    assert (result.reasons.audio, result.reasons.visual) == reasons
    check_extents(result, shown, sound_s)


def check_extents(result: ClipResult, shown: range, sound_s: float) -> None:
    audio, visual = result.coverage.audio, result.coverage.visual
    assert audio is not None and visual is not None
    assert (audio.start_s, audio.end_s, audio.share) == pytest.approx((0.0, sound_s, sound_s / 4.0), abs=0.01)
    # A face that appears between two detections is searched in every frame between them.
    assert visual.start_s == pytest.approx(shown.start / FPS, abs=0.01)
    assert visual.end_s == pytest.approx(shown.stop / FPS, abs=0.01)
    assert visual.share == len(shown) / FRAMES
    told = {note.modality: note.message for note in result.notes if note.kind == "in_part"}
    assert told.keys() == {name for name, share in (("audio", audio.share), ("visual", visual.share)) if share < 0.9}
    if "visual" in told:
        start, end = shown.start / FPS, shown.stop / FPS
        assert told["visual"] == f"a face is seen in {len(shown)} of 50 frames, between {start:.2f} and {end:.2f} s"


def test_all_paths_are_given_where_they_were_asked_for(recognizer: Recognizer, face: NDArray[np.uint8]) -> None:
    result = recognizer.predict(clip(face, range(5), 4.0), all_paths=True)
    assert result.path == "audio" and result.paths.keys() == {"audio", "visual"}
    assert ENOUGH > 5 / FRAMES
