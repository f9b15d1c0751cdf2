"""What a run answers: frozen objects, and their one JSON form (documented in ``docs/result.md``)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.errors import VavlError
from vavl_runtime.timing import StageBudget


@dataclass(frozen=True)
class Prediction:
    """One path's answer for a clip.

    Attributes:
        label: The most probable class; None for attributes.
        scores: Probability of each class, or score of each attribute on the annotation scale.
        embedding: The path's embedding, float32, shape (D,).
    """

    label: str | None
    scores: Mapping[str, float]
    embedding: NDArray[np.float32]


@dataclass(frozen=True)
class Reasons:
    """Why a modality was not used; None where it was.

    Attributes:
        audio: ``no_audio_stream``, ``silence``, ``too_short``, ``user_choice``, ``mostly_absent``, or the kind of
            the error that made the sound unusable (``empty_stream``, ``damaged_media``, ``oversized_media``).
        visual: ``no_video_stream``, ``no_face``, ``user_choice``, ``mostly_absent``, or the kind of an error.
    """

    audio: str | None
    visual: str | None


@dataclass(frozen=True)
class FaceCount:
    """Frames looked at, and how many of them show a face."""

    frames: int
    with_face: int


@dataclass(frozen=True)
class BundleIdentity:
    """Which bundle answered; ``weights`` is ``trained`` or ``untrained``."""

    name: str
    sha256: str
    weights: str


@dataclass(frozen=True)
class ClipResult:
    """The answer for one clip.

    Attributes:
        clip: Name of the clip.
        path: The path that answered; None if neither modality is usable.
        answer: Its answer, or None.
        paths: Every path's answer that was asked for, by path.
        reasons: Why a modality was not used.
        faces: Frames looked at.
        duration_s: Length of the media that was decoded, seconds.
        timings_ms: Wall time by stage, and ``total``, milliseconds.
        budget: The same with threads told apart, and how much of the total the stages account for.
        backend: What really ran.
        bundle: Which bundle answered.
    """

    clip: str
    path: PathName | None
    answer: Prediction | None
    paths: Mapping[PathName, Prediction]
    reasons: Reasons
    faces: FaceCount
    duration_s: float
    timings_ms: Mapping[str, float]
    budget: StageBudget = field(repr=False)
    backend: str
    bundle: BundleIdentity
    all_paths: bool = field(default=False, repr=False)

    @property
    def label(self) -> str | None:
        """The most probable class, or None."""
        return self.answer.label if self.answer else None

    @property
    def scores(self) -> Mapping[str, float]:
        """Scores by name; empty without an answer."""
        return self.answer.scores if self.answer else {}

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object; ``paths`` is there only if all paths were asked for."""
        record: dict[str, Any] = {
            "clip": self.clip,
            "path": self.path,
            "label": self.label,
            "scores": {name: round(value, 6) for name, value in self.scores.items()},
            "reasons": {"audio": self.reasons.audio, "visual": self.reasons.visual},
            "error": None,
            "faces": {"frames": self.faces.frames, "with_face": self.faces.with_face},
            "duration_s": round(self.duration_s, 3),
            "timings_ms": {name: round(value, 3) for name, value in self.timings_ms.items()},
            "backend": self.backend,
            "bundle": identity_json(self.bundle),
        }
        if self.all_paths:
            record["paths"] = {
                path: {"label": answer.label, "scores": {k: round(v, 6) for k, v in answer.scores.items()}}
                for path, answer in self.paths.items()
            }
        return record


def identity_json(bundle: BundleIdentity) -> dict[str, str]:
    """The bundle part of a JSON object."""
    return {"name": bundle.name, "sha256": bundle.sha256, "weights": bundle.weights}


def error_json(clip: str, error: VavlError, seconds: float, backend: str, bundle: BundleIdentity) -> dict[str, Any]:
    """The JSON object of a clip that could not be answered: the same keys as an answer's, null where unknown."""
    return {
        "clip": clip,
        "path": None,
        "label": None,
        "scores": {},
        "reasons": {"audio": None, "visual": None},
        "error": {"kind": error.kind, "message": str(error)},
        "faces": {"frames": None, "with_face": None},
        "duration_s": None,
        "timings_ms": {"total": round(1000 * seconds, 3)},
        "backend": backend,
        "bundle": identity_json(bundle),
    }
