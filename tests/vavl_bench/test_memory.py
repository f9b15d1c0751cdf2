"""Memory of this process, also where the kernel has no /proc."""

import os
from pathlib import Path

import pytest

from tests.platforms.test_elsewhere import restricted
from vavl_bench import memory


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")


def test_without_proc_the_peak_comes_from_the_system(no_proc: None) -> None:
    """macOS."""
    ballast = os.urandom(64 << 20)
    found = memory.MemoryProbe(None).read()
    assert found.resident_mib.value is None and "status" in str(found.resident_mib.reason)
    assert found.peak_mib.value is not None and len(ballast) / 2**20 < found.peak_mib.value < 1e6


def test_without_either_the_reason_is_told() -> None:
    """Windows."""
    code = "from vavl_bench.memory import MemoryProbe; print(MemoryProbe(None).read().peak_mib.model_dump_json())"
    done = restricted("-c", code)
    assert done.returncode == 0, done.stderr
    assert "/proc/self/status" in done.stdout and '"value":null' in done.stdout
