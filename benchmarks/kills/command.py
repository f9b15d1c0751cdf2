"""What the harness knows about a command: how it is called, and what must be there after it was killed."""

import abc
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.kills.inputs import Inputs

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")


class LostError(Exception):
    """Something is lost, half-written or left over."""


def require(kept: bool, what: str) -> None:
    """Raise `LostError` unless something holds."""
    if not kept:
        raise LostError(what)


class Command(abc.ABC):
    """One command, which runs in a folder for each point.

    Args:
        inputs: What it reads.

    Attributes:
        name: As people type it.
        module: As ``python -m`` takes it.
        compared: What two runs must have in common.
        outputs: Names in the folder that are no leftovers.
        kinds: Points whose numbers differ by this start from the same.
    """

    name: str
    module: str
    compared: str
    outputs: tuple[str, ...]
    kinds = 2

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs

    @abc.abstractmethod
    def main(self) -> Callable[[], None]:
        """Import the command."""

    @abc.abstractmethod
    def arguments(self, number: int) -> list[str]:
        """Its arguments at a point; points differ in what was there before."""

    def again(self, folder: Path, number: int) -> list[str]:
        """The arguments of the next run in a folder."""
        return self.arguments(number)

    @abc.abstractmethod
    def prepare(self, folder: Path, number: int) -> None:
        """Put there what was there before."""

    @abc.abstractmethod
    def check(self, folder: Path, number: int, said: str) -> None:
        """Look at what a killed run left.

        Raises:
            LostError: Something is lost or half-written.
        """

    @abc.abstractmethod
    def result(self, folder: Path, number: int) -> object:
        """What a finished run has made, as a value that can be compared."""

    def leftovers(self, folder: Path) -> list[Path]:
        """Temporary files and folders that a run has left."""
        known = {*self.outputs, "tmp"}
        found = [path for path in folder.iterdir() if path.name not in known]
        # PyTorch keeps a cache of its own in the folder for temporary files.
        found += (path for path in (folder / "tmp").iterdir() if not path.name.startswith("torchinductor_"))
        for output in self.outputs:
            found += (path for path in (folder / output).rglob("*") if _TEMPORARY.fullmatch(path.name))
        return sorted(found)
