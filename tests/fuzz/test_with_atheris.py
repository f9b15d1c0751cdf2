"""The entry for Atheris, where it is installed."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("atheris") is None, reason="needs atheris: pip install atheris"),
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.with_atheris", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_it_finds_its_way_into_our_code() -> None:
    done = run("manifest", "-runs=300", "-seed=1")
    assert done.returncode == 0, done.stderr
    assert "Done 300 runs" in done.stderr
    assert "INITED" in done.stderr and "cov: 0 " not in done.stderr.split("INITED")[1]


def test_an_input_that_it_kept_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"\0{}")
    done = run("manifest", str(tmp_path / "kept"))
    assert done.returncode == 0 and "kept" in done.stderr, done.stderr


def test_without_a_target_it_says_which_there_are() -> None:
    done = run("nothing")
    assert done.returncode == 1 and "manifest|archive" in done.stderr
