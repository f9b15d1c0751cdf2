"""The numbers of a clip's streams: those that a user asks for, and those that were read."""

from dataclasses import dataclass

from vavl_runtime.errors import InputError


@dataclass(frozen=True)
class StreamNumbers:
    """A stream of sound and one of pictures, by their numbers in the file: 0 is its first stream of any kind.

    ``ffprobe`` shows the same numbers. A result's ``streams`` can be given to `Recognizer.predict` again.

    Attributes:
        audio: The stream of sound. None where the choice is left to the rules, or no sound was read.
        visual: The stream of pictures, in the same way.

    Raises:
        InputError: A number that is not whole, or below 0.

    Example:
        >>> from vavl_runtime import Recognizer
        >>> with Recognizer() as recognizer:
        ...     recognizer.predict("examples/astronaut.mp4", streams=StreamNumbers(audio=1)).streams
        StreamNumbers(audio=1, visual=0)
    """

    audio: int | None = None
    visual: int | None = None

    def __post_init__(self) -> None:
        for name, number in vars(self).items():
            whole = isinstance(number, int) and not isinstance(number, bool)
            if number is not None and not (whole and number >= 0):
                raise InputError(f"streams: {name} is {number!r}, expected the number of a stream, 0 or more, or None")
