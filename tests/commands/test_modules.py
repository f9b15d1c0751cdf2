"""``python -m vavl_runtime`` and ``python -m vavl_bench`` are the commands."""

import subprocess
import sys

import pytest

from tests.commands.programs import run


@pytest.mark.parametrize(("module", "program"), [("vavl_runtime", "vavl-run"), ("vavl_bench", "vavl-bench")])
def test_a_package_runs_as_its_command(module: str, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == run(program, "--version").stdout
    shown = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, timeout=60)
    assert shown.stdout.startswith(f"Usage: python -m {module} ")
