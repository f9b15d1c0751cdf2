"""The three timing scopes: one graph; the model, from waveform and face crops; a clip, from its file.

Making a subject prepares its inputs and `load` loads its graphs, so that `query` is the work alone.
"""

import hashlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vavl_bench.inputs import FPS, check_length, graph_inputs, noise_faces, noise_waveform
from vavl_bench.schema import Media
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.errors import InputError
from vavl_runtime.pipeline.availability import Use
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.recognizer import Recognizer
from vavl_runtime.timing import StageBudget, StageTimer

DEFAULT_CLIP = Path(__file__).parent / "astronaut.mp4"  # examples/astronaut.mp4: 3 s, a face, speech
PATH_USES: dict[str, Use] = {"audio_visual": "auto", "audio": "audio", "visual": "visual"}
_SEEN = ("face_encoder", "visual", "audio_visual")
_TIMED = ("audio_encoder", "audio", "visual", "audio_visual")  # graphs whose input has a length in seconds


class Subject(Protocol):
    """Something to measure.

    Attributes:
        media: One clip of a query.
        budgets: Stage budget of every query, where the scope has stages.
    """

    media: Media
    budgets: list[StageBudget]

    @property
    def backend(self) -> str:
        """What ran the queries so far, in its own words."""

    def load(self) -> None:
        """Load the graphs."""

    def query(self) -> None:
        """Do the work once."""


class GraphSubject:
    """One graph, tensors in host memory in and out; copies to and from a device are part of it.

    Args:
        graphs: The bundle's graphs.
        name: The graph.
        batch: Clips, or items where the graph knows no clips.
        seconds: Length of a clip.
    """

    def __init__(self, graphs: GraphRunner, name: str, batch: int, seconds: float) -> None:
        manifest = graphs.bundle.manifest
        if name not in manifest.graphs:
            raise InputError(f"graph {name}: not in bundle {manifest.name}, which has {', '.join(manifest.graphs)}")
        timed = name in _TIMED
        if timed:
            check_length(seconds, manifest.limits)
        self._graphs = graphs
        self._name = name
        self._inputs = graph_inputs(name, manifest.graphs[name], batch, seconds)
        frames = round(seconds * FPS) if name in ("visual", "audio_visual") else 1 if name == "face_encoder" else None
        self.media = Media(seconds=seconds if timed else None, frames=frames)
        self.budgets: list[StageBudget] = []

    @property
    def backend(self) -> str:
        """What ran the queries so far, in its own words."""
        return str(self._graphs.backend.info)

    def load(self) -> None:
        """Load the graph."""
        self._graphs.load(self._name, StageTimer())

    def query(self) -> None:
        """Run the graph."""
        self._graphs.backend.run(self._name, self._inputs)


class ModelSubject:
    """A path with its encoders: waveform and face crops in, prediction out.

    Args:
        graphs: The bundle's graphs.
        path: The path.
        batch: Clips of a query.
        seconds: Length of a clip.
    """

    def __init__(self, graphs: GraphRunner, path: PathName, batch: int, seconds: float) -> None:
        check_length(seconds, graphs.bundle.manifest.limits)
        self._graphs = graphs
        self._path = path
        self._batch = batch
        self._timer = StageTimer()
        frames = round(seconds * FPS) if path in _SEEN else None
        self._waveform = noise_waveform(batch, seconds) if path != "visual" else None
        self._faces = noise_faces(batch * frames) if frames else None
        self.media = Media(seconds=seconds, frames=frames)
        self.budgets: list[StageBudget] = []

    @property
    def backend(self) -> str:
        """What ran the queries so far, in its own words."""
        return str(self._graphs.backend.info)

    def load(self) -> None:
        """Load the path and its encoders."""
        if self._waveform is not None:
            self._graphs.load("audio_encoder", self._timer)
        if self._faces is not None:
            self._graphs.load("face_encoder", self._timer)
        self._graphs.load(self._path, self._timer)

    def query(self) -> None:
        """Encode and predict."""
        inputs: dict[str, NDArray[Any]] = {}
        if self._waveform is not None:
            samples = np.full(self._batch, self._waveform.shape[1], np.int64)
            output = self._run("audio_encoder", {"waveform": self._waveform, "samples": samples})
            inputs |= {"audio_features": output["audio_features"], "audio_lengths": output["audio_lengths"]}
        if self._faces is not None:
            size = self._graphs.face_batch(self._timer)
            encoded = [
                self._run("face_encoder", {"faces": self._faces[first : first + size]})["face_features"]
                for first in range(0, len(self._faces), size)
            ]
            features = np.concatenate(encoded).reshape(self._batch, -1, encoded[0].shape[1])  # (B, T_v, F)
            inputs |= {
                "visual_features": features,
                "visual_lengths": np.full(self._batch, features.shape[1], np.int64),
            }
        self._run(self._path, inputs)

    def _run(self, name: str, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return self._graphs.run(name, inputs, self._timer)


class ClipSubject:
    """A whole clip: file in, result out.

    Args:
        recognizer: An open recogniser.
        clip: The media file.
        path: The path to measure.
        batch: Clips of a query, predicted one after the other.
    """

    def __init__(self, recognizer: Recognizer, clip: Path, path: PathName, batch: int) -> None:
        self._recognizer = recognizer
        self._clip = clip
        self._path = path
        self._batch = batch
        self.budgets: list[StageBudget] = []
        self.media = Media(seconds=None)  # known after the first query

    @property
    def backend(self) -> str:
        """What ran the queries so far, in its own words."""
        return str(self._recognizer.backend)

    def load(self) -> None:
        """Nothing: the recogniser loads a graph when a clip first needs it."""

    def query(self) -> None:
        """Predict the clip."""
        for _ in range(self._batch):
            result = self._recognizer.predict(self._clip, use=PATH_USES[self._path])
            self.budgets.append(result.budget)
        if self.media.seconds is None:
            if result.path != self._path:
                raise InputError(
                    f"{self._clip}: the runtime took the path {result.path}, expected {self._path} "
                    f"(audio: {result.reasons.audio or 'used'}, visual: {result.reasons.visual or 'used'}); "
                    "measure a clip with both modalities, or another path"
                )
            self.media = Media(
                seconds=result.duration_s,
                frames=result.faces.frames or None,
                file=self._clip.name,
                sha256=hashlib.sha256(self._clip.read_bytes()).hexdigest(),
            )
