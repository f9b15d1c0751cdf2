"""One point: a command is ended there, what is left is looked at, and the next run must give what it should."""

import os
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.kills.command import Command, LostError, require
from benchmarks.kills.processes import Ending, StuckError, fork, import_what_it_imported, program, wait_for

_TRIES = 5  # where a command ended before it could be killed: times differ from run to run


@dataclass(frozen=True)
class Usual:
    """An undisturbed run.

    Attributes:
        seconds: How long it takes, without importing libraries.
        changes: How many changes it makes.
        result: What it makes.
    """

    seconds: float
    changes: int
    result: object


@dataclass(frozen=True)
class Point:
    """What came of one point.

    Attributes:
        place: Where it was, in words.
        fault: What was lost; None if nothing was.
        after_s: From the signal to the end of the last process.
        left: How many temporary files and folders there were, to be named or removed by the next run.
    """

    place: str
    fault: str | None
    after_s: float
    left: int


class Points:
    """Ends a command at points of a seeded sequence.

    Args:
        command: The command.
        folder: Where it runs.
        seed: Of the random numbers.
    """

    def __init__(self, command: Command, folder: Path, seed: int) -> None:
        self._command, self._folder = command, folder
        self._main = command.main()
        self._random = random.Random(f"{seed} {command.name}")
        self._usual: dict[int, Usual] = {}
        warm = self._fresh("warm", 0)
        self._run(warm, command.arguments(0))
        import_what_it_imported(warm)

    def usual(self, number: int) -> Usual:
        """The undisturbed run of a point, made once for points that start from the same."""
        kind = number % self._command.kinds
        if kind not in self._usual:
            folder = self._fresh(f"usual-{kind}", number)
            ending = self._run(folder, self._command.arguments(number))
            self._usual[kind] = Usual(ending.seconds, ending.changes, self._command.result(folder, number))
            shutil.rmtree(folder)
        return self._usual[kind]

    def take(self, number: int, sent: int, *, by_change: bool, whole: bool = False) -> Point:
        """End the command at a random point, and look.

        Args:
            number: Number of the point; it decides what was there before.
            sent: The signal.
            by_change: Before a random change of its files, and not at a random moment.
            whole: Start a program of its own, whose imports may be hit too.
        """
        usual = self.usual(number)
        for _ in range(_TRIES):
            folder = self._fresh(f"point-{signal.Signals(sent).name}-{number}", number)
            arguments = self._command.arguments(number)
            try:
                if by_change:
                    at = self._random.randint(1, usual.changes)
                    place = f"change {at} of {usual.changes}"
                    ending = wait_for(fork(self._main, arguments, folder, at, sent), folder)
                else:
                    moment = self._random.uniform(0, usual.seconds)
                    place = f"{moment:.2f} s of {usual.seconds:.2f} s{', a program of its own' if whole else ''}"
                    start = partial(program, self._command.module) if whole else partial(fork, self._main)
                    # A terminal that closes tells the whole group, `kill` one process.
                    send: Callable[[int], None] = partial(
                        _send, os.killpg if sent == signal.SIGHUP else os.kill, number=sent
                    )
                    ending = wait_for(start(arguments, folder), folder, moment, send)
            except StuckError as error:
                return Point(place, str(error), 0.0, 0)
            if ending.reached or ending.code not in (0, 1):
                break
        place = f"{signal.Signals(sent).name} at {place}"
        left = self._command.leftovers(folder)
        try:
            self._look(folder, number, sent, ending, left)
        except (LostError, StuckError) as error:
            said = " | ".join(ending.said.splitlines()[-3:])
            return Point(place, f"{error} [stderr: {said}]", ending.after_s, len(left))
        shutil.rmtree(folder)
        return Point(place, None, ending.after_s, len(left))

    def _look(self, folder: Path, number: int, sent: int, ending: Ending, left: list[Path]) -> None:
        command = self._command
        require(ending.code in (-sent, 128 + sent, 0), f"it ended with {ending.code}")
        require("Traceback" not in ending.said, "it ended with a traceback")
        if sent != signal.SIGKILL:
            require(not left, f"it left {', '.join(path.name for path in left)}")
        command.check(folder, number, ending.said)
        then = self._run(folder, command.again(folder, number))
        still = command.leftovers(folder)
        unnamed = [path.name for path in still if path.name not in then.said]
        require(not unnamed, f"the next run leaves {', '.join(unnamed)} without a word")
        require(set(still) <= set(left), "the next run leaves something of its own")
        require(command.result(folder, number) == self.usual(number).result, "the next run gives something else")

    def _run(self, folder: Path, arguments: list[str]) -> Ending:
        ending = wait_for(fork(self._main, arguments, folder), folder)
        require(ending.code == 0, f"the next run ended with {ending.code}: {ending.said[-300:]}")
        return ending

    def _fresh(self, name: str, number: int) -> Path:
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "tmp").mkdir(parents=True)
        self._command.prepare(folder, number)
        return folder


def _send(send: Callable[[int, int], None], process: int, number: int) -> None:
    send(process, number)
