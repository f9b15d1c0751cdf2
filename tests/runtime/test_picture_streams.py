"""Which of several streams of pictures is read."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from tests.runtime.made_media import jpeg
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import UnsupportedMediaError
from vavl_runtime.media import file as media_file
from vavl_runtime.media import open_source
from vavl_runtime.media.streams import choose_picture, picture_streams

RED, BLUE = (250, 0, 0), (0, 0, 250)


def write_streams(path: Path, streams: list[tuple[tuple[int, int, int], int, Disposition]]) -> Path:
    """A film with several streams of pictures, each of one colour, with so many frames and these flags."""
    with av.open(str(path), "w") as output:
        made: list[Any] = []
        for _, _, flags in streams:
            stream: Any = output.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
            stream.disposition = flags
            made.append(stream)
        output.start_encoding()
        for number in range(max(count for _, count, _ in streams)):
            for stream, (colour, count, _) in zip(made, streams, strict=True):
                if number < count:
                    packet = av.Packet(jpeg(np.full((48, 64, 3), colour, np.uint8)))
                    packet.stream, packet.time_base = stream, stream.time_base
                    packet.pts = packet.dts = round(number / 25 / stream.time_base)
                    packet.is_keyframe = True
                    output.mux(packet)
    return path


NONE, DEFAULT = Disposition(0), Disposition.default


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
@pytest.mark.parametrize(
    "streams",
    [
        [(BLUE, 1, NONE), (RED, 9, NONE)],
        [(BLUE, 1, DEFAULT), (RED, 9, DEFAULT)],
        [(BLUE, 1, DEFAULT), (RED, 9, NONE)],
        [(RED, 9, NONE), (BLUE, 1, DEFAULT)],
        [(BLUE, 9, NONE), (RED, 9, DEFAULT)],
        [(RED, 9, DEFAULT), (BLUE, 9, NONE)],
        [(RED, 9, DEFAULT), (BLUE, 9, DEFAULT)],
        [(BLUE, 1, Disposition.attached_pic), (RED, 9, NONE)],
    ],
)
def test_the_stream_that_moves_and_is_default_is_read(
    streams: list[tuple[tuple[int, int, int], int, Disposition]], suffix: str, tmp_path: Path
) -> None:
    if suffix == "mp4" and any(flags & Disposition.attached_pic for _, _, flags in streams):
        pytest.skip("mp4 keeps covers elsewhere")
    source = open_source(write_streams(tmp_path / f"film.{suffix}", streams), Limits())
    frames = list(source.frames())
    assert len(frames) == 9
    assert np.abs(frames[0].pixels[24, 32].astype(int) - RED).max() < 12
    told = [note.kind for note in source.notes()]
    assert told == ["stream_chosen"]


def test_without_flags_it_is_the_best_one_of_ffmpeg() -> None:
    streams = [fake(NONE, index) for index in range(3)]
    packets = [SimpleNamespace(stream=stream, size=1) for stream in streams] * 2
    container: Any = SimpleNamespace(
        streams=SimpleNamespace(best=lambda _: streams[1]), demux=lambda wanted: iter(packets)
    )
    assert choose_picture(container, streams) is streams[1]


def test_one_stream_is_read_without_a_word(tmp_path: Path) -> None:
    source = open_source(write_streams(tmp_path / "film.mkv", [(RED, 1, NONE)]), Limits())
    assert len(list(source.frames())) == 1
    assert source.notes() == ()


def fake(flags: Disposition, index: int = 0) -> Any:
    return SimpleNamespace(disposition=flags, codec_context=object(), index=index)


@pytest.mark.parametrize("flag", ["attached_pic", "timed_thumbnails", "dependent"])
def test_covers_previews_and_tiles_are_no_pictures(flag: str) -> None:
    container: Any = SimpleNamespace(streams=SimpleNamespace(video=[fake(Disposition[flag]), fake(NONE)]))
    assert picture_streams(container) == container.streams.video[1:]


def test_a_picture_in_tiles_is_refused(example_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_file, "picture_streams", lambda _: [])
    monkeypatch.setattr(media_file, "sound_streams", lambda _: [])
    monkeypatch.setattr(media_file, "has_tiles", lambda _: True)
    with pytest.raises(UnsupportedMediaError, match=r"HEIC.*save it as a JPEG"):
        open_source(example_clip, Limits())
