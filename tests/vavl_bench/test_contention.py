"""What other programs use is seen, and our own work is not taken for theirs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vavl_bench import contention
from vavl_bench.contention import BUSY_SHARE, ContentionWatch

TICKS = os.sysconf("SC_CLK_TCK")


def stat(root: Path, busy_s: float, stolen_s: float = 0.0) -> None:
    (root / "proc").mkdir(exist_ok=True)
    fields = [busy_s * TICKS, 0, 0, 10_000_000, 0, 0, 0, stolen_s * TICKS, 0, 0]
    (root / "proc/stat").write_text("cpu  " + " ".join(str(round(field)) for field in fields) + "\ncpu0 1 2 3\n")


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Wall time and our own CPU time, to be set by a test."""
    now = {"wall": 100.0, "own": 5.0, "load": 0.5}
    monkeypatch.setattr(contention.time, "monotonic", lambda: now["wall"])
    monkeypatch.setattr(contention, "_own_seconds", lambda: now["own"])
    monkeypatch.setattr(os, "getloadavg", lambda: (now["load"], 0.0, 0.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    return now


@pytest.mark.parametrize(
    ("busy_s", "stolen_s", "others", "busy"),
    [(38, 0, 0.0, False), (42, 0, 0.2, False), (50, 0, 0.6, True), (38, 20, 1.0, True), (30, 0, 0.0, False)],
)
def test_our_own_time_is_taken_off(
    tmp_path: Path, clocks: dict[str, float], busy_s: float, stolen_s: float, others: float, busy: bool
) -> None:
    stat(tmp_path, 1000.0)
    watch = ContentionWatch(tmp_path)
    clocks.update(wall=120.0, own=5.0 + 38.0)  # 1.9 cores for 20 s
    stat(tmp_path, 1000.0 + busy_s, stolen_s)
    seen = watch.stop()
    assert seen.other_cores == pytest.approx(others, abs=0.01)
    assert (seen.busy, seen.cores, seen.load_average) == (busy, 4, 0.5)


def test_without_the_kernels_figures_the_load_average_stands_in(tmp_path: Path, clocks: dict[str, float]) -> None:
    clocks["load"] = 2.5
    seen = ContentionWatch(tmp_path).stop()
    assert (seen.other_cores, seen.busy) == (2.5, True)


def test_a_system_that_tells_nothing_is_not_called_busy(
    tmp_path: Path, clocks: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "getloadavg")
    seen = ContentionWatch(tmp_path).stop()
    assert (seen.load_average, seen.other_cores, seen.busy) == (None, None, False)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs the files of Linux")
def test_a_real_program_is_seen() -> None:
    spin = "import time\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
    process = subprocess.Popen([sys.executable, "-c", spin])
    try:
        watch = ContentionWatch()
        time.sleep(2)
        seen = watch.stop()
    finally:
        process.kill()
        process.wait()
    assert seen.other_cores is not None
    assert seen.other_cores > 0.2
    assert seen.busy == (seen.other_cores > BUSY_SHARE * seen.cores)
