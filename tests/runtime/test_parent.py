"""A process that works for another one ends with it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import multiprocessing, time
from vavl_runtime.parent import end_with_parent

def work():
    end_with_parent()
    print(multiprocessing.current_process().pid, flush=True)
    time.sleep(60)

if __name__ == "__main__":
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
"""


def test_the_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Path("/proc") / parent.stdout.readline().strip() / "stat"
        assert _runs(child)
        parent.send_signal(signal.SIGKILL)
        end = time.monotonic() + 10
        while _runs(child):
            assert time.monotonic() < end, "the child goes on"
            time.sleep(0.01)


def _runs(status: Path) -> bool:
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
