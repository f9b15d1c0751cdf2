"""Clips that several processes read get the answers of one process, in the same order."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime.damaged_bundles import zip_folder
from tests.runtime.made_media import face_pictures, film_of_a_face, tone, write_matroska
from vavl_runtime import ArrayClip, ClipResult, InputError, Recognizer
from vavl_runtime.media import Clip

pytestmark = pytest.mark.usefixtures("nothing_left")
TOLERANCE = 1e-5
REAL = (  # odd on purpose: rotated, broken, without faces, several windows, a still picture
    "face_then_none_vfr.mov",
    "failing_audio.mp4",
    "grid_bbaf2n.mpg",
    "no_frames.mp4",
    "several_faces.jpg",
    "truncated_stream.mp4",
    "no_face_cartoon.mp4",
)


def assert_same(got: Sequence[ClipResult], expected: Sequence[ClipResult]) -> None:
    assert [result.clip for result in got] == [result.clip for result in expected]
    for ours, theirs in zip(got, expected, strict=True):
        assert (ours.path, ours.reasons, ours.faces) == (theirs.path, theirs.reasons, theirs.faces)
        assert type(ours.error) is type(theirs.error)  # messages count losses, which FFmpeg's threads report late
        assert ours.duration_s == theirs.duration_s
        assert ours.paths.keys() == theirs.paths.keys()
        for path, prediction in theirs.paths.items():
            assert ours.paths[path].scores == pytest.approx(prediction.scores, abs=TOLERANCE)
            np.testing.assert_allclose(ours.paths[path].embedding, prediction.embedding, atol=TOLERANCE)
        assert ours.to_dict().keys() == theirs.to_dict().keys()


def many_kinds(example_clip: Path, folder: Path) -> list[Clip]:
    silent_film = film_of_a_face(folder / "film.mkv", face_pictures(), None)
    broken, broken_later = tone(), tone(15.0)
    broken[5000] = broken_later[-5000] = np.nan
    return [
        example_clip,
        ArrayClip(audio=tone(2.5), name="tone"),
        "missing.mp4",
        film_of_a_face(folder / "broken sound.mkv", face_pictures(), broken),
        film_of_a_face(folder / "sound breaks in the second window.mkv", face_pictures(), broken_later),
        example_clip.read_bytes(),
        io.BytesIO(silent_film.read_bytes()),
        b"",
        write_matroska(folder / "both broken.mkv", [], broken),
        ArrayClip(audio=np.zeros(16_000, np.float32), name="silence"),
        ArrayClip(audio=np.array([np.nan], np.float32), name="not a number"),
        ArrayClip(audio=tone(30.0), name="three windows"),
        silent_film.open("rb"),
        write_matroska(folder / "sound alone.mkv", None, tone()),
    ]


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_kind_of_clip(jobs: int, recognizer: Recognizer, example_clip: Path, tmp_path: Path) -> None:
    clips = many_kinds(example_clip, tmp_path)
    again = many_kinds(example_clip, tmp_path)  # files are read to their end
    got = list(recognizer.predict_many(clips, all_paths=True, jobs=jobs))
    assert_same(got, list(recognizer.predict_many(again, all_paths=True)))
    kinds = [result.error.kind if result.error else result.path for result in got]
    assert {"audio_visual", "audio", "visual", None, "not_found", "damaged_media"} <= set(kinds)
    for clip in (*clips, *again):
        if hasattr(clip, "close"):
            clip.close()


@pytest.mark.parametrize("use", ["audio", "visual"])
def test_one_modality(use: Any, recognizer: Recognizer, example_clip: Path) -> None:
    clips = [example_clip, ArrayClip(audio=tone(), name="tone")]
    got = list(recognizer.predict_many(clips, use=use, jobs=2))
    assert_same(got, list(recognizer.predict_many(clips, use=use)))


def test_settings_of_the_recogniser_reach_the_processes(light_bundle: Path, example_clip: Path) -> None:
    with Recognizer(light_bundle, device="cpu", threads=1, stride=3, detect_every=7) as recognizer:
        (got,) = recognizer.predict_many([example_clip], jobs=1)
        assert_same([got], [recognizer.predict(example_clip)])
        assert got.faces.frames < 30


@pytest.mark.slow
def test_real_clips(recognizer: Recognizer, shared: Path) -> None:
    clips = [shared / "clips" / name for name in REAL]
    got = list(recognizer.predict_many(clips, all_paths=True, jobs=2))
    assert_same(got, list(recognizer.predict_many(clips, all_paths=True)))


def test_an_archive(archive_of_bundle: Path, example_clip: Path) -> None:
    with Recognizer(archive_of_bundle, device="cpu", threads=1) as recognizer:
        (result,) = recognizer.predict_many([example_clip], jobs=1)
    assert result.path == "audio_visual"


@pytest.fixture
def archive_of_bundle(light_bundle: Path, tmp_path: Path) -> Path:
    return zip_folder(light_bundle, tmp_path / "light.vavl", zipfile.ZIP_STORED)


def test_timings_say_what_happened(recognizer: Recognizer, example_clip: Path) -> None:
    (result,) = recognizer.predict_many([example_clip], jobs=1)
    assert {"decode_video", "detect", "crop", "audio_encoder", "face_encoder", "path", "total"} <= set(
        result.timings_ms
    )
    assert result.budget.busy_s.keys() == {"reader", "frames", "graphs"}
    assert result.timings_ms["total"] == pytest.approx(1000 * result.budget.total_s)
    assert result.budget.busy_s["graphs"]["face_encoder"] <= result.budget.total_s


def test_clips_are_taken_a_few_ahead(recognizer: Recognizer) -> None:
    taken = []

    def clips() -> Iterator[ArrayClip]:
        for number in range(100):
            taken.append(number)
            yield ArrayClip(audio=tone(), name=str(number))

    results = recognizer.predict_many(clips(), jobs=2)
    assert taken == []
    assert next(results).clip == "0"
    assert len(taken) < 40  # results that wait are bounded, so clips are, too
    results.close()


def test_an_error_of_the_callers_clips_comes_in_its_turn(recognizer: Recognizer) -> None:
    def clips() -> Iterator[ArrayClip]:
        yield ArrayClip(audio=tone(), name="first")
        raise ZeroDivisionError("of the caller")

    results = recognizer.predict_many(clips(), jobs=2)
    assert next(results).clip == "first"
    with pytest.raises(ZeroDivisionError, match="of the caller"):
        next(results)


def test_no_clips_are_no_results(recognizer: Recognizer) -> None:
    assert list(recognizer.predict_many([], jobs=2)) == []


@pytest.mark.parametrize("jobs", [0, -1, 1.5, True, "2"])
def test_a_wrong_number_of_jobs_is_refused_before_the_first_clip(recognizer: Recognizer, jobs: Any) -> None:
    with pytest.raises(InputError, match=r"jobs: got .*, expected a whole number, at least 1"):
        recognizer.predict_many([], jobs=jobs)
