"""Building engines in tests."""

from pathlib import Path
from typing import Any

from vavl_export.tensorrt.command import run
from vavl_runtime.backends.trt.engine_store import Engine

ALL = {
    "precision": "fp32",
    "seconds": None,
    "batch": 1,
    "workspace_mib": None,
    "graphs": (),
    "stripped": False,
    "version_compatible": False,
    "compute_capability": None,
}


def build(folder: Path, lines: list[str] | None = None, **changes: Any) -> list[Engine]:
    """Build engines like the command line, with its defaults; ``lines`` takes what it prints."""
    said: list[str] = [] if lines is None else lines
    return run(folder, progress=said.append, **{**ALL, **changes})
