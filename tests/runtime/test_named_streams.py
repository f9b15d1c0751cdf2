"""Streams that the user names are read, whatever the rules say, and the result tells which streams were read."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.made_media import face_pictures, jpeg
from tests.runtime.made_sound import RATE, voice
from tests.runtime.made_streams import NONE, Track, write_tracks
from vavl_runtime import ArrayClip, ClipResult, InputError, Recognizer, StreamNumbers, to_pandas
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.cli.formats import Table
from vavl_runtime.errors import NoSuchStreamError, UnsupportedMediaError
from vavl_runtime.media import open_source
from vavl_runtime.media.named_stream import named_stream
from vavl_runtime.media.source import Source

DEFAULT, COVER = Disposition.default, Disposition.attached_pic
SILENCE = np.zeros(RATE, np.float32)


def plain(grey: int, count: int) -> list[bytes]:
    return [jpeg(np.full((48, 64, 3), grey, np.uint8))] * count


def read(source: Source) -> tuple[Any, Any]:
    """All sound and all frames, with their times."""
    sound = [(block.start_s, block.samples.tobytes()) for block in source.sound()]
    return sound, [(frame.time_s, frame.shown_s, frame.pixels.tobytes()) for frame in source.frames()]


sounds = st.builds(
    lambda peak, seconds, flags, start_ms: Track(voice(seconds, peak), flags, start_ms=start_ms),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.sampled_from([0.3, 1.0]),
    st.sampled_from([NONE, DEFAULT]),
    st.sampled_from([0, 200]),
)
pictures = st.builds(
    lambda grey, count, flags, start_ms: Track(plain(grey, count), flags, start_ms=start_ms),
    st.integers(0, 255),
    st.sampled_from([1, 6]),
    st.sampled_from([NONE, DEFAULT]),
    st.sampled_from([0, 120]),
)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.lists(sounds, min_size=1, max_size=3), st.lists(pictures, min_size=1, max_size=3)).flatmap(
        lambda both: st.permutations([*both[0], *both[1]])
    ),
    st.sampled_from(["mkv", "mov"]),
)
def test_each_pair_of_streams_reads_like_a_file_of_these_two(
    tmp_path_factory: pytest.TempPathFactory, tracks: Sequence[Track], suffix: str
) -> None:
    folder = tmp_path_factory.mktemp("streams")
    whole = write_tracks(folder / f"whole.{suffix}", tracks)
    numbers: dict[bool, list[int]] = {True: [], False: []}
    for number, track in enumerate(tracks):
        numbers[isinstance(track.content, list)].append(number)
    for audio, visual in itertools.product(numbers[False], numbers[True]):
        alone = [tracks[number] for number in sorted((audio, visual))]
        expected = read(open_source(write_tracks(folder / f"alone.{suffix}", alone), Limits()))
        source = open_source(whole, Limits(), streams=StreamNumbers(audio, visual))
        assert read(source) == expected
        assert source.streams() == StreamNumbers(audio, visual)
        told = [(note.modality, note.message) for note in source.notes() if note.kind == "stream_chosen"]
        assert [modality for modality, _ in told] == [
            modality for modality, kind in (("audio", False), ("visual", True)) if len(numbers[kind]) > 1
        ]
        assert all(message.endswith("it was asked for") for _, message in told)


# Answers --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tracks() -> list[Track]:
    """Of each kind two that give different answers; the rules take the second sound and the first picture."""
    face = face_pictures(8)
    other = jpeg(np.full((256, 256, 3), 90, np.uint8))
    return [
        Track(voice(0.5, 0.2), tags={"language": "deu", "title": "Guide"}),
        Track([*face], DEFAULT, size=(256, 256)),
        Track(voice(1.0, 0.3), DEFAULT, tags={"language": "eng"}),
        Track([*face[:4], *[other] * 4], size=(256, 256)),
    ]


@pytest.fixture(scope="module")
def film(tracks: list[Track], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tracks(tmp_path_factory.mktemp("film") / "film.mkv", tracks)


def answer(result: ClipResult) -> dict[str, Any]:
    """All that does not tell of time, or of which stream it was."""
    record = result.to_dict()
    kept = {key: value for key, value in record.items() if key not in ("clip", "timings_ms", "streams", "notes")}
    return kept | {"notes": [note for note in record["notes"] if note["kind"] != "stream_chosen"]}


@pytest.mark.parametrize(("audio", "visual"), [(0, 1), (0, 3), (2, 1), (2, 3)])
def test_the_answer_is_that_of_the_streams_alone(
    audio: int, visual: int, recognizer: Recognizer, film: Path, tracks: list[Track], tmp_path: Path
) -> None:
    alone = write_tracks(tmp_path / "alone.mkv", [tracks[number] for number in sorted((audio, visual))])
    expected = recognizer.predict(alone, all_paths=True)
    result = recognizer.predict(film, all_paths=True, streams=StreamNumbers(audio, visual))
    assert answer(result) == answer(expected)
    assert result.streams == StreamNumbers(audio, visual)


def test_what_is_not_named_is_left_to_the_rules(recognizer: Recognizer, film: Path) -> None:
    by_rules = recognizer.predict(film)
    assert by_rules.streams == StreamNumbers(2, 1)
    assert recognizer.predict(film, streams=StreamNumbers(audio=0)).streams == StreamNumbers(0, 1)
    assert recognizer.predict(film, streams=StreamNumbers(visual=3)).streams == StreamNumbers(2, 3)
    assert answer(recognizer.predict(film, streams=by_rules.streams)) == answer(by_rules)


def test_processes_that_read_give_the_same(recognizer: Recognizer, film: Path) -> None:
    for streams in (None, StreamNumbers(0, 3)):
        expected = recognizer.predict(film, streams=streams)
        (result,) = recognizer.predict_many([film], jobs=1, streams=streams)
        assert (result.streams, result.notes, result.faces) == (expected.streams, expected.notes, expected.faces)
        assert result.scores == pytest.approx(expected.scores, abs=1e-5)
    (failed,) = recognizer.predict_many([film], jobs=1, streams=StreamNumbers(audio=9))
    assert failed.error is not None and failed.error.kind == "no_such_stream"


def test_streams_that_are_not_read_are_not_told(recognizer: Recognizer, film: Path) -> None:
    assert recognizer.predict(film, use="visual").streams == StreamNumbers(None, 1)
    assert recognizer.predict(film, use="audio").streams == StreamNumbers(2, None)
    assert recognizer.predict(ArrayClip(audio=voice(1.0))).streams == StreamNumbers()


def test_a_silent_stream_is_read_if_it_is_named(recognizer: Recognizer, tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "film.mkv", [Track(SILENCE), Track(voice(1.0), DEFAULT)])
    result = recognizer.predict(path, streams=StreamNumbers(audio=0))
    assert (result.path, result.reasons.audio, result.streams.audio) == (None, "silence", 0)


@pytest.mark.parametrize("flags", [NONE, COVER])
def test_a_single_picture_or_a_cover_is_read_if_it_is_named(flags: Disposition, tmp_path: Path) -> None:
    """The cover of an mp4 is its last stream, whatever the order in which they were made."""
    tracks = [Track(voice(1.0)), Track(plain(20, 9), DEFAULT), Track(plain(200, 1), flags)]
    path = write_tracks(tmp_path / "film.mp4", tracks)
    source = open_source(path, Limits(), streams=StreamNumbers(visual=2))
    (frame,) = source.frames()
    assert abs(int(frame.pixels.mean()) - 200) < 3
    assert [(note.kind, note.message) for note in source.notes()] == [
        ("stream_chosen", "the picture is read from stream 2, of 1, 2; it was asked for")
    ]


def test_every_form_of_a_result_tells_the_streams(recognizer: Recognizer, film: Path) -> None:
    result = recognizer.predict(film, streams=StreamNumbers(audio=0))
    record = result.to_dict()
    assert record["streams"] == {"audio": 0, "visual": 1}
    assert "audio: stream 0; visual: stream 1" in Table(10).record(record)
    frame = to_pandas([result])
    assert frame[["stream_audio", "stream_visual"]].values.tolist() == [[0, 1]]
    failed = ClipResult.failed("x", InputError("x"), 0.0, result.backend, result.bundle)
    assert failed.to_dict()["streams"] == {"audio": None, "visual": None}


# What cannot be read --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        (StreamNumbers(audio=1), r"sound is asked for from stream 1, which is of the type video; its audio streams "),
        (StreamNumbers(visual=2), r"the picture is asked for from stream 2, which is of the type audio; its video "),
        (StreamNumbers(audio=4), r"from stream 4, which the file does not have; .* are 0 \(pcm_s16le, deu, 'Guide'\)"),
        (StreamNumbers(audio=10**30), r"which the file does not have; .*, 2 \(pcm_s16le, eng\); name one of them"),
        (StreamNumbers(visual=0), r"its video streams are 1 \(mjpeg\), 3 \(mjpeg\); name one of them, or none"),
    ],
)
def test_a_wrong_number_is_told_with_the_right_ones(
    streams: StreamNumbers, message: str, recognizer: Recognizer, film: Path
) -> None:
    with pytest.raises(NoSuchStreamError, match=message) as caught:
        recognizer.predict(film, streams=streams)
    (result,) = recognizer.predict_many([film], streams=streams)
    assert result.error is not None
    assert (result.error.kind, str(result.error)) == ("no_such_stream", str(caught.value))


def test_a_file_without_such_streams(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "sound.mkv", [Track(voice(0.5))])
    with pytest.raises(NoSuchStreamError, match=r"it has no video stream that can be decoded, so name none"):
        open_source(path, Limits(), streams=StreamNumbers(visual=1))


def test_long_lists_and_titles_are_cut_and_covers_are_told(tmp_path: Path) -> None:
    many = [Track(voice(0.1), tags={"title": "x" * 1000 + "\x1b[31m"}) for _ in range(14)]
    path = write_tracks(tmp_path / "sounds.mkv", many)
    with pytest.raises(NoSuchStreamError) as caught:
        open_source(path, Limits(), streams=StreamNumbers(audio=99))
    message = str(caught.value)
    assert "9 (pcm_s16le, 'xxx" in message and " and 4 more; " in message
    assert len(message) < 1200 and message.isprintable()
    path = write_tracks(tmp_path / "song.mp4", [Track(voice(0.5)), Track(plain(9, 1), COVER)])
    with pytest.raises(NoSuchStreamError, match=re.escape("its video streams are 1 (mjpeg, attached_pic); name")):
        open_source(path, Limits(), streams=StreamNumbers(visual=0))


def test_a_stream_without_a_decoder() -> None:
    """PyAV gives one without a codec context."""
    heard = SimpleNamespace(
        index=2, type="audio", codec_context=SimpleNamespace(name="aac"), metadata={}, disposition=NONE
    )
    container = SimpleNamespace(streams=[SimpleNamespace(index=0, type="audio", codec_context=None), heard])
    with pytest.raises(UnsupportedMediaError, match=r"stream 0, which has a codec that cannot .* are 2 \(aac\); name"):
        named_stream(container, "audio", 0, "film")
    assert named_stream(container, "audio", 2, "film") is heard


@pytest.mark.parametrize("number", [-1, 1.0, True, "1"])
def test_what_is_no_number_is_refused(number: Any) -> None:
    with pytest.raises(InputError, match=r"streams: visual is .*, expected the number of a stream, 0 or more, or None"):
        StreamNumbers(visual=number)


def test_a_stream_that_cannot_have_an_effect_is_refused(recognizer: Recognizer, film: Path) -> None:
    with pytest.raises(InputError, match=r"use='visual' reads no audio stream; leave one of them out"):
        recognizer.predict(film, use="visual", streams=StreamNumbers(audio=0))
    with pytest.raises(InputError, match=r"use='audio' reads no visual stream; leave one of them out"):
        recognizer.predict_many([film], use="audio", streams=StreamNumbers(visual=1))
    wrong: Any = 2
    with pytest.raises(InputError, match=r"streams: got 2, expected StreamNumbers, such as StreamNumbers\(audio=1\)"):
        recognizer.predict(film, streams=wrong)
    arrays = ArrayClip(audio=voice(1.0), name="voice")
    assert recognizer.predict(arrays, streams=StreamNumbers()).path == "audio"
    with pytest.raises(NoSuchStreamError, match=r"voice: got .*audio=0.* arrays in memory have no streams; name none"):
        recognizer.predict(arrays, streams=StreamNumbers(audio=0))
