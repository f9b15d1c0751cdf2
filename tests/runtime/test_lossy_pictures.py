"""Films of which packets are damaged or missing."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.runtime.made_media import face_pictures, jpeg, tone, write_matroska
from vavl_runtime import Recognizer
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import DamagedMediaError
from vavl_runtime.media import open_source

GARBAGE = b"\x00" * 500


def copied(source: Path, place: Path, bad: set[int], *, leave_out: bool = False) -> Path:
    """Copy a film's packets; those of each stream with the given numbers are damaged or left out."""
    with av.open(str(source)) as whole, av.open(str(place), "w") as output:
        streams = {
            stream.index: output.add_stream_from_template(stream)
            for stream in whole.streams
            if stream.type in ("audio", "video")
        }
        seen = dict.fromkeys(streams, 0)
        for packet in whole.demux(*(whole.streams[index] for index in streams)):
            index = packet.stream.index
            if packet.dts is None:
                continue
            number = seen[index]
            seen[index] += 1
            written = packet
            if number in bad:
                if leave_out:
                    continue
                written = av.Packet(b"\xff" * packet.size)
                written.pts, written.dts, written.time_base = packet.pts, packet.dts, packet.time_base
                written.duration, written.is_keyframe = packet.duration, packet.is_keyframe
            written.stream = streams[index]
            output.mux(written)
    return place


def predicted_film(path: Path) -> Path:
    """Sixty pictures that hardly differ, one in twelve of which is a key picture."""
    slope = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 64, "yuv420p", 12
        for number in range(60):
            pixels = np.stack([slope + np.uint8(number)] * 3, axis=2)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def test_one_bad_picture_of_twenty_is_noted(recognizer: Recognizer, tmp_path: Path) -> None:
    pictures = face_pictures(20)
    whole = write_matroska(tmp_path / "whole.mkv", pictures, None, size=(256, 256))
    pictures[7] = GARBAGE
    result = recognizer.predict(write_matroska(tmp_path / "bad.mkv", pictures, tone(0.8), size=(256, 256)))
    assert (result.path, result.reasons.visual, result.faces.frames) == ("audio_visual", None, 19)
    (note,) = result.notes
    assert (note.kind, note.modality) == ("packets_lost", "visual")
    assert note.message == "1 of 20 packets (5%) of the picture cannot be decoded"
    assert recognizer.predict(whole).notes == ()


def test_what_is_predicted_from_a_lost_picture_is_lost(tmp_path: Path) -> None:
    """With several threads, FFmpeg tells of a bad packet some packets later."""
    film = predicted_film(tmp_path / "film.mp4")
    late = copied(film, tmp_path / "late.mkv", {58})
    early = copied(film, tmp_path / "early.mkv", {1})
    source = open_source(late, Limits(), decoder_threads=1)
    list(source.frames())
    assert [note.message for note in source.notes()] == ["2 of 60 packets (3%) of the picture cannot be decoded"]
    with pytest.raises(DamagedMediaError, match=r"11 of 60 packets \(18%\) cannot be decoded"):
        list(open_source(early, Limits(), decoder_threads=1).frames())


def test_a_film_without_a_twentieth_of_its_packets_takes_the_same_path(
    recognizer: Recognizer, shared: Path, tmp_path: Path
) -> None:
    clip = shared / "clips" / "grid_bbaf2n.mpg"
    missing = set(np.random.default_rng(0).choice(np.arange(1, 120), 6, replace=False).tolist())
    result = recognizer.predict(copied(clip, tmp_path / "film.mkv", missing, leave_out=True))
    assert result.path == recognizer.predict(clip).path


def test_all_pictures_bad_is_damage(tmp_path: Path) -> None:
    film = write_matroska(tmp_path / "bad.mkv", [GARBAGE] * 3, None)
    with pytest.raises(DamagedMediaError, match="3 of 3 packets"):
        list(open_source(film, Limits()).frames())
    good = write_matroska(tmp_path / "good.mkv", [jpeg(np.zeros((64, 64, 3), np.uint8))] * 3, None)
    assert len(list(open_source(good, Limits()).frames())) == 3
