"""The compatibility program: it finds interpreters, compares answers and says what failed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.compatibility import Combination, differences, find_python, run, table

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def _row(score: float) -> dict[str, object]:
    paths = {
        path: {"label": "sad", "scores": {"sad": score, "happy": 1 - score}}
        for path in ("audio", "visual", "audio_visual")
    }
    return {"python": HERE, "requirement": "onnxruntime", "paths": paths}


def test_an_interpreter_is_of_the_version_that_was_asked_for() -> None:
    found = find_python(HERE)
    assert found is not None
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    assert subprocess.run([found, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == HERE


def test_an_interpreter_that_is_not_there() -> None:
    assert find_python("2.99") is None


def test_what_does_not_start_is_no_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shim of pyenv is on the path whether its version is installed or not."""
    (tmp_path / "python3.99").write_text("#!/bin/sh\nexit 127\n")
    (tmp_path / "python3.99").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert find_python("3.99") is None


def test_answers_are_compared() -> None:
    apart = differences(_row(0.6), _row(0.75))
    assert apart == pytest.approx({"audio": 0.15, "visual": 0.15, "audio_visual": 0.15})


def test_the_table_tells_what_failed_and_what_is_missing() -> None:
    versions = {"python": "3.11.7", "onnxruntime": "1.32.0", "numpy": "2.4.6", "av": "18.1.0"}
    rows = [
        _row(0.6) | {"versions": versions, "differences": {"audio": 0.0}},
        _row(0.6) | {"versions": versions, "differences": {"audio": 3e-3}},
        {"python": "3.13", "requirement": "onnxruntime", "error": "pip ended with 1: no such wheel"},
    ]
    text = table(
        {
            "command": "c",
            "environment": {"processor": "p"},
            "tolerance": 2e-3,
            "rows": rows,
            "not_installed": ["3.12"],
        }
    )
    assert "| sad 0.60 | sad 0.60 | sad 0.60 | < 1e-06 |" in text
    assert "| 3e-03 |" in text
    assert "failed: pip ended with 1: no such wheel" in text
    assert "therefore not tried: Python 3.12" in text


@pytest.mark.slow
def test_an_environment_that_cannot_be_made_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    result = run(Path(sys.executable), Combination(HERE, "onnxruntime==0.0.1"), tmp_path / "no.whl", tmp_path)
    assert list(result) == ["error"] and result["error"].startswith("pip ended with 1: ")
