"""Hands damaged files to processes that may die of them, and counts what came of each."""

import multiprocessing
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from tests.fuzz.child import LOG, Attempt, serve
from tests.fuzz.target import Target

INPUT_S = 20.0  # an input that takes longer hangs
_IN_MEMORY = Path("/dev/shm")  # every input is written to files
START_S = 300.0  # imports, good files, and trying these once


@dataclass
class Tally:
    """What came of the inputs of one kind.

    Attributes:
        outcomes: How many inputs ended how; see `Attempt.outcome`.
        seconds: The longest time that one took.
        peak: The largest memory of a process, bytes.
        faults: Inputs that are faults, by number, with what happened.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    peak: int = 0
    faults: dict[int, str] = field(default_factory=dict)

    @property
    def tried(self) -> int:
        """How many inputs were tried."""
        return self.outcomes.total()

    @property
    def held(self) -> int:
        """How many of them were accepted or refused as they should be."""
        return self.tried - self.outcomes["fault"]

    @classmethod
    def sum_of(cls, tallies: Iterable["Tally"]) -> "Tally":
        """Several as one."""
        total = cls()
        for tally in tallies:
            total.outcomes += tally.outcomes
            total.seconds = max(total.seconds, tally.seconds)
            total.peak = max(total.peak, tally.peak)
            total.faults |= tally.faults
        return total

    def add(self, attempt: Attempt) -> None:
        """Count one input."""
        self.outcomes[attempt.outcome] += 1
        self.seconds = max(self.seconds, attempt.seconds)
        self.peak = max(self.peak, attempt.peak)
        if attempt.is_fault:
            self.faults[attempt.number] = attempt.message


@dataclass(frozen=True)
class Run:
    """How a target is run.

    Attributes:
        seed: Seed of the whole run; the same seed gives the same inputs.
        inputs: How many are tried.
        ends_at: No input is begun after this, by `time.monotonic`.
        jobs: Processes at a time.
        input_s: Time limit of one input, seconds.
    """

    seed: int
    inputs: int
    ends_at: float = float("inf")
    jobs: int = 1
    input_s: float = INPUT_S


def fuzz(target: Target, run: Run, keep: Path) -> dict[str, Tally]:
    """Try damaged files.

    Args:
        target: What is tried.
        run: How.
        keep: Folder where inputs that are faults are kept, with what happened; made when there is one.

    Returns:
        What came of them, by the kind of seed.

    Raises:
        RuntimeError: A process does not start, or refuses a good file.
    """
    tallies = {seed.kind: Tally() for seed in target.seeds()}
    numbers, lock = iter(range(run.inputs)), threading.Lock()
    broken: list[Exception] = []

    def take() -> int | None:
        with lock:
            return None if time.monotonic() > run.ends_at or broken else next(numbers, None)

    def work() -> None:
        try:
            with _Worker(target, run) as worker:
                while (number := take()) is not None:
                    made = worker.attempt(number)
                    with lock:
                        _count(target, run, made, tallies, keep)
        except Exception as error:  # raised again below, where somebody hears it
            broken.append(error)

    threads = [threading.Thread(target=work) for _ in range(run.jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    return tallies


def _count(target: Target, run: Run, made: Attempt, tallies: dict[str, Tally], keep: Path) -> None:
    seeds = target.seeds()
    tallies[seeds[made.number % len(seeds)].kind].add(made)
    if made.is_fault:
        keep.mkdir(parents=True, exist_ok=True)
        place = keep / f"{target.name}-{run.seed}-{made.number}"
        place.with_suffix(".bin").write_bytes(target.damaged(made.number, run.seed)[1])
        place.with_suffix(".txt").write_text(made.message)


class _Worker:
    """A process that tries inputs, started again when it dies."""

    def __init__(self, target: Target, run: Run) -> None:
        self._target = target
        self._run = run
        self._context = multiprocessing.get_context("spawn")

    def __enter__(self) -> "_Worker":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def attempt(self, number: int) -> Attempt:
        begin = time.perf_counter()
        try:
            self._connection.send(number)
            if self._connection.poll(self._run.input_s):
                answer = self._connection.recv()
                assert isinstance(answer, Attempt)
                return answer
            message = f"hangs: no answer within {self._run.input_s:g} s"
        except (EOFError, OSError):
            self._process.join()
            log = (self._folder / LOG).read_text(errors="replace")[-4000:]
            message = f"the process ended with exit code {self._process.exitcode}\n{log}"
        seconds = time.perf_counter() - begin
        self._end()
        self._start()
        return Attempt(number, "fault", message, seconds, 0)

    def _start(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vavl-fuzz-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None))
        ours, theirs = self._context.Pipe()
        self._connection: Connection = ours
        arguments = (theirs, self._target, self._folder, self._run.seed)
        self._process = self._context.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        try:
            if ours.poll(START_S):
                ours.recv()
                return
        except EOFError:
            pass
        log = (self._folder / LOG).read_text(errors="replace")[-4000:]
        self._end()
        raise RuntimeError(f"target {self._target.name}: its process does not start, or refuses a good file:\n{log}")

    def _end(self) -> None:
        self._connection.close()
        self._process.join(1.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        shutil.rmtree(self._folder, ignore_errors=True)
