"""The journal of a feature cache: one line per finished clip, which says where its rows are."""

from typing import Annotated

from pydantic import Field, ValidationError

from vavl.config import Positive, StrictModel
from vavl.model import Modality

Span = tuple[Annotated[int, Field(ge=0)], Positive]  # first row, rows


class WindowLine(StrictModel):
    """One window of a clip.

    Attributes:
        seconds: Durations that the audio and the visual features cover.
        audio: First row and number of rows of the audio features, or None.
        visual: The same for the visual features, or None.
        audio_crc32: Checksum of these rows, as `zlib.crc32` computes it; None in older journals.
        visual_crc32: The same for the visual features.
    """

    seconds: tuple[float, float]
    audio: Span | None
    visual: Span | None
    audio_crc32: int | None = None
    visual_crc32: int | None = None


class ClipLine(StrictModel):
    """One finished clip.

    Attributes:
        clip: Its id.
        fingerprint: Identifies its media files.
        reasons: Why a modality is missing, by modality.
        windows: Its windows in order.
    """

    clip: str
    fingerprint: str
    reasons: dict[str, str]
    windows: tuple[WindowLine, ...]

    def end(self, modality: Modality) -> int:
        """Index of the row after the clip's last row; 0 if the clip has none."""
        spans: list[Span] = [span for window in self.windows if (span := getattr(window, modality)) is not None]
        return max((start + count for start, count in spans), default=0)

    def to_bytes(self) -> bytes:
        """The line as bytes, with its newline."""
        return self.model_dump_json().encode() + b"\n"


def read_lines(journal: bytes) -> tuple[list[ClipLine], int]:
    """Parse every complete line. An incomplete last line belongs to a clip that was not finished; it is ignored.

    Args:
        journal: The whole journal.

    Returns:
        The lines, and the number of bytes they take.

    Raises:
        ValueError: A complete line is damaged.
    """
    size = journal.rfind(b"\n") + 1
    lines = []
    for number, line in enumerate(journal[:size].splitlines(), 1):
        try:
            lines.append(ClipLine.model_validate_json(line))
        except ValidationError as error:
            raise ValueError(f"line {number}: {error.errors()[0]['msg']}") from error
    return lines, size
