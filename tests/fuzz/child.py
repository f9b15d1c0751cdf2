"""The process that tries damaged files, one after another, until it is told to stop, crashes or hangs."""

import faulthandler
import os
import resource
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.fuzz.target import Check, Target
from vavl_runtime.errors import VavlError

MEMORY = 1 << 30  # bytes that a process may have in memory at its peak, interpreter and libraries included
# Past this the system refuses memory, so that one input cannot take the machine's. It lies above what is allowed, so
# that too much memory is seen and not only answered as a file that cannot be read.
_REFUSED_BEYOND = 3 << 30
LOG = "child.log"


@dataclass(frozen=True)
class Attempt:
    """What came of one input.

    Attributes:
        number: Which input.
        outcome: ``accepted``, the stable name of the error that refused it, or ``fault``.
        message: What is wrong, if it is a fault.
        seconds: How long it took.
        peak: Largest memory of the process meanwhile, bytes.
    """

    number: int
    outcome: str
    message: str
    seconds: float
    peak: int

    @property
    def is_fault(self) -> bool:
        """Whether the product failed."""
        return self.outcome == "fault"


def serve(connection: Connection, target: Target, folder: Path, run_seed: int) -> None:
    """Try inputs by their numbers as they come, and answer each with an `Attempt`.

    Args:
        connection: Gives numbers, takes attempts; the end of it ends the process. `None` is sent when all is ready.
        target: What is tried.
        folder: An empty folder for the process; what it prints goes to `LOG` in it.
        run_seed: Seed of the whole run.
    """
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable()
    scratch = folder / "scratch"
    scratch.mkdir()
    check = target.opened(scratch)
    for seed in target.seeds():
        check(seed, seed.content)  # a good file must be accepted, or the damaged ones show nothing
    resource.setrlimit(resource.RLIMIT_DATA, (_REFUSED_BEYOND, _REFUSED_BEYOND))
    connection.send(None)
    while True:
        try:
            number = connection.recv()
        except EOFError:
            return
        connection.send(attempt(target, check, number, run_seed))


def attempt(target: Target, check: Check, number: int, run_seed: int) -> Attempt:
    """Try one input.

    Args:
        target: What is tried.
        check: As opened from the target.
        number: Which input.
        run_seed: Seed of the whole run.

    Returns:
        What came of it.
    """
    seed, content = target.damaged(number, run_seed)
    _forget_peak()
    begin = time.perf_counter()
    outcome, message = "accepted", ""
    try:
        check(seed, content)
    except VavlError as error:
        outcome = error.kind
        if not str(error):
            outcome, message = "fault", f"{type(error).__name__} without a message"
    except Exception:  # every other error is a fault of the product, and is what this program looks for
        outcome, message = "fault", traceback.format_exc()
    seconds, peak = time.perf_counter() - begin, _peak()
    if peak > MEMORY and outcome != "fault":
        outcome, message = "fault", f"{peak / 1e6:.0f} MB in memory, at most {MEMORY / 1e6:.0f} MB allowed"
    return Attempt(number, outcome, message, seconds, peak)


def _forget_peak() -> None:
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Largest memory since `_forget_peak`, bytes; of the whole life of the process where Linux is not the system."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10
