"""Shared memory that a killed program left is given back by the next one; that of a living one stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.serving.conftest import memory_of
from vavl_runtime import Recognizer
from vavl_runtime.serving.slots import SYSTEM_MEMORY, Slots

pytest.importorskip("fcntl", reason="locks of files")
# The process that Python starts to clean up must die with its owner, as when a service manager kills the whole group.
MAKE = """
import time
from vavl_runtime import Recognizer
from vavl_runtime.serving.slots import Slots
slots = Slots(Recognizer(device="cpu").manifest, 1)
print("made", flush=True)
time.sleep(60)
"""


def age(process: int) -> None:
    before = time.time() - 1000
    for name in memory_of(process):
        os.utime(SYSTEM_MEMORY / name, (before, before))


def test_what_a_killed_program_left_goes(recognizer: Recognizer, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAKE], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(memory_of(process.pid)) == 1
        age(process.pid)
        Slots(recognizer.manifest, 1).close(unlink=True)
        assert len(memory_of(process.pid)) == 1  # its program lives
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert len(memory_of(process.pid)) == 1
    Slots(recognizer.manifest, 1).close(unlink=True)
    assert memory_of(process.pid) == []
    assert memory_of(os.getpid()) == []
