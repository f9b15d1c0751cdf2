"""Cores that a process may use, on made files of the kernel."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vavl_runtime.devices import cpu


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def made(root: Path, cgroup: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        place = root / "sys/fs/cgroup" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


def test_without_control_groups_the_mask_counts(tmp_path: Path) -> None:
    assert cpu.usable_cores(tmp_path) == 16


@pytest.mark.parametrize(
    ("quota", "expected"), [("max", 16), ("200000", 2), ("150000", 2), ("1000", 1), ("6400000", 16)]
)
def test_version_two(tmp_path: Path, quota: str, expected: int) -> None:
    made(tmp_path, "0::/\n", **{"cpu.max": f"{quota} 100000\n"})
    assert cpu.usable_cores(tmp_path) == expected


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "expected"), [("-1", 16), ("300000", 3)])
def test_version_one(tmp_path: Path, mount: str, quota: str, expected: int) -> None:
    cgroup = "5:memory:/box\n4:cpu,cpuacct:/box\n"
    made(
        tmp_path,
        cgroup,
        **{f"{mount}/box/cpu.cfs_quota_us": f"{quota}\n", f"{mount}/box/cpu.cfs_period_us": "100000\n"},
    )
    assert cpu.usable_cores(tmp_path) == expected


def test_the_tightest_group_above_counts(tmp_path: Path) -> None:
    made(
        tmp_path,
        "0::/outer/inner\n",
        **{"cpu.max": "max 100000", "outer/cpu.max": "400000 100000", "outer/inner/cpu.max": "900000 100000"},
    )
    assert cpu.usable_cores(tmp_path) == 4


def test_the_mask_counts_if_it_is_tighter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert cpu.usable_cores(made(tmp_path, "0::/\n", **{"cpu.max": "800000 100000"})) == 1


@pytest.mark.parametrize(("cores", "expected"), [(6, 6), (None, 1)])
def test_systems_without_a_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int | None, expected: int
) -> None:
    """macOS and Windows."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert cpu.usable_cores(tmp_path) == expected


@given(st.one_of(st.text(max_size=30), st.tuples(st.integers(), st.integers()).map("{0[0]} {0[1]}".format)))
def test_whatever_the_files_hold_there_is_a_core(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = made(tmp_path_factory.mktemp("root"), "0::/\n", **{"cpu.max": text})
    assert 1 <= cpu.usable_cores(root) <= 16
