"""Which modalities a clip really has, decided from the data, with a reason for each that is not used."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vavl_runtime.bundle.manifest import Limits, PathName
from vavl_runtime.errors import InputError
from vavl_runtime.faces.boxes import Boxes
from vavl_runtime.faces.stillness import Stillness
from vavl_runtime.media import Frame, Source
from vavl_runtime.media.loudness import is_heard
from vavl_runtime.media.source import SAMPLE_RATE
from vavl_runtime.notes import Note
from vavl_runtime.pipeline.windows import SoundWindow
from vavl_runtime.result import Coverage, Extent, FaceCount, Reasons, TakenFace

WHOLE = 0.9  # a modality that covers less of a clip comes and goes, which is worth a note
Modality = Literal["audio", "visual"]
Use = Literal["auto", "audio", "visual"]  # what the user asks for


@dataclass
class _Bounds:
    start_s: float = float("inf")
    end_s: float = 0.0

    def add(self, start_s: float, end_s: float) -> None:
        self.start_s, self.end_s = min(self.start_s, start_s), max(self.end_s, end_s)

    def extent(self, share: float) -> Extent | None:
        return Extent(self.start_s, self.end_s, min(share, 1.0)) if self.start_s <= self.end_s else None


class Presence:
    """What has been found of each modality so far.

    Args:
        source: The clip.
        use: ``auto``, or the one modality the user wants.
        faults: Modalities that turned out to be broken in an earlier pass.
    """

    def __init__(self, source: Source, use: Use, faults: dict[Modality, InputError]) -> None:
        self._announced = {"audio": source.has_audio, "visual": source.has_video}
        self._use = use
        self._faults = faults
        self._heard = False
        self._long_enough = False
        self._heard_s = 0.0
        self._sound = _Bounds()
        self._frames = 0
        self._with_face = 0
        self._faces = _Bounds()
        self._at_once = 0
        self._taken: TakenFace | None = None
        self._stillness = Stillness()

    def wanted(self, modality: Modality) -> bool:
        """Whether the clip announces a modality, the user wants it, and it is not known to be broken."""
        return self._announced[modality] and self._use in ("auto", modality) and modality not in self._faults

    def hear(self, window: SoundWindow, limits: Limits) -> bool:
        """Note a window of sound.

        Args:
            window: Its sound.
            limits: Shortest sound and silence level.

        Returns:
            Whether it is long enough, and more than the noise of a muted microphone.
        """
        if len(window.samples) < limits.minimum_samples:
            return False
        self._long_enough = True
        heard = is_heard(window.samples, limits.silence_dbfs)
        if heard:
            self._heard = True
            self._heard_s += len(window.samples) / SAMPLE_RATE
            self._sound.add(window.start_s, window.end_s)
        return heard

    def see(self, frame: Frame, *, face: bool) -> None:
        """Note a frame, and whether it shows a face."""
        self._frames += 1
        self._with_face += face
        if face:
            self._faces.add(frame.time_s, frame.time_s + frame.shown_s)

    def search(self, frame: Frame, box: Boxes | None, count: int) -> None:
        """Note what the search of a frame for faces gives.

        Args:
            frame: The frame.
            box: The face that was taken, shape (4,), or None.
            count: How many faces there were.
        """
        if box is None:
            return
        self._stillness.see(frame, box)
        if count > self._at_once:
            self._at_once = count
            self._taken = TakenFace(frame.time_s, tuple(float(side) for side in box))

    @property
    def faces(self) -> FaceCount:
        """Frames processed so far, and the faces in them."""
        return FaceCount(self._frames, self._with_face, self._at_once, self._taken)

    def coverage(self, duration_s: float) -> Coverage:
        """Tell where each modality was found, in a clip of so many seconds."""
        audio = self._sound.extent(self._heard_s / duration_s if duration_s else 1.0)
        visual = self._faces.extent(self._with_face / self._frames if self._frames else 0.0)
        return Coverage(audio, visual)

    def notes(self, duration_s: float) -> tuple[Note, ...]:
        """Say of each modality that comes and goes from when to when it was used."""
        covered, found = self.coverage(duration_s), []
        if covered.audio is not None and covered.audio.share < WHOLE:
            what = f"sound is heard in {covered.audio.share:.0%} of the clip"
            found.append(Note("in_part", "audio", f"{what}, {_between(covered.audio)}"))
        if covered.visual is not None and covered.visual.share < WHOLE:
            what = f"a face is seen in {self._with_face} of {self._frames} frames"
            found.append(Note("in_part", "visual", f"{what}, {_between(covered.visual)}"))
        return (*found, *self._notes_on_faces())

    def _notes_on_faces(self) -> Iterator[Note]:
        if self._taken is not None and self._at_once > 1:
            left, top, right, bottom = (round(side) for side in self._taken.box)
            where = f"the one of {right - left} x {bottom - top} pixels at ({left}, {top})"
            what = f"{self._at_once} faces are seen at once at {self._taken.time_s:.2f} s"
            what += f"; the largest of a frame is taken, here {where}"
            yield Note("several_faces", "visual", what)
        still = self._stillness.longest
        if still is not None:
            when = f"between {still.start_s:.2f} and {still.end_s:.2f} s"
            if still.whole_picture:
                yield Note(
                    "still_picture", "visual", f"the picture does not move {when}: a photograph, or it is frozen"
                )
            else:
                yield Note("still_face", "visual", f"the face does not move {when}: it may be on a poster or a screen")

    def reasons(self, path: PathName | None) -> Reasons:
        """Explain why a modality is not used, given the path that is."""
        audio = self._absence("audio", "no_audio_stream", self._heard, "silence" if self._long_enough else "too_short")
        visual = self._absence("visual", "no_video_stream", self._with_face > 0, "no_face")
        # Present, but missing in most windows of a long clip.
        if path == "audio":
            visual = visual or "mostly_absent"
        if path == "visual":
            audio = audio or "mostly_absent"
        return Reasons(audio, visual)

    def _absence(self, modality: Modality, missing: str, found: bool, otherwise: str) -> str | None:
        if not self._announced[modality]:
            return missing
        if modality in self._faults:
            return self._faults[modality].kind
        if self._use not in ("auto", modality):
            return "user_choice"
        return None if found else otherwise


def _between(extent: Extent) -> str:
    return f"between {extent.start_s:.2f} and {extent.end_s:.2f} s"
