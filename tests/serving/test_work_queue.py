"""Which clips run together, and that running them together on a GPU changes no answer."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.made_media import tone
from tests.serving.test_answers import assert_same
from vavl_runtime import ArrayClip, BackendInfo, Recognizer
from vavl_runtime.backends.base import Arrays
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.errors import InvalidArrayError
from vavl_runtime.serving.clip_state import Clip, Item, Pass
from vavl_runtime.serving.work_queue import GPU_CLIPS, WorkQueue

MANIFEST = open_bundle(PACKAGED_BUNDLE).manifest
GPU = FakeBackend(device="cuda:0")


def items(*sizes: int, graph: str = "audio_encoder") -> list[Item]:
    current = Pass(Clip(0, "clip"), MANIFEST, all_paths=False)
    window = current._window
    return [Item(current, window, graph, size) for size in sizes]


def taken(queue: WorkQueue) -> list[list[int]]:
    batches = []
    while queue:
        batches.append([item.size for item in queue.take()])
    return batches


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([100], [[100]]),
        ([100, 110, 120, 130, 140], [[100, 110, 120, 130], [140]]),  # powers of two
        ([100, 500, 110, 480], [[100, 110], [500, 480]]),  # of similar length
        ([100, 201, 199], [[100, 199], [201]]),
        ([100] * 40, [[100] * 16, [100] * 16, [100] * 8]),
    ],
)
def test_a_gpu_takes_what_waits(sizes: list[int], batches: list[list[int]]) -> None:
    queue = WorkQueue(GPU, MANIFEST)
    queue.add(items(*sizes))
    assert taken(queue) == batches


def test_paths_come_first_then_sound_then_faces() -> None:
    queue = WorkQueue(GPU, MANIFEST)
    graphs = ("face_encoder", "audio_encoder", "visual", "audio_visual")
    for graph in graphs:
        queue.add(items(1, graph=graph))
    assert [queue.take()[0].graph for _ in graphs] == ["audio_visual", "visual", "audio_encoder", "face_encoder"]


@pytest.mark.parametrize(
    ("backend", "changes"), [(FakeBackend(), {}), (GPU, {"layout": "released"})], ids=["CPU", "released layout"]
)
def test_one_clip_at_a_time(backend: FakeBackend, changes: dict[str, Any]) -> None:
    queue = WorkQueue(backend, MANIFEST.model_copy(update=changes))
    queue.add(items(100, 100, 100))
    assert taken(queue) == [[100]] * 3


def test_engines_say_how_many_clips_they_take() -> None:
    class Engines(FakeBackend):
        def most_clips(self, name: str) -> int:
            return {"audio_encoder": 2, "audio": 64}[name]

    queue = WorkQueue(Engines(device="cuda:0"), MANIFEST)
    queue.add(items(*[100] * 5))
    assert taken(queue) == [[100] * 2, [100] * 2, [100]]
    queue.add(items(*[9] * 40, graph="audio"))
    assert len(taken(queue)[0]) == GPU_CLIPS


@pytest.mark.parametrize(("rows", "batches"), [(64, [[32, 5], [32, 7]]), (4, [[32], [5], [32], [7]])])
def test_faces_by_the_batch_of_the_backend(rows: int, batches: list[list[int]]) -> None:
    backend = FakeBackend(device="cuda:0")
    queue = WorkQueue(backend, MANIFEST)
    backend.face_batch = rows  # type: ignore[attr-defined]  # known once its graph is loaded
    queue.add(items(32, 5, 32, 7, graph="face_encoder"))
    got = taken(queue)
    assert got == batches


class SeemsGpu(OnnxRuntimeBackend):
    """The CPU, which says that it is a GPU. The first run of each graph takes long, so that others come to wait."""

    reentrant = False

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.rows: dict[str, list[int]] = {}
        self.refused = -1
        self.refused_rows: list[int] = []

    @property
    def info(self) -> BackendInfo:
        return BackendInfo("onnxruntime", device="cuda:0 (made up)")

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        first = next(iter(inputs.values()))
        if first.shape[1] == self.refused:
            self.refused_rows.append(len(first))
            raise InvalidArrayError(f"graph {name}: no engine serves {first.shape}")
        self.rows.setdefault(name, []).append(len(first))
        if len(self.rows[name]) == 1:
            time.sleep(1.0)
        return super().run(name, inputs)


def tones() -> list[ArrayClip]:
    return [ArrayClip(audio=tone(seconds), name=str(seconds)) for seconds in np.linspace(1.0, 1.9, 24).round(3)]


@pytest.mark.usefixtures("nothing_left")
def test_clips_in_a_batch_get_their_own_answers(light_bundle: Path, recognizer: Recognizer, example_clip: Path) -> None:
    backend = SeemsGpu()
    clips = [example_clip, *tones(), example_clip]
    with Recognizer(light_bundle, backend=backend) as gpu:
        got = list(gpu.predict_many(clips, jobs=3))
    assert max(backend.rows["audio_encoder"]) > 1  # or nothing was tested
    assert max(backend.rows["audio"]) > 1
    assert_same(got, list(recognizer.predict_many(clips)))


@pytest.mark.usefixtures("nothing_left")
def test_only_the_clip_that_a_graph_refuses_fails(light_bundle: Path) -> None:
    """Others ran in a batch with it: they run again, alone."""
    backend = SeemsGpu()
    backend.refused = len(tone(1.95))
    clips = tones()
    clips.insert(4, ArrayClip(audio=tone(1.95), name="refused"))
    with Recognizer(light_bundle, backend=backend) as gpu:
        results = list(gpu.predict_many(clips, jobs=3))
    assert backend.refused_rows[0] > 1
    assert [result.clip for result in results if result.error is not None] == ["refused"]
    assert results[4].error is not None and results[4].error.kind == "invalid_array"
