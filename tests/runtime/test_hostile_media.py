"""FFmpeg reads the given file alone: lists and descriptions of streams are no media, whatever they are called."""

import io
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from inspect import isbuiltin
from pathlib import Path
from typing import Any

import av
import pytest
from av.error import FFmpegError

from vavl_runtime import Recognizer
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import UnsupportedMediaError
from vavl_runtime.media import containers
from vavl_runtime.media.file import FileSource

NAMES = ("upload.mp4", "100%.mp4", "list.m3u8", "f%d.png", "session.sdp")
# {place} is an address of the listening server, {file} a good film beside.
LISTS = {
    "hls playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{place}/part.ts\n#EXT-X-ENDLIST\n",
    "hls playlist of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:{file}\n#EXT-X-ENDLIST\n",
    "concat list": "ffconcat version 1.0\nfile {file}\n",
    "concat list of an address": "ffconcat version 1.0\nfile {place}/film.mp4\n",
    "session description": (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    ),
    "dash manifest": (
        '<?xml version="1.0"?>'
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S">'
        "<Period><AdaptationSet><Representation id='1' mimeType='video/mp4' codecs='avc1.4d401f' bandwidth='1'>"
        "<BaseURL>{place}/film.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ),
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\nHello.\n",
    "text with colours": "\x1b[31mHello\x1b[0m\n" * 200,
}


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """An address, and who connected there."""
    callers: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                with suppress(TimeoutError):
                    connection, address = listening.accept()
                    connection.close()
                    callers.append(str(address))

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", callers
        done.set()
        thread.join()


def write_list(kind: str, name: str, folder: Path, place: str, example_clip: Path) -> Path:
    film = shutil.copy(example_clip, folder / "film.mp4")
    path = folder / name
    path.write_text(LISTS[kind].format(place=place, file=Path(film).name))
    return path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_is_no_media(
    kind: str, name: str, tmp_path: Path, server: tuple[str, list[str]], example_clip: Path
) -> None:
    place, callers = server
    path = write_list(kind, name, tmp_path, place, example_clip)
    for media in (path, path.read_bytes()):
        with pytest.raises(UnsupportedMediaError, match="not a media file that can be opened"):
            FileSource(media, Limits())
    assert callers == []


def test_without_the_bounds_a_list_is_followed(
    tmp_path: Path, server: tuple[str, list[str]], example_clip: Path
) -> None:
    """Without this, the test above could not fail."""
    place, callers = server
    path = write_list("hls playlist", "100%.m3u8", tmp_path, place, example_clip)
    with path.open("rb") as file, suppress(FFmpegError):
        av.open(file).close()
    assert callers


def test_an_allowed_list_reaches_no_address(
    tmp_path: Path, server: tuple[str, list[str]], example_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The formats are one bound, the protocols another."""
    place, callers = server
    path = write_list("concat list of an address", "list.mp4", tmp_path, place, example_clip)
    monkeypatch.setattr(containers, "FORMATS", (*containers.FORMATS, "concat", "hls"))
    with pytest.raises(UnsupportedMediaError):
        FileSource(path, Limits())
    assert callers == []


def test_a_picture_is_opened_by_its_content(tmp_path: Path, recognizer: Recognizer) -> None:
    """By its name it would be the first of a numbered sequence."""
    picture = tmp_path / "f%d.jpg"
    with av.open(str(tmp_path / "made.png"), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        container.mux(stream.encode(av.VideoFrame(64, 48, "rgb24")))
    (tmp_path / "made.png").rename(picture)
    result = recognizer.predict(picture)
    assert (result.faces.frames, result.reasons.visual) == (1, "no_face")


def test_looking_for_streams_has_a_time_limit(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announced = shared / "clips" / "header_only.flv"  # announces a picture, of which nothing comes
    if not announced.is_file():
        pytest.skip("no such film among the real media")
    monkeypatch.setattr(containers, "OPENING_S", 1e-9)
    with pytest.raises(UnsupportedMediaError, match="Immediate exit requested"):
        FileSource(announced, Limits())


def test_no_python_code_runs_inside_ffmpeg(example_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would run signal handlers there, whose exceptions FFmpeg's caller cannot raise."""
    opened: list[Any] = []
    monkeypatch.setattr(av, "open", lambda file, **_: opened.append(file) or io.BytesIO())
    for media in (example_clip, example_clip.read_bytes()):
        with containers.open_container(media, 1):
            assert all(isbuiltin(getattr(opened[-1], name)) for name in ("read", "seek", "tell"))
