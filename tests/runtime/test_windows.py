"""Cutting into windows loses nothing, keeps order, and holds one window at most."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.media import Frame, SoundBlock
from vavl_runtime.pipeline.aggregate import PathPredictions
from vavl_runtime.pipeline.windows import SoundWindow, frame_windows, pair_windows, sound_windows
from vavl_runtime.timing import StageTimer

RATE = 16_000


@settings(deadline=None, max_examples=50)
@given(sizes=st.lists(st.integers(1, 900), max_size=12), start=st.integers(0, 500), window=st.integers(50, 400))
def test_sound_windows_concatenate_to_the_sound(sizes: list[int], start: int, window: int) -> None:
    sound = np.arange(sum(sizes), dtype=np.float32)
    blocks, position = [], 0
    for size in sizes:
        blocks.append(SoundBlock((start + position) / RATE, sound[position : position + size]))
        position += size
    windows = list(sound_windows(iter(blocks), window / RATE))
    np.testing.assert_array_equal(np.concatenate([np.empty(0, np.float32), *(w.samples for w in windows)]), sound)
    assert all(0 < len(w.samples) <= window for w in windows)
    for w in windows:  # each sample stands in the window of its time
        assert round(w.end_s * RATE) == start + int(w.samples[-1]) + 1
        for sample in w.samples[[0, -1]]:
            assert (start + int(sample)) // window == w.number


@settings(deadline=None, max_examples=50)
@given(times=st.lists(st.floats(0, 30), max_size=40).map(sorted), window=st.floats(0.5, 12))
def test_frames_stand_in_the_window_of_their_time(times: list[float], window: float) -> None:
    pixels = np.zeros((1, 1, 3), np.uint8)
    seen = []
    for number, frames in frame_windows((Frame(t, pixels) for t in times), window):
        for frame in frames:
            assert frame.time_s // window == number
            seen.append(frame.time_s)
    assert seen == times


def test_answers_are_means_weighted_by_length() -> None:
    manifest = open_bundle(PACKAGED_BUNDLE).manifest
    answers = PathPredictions()
    first, second = np.eye(len(manifest.labels), dtype=np.float32)[:2, None]
    embedding = np.ones((1, 4), np.float32)
    answers.add("audio", 12.0, {"prediction": first, "embedding": embedding})
    answers.add("audio", 4.0, {"prediction": second, "embedding": 3 * embedding})
    answer = answers.finish(manifest)["audio"]
    assert list(answer.scores.values())[:2] == pytest.approx([0.75, 0.25])
    assert answer.label == manifest.labels[0]
    assert answer.embedding == pytest.approx(1.5)
    answers.add("visual", 17.0, {"prediction": second, "embedding": embedding})
    assert answers.path == "visual"  # seen longer than heard
    answers.add("audio_visual", 17.0, {"prediction": second, "embedding": embedding})
    assert answers.path == "audio_visual"  # the richer one if they are equal
    answers.add("visual", 1.0, {"prediction": first, "embedding": embedding}, chosen=False)
    assert list(answers.finish(manifest)["visual"].scores.values())[:2] == pytest.approx([1 / 18, 17 / 18])


def test_other_paths_never_change_the_speaking_one() -> None:
    manifest = open_bundle(PACKAGED_BUNDLE).manifest
    outputs = [
        {"prediction": row[None], "embedding": row[None]} for row in np.eye(len(manifest.labels), dtype=np.float32)
    ]
    alone, all_paths = PathPredictions(), PathPredictions()
    for answers in (alone, all_paths):
        answers.add("audio_visual", 5.0, outputs[0])
        answers.add("audio", 12.0, outputs[1])
    all_paths.add("audio", 5.0, outputs[2], chosen=False)
    assert alone.path == all_paths.path == "audio"
    assert alone.finish(manifest)["audio"].scores == all_paths.finish(manifest)["audio"].scores


def test_stages_add_up_and_do_not_nest() -> None:
    timer = StageTimer()

    def items() -> "np.nditer":
        for number in range(3):
            with timer.stage("inner"):
                sum(range(20_000))
            yield number

    with timer.stage("outer"):
        sum(range(50_000))
    assert list(timer.each("each", items())) == [0, 1, 2]
    times = timer.milliseconds()
    stages = {name: value for name, value in times.items() if name != "total"}
    assert stages.keys() == {"outer", "inner", "each"}
    assert sum(stages.values()) <= times["total"]
    assert times["inner"] > times["each"]  # the inner stage paused the outer one


@settings(deadline=None, max_examples=50)
@given(heard=st.sets(st.integers(0, 12)), seen=st.sets(st.integers(0, 12)))
def test_windows_of_equal_number_come_together(heard: set[int], seen: set[int]) -> None:
    sound = (
        SoundWindow(number, np.full(1, number, np.float32), float(number), number + 1.0) for number in sorted(heard)
    )
    pictures = ((number, iter([Frame(float(number), np.zeros((1, 1, 3), np.uint8))])) for number in sorted(seen))
    pairs = list(pair_windows(sound, pictures))
    for number, (window, frames) in zip(sorted(heard | seen), pairs, strict=True):
        assert (window.number if window else None) == (number if number in heard else None)
        assert [frame.time_s for frame in frames or ()] == ([float(number)] if number in seen else [])


@settings(deadline=None, max_examples=50)
@given(parts=st.lists(st.tuples(st.integers(0, 700), st.integers(1, 300)), min_size=1, max_size=8))
def test_sound_after_a_hole_stands_at_its_own_time(parts: list[tuple[int, int]]) -> None:
    """Every sample carries its own time as its value, so it must be found in the window of that time."""
    blocks, position = [], 0
    for hole, size in parts:
        position += hole
        blocks.append(SoundBlock(position / RATE, np.arange(position, position + size, dtype=np.float32)))
        position += size
    windows = list(sound_windows(iter(blocks), 200 / RATE))
    assert sum(len(w.samples) for w in windows) == sum(size for _, size in parts)
    for w in windows:
        assert set((w.samples // 200).astype(int)) == {w.number}
