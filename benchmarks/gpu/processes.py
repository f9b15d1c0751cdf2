"""Starts a worker and reads what it reports, line by line, until it ends or its time is up."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any


def run_worker(job: dict[str, Any], seconds: float, take: Callable[[dict[str, Any]], None]) -> int | None:
    """Run a job in a process of its own.

    Args:
        job: What to do, see `benchmarks.gpu.worker`.
        seconds: Time after which it is ended.
        take: Called with each line.

    Returns:
        Its exit code (negative for a signal); None if its time was up.
    """
    command = [sys.executable, "-m", "benchmarks.gpu.worker", json.dumps(job)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(max(seconds, 0.0), end)
    timer.start()
    try:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.endswith("\n"):  # a killed process may leave half a line
                    take(json.loads(line))
        code = process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    return None if late.is_set() else code
