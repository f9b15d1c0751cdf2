"""What processes and memory are left, and a recogniser for them."""

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vavl_runtime.serving.slots import PREFIX, SYSTEM_MEMORY


def memory_of(process: int) -> list[str]:
    """Names of the shared memory that a process has made and not given back."""
    if not SYSTEM_MEMORY.is_dir():
        pytest.skip("needs a system that lists shared memory")
    return [path.name for path in SYSTEM_MEMORY.glob(f"{PREFIX}{process}-*")]


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fails a test that leaves processes or shared memory behind."""
    yield
    assert multiprocessing.active_children() == []
    assert memory_of(os.getpid()) == []


@pytest.fixture
def folder_of_clips(tmp_path: Path, example_clip: Path) -> Path:
    """Two clips with a bad one between them."""
    for name in ("a.mp4", "c.mp4"):
        (tmp_path / name).symlink_to(example_clip)
    (tmp_path / "b.mp4").write_bytes(b"no film")
    return tmp_path
