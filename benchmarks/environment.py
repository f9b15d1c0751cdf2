"""What a figure was taken on."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def environment(threads: int, distributions: tuple[str, ...]) -> dict[str, Any]:
    """Describe this machine and what computes on it.

    Args:
        threads: Threads in use.
        distributions: Installed distributions whose versions matter.
    """
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    versions = {name: version(name) for name in distributions}
    return {"processor": model, "threads": threads, "python": platform.python_version(), **versions}
