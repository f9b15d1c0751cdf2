"""Starts a command in a process group of its own, ends it by a signal, and waits until nothing of it runs."""

import atexit
import contextlib
import importlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchmarks.kills.changes import Changes

GROUP_LIMIT_S = 20.0  # after the command, for its workers to end
_LIMIT_S = 600.0


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    Attributes:
        code: Its exit code, or minus the number of the signal that ended it.
        seconds: How long it ran.
        after_s: From the signal, or else from the command's end, to the end of its last process.
        said: What it wrote to stderr.
        reached: Whether it was still running when the signal was sent.
        changes: How many changes it made, if it ended by itself.
    """

    code: int
    seconds: float
    after_s: float
    said: str
    reached: bool
    changes: int


class StuckError(Exception):
    """Processes of a command go on after its end."""


def fork(main: Callable[[], None], arguments: list[str], folder: Path, at: int = 0, number: int = 15) -> int:
    """Run a command in a copy of this process, which has imported its libraries already.

    Args:
        main: The command.
        arguments: Its arguments.
        folder: Where it runs; it has a folder ``tmp`` for temporary files.
        at: See `Changes`.
        number: See `Changes`.

    Returns:
        The process, which is the leader of its group.
    """
    process = os.fork()
    if process:
        return process
    _run(main, arguments, folder, Changes(folder, at, number))


def program(module: str, arguments: list[str], folder: Path) -> int:
    """Run a command as people do; as `fork`, but the libraries are imported."""
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    with _said(folder).open("wb") as said:
        started = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
    started.returncode = 0  # `wait_for` collects the process
    return started.pid


def wait_for(process: int, folder: Path, after_s: float | None = None, signal: Callable[[int], None] = id) -> Ending:
    """Wait for a command, and for everything that it started.

    Args:
        process: The command.
        folder: Where it runs.
        after_s: When to send a signal; None for never.
        signal: Sends it to the process.

    Raises:
        StuckError: Processes go on for longer than `GROUP_LIMIT_S`.
    """
    start, sent, status = time.monotonic(), None, 0
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        now = time.monotonic()
        if done:
            break
        if after_s is not None and sent is None and now - start >= after_s:
            signal(process)
            sent = time.monotonic()
        if now - (sent or start) > _LIMIT_S:
            os.killpg(process, 9)
            raise StuckError(f"did not end within {_LIMIT_S:.0f} s")
        time.sleep(0.002)
    ended = time.monotonic()
    while left := _group(process):
        if time.monotonic() - ended > GROUP_LIMIT_S:
            os.killpg(process, 9)
            raise StuckError(f"{len(left)} of its processes ran on for {GROUP_LIMIT_S:.0f} s")
        time.sleep(0.02)
    counted = _counted(folder)
    return Ending(
        code=os.waitstatus_to_exitcode(status),
        seconds=ended - start,
        after_s=time.monotonic() - (sent or ended),
        said=_said(folder).read_text("utf-8", errors="replace"),
        reached=sent is not None or not counted.exists(),
        changes=int(counted.read_text()) if counted.exists() else 0,
    )


def import_what_it_imported(folder: Path) -> None:
    """Import what a forked command imported, so that the next ones need not: that takes most of their time.

    Args:
        folder: Where it ran, to its end.
    """
    for name in _modules(folder).read_text().splitlines():
        with contextlib.suppress(Exception):  # some can only be imported by others
            importlib.import_module(name)


def _run(main: Callable[[], None], arguments: list[str], folder: Path, changes: Changes) -> NoReturn:
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        os.environ["TMPDIR"] = str(folder / "tmp")
        tempfile.tempdir = None
        _counted(folder).unlink(missing_ok=True)
        for handle, file in ((1, Path(os.devnull)), (2, _said(folder))):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), handle)
        # The process that was copied may have put something else in their place, as tests do.
        sys.stdout, sys.stderr = (os.fdopen(handle, "w", buffering=1, closefd=False) for handle in (1, 2))
        sys.argv = ["command", *arguments]
        changes.watch()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        atexit._run_exitfuncs()
        sys.stderr.flush()
        _modules(folder).write_text("\n".join(sys.modules))
        _counted(folder).write_text(str(changes.count))
    finally:
        os._exit(code)


def _said(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.stderr")


def _modules(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.modules")


def _counted(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.changes")


def _group(leader: int) -> list[str]:
    """The processes of a group that run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended meanwhile
            continue
        if int(group) == leader and state != "Z":
            found.append(status.parent.name)
    return found
