"""What a process that reads clips may take: a clip that asks for more is one failed clip, and the rest goes on."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands.programs import run
from tests.runtime.command_line import records
from tests.runtime.made_media import tone
from vavl_runtime import ArrayClip, ClipLimits, InputError, Recognizer
from vavl_runtime.cli.isolation import choose_jobs
from vavl_runtime.media.packets import damage
from vavl_runtime.serving import slots
from vavl_runtime.serving.crew import Crew
from vavl_runtime.serving.processes import WorkerProcess

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits private memory")
UNITS = {"": 1, "K": 10**3, "m": 10**6, "GB": 10**9}


@given(st.integers(300, 900), st.sampled_from(["M", "mb", "MB"]), st.integers(1, 10**6), st.sampled_from(sorted(UNITS)))
def test_limits_are_read_as_they_are_written(megabytes: int, unit: str, count: int, suffix: str) -> None:
    limits = ClipLimits.parse(f"memory={megabytes}{unit}, time={count}s,pixels={count}{suffix}")
    assert limits == ClipLimits(memory=megabytes * 10**6, time=count, pixels=count * UNITS[suffix])


def test_no_text_gives_the_defaults() -> None:
    assert ClipLimits.parse("") == ClipLimits()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("memory", "memory is '', expected a number"),
        ("memory=1TB", "expected a number, which may end in K, M or G"),
        ("memory=-1", "expected a number"),
        ("memory=1M", "memory is 1e+06, expected at least 3e+08"),
        ("time=0", "time is 0, expected at least 0.1"),
        ("time=soon", "expected seconds"),
        ("streams=0", "streams is 0, expected at least 1"),
        ("size=3", "expected NAME=VALUE with a name of memory, time, pixels, samples, streams"),
        ("time=1,time=2", "time is given twice"),
        ("time=\u0663", "expected seconds"),
    ],
)
def test_limits_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(InputError, match=r"^limits: ") as refused:
        ClipLimits.parse(text)
    assert message in str(refused.value)


@pytest.fixture
def large_picture(tmp_path: Path) -> Path:
    """38 million pixels in 126 kB: more memory than 300 MB to decode."""
    path = tmp_path / "large.png"
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png")
        stream.width, stream.height, stream.pix_fmt = 7000, 5500, "rgb24"
        frame = av.VideoFrame.from_ndarray(np.zeros((5500, 7000, 3), np.uint8), format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return path


@pytest.fixture
def large_film(tmp_path: Path) -> Path:
    """33 million pixels in each of four frames."""
    path = tmp_path / "large.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 7680, 4320, "yuv420p"
        frame = av.VideoFrame(7680, 4320, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([100]) * plane.buffer_size)
        for number in range(4):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[WorkerProcess]:
    """The processes that are started."""
    started: list[WorkerProcess] = []
    start = Crew._start

    def note(crew: Crew, place: int) -> WorkerProcess:
        started.append(start(crew, place))
        return started[-1]

    monkeypatch.setattr(Crew, "_start", note)
    return started


@LINUX
@pytest.mark.slow  # half a minute beside other tests: it decodes 38 million pixels
@pytest.mark.usefixtures("nothing_left")
def test_memory(
    light_bundle: Path, example_clip: Path, large_picture: Path, large_film: Path, starts: list[WorkerProcess]
) -> None:
    """Clips that need too much fail, whoever is refused the memory: Python or FFmpeg. The next one is answered."""
    with Recognizer(light_bundle, device="cpu", clip_limits=ClipLimits(memory=300_000_000)) as recognizer:
        large, film, example = recognizer.predict_many([large_picture, large_film, example_clip], jobs=1)
    for path, result in ((large_picture, large), (large_film, film)):
        assert result.error is not None and result.error.kind == "over_limit"
        assert str(result.error).startswith(f"{path}: ") and "raise the limit if you trust the file" in str(
            result.error
        )
    assert example.path == "audio_visual"
    assert len(starts) > 1


def test_want_of_memory_is_no_damage() -> None:
    refused = av.error.MemoryError(12, "Cannot allocate memory")
    assert damage("a.mp4", "picture cannot be converted", refused).kind == "over_limit"
    assert damage("a.mp4", "picture cannot be converted", av.error.BlockingIOError(11, "")).kind == "over_limit"
    assert damage("a.mp4", "picture cannot be converted", ValueError("odd")).kind == "damaged_media"


@LINUX
@pytest.mark.usefixtures("nothing_left")
def test_a_process_that_keeps_much_memory_is_replaced(
    light_bundle: Path, example_clip: Path, starts: list[WorkerProcess]
) -> None:
    """Its memory would count against the next clip."""
    with Recognizer(light_bundle, device="cpu", clip_limits=ClipLimits(memory=300_000_000)) as recognizer:
        results = list(recognizer.predict_many([example_clip] * 3, jobs=1))
    assert [result.path for result in results] == ["audio_visual"] * 3
    assert len(starts) in (3, 4)  # the last one's successor may or may not have started before the end


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such timer")
@pytest.mark.usefixtures("nothing_left")
def test_time(light_bundle: Path, example_clip: Path) -> None:
    clips = [ArrayClip(audio=tone(), name="tone"), example_clip, ArrayClip(audio=tone(), name="tone")]
    with Recognizer(light_bundle, device="cpu", clip_limits=ClipLimits(time=0.1)) as recognizer:
        first, film, last = recognizer.predict_many(clips, jobs=1)
    assert (first.path, last.path) == ("audio", "audio")
    assert film.error is not None and film.error.kind == "over_limit"
    assert str(film.error).startswith(
        f"{example_clip}: reading one window of it takes more than 0.1 s; raise the limit"
    )


@pytest.mark.parametrize("jobs", [None, 1])
@pytest.mark.usefixtures("nothing_left")
def test_what_the_file_asks_for(light_bundle: Path, example_clip: Path, jobs: int | None) -> None:
    def kind(**limits: int) -> tuple[str | None, str | None]:
        with Recognizer(light_bundle, device="cpu", clip_limits=ClipLimits(**limits)) as recognizer:
            (result,) = recognizer.predict_many([example_clip], jobs=jobs)
        return result.path, result.error.kind if result.error else None

    assert kind(streams=2, pixels=400 * 400) == ("audio_visual", None)
    assert kind(streams=1) == (None, "oversized_media")
    assert kind(pixels=10_000) == ("audio", None)
    assert kind(samples=1000) == ("visual", None)


@pytest.mark.parametrize(
    ("choice", "processes"),
    [
        ({}, None),
        ({"folder": True}, 1),
        ({"folder": True, "on_gpu": True}, None),
        ({"folder": True, "isolate": False}, None),
        ({"folder": True, "one_process": "--profile"}, None),
        ({"isolate": True, "on_gpu": True}, 1),
        ({"limits_given": True}, 1),
        ({"jobs": 3}, 3),
        ({"jobs": 3, "isolate": True}, 3),
    ],
)
def test_clips_are_read_apart_where_nobody_named_them(
    recognizer: Recognizer, choice: dict[str, Any], processes: int | None
) -> None:
    nothing = {"jobs": None, "isolate": None, "limits_given": False, "one_process": None, "folder": False}
    assert choose_jobs(**nothing | {"on_gpu": False, "manifest": recognizer.manifest} | choice) == processes


def test_a_folder_is_read_here_where_shared_memory_lacks(
    folder_of_clips: Path, starts: list[WorkerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container with very little of it. Only who asked for a process apart gets an error."""
    monkeypatch.setattr(slots.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    monkeypatch.setattr(slots, "SYSTEM_MEMORY", folder_of_clips)
    done = run("vavl-run", folder_of_clips, "--device", "cpu", "--format", "jsonl")
    assert [record["path"] for record in records(done.stdout)] == ["audio_visual", None, "audio_visual"]
    assert "warning: clips are read without limits, in this process (" in done.stderr
    assert "1 MB of shared memory are free" in done.stderr
    assert starts == []
    done = run("vavl-run", folder_of_clips, "--isolate", "--device", "cpu")
    assert done.exit_code == 3 and "1 MB of shared memory are free" in done.stderr


@pytest.mark.usefixtures("nothing_left")
def test_a_folder_is_read_apart(folder_of_clips: Path, starts: list[WorkerProcess]) -> None:
    done = run("vavl-run", folder_of_clips, "--device", "cpu", "--format", "jsonl")
    assert [record["path"] for record in records(done.stdout)] == ["audio_visual", None, "audio_visual"]
    assert len(starts) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--no-isolate", "--jobs", 2], "--jobs reads clips in processes of their own; leave --no-isolate out"),
        (["--no-isolate", "--limits", "time=9"], "--limits reads clips in processes of their own; leave --no-isolate"),
        (["--isolate", "--profile"], "--profile tells of one process; leave --isolate out"),
        (["--limits", "time=9", "--privacy-receipt"], "--privacy-receipt tells of one process; leave --limits out"),
        (["--limits", "time=never"], "--limits: time is 'never', expected seconds"),
    ],
)
def test_bad_usage(example_clip: Path, options: list[object], message: str) -> None:
    done = run("vavl-run", example_clip, "--device", "cpu", *options)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
