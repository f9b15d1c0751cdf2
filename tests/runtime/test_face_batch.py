"""How many faces one run of the encoder takes is the backend's to say."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime import Recognizer
from vavl_runtime.backends.base import DEFAULT_FACE_BATCH, Arrays
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.result import ClipResult


class _Counting(OnnxRuntimeBackend):
    """Notes how many faces come at once."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.batches: list[int] = []

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        if name == "face_encoder":
            self.batches.append(len(inputs["faces"]))
        return super().run(name, inputs)


class _Large(_Counting):
    @property
    def face_batch(self) -> int:
        assert "face_encoder" in self._sessions, "a backend may know it only once the graph is loaded"
        return 7


def _predict(backend: _Counting, clip: Path) -> ClipResult:
    with Recognizer(backend=backend) as recognizer:
        return recognizer.predict(clip, use="visual")


def test_the_backend_says_the_batch(example_clip: Path) -> None:
    plain, large = _Counting(), _Large()
    expected, got = _predict(plain, example_clip), _predict(large, example_clip)
    assert set(plain.batches[:-1]) == {DEFAULT_FACE_BATCH}
    assert set(large.batches[:-1]) == {7}
    assert sum(plain.batches) == sum(large.batches)
    for name, score in expected.scores.items():
        np.testing.assert_allclose(got.scores[name], score, atol=1e-5)
