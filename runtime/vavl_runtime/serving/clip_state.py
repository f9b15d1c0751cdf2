"""What the owner of the graphs holds of a clip: what has come of its windows, and what the graphs gave for them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import Manifest, PathName
from vavl_runtime.media.source import SAMPLE_RATE
from vavl_runtime.pipeline.aggregate import PathPredictions
from vavl_runtime.pipeline.feature_reader import Features, face_tokens
from vavl_runtime.pipeline.path_runs import PathRun, path_runs
from vavl_runtime.pipeline.together import Stretch
from vavl_runtime.serving.messages import Done, Sound, WindowEnd

Seconds = Mapping[str, float]  # by stage
GRAPHS: tuple[str, ...] = ("audio_visual", "audio", "visual", "audio_encoder", "face_encoder")


@dataclass(eq=False)
class Clip:
    """A clip that a worker has begun to read.

    Attributes:
        number: Its place among the results.
        name: How results call it.
        started_s: When it was given to the worker, by `time.perf_counter`.
        current: The pass over it that counts; None once it has a result. What belongs to another pass is void.
    """

    number: int
    name: str
    started_s: float = field(default_factory=time.perf_counter)
    current: "Pass | None" = None


@dataclass(eq=False)
class Window:
    """One window: its features as they come.

    Attributes:
        audio: Its audio features, once encoded.
        sound: Where it has sound.
        sound_waits: That is not encoded yet.
        faces: Features of its face crops by slot, shape (T, F) each; None where they are not encoded yet.
        times_s: When each of these faces was seen, seconds.
        end: What the worker said at its end; None until all of the window has come.
    """

    audio: Features | None = None
    sound: Stretch | None = None
    sound_waits: bool = False
    faces: list[NDArray[np.float32] | None] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    end: WindowEnd | None = None


@dataclass(frozen=True, eq=False)
class Item:
    """Something that a graph must compute.

    Attributes:
        owner: The pass that it belongs to.
        window: The window.
        graph: The graph, one of `GRAPHS`.
        size: Samples, crops, or tokens.
        slot: Which slot holds the input; of no use for a path.
        place: Of a slot of crops among those of its window.
        run: Of a path: its inputs, and what the result counts.
    """

    owner: "Pass"
    window: Window
    graph: str
    size: int
    slot: int = -1
    place: int = 0
    run: PathRun | None = None

    @property
    def void(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.owner.clip.current is not self.owner


class Pass:
    """One pass over one clip.

    Args:
        clip: The clip.
        manifest: Says how faces become tokens.
        all_paths: Where a window has both modalities, run the unimodal paths too.

    Attributes:
        predictions: What the paths gave so far.
        done: What the worker said at its end; None before.
        busy_s: Time in the graphs by stage, seconds: of a batch, the share that this clip has of it.
    """

    def __init__(self, clip: Clip, manifest: Manifest, *, all_paths: bool) -> None:
        self.clip = clip
        self.predictions = PathPredictions()
        self.done: Done | None = None
        self.busy_s: dict[str, float] = {}
        self._all_paths = all_paths
        self._token_rate = manifest.crop.token_rate
        self._max_tokens = manifest.limits.max_tokens
        self._window = Window()
        self._waiting = 0

    @property
    def complete(self) -> bool:
        """Whether everything was read and computed."""
        return self.done is not None and self._waiting == 0

    def sound(self, message: Sound) -> Item:
        """Note that a slot holds the sound of the window that is being read."""
        self._window.sound_waits = True
        self._window.sound = Stretch(message.start_s, message.end_s, message.samples / SAMPLE_RATE)
        return self._awaited(Item(self, self._window, "audio_encoder", message.samples, message.slot))

    def crops(self, slot: int, times_s: Sequence[float]) -> Item:
        """Note that a slot holds the next crops of the window that is being read, seen at these times."""
        self._window.faces.append(None)
        self._window.times_s.extend(times_s)
        place = len(self._window.faces) - 1
        return self._awaited(Item(self, self._window, "face_encoder", len(times_s), slot, place))

    def end_window(self, message: WindowEnd) -> list[Item]:
        """Note that all of a window has come; gives the paths to run, if its features are all there."""
        window, self._window = self._window, Window()
        window.end = message
        return self._paths(window)

    def accept(self, item: Item, output: dict[str, NDArray[Any]]) -> list[Item]:
        """Take what a graph gave for an item.

        Args:
            item: One that this pass has made.
            output: ``audio_features`` (T, F), ``face_features`` (T, F), or ``prediction`` (1, C) and ``embedding``
                (1, D).

        Returns:
            The paths to run next.
        """
        self._waiting -= 1
        window = item.window
        if item.run is not None:
            self.predictions.add(item.run.path, item.run.seconds, output, chosen=item.run.chosen)
            return []
        if item.graph == "audio_encoder":
            assert window.sound is not None  # the item comes of it
            window.audio = Features(output["audio_features"][None], window.sound.covered_s, window.sound)
            window.sound_waits = False
        else:
            window.faces[item.place] = output["face_features"]
        return self._paths(window)

    def _paths(self, window: Window) -> list[Item]:
        if window.end is None or window.sound_waits:
            return []
        parts = [part for part in window.faces if part is not None]
        if len(parts) < len(window.faces):
            return []
        visual = None
        if window.end.faces is not None:
            tokens = self._tokens(parts, window.times_s)
            visual = Features(tokens[None], window.end.picture_s, window.end.faces)
        runs = path_runs(window.audio, visual, all_paths=self._all_paths)
        return [self._awaited(Item(self, window, run.path, _tokens(run), run=run)) for run in runs]

    def _tokens(self, parts: Sequence[NDArray[np.float32]], times_s: Sequence[float]) -> NDArray[np.float32]:
        return face_tokens(np.concatenate(parts), times_s, self._token_rate, self._max_tokens)

    def _awaited(self, item: Item) -> Item:
        self._waiting += 1
        return item


def _tokens(run: PathRun) -> int:
    return max(int(value.shape[1]) for name, value in run.inputs.items() if name.endswith("_features"))


def modality_inputs(path: PathName) -> tuple[str, ...]:
    """The modalities that a path graph takes."""
    return ("audio", "visual") if path == "audio_visual" else (path,)
