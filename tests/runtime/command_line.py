"""Run ``vavl-run`` in this process or in one of its own, and read what it printed."""

import json
import os
import re
import subprocess
import sys
from typing import Any

from typer.testing import CliRunner, Result

from vavl_runtime.cli.run import app

HANG_S = 30  # several times what the slowest of these clips takes on a busy machine


def run_cli(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--threads", "2", "-f", "jsonl"])


def error_lines(stderr: str) -> list[str]:
    """What is on stderr besides the notices of an untrained bundle and of the device, and progress."""
    notices = re.compile(r"bundle .*UNTRAINED|\[\d+/\d+\] |device auto: ")
    return [line for line in stderr.splitlines() if not notices.match(line)]


def records(stdout: str) -> list[dict[str, Any]]:
    """Parse JSON lines strictly: NaN is not JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in stdout.splitlines()]


def run_apart(*arguments: object, timeout_s: float = HANG_S, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run ``vavl-run`` in a process of its own, the only way to survive a deadlock that holds the GIL."""
    command = [sys.executable, "-c", "from vavl_runtime.cli.run import main; main()"]
    command += [*map(str, arguments), "--threads", "2", "-f", "jsonl"]
    env = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout_s, env=env)
