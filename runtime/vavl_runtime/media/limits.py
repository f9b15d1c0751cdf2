"""What one clip may ask of the machine: the bounds of ``vavl-run --limits``."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from vavl_runtime.errors import InputError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KB": 10**3, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class ClipLimits:
    """Bounds for a clip. One that goes beyond them gives an error of the kind ``oversized_media`` or ``over_limit``.

    Attributes:
        memory: Of a process that reads clips, in bytes, at least 300 MB: its private memory, with what the libraries
            reserve. Linux only.
        time: A process that reads clips may take this long for one window of a clip, in seconds; waiting for the graphs
            does not count. Linux and macOS only.
        pixels: Of one frame; None for what the bundle says.
        samples: Of a clip's sound, those of all channels together. The default is 29 hours of 48 kHz in stereo.
        streams: In a file.

    Raises:
        InputError: A bound is out of range.

    Example:
        >>> ClipLimits.parse("memory=800MB,time=60").memory
        800000000
    """

    memory: int = 2 * 10**9
    time: float = 300.0
    pixels: int | None = None
    samples: int = 10**10
    streams: int = 100

    def __post_init__(self) -> None:
        least = {"memory": 300 * 10**6, "time": 0.1, "pixels": 1, "samples": 1, "streams": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise InputError(f"limits: {name} is {value:g}, expected at least {bound:g}")

    @classmethod
    def parse(cls, text: str) -> "ClipLimits":
        """Read what a user wrote, such as ``memory=800MB,time=60,pixels=9M``.

        Args:
            text: Names and values; what is not named keeps its default.

        Returns:
            The limits.

        Raises:
            InputError: A name or a value that cannot be read, or a bound out of range.
        """
        values: dict[str, float | int] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = (piece.strip() for piece in part.partition("="))
            if name not in _READERS:
                raise InputError(f"limits: got {part!r}, expected NAME=VALUE with a name of {', '.join(_READERS)}")
            if name in values:
                raise InputError(f"limits: {name} is given twice")
            values[name] = _READERS[name](name, value)
        return replace(cls(), **values)  # type: ignore[arg-type]  # each reader gives what its field holds


def _count(name: str, text: str) -> int:
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([KMG]?B?)", text, re.IGNORECASE | re.ASCII)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise InputError(f"limits: {name} is {text!r}, expected a number, which may end in K, M or G")
    return int(float(found[1]) * unit)


def _seconds(name: str, text: str) -> float:
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*s?", text, re.ASCII)
    if found is None:
        raise InputError(f"limits: {name} is {text!r}, expected seconds")
    return float(found[1])


_READERS: dict[str, Callable[[str, str], float | int]] = {
    "memory": _count,
    "time": _seconds,
    "pixels": _count,
    "samples": _count,
    "streams": _count,
}
