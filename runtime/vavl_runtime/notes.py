"""Notes on a clip that was answered although something about its media is worth knowing."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Note:
    """What a person should know about an answer.

    Attributes:
        kind: A stable name for programs; ``docs/result.md`` lists them.
        modality: ``audio`` or ``visual``.
        message: The same in a sentence, with the figures.
    """

    kind: str
    modality: Literal["audio", "visual"]
    message: str


class Notes:
    """The notes of one clip: those of the latest pass over each modality.

    Sound and picture may be read in different threads, each of which writes the notes of its own modality alone.
    """

    def __init__(self) -> None:
        self._notes: dict[str, list[Note]] = {"audio": [], "visual": []}

    def restart(self, modality: Literal["audio", "visual"]) -> None:
        """Drop the notes of a modality, which is about to be read from its start."""
        self._notes[modality] = []

    def add(self, kind: str, modality: Literal["audio", "visual"], message: str) -> None:
        """Add a note, unless the modality has one of this kind."""
        if all(note.kind != kind for note in self._notes[modality]):
            self._notes[modality].append(Note(kind, modality, message))

    def of(self, modality: Literal["audio", "visual"]) -> tuple[Note, ...]:
        """The notes of a modality, in the order in which they were made."""
        return tuple(self._notes[modality])

    def all(self) -> tuple[Note, ...]:
        """The notes of the sound, then those of the picture."""
        return self.of("audio") + self.of("visual")
