"""Graphs that compute something else than their manifest says, and manifests that announce what nobody can read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.damaged_bundles import SOUND, edit_manifest, refused_when_opened
from vavl_runtime import ArrayClip, Arrays, Recognizer
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE
from vavl_runtime.errors import GraphFailedError, ManifestError

FILM = ArrayClip(frames=np.full((2, 64, 64, 3), 99, np.uint8))
F32 = np.float32
ANSWERS: dict[str, tuple[str, dict[str, NDArray[Any]], ArrayClip, str]] = {
    "another batch": (
        "audio",
        {"prediction": np.zeros((2, 6), F32)},
        SOUND,
        r"prediction: got float32 \(2, 6\)",
    ),
    "no batch": ("audio", {"embedding": np.zeros((0, 64), F32)}, SOUND, r"embedding: got float32 \(0, 64\)"),
    "another width": (
        "audio",
        {"prediction": np.zeros((1, 5), F32)},
        SOUND,
        r"prediction: got float32 \(1, 5\)",
    ),
    "an axis less": (
        "audio_encoder",
        {"audio_features": np.zeros((1, 28), F32)},
        SOUND,
        r"got float32 \(1, 28\)",
    ),
    "another type": ("audio", {"prediction": np.zeros((1, 6))}, SOUND, "prediction: got float64"),
    "nothing": ("audio", {"prediction": None}, SOUND, "prediction: got NoneType"),  # type: ignore[dict-item]
    "unequal maps": ("pnet", {"offsets": np.zeros((1, 4, 2, 1), F32)}, FILM, "pnet: gives maps of"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_of_another_form_is_an_error_of_ours(case: str) -> None:
    name, wrong, clip, message = ANSWERS[case]
    right = FakeBackend()

    def answer(graph: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        return {**right.run(graph, inputs), **(wrong if graph == name else {})}

    backend = FakeBackend(answer)
    with Recognizer(PACKAGED_BUNDLE, backend) as recognizer:
        right._records = backend._records
        with pytest.raises(GraphFailedError, match=message):
            recognizer.predict(clip)


@pytest.mark.parametrize(
    ("graph", "change"),
    [
        ("pnet", lambda outputs: outputs[0].update(name="other")),
        ("pnet", lambda outputs: outputs[1]["shape"].pop()),
        ("rnet", lambda outputs: outputs[1].update(shape=["boxes", 5])),
        ("onet", lambda outputs: outputs.pop()),
        ("audio_encoder", lambda outputs: outputs[0].update(dtype="int64")),
        ("face_encoder", lambda outputs: outputs[0]["shape"].append(3)),
    ],
)
def test_outputs_that_nobody_can_read_are_refused(graph: str, change: Any, bundle: Path) -> None:
    edit_manifest(bundle, lambda manifest: change(manifest["graphs"][graph]["outputs"]))
    refused_when_opened(bundle, ManifestError, f"graph {graph} gives .*, expected float32 of the shapes")
