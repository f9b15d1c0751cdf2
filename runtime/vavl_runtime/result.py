"""The result of a clip: frozen objects, and their one JSON form (documented in ``docs/result.md``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.backends.base import BackendInfo
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.errors import VavlError
from vavl_runtime.notes import Note
from vavl_runtime.stream_numbers import StreamNumbers
from vavl_runtime.timing import StageBudget


@dataclass(frozen=True)
class Prediction:
    """What one path predicts for a clip.

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
class TakenFace:
    """The face that was taken from a frame, the largest one.

    Attributes:
        time_s: Time of the frame, seconds.
        box: (x1, y1, x2, y2) in pixels of the upright frame; may reach over its edge.
    """

    time_s: float
    box: tuple[float, ...]


@dataclass(frozen=True)
class FaceCount:
    """Frames looked at, and how many of them show a face.

    Attributes:
        frames: Frames looked at.
        with_face: Those that show a face.
        at_once: Faces in the frame that shows the most, of those that were searched. Faces much smaller than the one
            that is followed may be missing.
        taken: The face that was taken from that frame; None without a face.
    """

    frames: int
    with_face: int
    at_once: int = 0
    taken: TakenFace | None = None


@dataclass(frozen=True)
class Extent:
    """Where in a clip a modality was used.

    Attributes:
        start_s: Time of its first sound or face, seconds.
        end_s: Time after its last, seconds.
        share: How much of the clip it covers, 0 to 1: of the sound the windows that are heard, of the picture the
            frames that show a face.
    """

    start_s: float
    end_s: float
    share: float


@dataclass(frozen=True)
class Coverage:
    """Where in a clip each modality was found; None where it was not."""

    audio: Extent | None = None
    visual: Extent | None = None


@dataclass(frozen=True)
class BundleIdentity:
    """Which bundle was used.

    Attributes:
        name: Its name.
        sha256: Hash of its manifest, which holds the hashes of all its files.
        weights: ``trained`` or ``untrained``.
        scale: Lowest and highest score of its attributes; None for a bundle of classes.
    """

    name: str
    sha256: str
    weights: str
    scale: tuple[float, float] | None = None


@dataclass(frozen=True, repr=False)
class ClipResult:
    """The result of one clip.

    Attributes:
        clip: Name of the clip.
        path: The path that gave the result; None if neither modality is usable.
        prediction: What that path predicts, or None.
        paths: What every path that was asked for predicts, by path.
        reasons: Why a modality was not used.
        faces: Frames processed, how many show a face, and how many faces there were.
        coverage: From when to when sound was heard and faces were seen.
        duration_s: Length of the media that was decoded, seconds.
        timings_ms: Wall time by stage, and ``total``, milliseconds.
        budget: The same by thread, and how much of the total the stages account for.
        backend: What really ran the graphs.
        bundle: Which bundle was used.
        all_paths: Whether all paths were asked for.
        notes: What is worth knowing about the media that were read, such as what of them was lost.
        streams: Which streams of the file were read, by their numbers.
        error: Why the clip could not be read; only in the results of `Recognizer.predict_many`. Counts are zero then.
    """

    clip: str
    path: PathName | None
    prediction: Prediction | None
    paths: Mapping[PathName, Prediction]
    reasons: Reasons
    faces: FaceCount
    duration_s: float
    timings_ms: Mapping[str, float]
    budget: StageBudget
    backend: BackendInfo
    bundle: BundleIdentity
    all_paths: bool = False
    coverage: Coverage = Coverage()
    notes: tuple[Note, ...] = ()
    streams: StreamNumbers = field(default_factory=StreamNumbers)
    error: VavlError | None = None

    @classmethod
    def failed(
        cls, clip: str, error: VavlError, seconds: float, backend: BackendInfo, bundle: BundleIdentity
    ) -> "ClipResult":
        """Make the result of a clip that could not be read, after so many seconds."""
        return cls(
            clip=clip,
            path=None,
            prediction=None,
            paths={},
            reasons=Reasons(None, None),
            faces=FaceCount(0, 0),
            duration_s=0.0,
            timings_ms={"total": 1000 * seconds},
            budget=StageBudget(seconds, 0.0, 0.0, {}),
            backend=backend,
            bundle=bundle,
            error=error,
        )

    @property
    def label(self) -> str | None:
        """The most probable class, or None."""
        return self.prediction.label if self.prediction else None

    @property
    def scores(self) -> Mapping[str, float]:
        """Scores by name; empty without a prediction."""
        return self.prediction.scores if self.prediction else {}

    def __repr__(self) -> str:
        summary = " ".join(self._summary().splitlines())  # file names may hold line breaks
        return f"ClipResult({self.clip!r}, {summary}, {self.timings_ms['total']:.0f} ms)"

    def _summary(self) -> str:
        if self.error is not None:
            return f"{self.error.kind}: {self.error}"
        if self.prediction is None:
            return f"no prediction, audio: {self.reasons.audio}, visual: {self.reasons.visual}"
        if self.label is not None:
            return f"{self.path}: {self.label} {self.scores[self.label]:.2f}"
        return f"{self.path}: {attributes_text(self.scores, self.bundle.scale)}"

    def _repr_html_(self) -> str:
        """A small bar chart of the scores, which notebooks show."""
        from vavl_runtime.result_html import result_html  # only notebooks need it

        return result_html(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON object; ``paths`` is there only if all paths were asked for.

        A clip that could not be read has the same keys, with null where nothing is known.
        """
        error = self.error
        read = error is None
        record: dict[str, Any] = {
            "clip": self.clip,
            "path": self.path,
            "label": self.label,
            "scores": {name: round(value, 6) for name, value in self.scores.items()},
            "scale": list(self.bundle.scale) if self.bundle.scale else None,
            "reasons": {"audio": self.reasons.audio, "visual": self.reasons.visual},
            "error": {"kind": error.kind, "message": str(error)} if error is not None else None,
            "faces": {
                "frames": self.faces.frames if read else None,
                "with_face": self.faces.with_face if read else None,
                "at_once": self.faces.at_once if read else None,
                "taken": _taken(self.faces.taken),
            },
            "coverage": {"audio": _extent(self.coverage.audio), "visual": _extent(self.coverage.visual)},
            "duration_s": round(self.duration_s, 3) if read else None,
            "timings_ms": {name: round(value, 3) for name, value in self.timings_ms.items()},
            "backend": str(self.backend),
            "bundle": {"name": self.bundle.name, "sha256": self.bundle.sha256, "weights": self.bundle.weights},
            "notes": [{"kind": n.kind, "modality": n.modality, "message": n.message} for n in self.notes],
            "streams": {"audio": self.streams.audio, "visual": self.streams.visual},
        }
        if self.all_paths:
            record["paths"] = {
                path: {"label": found.label, "scores": {name: round(v, 6) for name, v in found.scores.items()}}
                for path, found in self.paths.items()
            }
        return record


def attributes_text(scores: Mapping[str, float], scale: Sequence[float] | None) -> str:
    """Scores of attributes with their scale, such as ``arousal 3.20, valence 2.10 (1 to 5)``; empty without scores."""
    text = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
    return f"{text} ({scale[0]:g} to {scale[1]:g})" if text and scale else text


def _extent(extent: Extent | None) -> dict[str, float] | None:
    return None if extent is None else {name: round(value, 3) for name, value in vars(extent).items()}


def _taken(face: TakenFace | None) -> dict[str, Any] | None:
    return None if face is None else {"time_s": round(face.time_s, 3), "box": [round(side, 1) for side in face.box]}
