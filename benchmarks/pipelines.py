"""From file to answer without this runtime: facenet-pytorch and PyAV around graphs that any engine runs."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray

from benchmarks.decoding import decode_frames, decode_sound
from benchmarks.engines import Run
from vavl_runtime.bundle.manifest import CropRecipe
from vavl_runtime.faces import crop_face, track_face
from vavl_runtime.media import Frame

# Of the runtime, which decodes frames in a thread of its own, "decode" is what the rest waits for, and "alongside" what
# that thread takes; here nothing runs alongside.
STAGES = ("decode", "alongside", "detect", "crop", "audio_encoder", "face_encoder", "path")


class PeerPipeline:
    """Detects faces with facenet-pytorch, crops them like the runtime, and runs graphs one after the other.

    Args:
        graphs: What runs ``audio_encoder``, ``face_encoder`` and ``audio_visual``.
        recipe: How faces are cut out and how probable they must be.
        every: Frames from one detection to the next; boxes in between are interpolated as the runtime does it.
        face_batch: Crops encoded at once.
        compiled: Put the detector's networks through ``torch.compile`` too.
    """

    def __init__(
        self, graphs: Mapping[str, Run], recipe: CropRecipe, *, every: int, face_batch: int, compiled: bool = False
    ) -> None:
        self._graphs = graphs
        self._recipe = recipe
        self._every = every
        self._face_batch = face_batch
        self._detector = MTCNN(keep_all=True)
        if compiled:
            for name in ("pnet", "rnet", "onet"):  # free shapes: a pyramid of pictures, and any number of candidates
                setattr(self._detector, name, torch.compile(getattr(self._detector, name), dynamic=True))

    def __call__(self, clip: Path) -> tuple[dict[str, float], NDArray[np.float32]]:
        """Answer for a clip.

        Args:
            clip: A file with one face in its picture, and sound.

        Returns:
            Seconds by stage and the prediction.
        """
        seconds = dict.fromkeys(STAGES, 0.0)

        def timed(stage: str, call: Callable[[], Any]) -> Any:
            start = time.perf_counter()
            result = call()
            seconds[stage] += time.perf_counter() - start
            return result

        sound = timed("decode", lambda: decode_sound(clip))
        frames = timed("decode", lambda: list(decode_frames(clip)))
        tracked = timed("detect", lambda: list(track_face(iter(frames), self._largest, self._every)))
        found = [(frame, box) for frame, box in tracked if box is not None]
        crops = timed("crop", lambda: [crop_face(frame, box, self._recipe) for frame, box in found])
        audio = timed("audio_encoder", lambda: self._hear(sound))
        visual = timed("face_encoder", lambda: self._see(crops))
        return seconds, timed("path", lambda: self._graphs["audio_visual"]({**audio, **visual})["prediction"][0])

    def _largest(self, frame: Frame) -> NDArray[np.float32] | None:
        boxes, probabilities = self._detector.detect(frame.pixels)
        if boxes is None or probabilities[0] < self._recipe.min_probability:
            return None
        return np.asarray(boxes[0], np.float32)

    def _hear(self, sound: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        run = self._graphs["audio_encoder"]
        return {**run({"waveform": sound[None], "samples": np.array([len(sound)], np.int64)})}

    def _see(self, crops: list[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
        size = self._face_batch
        batches = [np.stack(crops[at : at + size]) for at in range(0, len(crops), size)]
        encoded = [self._graphs["face_encoder"]({"faces": batch})["face_features"].copy() for batch in batches]
        features = np.concatenate(encoded)[None]
        return {"visual_features": features, "visual_lengths": np.array([features.shape[1]], np.int64)}
