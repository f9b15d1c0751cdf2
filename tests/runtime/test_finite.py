"""Answers are finite, or there is an error: a graph that computes NaN or infinity is refused by name."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.damaged_bundles import SOUND
from vavl_runtime import Arrays, Recognizer
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.errors import GraphFailedError


class Broken(OnnxRuntimeBackend):
    """Computes one element of one graph wrongly."""

    def __init__(self, name: str, value: float) -> None:
        super().__init__(threads=1)
        self._name, self._value = name, value

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        outputs = super().run(name, inputs)
        if name == self._name:
            next(iter(outputs.values())).flat[-1] = self._value
        return outputs


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["audio_encoder", "audio"])
def test_what_is_not_finite_is_an_error(name: str, value: float) -> None:
    message = f"graph {name}: its output \\w+ is not finite; verify the bundle"
    with Recognizer(backend=Broken(name, value)) as recognizer, pytest.raises(GraphFailedError, match=message):
        recognizer.predict(SOUND)
