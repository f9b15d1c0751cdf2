"""Building engines in tests."""

from pathlib import Path
from typing import Any

from vavl_export import build_engines
from vavl_runtime.backends.trt.engine_store import Engine


def build(folder: Path, lines: list[str] | None = None, **changes: Any) -> list[Engine]:
    """Build fp32 engines, or as ``changes`` say; ``lines`` takes the progress."""
    said: list[str] = [] if lines is None else lines
    return build_engines(folder, progress=said.append, **{"precision": "fp32", **changes})
