"""However serving ends, it ends: no process and no shared memory stays, and a process that dies costs one clip."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.made_media import tone
from tests.serving.conftest import memory_of
from vavl_runtime import ArrayClip, BackendUnavailableError, OutputError, Recognizer
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.bundle.manifest import Manifest
from vavl_runtime.errors import AlteredFileError, GraphFailedError, WorkerLostError
from vavl_runtime.serving import desk, slots
from vavl_runtime.serving.slots import SLOTS
from vavl_runtime.serving.work_queue import WorkQueue

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="process groups, and a folder that lists shared memory")
HANG_S = 60
TONE = ArrayClip(audio=tone(), name="tone")


class Deadly(ArrayClip):
    """A clip that ends the process which unpickles it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (os._exit, (3,)) if self.name == "exit" else (signal.raise_signal, (signal.SIGKILL,))


@pytest.mark.usefixtures("nothing_left")
def test_a_process_that_dies_costs_one_clip(recognizer: Recognizer, example_clip: Path) -> None:
    deadly = [Deadly(audio=tone(), name="exit"), Deadly(audio=tone(), name="kill")]
    clips = [TONE, deadly[0], example_clip, TONE, deadly[1], TONE]
    results = list(recognizer.predict_many(clips, jobs=2))
    assert [result.path for result in results] == ["audio", None, "audio_visual", "audio", None, "audio"]
    errors = [result.error for result in results if result.error is not None]
    assert [error.kind for error in errors] == ["worker_lost", "worker_lost"]
    assert str(errors[0]).startswith("exit: the process that read it ended with exit code 3; if memory ran out, ")
    assert str(errors[1]).startswith("kill: the process that read it was ended by SIGKILL; ")


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[WorkQueue]:
    """What waits for the graphs, once a server has been started."""
    made: list[WorkQueue] = []

    def make(*arguments: Any) -> WorkQueue:
        made.append(WorkQueue(*arguments))
        return made[-1]

    monkeypatch.setattr(desk, "WorkQueue", make)
    return made


def waiting(queue: list[WorkQueue]) -> int:
    """How many items wait."""
    (only,) = queue
    return sum(map(len, only._waiting.values()))


class SlowBackend(FakeBackend):
    """Takes its time, and keeps what the audio encoder was given."""

    def __init__(self, manifest: Manifest, seconds: float, device: str = "cpu") -> None:
        super().__init__(self._take_time, device=device)
        self._seconds = seconds
        self._zeros = FakeBackend()
        for name, graph in manifest.graphs.items():
            self._zeros.load(name, Path(), graph)
        self.heard: list[NDArray[np.float32]] = []
        self.began: Callable[[], object] = lambda: None

    def _take_time(self, name: str, inputs: Any) -> dict[str, NDArray[Any]]:
        output = self._zeros.run(name, inputs)
        if name == "audio_encoder":
            self.began()
            time.sleep(self._seconds)
            self.heard.extend(inputs["waveform"].copy())
            output["audio_lengths"][:] = 1
        return output


@pytest.mark.usefixtures("nothing_left")
def test_slots_of_a_dead_process_are_not_overwritten(
    recognizer: Recognizer, light_bundle: Path, queue: list[WorkQueue]
) -> None:
    """Clips are read to their end and wait for the graphs while the process dies with the next one."""

    def wait_for_the_next_process() -> None:
        deadline = time.monotonic() + HANG_S
        while len(backend.heard) == 0 and waiting(queue) < SLOTS and time.monotonic() < deadline:
            time.sleep(0.05)

    backend = SlowBackend(recognizer.manifest, 0.3, "cuda:0")
    backend.began = wait_for_the_next_process
    loud, quiet = ([ArrayClip(audio=level * tone(), name=str(level))] * SLOTS for level in (0.5, 0.25))
    with Recognizer(light_bundle, backend=backend) as slow:
        results = list(slow.predict_many([*loud, Deadly(audio=tone(), name="kill"), *quiet], jobs=1))
    assert [result.error is None for result in results] == [True] * SLOTS + [False] + [True] * SLOTS
    levels = [round(float(np.abs(sound).max() / np.abs(tone()).max()), 3) for sound in backend.heard]
    assert levels == [0.5] * SLOTS + [0.25] * SLOTS


@pytest.mark.usefixtures("nothing_left")
def test_memory_is_bounded_when_the_graphs_are_slow(
    recognizer: Recognizer, light_bundle: Path, queue: list[WorkQueue]
) -> None:
    """Processes wait for empty slots; nobody collects what they read."""
    counts: list[int] = []
    backend = SlowBackend(recognizer.manifest, 0.05)
    backend.began = lambda: counts.append(waiting(queue))
    long = ArrayClip(audio=tone(200.0), name="17 windows")
    with Recognizer(light_bundle, backend=backend) as slow:
        results = list(slow.predict_many([long] * 2, jobs=2))
    assert [result.error for result in results] == [None, None]
    assert len(counts) == 34 and SLOTS <= max(counts) <= 2 * SLOTS


@pytest.mark.usefixtures("nothing_left")
def test_closing_early_ends_everything(recognizer: Recognizer, example_clip: Path) -> None:
    results = recognizer.predict_many([example_clip] * 50, jobs=2)
    next(results)
    assert len(multiprocessing.active_children()) == 2
    assert len(memory_of(os.getpid())) == 1
    results.close()
    assert multiprocessing.active_children() == []
    assert memory_of(os.getpid()) == []


@pytest.mark.usefixtures("nothing_left")
def test_a_failing_backend_ends_everything(light_bundle: Path, example_clip: Path) -> None:
    def answer(name: str, inputs: Any) -> dict[str, Any]:
        raise GraphFailedError(f"graph {name}: broken on purpose")

    refused = pytest.raises(GraphFailedError, match="broken on purpose")
    with Recognizer(light_bundle, backend=FakeBackend(answer)) as recognizer, refused:
        list(recognizer.predict_many([example_clip] * 3, jobs=2))


@pytest.mark.usefixtures("nothing_left")
def test_a_damaged_bundle_ends_everything(light_bundle: Path, example_clip: Path, tmp_path: Path) -> None:
    """The file is one that only the processes read."""
    folder = shutil.copytree(light_bundle, tmp_path / "bundle")
    with Recognizer(folder, device="cpu", threads=1) as recognizer:
        file = folder / recognizer.manifest.graphs["pnet"].file
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        with pytest.raises(AlteredFileError, match="sha256"):
            list(recognizer.predict_many([example_clip] * 3, jobs=2))


@pytest.mark.usefixtures("nothing_left")
def test_a_closed_recogniser(light_bundle: Path) -> None:
    with Recognizer(light_bundle, device="cpu", threads=1) as recognizer:
        results = recognizer.predict_many([TONE], jobs=1)
    with pytest.raises(BackendUnavailableError, match="closed"):
        next(results)


@pytest.mark.usefixtures("nothing_left")
def test_too_little_shared_memory_is_said_before_anything_starts(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots.shutil, "disk_usage", lambda path: SimpleNamespace(free=64_000_000))
    results = recognizer.predict_many([TONE], jobs=8)
    with pytest.raises(OutputError, match=r"64 MB of shared memory are free, \d+ MB are needed; use fewer jobs"):
        next(results)
    assert next(recognizer.predict_many([TONE], jobs=1)).path == "audio"


# Programs -------------------------------------------------------------------------------------------------------------

FOREVER = """
import itertools, signal, sys
from vavl_runtime import Recognizer
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets programs in its background ignore it
    with Recognizer(device="cpu", threads=1) as recognizer:
        for result in recognizer.predict_many(itertools.repeat(sys.argv[1]), jobs=2):
            print(result.path, flush=True)
"""
NO_GUARD = """
from vavl_runtime import Recognizer
with Recognizer(device="cpu", threads=1) as recognizer:
    print(list(recognizer.predict_many(["missing.mp4"], jobs=1)))
"""
NOT_CLOSED = """
import sys
from vavl_runtime import Recognizer
if __name__ == "__main__":
    recognizer = Recognizer(device="cpu", threads=1)
    results = recognizer.predict_many([sys.argv[1]] * 9, jobs=2)
    print(next(results).path)
    sys.keeps_it = results
"""


def start(folder: Path, code: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start a program in a process group of its own, as a terminal does."""
    (folder / "program.py").write_text(code)
    return subprocess.Popen(
        [sys.executable, folder / "program.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def end(program: "subprocess.Popen[str]") -> Iterator[str]:
    """Wait for a program, and until its group and its memory are gone; gives what it wrote on stderr."""
    _, said = program.communicate(timeout=HANG_S)
    deadline = time.monotonic() + HANG_S
    while _lives(program.pid) or memory_of(program.pid):
        assert time.monotonic() < deadline, "processes or memory were left behind"
        time.sleep(0.05)
    yield said


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@LINUX
def test_an_interrupted_program_ends_its_processes(tmp_path: Path, example_clip: Path) -> None:
    program = start(tmp_path, FOREVER, example_clip)
    assert program.stdout is not None and program.stdout.readline() == "audio_visual\n"
    assert len(memory_of(program.pid)) == 1
    os.killpg(program.pid, signal.SIGINT)  # as Ctrl-C does: all processes get it
    (said,) = end(program)
    assert program.returncode == -signal.SIGINT
    assert said.count("Traceback") == 1 and said.rstrip().endswith("KeyboardInterrupt")


@LINUX
def test_the_processes_of_a_killed_program_end(tmp_path: Path, example_clip: Path) -> None:
    program = start(tmp_path, FOREVER, example_clip)
    assert program.stdout is not None and program.stdout.readline() == "audio_visual\n"
    program.kill()
    (said,) = end(program)
    assert "Traceback" not in said


@LINUX
def test_a_program_that_ends_without_closing_leaves_nothing_and_says_nothing(
    tmp_path: Path, example_clip: Path
) -> None:
    program = start(tmp_path, NOT_CLOSED, example_clip)
    (said,) = end(program)
    assert (program.returncode, said) == (0, "")


@LINUX
def test_a_program_without_the_guard_is_told(tmp_path: Path) -> None:
    program = start(tmp_path, NO_GUARD)
    (said,) = end(program)
    assert program.returncode == 1
    assert WorkerLostError.__name__ in said and "under `if __name__ == '__main__':`" in said
