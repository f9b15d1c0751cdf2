"""``--help`` loads no library that it does not need: that is what makes it quick."""

import json
import subprocess
import sys

import pytest

from tests.commands.programs import MODULES

HEAVY = ["multiprocessing", "torch", "transformers", "onnx", "onnxruntime", "av", "PIL", "scipy", "matplotlib", "rich"]
LIGHT = ["numpy", "pydantic", "packaging", "logging"]


def loaded_by_help(program: str) -> set[str]:
    """Top-level modules that are there after ``--help``."""
    code = f"""
import json, sys
sys.argv = [{program!r}, "--help"]
from {MODULES[program]} import main
try:
    main()
except SystemExit:
    print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith(f"Usage: {program} ")
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("program", MODULES)
def test_no_heavy_library_is_loaded(program: str) -> None:
    assert loaded_by_help(program) & set(HEAVY) == set()


@pytest.mark.parametrize("program", ["vavl-run", "vavl-bench", "vavl-doctor"])
def test_the_runtimes_commands_load_next_to_nothing(program: str) -> None:
    assert loaded_by_help(program) & set(HEAVY + LIGHT) == set()
