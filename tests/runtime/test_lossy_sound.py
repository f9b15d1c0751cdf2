"""Sound of which something is missing, or that changes on the way: it is read, and notes say what was lost."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.made_sound import RATE, voice, write_channels, write_packets
from vavl_runtime import Recognizer
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import DamagedMediaError, InputError
from vavl_runtime.media import SoundBlock, open_source
from vavl_runtime.media.sound import read_sound
from vavl_runtime.notes import Note, Notes
from vavl_runtime.timing import StageTimer

SECONDS = 3.0
VOICE = voice(SECONDS)
SLACK_S = 1.2  # a page of an Ogg file holds a second; headers take some bytes of small files
CODECS = {"mp3": "libmp3lame", "aac": "aac", "flac": "flac", "mka": "libopus", "ogg": "libopus", "wav": "pcm_s16le"}
PROMISED = {"flac", "mka", "mp3", "wav"}  # Ogg and ADTS files do not say how long they are


def read(media: Path | bytes) -> tuple[list[SoundBlock], tuple[Note, ...]]:
    source = open_source(media, Limits())
    return list(source.sound()), source.notes()


def seconds(blocks: list[SoundBlock]) -> float:
    return sum(len(block.samples) for block in blocks) / RATE


def end_s(blocks: list[SoundBlock]) -> float:
    return blocks[-1].start_s + len(blocks[-1].samples) / RATE


def kinds(notes: Sequence[Note]) -> list[str]:
    return [note.kind for note in notes]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {
        suffix: write_packets(folder / f"voice.{suffix}", codec, VOICE, rate=48_000 if "opus" in codec else RATE)
        .read_bytes()
        for suffix, codec in CODECS.items()
    }  # fmt: skip


@pytest.mark.parametrize("suffix", CODECS)
def test_a_whole_file_has_no_notes(suffix: str, files: dict[str, bytes]) -> None:
    blocks, notes = read(files[suffix])
    assert seconds(blocks) == pytest.approx(SECONDS, abs=0.15)
    assert notes == ()


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("kept", sorted(np.random.default_rng(3).uniform(0.0, 1.0, 20).round(3)))
def test_a_file_cut_at_any_byte_is_read_as_far_as_it_goes(suffix: str, kept: float, files: dict[str, bytes]) -> None:
    whole = files[suffix]
    cut = whole[: max(1, int(kept * len(whole)))]
    try:
        blocks, notes = read(cut)
    except InputError:
        assert kept < 0.5  # a header is missing, or nothing follows it
        return
    assert SECONDS * kept - SLACK_S <= seconds(blocks) <= SECONDS + 0.15
    if suffix in PROMISED and kept < 0.7:
        assert "truncated" in kinds(notes)
    if suffix not in PROMISED:
        assert "truncated" not in kinds(notes)


def test_a_cut_file_is_answered_with_its_note(recognizer: Recognizer, files: dict[str, bytes]) -> None:
    result = recognizer.predict(files["flac"][: len(files["flac"]) // 2])
    assert (result.path, result.reasons.audio) == ("audio", None)
    note = result.to_dict()["notes"][-1]
    assert (note["kind"], note["modality"]) == ("truncated", "audio")
    assert "of 3.00 s: the file is cut short" in note["message"]


def with_bad_packets(path: Path, bad: set[int], sound: NDArray[np.float32] = VOICE) -> Path:
    """Sound as mp3 packets in matroska, some of which are nonsense."""
    mp3 = write_packets(path.with_suffix(".mp3"), "libmp3lame", sound)
    with av.open(str(mp3)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.audio[0])
        for number, packet in enumerate(source.demux(source.streams.audio[0])):
            if packet.dts is None:
                continue
            kept = packet
            if number in bad:
                kept = av.Packet(b"\x55" * packet.size)
                kept.pts, kept.dts, kept.duration, kept.time_base = (
                    packet.pts, packet.dts, packet.duration, packet.time_base,
                )  # fmt: skip
            kept.stream = stream
            container.mux(kept)
    return path


@pytest.mark.parametrize("bad", [{10}, {10, 11, 12}, {5, 20, 40}, {30, 31, 32, 33, 34, 35}])
def test_bad_packets_are_holes_in_time(bad: set[int], tmp_path: Path) -> None:
    whole, _ = read(with_bad_packets(tmp_path / "whole.mka", set()))
    blocks, notes = read(with_bad_packets(tmp_path / "bad.mka", bad))
    assert kinds(notes) == ["packets_lost"]
    share = int(re.search(r"\((\d+)%\) of the sound", notes[0].message)[1])  # type: ignore[index]
    assert share == pytest.approx(100 * len(bad) / 85, abs=4)
    assert end_s(blocks) == pytest.approx(end_s(whole), abs=0.05)
    assert seconds(blocks) < seconds(whole) - 0.03 * len(bad)  # an mp3 frame at 16 kHz lasts 36 ms


def test_more_than_a_tenth_lost_is_damage(tmp_path: Path) -> None:
    with pytest.raises(DamagedMediaError, match=r"sound breaks: .* packets \(3\d%\) .*, at most 10% may be lost"):
        read(with_bad_packets(tmp_path / "bad.mka", set(range(20, 50))))


@pytest.mark.parametrize("suffix", ["mp3", "aac"])
@pytest.mark.parametrize(
    ("first", "second"), [(("mono", 16_000), ("stereo", 16_000)), (("stereo", 44_100), ("mono", 22_050)),
                          (("mono", 48_000), ("stereo", 44_100))],
)  # fmt: skip
def test_formats_that_change_on_the_way(
    suffix: str, first: tuple[str, int], second: tuple[str, int], tmp_path: Path
) -> None:
    joined = b""
    for number, (layout, rate) in enumerate((first, second)):
        part = tmp_path / f"{number}.{suffix}"
        joined += write_packets(part, CODECS[suffix], VOICE, layout=layout, rate=rate).read_bytes()
    blocks, notes = read(joined)
    assert seconds(blocks) == pytest.approx(2 * SECONDS, abs=0.3)
    assert end_s(blocks) == pytest.approx(2 * SECONDS, abs=0.3)
    assert set(kinds(notes)) <= {"packets_lost"}
    sound = np.concatenate([block.samples for block in blocks])
    halves = [np.sqrt(np.mean(np.square(half))) for half in (sound[: len(sound) // 2], sound[len(sound) // 2 :])]
    assert halves[0] == pytest.approx(halves[1], rel=0.1)


def test_a_clock_that_starts_again_goes_on(tmp_path: Path) -> None:
    part = write_packets(tmp_path / "part.ts", "aac", VOICE).read_bytes()
    one, _ = read(part)
    blocks, _ = read(part + part + part)
    assert seconds(blocks) == pytest.approx(3 * seconds(one), abs=0.2)
    assert end_s(blocks) == pytest.approx(seconds(blocks), abs=0.3)


@pytest.mark.parametrize("junk", [b"<html>not found</html>\n" * 40, b"\0" * 5000, b"TAG" + bytes(125)])
def test_bytes_after_the_end_do_no_harm(junk: bytes, files: dict[str, bytes]) -> None:
    whole, _ = read(files["mp3"])
    blocks, notes = read(files["mp3"] + junk)
    assert seconds(blocks) == pytest.approx(seconds(whole), abs=0.1)
    assert set(kinds(notes)) <= {"packets_lost"}


def test_a_chained_file_says_where_reading_ends(files: dict[str, bytes], tmp_path: Path) -> None:
    second = write_packets(tmp_path / "second.ogg", "libopus", VOICE, layout="stereo", rate=48_000)
    blocks, notes = read(files["ogg"] + second.read_bytes())
    assert seconds(blocks) >= SECONDS - 0.1
    assert kinds(notes) == ([] if seconds(blocks) > 2 * SECONDS - 0.2 else ["truncated"])


def test_notes_are_those_of_the_latest_pass(files: dict[str, bytes]) -> None:
    source = open_source(files["wav"][: len(files["wav"]) // 2], Limits())
    assert source.notes() == ()
    for _ in range(2):
        list(source.sound())
        # Some FFmpegs also count the half sample at the end as lost.
        assert kinds(source.notes()).count("truncated") == 1


def test_notes_are_in_every_form_of_a_result(recognizer: Recognizer, tmp_path: Path) -> None:
    from vavl_runtime.cli.formats import Table
    from vavl_runtime.tables import columns, row

    whole = write_channels(tmp_path / "whole.wav", [VOICE]).read_bytes()
    record = recognizer.predict(whole[: len(whole) // 2]).to_dict()
    flat = dict(zip(columns(recognizer.manifest.labels), row(record, recognizer.manifest.labels), strict=True))
    assert "audio:truncated" in flat["notes"].split()
    assert "audio: truncated" in Table(10).record(record)


def test_jobs_carry_notes(recognizer: Recognizer, files: dict[str, bytes]) -> None:
    (result,) = recognizer.predict_many([files["flac"][: len(files["flac"]) // 2]], jobs=1)
    assert "truncated" in kinds(result.notes)


class Stamped:
    """Stands for a `PacketReader`: one second of sound for each time stamp."""

    hole = False

    def __init__(self, stamps_s: list[float]) -> None:
        self._stamps_s = stamps_s

    def frames(self) -> Iterator[av.AudioFrame]:
        for stamp_s in self._stamps_s:
            frame = av.AudioFrame.from_ndarray(VOICE[None, :RATE], format="flt", layout="mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = round(stamp_s * RATE)
            yield frame


@pytest.mark.parametrize(
    ("stamps_s", "starts_s"),
    [([5.0, 6.0], [0.0]), ([5.0, 6.0, 9.0], [0.0, 4.0]), ([5.0, 6.0, 0.0, 1.0], [0.0]),
     ([5.0, 6.0, 0.0, 3.0], [0.0, 5.0]), ([5.0, 6.1, 6.9], [0.0])],
    ids=["plain", "hole", "restart", "restart and hole", "jitter"],
)  # fmt: skip
def test_holes_are_counted_on_the_clock_that_runs(stamps_s: list[float], starts_s: list[float]) -> None:
    reader: Any = Stamped(stamps_s)
    assert [block.start_s for block in read_sound(reader, 5.0, "made", StageTimer(), 10**9)] == pytest.approx(starts_s)


def test_a_new_pass_drops_the_notes_of_its_modality() -> None:
    notes = Notes()
    notes.add("truncated", "audio", "old")
    notes.add("truncated", "audio", "second of its kind")
    notes.add("packets_lost", "visual", "kept")
    notes.restart("audio")
    assert [note.message for note in notes.all()] == ["kept"]
    notes.add("truncated", "audio", "new")
    assert [note.message for note in notes.all()] == ["new", "kept"]
