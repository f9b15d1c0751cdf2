"""The base install: small, quick, and enough to answer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent


def _size_mb(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e6


def test_a_fresh_environment_is_small_and_answers(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    subprocess.run(
        [environment / "bin" / "pip", "install", "--quiet", ROOT], check=True, timeout=600, capture_output=True
    )
    assert _size_mb(environment) < 380
    done = subprocess.run(
        [environment / "bin" / "vavl-run", ROOT / "examples" / "astronaut.mp4", "--format", "csv"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr
    assert "audio_visual" in done.stdout
