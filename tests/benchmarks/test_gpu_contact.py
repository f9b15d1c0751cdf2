"""The checks before anything is timed: they notice stale replays, a second thread that fails, and wrong answers."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.gpu import contact
from benchmarks.gpu.apart import Context
from benchmarks.gpu.contact import KeepingRunner, compare_with_reference, why_not_timed, worst_error
from benchmarks.gpu.plan import HEADLINES, Point
from vavl_runtime.backends.base import Arrays
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle

SHARE = 10  # shorter clips, as in a rehearsal


class Replaying(OnnxRuntimeBackend):
    """Answers a shape that comes back with its first answer, as a CUDA graph whose inputs are not copied."""

    def __init__(self) -> None:
        super().__init__(1)
        self._answers: dict[Any, dict[str, NDArray[Any]]] = {}

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        key = tuple(value.shape for value in inputs.values())
        if key not in self._answers:
            self._answers[key] = super().run(name, inputs)
        return self._answers[key]


class OneThread(OnnxRuntimeBackend):
    """Fails outside of the main thread."""

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("captured in another thread")
        return super().run(name, inputs)


def check(backend: OnnxRuntimeBackend, graph: str = "audio") -> dict[str, Any]:
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        return contact._check(KeepingRunner(bundle, backend), graph, 2e-4, SHARE)


def test_right_answers_pass() -> None:
    result = check(OnnxRuntimeBackend(1))
    assert "error" not in result
    assert max(result["worst"], result["second_thread"]) < 2e-4


def test_a_stale_replay_is_noticed() -> None:
    assert "against the CPU" in check(Replaying())["error"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_second_thread_that_fails_is_noticed() -> None:
    assert "second thread" in check(OneThread(1))["error"]


@pytest.mark.parametrize("answer", [np.ones(4), np.array([1.0, np.nan]), np.array([1.0, 3.0])])
def test_wrong_answers_have_a_large_error(answer: NDArray[Any]) -> None:
    assert worst_error({"prediction": answer}, {"prediction": np.array([1.0, 2.0])}) > 0.1


def test_a_missing_output_is_wrong() -> None:
    assert worst_error({}, {"prediction": np.ones(2)}) == float("inf")


def test_every_side_is_compared_with_the_cpu(tmp_path: Path) -> None:
    context = Context("cpu", "tiny", tmp_path, tmp_path, True, {})
    expected = {"prediction": np.ones((1, 6), np.float32)}
    np.savez(contact.reference_file(context, HEADLINES[0]), **expected)
    compare_with_reference(context, HEADLINES[0], {"prediction": np.full((1, 6), 1.001)}, "fp16")
    for precision, value in (("fp32", 1.001), ("fp16", 1.1)):
        with pytest.raises(ValueError, match="against ONNX Runtime's CPU"):
            compare_with_reference(context, HEADLINES[0], {"prediction": np.full((1, 6), value)}, precision)


def test_what_failed_or_was_not_checked_is_not_timed() -> None:
    right = {name: {"worst": 0.0} for name in ("audio_encoder", "audio")}
    found = {"parity fp16": {"results": right | {"visual": {"error": "no kernel image"}}}}
    assert why_not_timed(found, "fp16", HEADLINES[0]) is None
    assert why_not_timed(found, "fp16", Point("graph", "visual")) == "visual: no kernel image"
    assert why_not_timed(found, "fp16", HEADLINES[1]) == "face_encoder was not compared with the CPU"
    assert why_not_timed(found, "fp32", HEADLINES[0]) is not None
