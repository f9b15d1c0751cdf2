"""Sound and picture at the same time, on a backend that says so: same answers, same errors, no thread left behind."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.made_media import face_pictures, film_of_a_face, tone
from vavl_runtime import Recognizer
from vavl_runtime.backends.base import Arrays
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle.manifest import CropRecipe, GraphRecord, Limits
from vavl_runtime.errors import BackendUnavailableError, DamagedMediaError
from vavl_runtime.media import Frame, SoundBlock
from vavl_runtime.media.file import FileSource
from vavl_runtime.pipeline.availability import Presence
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.feature_reader import FeatureReader
from vavl_runtime.pipeline.threads import run_in_background
from vavl_runtime.timing import WAIT, StageTimer

TIMEOUT_S = 60
Outputs = dict[str, NDArray[Any]]


class Watched(FakeBackend):
    """Answers as ONNX Runtime does, and tells ``before`` of every run.

    Attributes:
        threads: Name of the thread of every run, by graph.
    """

    def __init__(self, before: Callable[[str], None] = lambda name: None, *, overlaps: bool = True) -> None:
        super().__init__(self._answer_really, overlaps=overlaps)
        self._real = OnnxRuntimeBackend(1)
        self._before = before
        self.threads: dict[str, set[str]] = {}

    def load(self, name: str, file: Path, record: GraphRecord) -> None:
        super().load(name, file, record)
        self._real.load(name, file, record)

    def _answer_really(self, name: str, inputs: Arrays) -> Outputs:
        self.threads.setdefault(name, set()).add(threading.current_thread().name)
        self._before(name)
        return self._real.run(name, inputs)


def no_thread_is_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name in ("sound", "frames")]


# The thread -----------------------------------------------------------------------------------------------------


def test_the_work_runs_during_the_block() -> None:
    timer = StageTimer()
    inside = threading.Event()

    def work() -> int:
        assert inside.wait(TIMEOUT_S)
        with timer.stage("work"):
            return 3

    with run_in_background(work, timer, "sound") as result:
        inside.set()
        assert result() == 3
    busy = timer.budget().busy_s
    assert busy["sound"].keys() == {"work"}
    assert busy[threading.current_thread().name].keys() == {WAIT}


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("block", [None, DamagedMediaError("the picture")])
@pytest.mark.parametrize("work", [None, BackendUnavailableError("the sound")])
def test_errors_are_those_of_one_thread(work: Exception | None, block: Exception | None, asked: bool) -> None:
    """The error of the work comes first, as if the block had begun after it."""

    def run() -> None:
        if work is not None:
            raise work

    def both() -> None:
        with run_in_background(run, StageTimer(), "sound") as result:
            if block is not None:
                raise block
            if asked or work is not None:
                result()

    expected = work or block
    if expected is None:
        both()
    else:
        with pytest.raises(type(expected)) as caught:
            both()
        assert caught.value is expected
    assert no_thread_is_left()


def test_a_block_that_is_interrupted_waits_for_the_thread() -> None:
    ended = threading.Event()
    go_on = threading.Event()

    def work() -> None:
        assert go_on.wait(TIMEOUT_S)
        ended.set()
        raise DamagedMediaError("of no interest any more")

    with pytest.raises(KeyboardInterrupt), run_in_background(work, StageTimer(), "sound"):
        threading.Timer(0.05, go_on.set).start()
        raise KeyboardInterrupt
    assert ended.is_set() and no_thread_is_left()


# A clip ---------------------------------------------------------------------------------------------------------


def test_faces_are_encoded_while_the_sound_is(light_bundle: Path, example_clip: Path) -> None:
    faces_began = threading.Event()

    def before(name: str) -> None:
        if name == "face_encoder":
            faces_began.set()
        elif name == "audio_encoder":  # one after the other, this would wait in vain
            assert faces_began.wait(TIMEOUT_S), "no face was encoded while the sound was"

    backend = Watched(before)
    with Recognizer(light_bundle, backend=backend) as recognizer:
        result = recognizer.predict(example_clip)
    assert result.path == "audio_visual"
    here = threading.current_thread().name
    assert backend.threads.pop("audio_encoder") == {"sound"}
    assert set.union(*backend.threads.values()) == {here}
    assert result.budget.busy_s["sound"].keys() == {"audio_encoder", "load"}
    assert no_thread_is_left()


def test_answers_are_the_same_to_the_bit(light_bundle: Path, example_clip: Path) -> None:
    answers = []
    for overlaps in (False, True):
        backend = Watched(overlaps=overlaps)
        with Recognizer(light_bundle, backend=backend) as recognizer:
            for use in ("auto", "audio", "visual"):
                answer = recognizer.predict(example_clip, use=use, all_paths=True).to_dict()  # type: ignore[arg-type]
                answers.append({key: value for key, value in answer.items() if key != "timings_ms"})
        assert ("sound" in backend.threads["audio_encoder"]) == overlaps
    assert answers[:3] == answers[3:]


def test_without_the_capability_everything_runs_here(light_bundle: Path, example_clip: Path) -> None:
    assert not OnnxRuntimeBackend.overlaps
    backend = Watched(overlaps=False)
    with Recognizer(light_bundle, backend=backend) as recognizer:
        recognizer.predict(example_clip)
    assert set.union(*backend.threads.values()) == {threading.current_thread().name}


@pytest.mark.parametrize("overlaps", [False, True])
@pytest.mark.parametrize("failing", ["audio_encoder", "pnet", "face_encoder"])
def test_a_graph_that_fails_ends_the_clip(failing: str, overlaps: bool, light_bundle: Path, example_clip: Path) -> None:
    error = BackendUnavailableError(f"graph {failing}: the GPU is gone")

    def before(name: str) -> None:
        if name == failing:
            raise error

    with (
        Recognizer(light_bundle, backend=Watched(before, overlaps=overlaps)) as recognizer,
        pytest.raises(BackendUnavailableError) as caught,
    ):
        recognizer.predict(example_clip)
    assert caught.value is error
    assert no_thread_is_left()


@pytest.mark.parametrize("overlaps", [False, True])
def test_a_picture_that_breaks_is_left_out(
    overlaps: bool, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the sound of the window is being encoded, which is then done anew, alone."""
    film = film_of_a_face(tmp_path / "film.mkv", face_pictures(), tone())
    frames = FileSource.frames

    def breaks(source: FileSource) -> Iterator[Frame]:
        yield from (frame for frame, _ in zip(frames(source), range(3), strict=False))
        raise DamagedMediaError("cut short")

    monkeypatch.setattr(FileSource, "frames", breaks)
    with Recognizer(light_bundle, backend=Watched(overlaps=overlaps)) as recognizer:
        result = recognizer.predict(film)
    assert (result.path, result.reasons.audio, result.reasons.visual) == ("audio", None, "damaged_media")
    assert no_thread_is_left()


class TwoWindows:
    """Two windows of sound and picture."""

    name = "made"
    has_audio = has_video = True

    def sound(self) -> Iterator[SoundBlock]:
        yield SoundBlock(0.0, tone(20.0))

    def frames(self) -> Iterator[Frame]:
        for second in range(20):
            yield Frame(float(second), np.zeros((64, 64, 3), np.uint8), 1.0)


def test_a_clip_that_is_left_early_leaves_no_thread() -> None:
    threads: list[str] = []

    def run(name: str, inputs: Arrays) -> Outputs:
        if name == "audio_encoder":
            threads.append(threading.current_thread().name)
            return {"audio_features": np.zeros((1, 4, 2), np.float32)}
        assert name == "pnet"  # which sees nothing
        return {"probability": np.zeros((1, 3, 3), np.float32), "offsets": np.zeros((1, 4, 3, 3), np.float32)}

    source = TwoWindows()
    context = ClipContext(source, CropRecipe(), Limits(), Presence(source, "auto", {}), StageTimer())
    reader = FeatureReader(context, run, overlap=True)
    windows = reader.windows()
    audio, _ = next(windows)
    assert audio is not None and threads == ["sound"]
    assert "sound" not in {thread.name for thread in threading.enumerate()}
    windows.close()
    assert threads == ["sound"] and no_thread_is_left()
