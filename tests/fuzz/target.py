"""What a fuzzing target is: good files to damage, and a check of what we make of a damaged one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.mutations import Seed, mutated

Check = Callable[[Seed, bytes], None]


@dataclass(frozen=True)
class Target:
    """One part of the product that reads files of others.

    Attributes:
        name: Short name, for the command line.
        title: What is damaged, for the table of results.
        inputs: How many inputs a full run tries.
        seeds: Makes the good files.
        opened: Takes an empty folder and returns the check. The check takes the seed and the damaged file. It returns
            if the product accepts the file, raises a `VavlError` if it refuses it, and anything else is a fault.
        by_kind: Whether the table of results has a row for each kind of seed, or one for the target.
    """

    name: str
    title: str
    inputs: int
    seeds: Callable[[], Sequence[Seed]]
    opened: Callable[[Path], Check]
    by_kind: bool = False

    def damaged(self, number: int, run_seed: int) -> tuple[Seed, bytes]:
        """Make an input by its number.

        Args:
            number: Which input; every seed has its turn.
            run_seed: Seed of the whole run.

        Returns:
            The good file and the damaged one.
        """
        seeds = self.seeds()
        seed = seeds[number % len(seeds)]
        return seed, mutated(seed, seeds, Random(f"{run_seed} {self.name} {number}"))
