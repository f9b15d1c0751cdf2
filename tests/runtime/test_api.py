"""The public API: what it takes, what it gives, what it refuses, and that any number of threads may use it."""

import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vavl_runtime import (
    ArrayClip,
    BackendInfo,
    ClipResult,
    InputError,
    MissingDependencyError,
    Recognizer,
    VavlError,
    open_bundle,
    to_arrow,
    to_pandas,
)
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle.manifest import REQUIRED_GRAPHS

TONE = ArrayClip(audio=(0.1 * np.sin(np.arange(16_000) / 5)).astype(np.float32), name="tone")


def without_times(result: ClipResult) -> dict[str, Any]:
    return {key: value for key, value in result.to_dict().items() if key not in ("timings_ms", "clip")}


# What a clip may be ---------------------------------------------------------------------------------------------------


def test_a_file_its_content_and_an_open_file_give_the_same(recognizer: Recognizer, example_clip: Path) -> None:
    expected = without_times(recognizer.predict(example_clip))
    assert without_times(recognizer.predict(str(example_clip))) == expected
    assert without_times(recognizer.predict(example_clip.read_bytes())) == expected
    assert without_times(recognizer.predict(io.BytesIO(example_clip.read_bytes()))) == expected
    with example_clip.open("rb") as file:
        result = recognizer.predict(file)
    assert (without_times(result), result.clip) == (expected, str(example_clip))


@pytest.mark.parametrize(
    ("clip", "kind"),
    [
        (b"", "empty_file"),
        (b"no media at all", "unsupported_media"),
        (io.BytesIO(b""), "empty_file"),
        (io.StringIO("text"), "invalid_array"),
        (3, "invalid_array"),
        (None, "invalid_array"),
        ("missing.mp4", "not_found"),
    ],
)
def test_what_is_no_clip_is_an_error_of_ours(recognizer: Recognizer, clip: Any, kind: str) -> None:
    with pytest.raises(InputError) as caught:
        recognizer.predict(clip)
    assert caught.value.kind == kind
    (result,) = recognizer.predict_many([clip if not hasattr(clip, "seek") else clip.seek(0) or clip])
    assert result.error is not None and result.error.kind == kind


def test_a_closed_file_is_unreadable(recognizer: Recognizer, example_clip: Path) -> None:
    with example_clip.open("rb") as file:
        pass
    with pytest.raises(InputError, match="cannot be read"):
        recognizer.predict(file)


# Many clips -----------------------------------------------------------------------------------------------------------


def test_one_bad_clip_is_one_result_with_an_error(recognizer: Recognizer, example_clip: Path) -> None:
    results = list(recognizer.predict_many([TONE, "missing.mp4", example_clip]))
    assert [result.clip for result in results] == ["tone", "missing.mp4", str(example_clip)]
    assert [result.error.kind if result.error else None for result in results] == [None, "not_found", None]
    bad = results[1].to_dict()
    assert bad.keys() == results[0].to_dict().keys()
    assert (bad["path"], set(bad["faces"].values()), bad["duration_s"]) == (None, {None}, None)
    assert bad["faces"].keys() == results[0].to_dict()["faces"].keys()
    assert bad["error"]["kind"] == "not_found" and "missing.mp4" in bad["error"]["message"]


def test_clips_are_taken_one_by_one(recognizer: Recognizer) -> None:
    taken = []

    def clips() -> Any:
        for number in range(3):
            taken.append(number)
            yield TONE

    results = recognizer.predict_many(clips())
    assert taken == []
    next(results)
    assert taken == [0]


@pytest.mark.parametrize("clips", ["clip.mp4", b"content", TONE, Path("clip.mp4")])
def test_one_clip_is_not_several(recognizer: Recognizer, clips: Any) -> None:
    with pytest.raises(InputError, match="put it into a list"):
        recognizer.predict_many(clips)


def test_an_unknown_use_is_refused_before_the_first_clip(recognizer: Recognizer) -> None:
    with pytest.raises(InputError, match="use: got 'sound'"):
        recognizer.predict_many([], use="sound")  # type: ignore[arg-type]


# Arguments ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"bundle": 3},
        {"bundle": b"bundle"},
        {"bundle": "no/such/bundle"},
        {"backend": 3},
        {"backend": None},
        {"backend": FakeBackend},
        {"backend": "tpu"},
        {"backend": "tensorrt", "device": "cpu"},
        {"backend": FakeBackend(), "device": "cpu"},
        {"backend": FakeBackend(), "threads": 2},
        {"device": "tpu"},
        {"device": 0},
        {"threads": 0},
        {"threads": 1.5},
        {"threads": True},
        {"stride": 0},
        {"stride": 1.5},
        {"stride": "2"},
        {"detect_every": 0},
        {"detect_every": 101},
        {"precision": "fp8"},
        {"precision": 16},
    ],
    ids=lambda arguments: "-".join(
        f"{name}-{getattr(value, '__name__', type(value).__name__)}" for name, value in arguments.items()
    ),
)
def test_impossible_arguments_are_errors_of_ours(arguments: dict[str, Any]) -> None:
    with pytest.raises(VavlError) as caught:
        Recognizer(**arguments)
    name = next(iter(arguments))
    assert any(word in str(caught.value) for word in arguments) or name in str(caught.value)


def test_an_opened_bundle_stays_open(light_bundle: Path) -> None:
    with open_bundle(light_bundle) as bundle:
        for _ in range(2):
            with Recognizer(bundle, "onnxruntime", device="cpu", threads=1) as recognizer:
                assert recognizer.predict(TONE).path == "audio"
        bundle.verify_all()


# Threads --------------------------------------------------------------------------------------------------------------


class OneAtATime(FakeBackend):
    """Fails where two threads meet in a place that it does not allow."""

    def __init__(self, *, reentrant: bool, overlaps: bool) -> None:
        super().__init__(overlaps=overlaps)
        self.reentrant = reentrant
        self._loading = threading.Lock()
        self._inside: dict[str, threading.Lock] = {}
        self.met = False

    def load(self, name: str, file: Path, record: Any) -> None:
        assert self._loading.acquire(blocking=False), "two threads load"
        assert name not in self._records, f"{name} is loaded twice"
        super().load(name, file, record)
        self._inside[name if self.overlaps else "any"] = threading.Lock()
        self._loading.release()

    def run(self, name: str, inputs: Any) -> dict[str, Any]:
        inside = self._inside[name if self.overlaps else "any"]
        alone = inside.acquire(blocking=False)
        self.met |= not alone
        threading.Event().wait(0.002)
        outputs = super().run(name, inputs)
        if alone:
            inside.release()
        return outputs


@pytest.mark.parametrize("overlaps", [False, True])
@pytest.mark.parametrize("reentrant", [False, True])
def test_graphs_are_loaded_once_and_run_as_the_backend_allows(
    light_bundle: Path, example_clip: Path, reentrant: bool, overlaps: bool
) -> None:
    backend = OneAtATime(reentrant=reentrant, overlaps=overlaps)
    start = threading.Barrier(8)

    def predict(_: int) -> str | None:
        start.wait()
        return recognizer.predict(TONE).path

    with Recognizer(light_bundle, backend) as recognizer, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(predict, range(8))) == ["audio"] * 8
    if not reentrant:
        assert not backend.met


def test_first_calls_from_many_threads_agree(light_bundle: Path, recognizer: Recognizer, example_clip: Path) -> None:
    expected = without_times(recognizer.predict(example_clip, use="audio"))
    for _ in range(3):
        start = threading.Barrier(8)

        def predict(_: int, start: threading.Barrier = start) -> dict[str, Any]:
            start.wait()
            return without_times(fresh.predict(example_clip, use="audio"))

        with Recognizer(light_bundle, threads=1) as fresh, ThreadPoolExecutor(8) as pool:
            assert all(found == expected for found in pool.map(predict, range(8)))


# Warm-up --------------------------------------------------------------------------------------------------------------


def test_warm_up_loads_and_runs_every_graph_once(light_bundle: Path, example_clip: Path) -> None:
    backend = FakeBackend()
    with Recognizer(light_bundle, backend) as recognizer:
        recognizer.warm_up()
        assert sorted(backend.calls) == sorted(REQUIRED_GRAPHS)


def test_after_warm_up_nothing_is_loaded(light_bundle: Path, example_clip: Path) -> None:
    with Recognizer(light_bundle, OnnxRuntimeBackend(1)) as recognizer:
        recognizer.warm_up()
        assert "load" not in recognizer.predict(example_clip, all_paths=True).timings_ms


# Results --------------------------------------------------------------------------------------------------------------


def test_repr_is_one_line(recognizer: Recognizer, example_clip: Path) -> None:
    results = [*recognizer.predict_many([example_clip, TONE, "two\nlines.mp4"])]
    assert all("\n" not in repr(result) for result in results)
    assert repr(results[0]).startswith(f"ClipResult({str(example_clip)!r}, audio_visual: ")
    assert "not_found" in repr(results[2])


def test_notebooks_show_a_bar_for_each_score(recognizer: Recognizer, example_clip: Path) -> None:
    text = recognizer.predict(example_clip)._repr_html_()
    assert text.count("<tr>") == len(recognizer.manifest.labels)
    assert all(label in text for label in recognizer.manifest.labels)
    (bad,) = recognizer.predict_many(["<script>.mp4"])
    assert "<script>" not in bad._repr_html_() and "not_found" in bad._repr_html_()


def test_backend_info_says_what_runs(recognizer: Recognizer) -> None:
    import onnxruntime

    info = recognizer.backend
    assert isinstance(info, BackendInfo) and not info.on_gpu and info.threads == 1
    assert str(info) == f"onnxruntime {onnxruntime.__version__} CPUExecutionProvider x1"


@pytest.mark.skipif(find_spec("pandas") is None, reason="pandas is not installed")
def test_results_become_a_data_frame(recognizer: Recognizer) -> None:
    frame = to_pandas(recognizer.predict_many([TONE, "missing.mp4"]))
    assert frame["clip"].tolist() == ["tone", "missing.mp4"]
    assert frame["error_kind"].isna().tolist() == [True, False] and frame.loc[1, "error_kind"] == "not_found"
    labels = list(recognizer.manifest.labels)
    assert frame.loc[0, labels].sum() == pytest.approx(1, abs=1e-5) and frame.loc[1, labels].isna().all()


@pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_results_become_an_arrow_table(recognizer: Recognizer) -> None:
    table = to_arrow(recognizer.predict_many([TONE, "missing.mp4"]))
    assert table["clip"].to_pylist() == ["tone", "missing.mp4"]
    assert table["error_kind"].to_pylist() == [None, "not_found"]


@pytest.mark.parametrize(("convert", "library"), [(to_pandas, "pandas"), (to_arrow, "pyarrow")])
def test_a_missing_library_is_named(convert: Any, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=f"pip install {library}"):
        convert([])
