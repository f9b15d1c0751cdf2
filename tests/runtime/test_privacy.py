"""Nothing phones home: no file and no connection but those that were asked for."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Each gets to ONNX Runtime by another way.
PROGRAMS = {
    "vavl-run": ["-m", "vavl_runtime", "examples/astronaut.mp4", "--audio-only"],
    "vavl-doctor": ["-m", "vavl_runtime.cli.doctor"],
    "vavl-run --version": ["-m", "vavl_runtime", "--version"],
    "API": ["-c", "from vavl_runtime import Recognizer; Recognizer(device='cpu').warm_up()"],
    "export": ["-c", "import vavl_export.precision.int8"],
    "benchmarks": ["-c", "from benchmarks.engines import open_runtime; import onnxruntime"],
    "child process": [
        "-c",
        "import vavl_runtime, subprocess as s, sys; s.run([sys.executable, '-c', 'import onnxruntime'], check=True)",
    ],
}
LONG_RUN = """
import sys, time
from vavl_runtime import Recognizer
begin = time.monotonic()
with Recognizer(threads=1) as recognizer:
    while time.monotonic() < begin + 90:
        assert recognizer.predict(sys.argv[1]).path == "audio_visual"
        time.sleep(2)
"""


def run_at_home(home: Path, arguments: list[str], *tracer: str) -> None:
    """Run Python with a home folder of its own, and without the variables by which test machines are recognised."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    environment |= {name: os.environ[name] for name in ("PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    command = [*tracer, sys.executable, "-B", *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def left_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_entry_leaves_a_file_at_home(program: str, tmp_path: Path) -> None:
    run_at_home(tmp_path, PROGRAMS[program])
    assert left_in(tmp_path) == []


def test_onnxruntime_alone_leaves_some(tmp_path: Path) -> None:
    """Without this, the test above could not fail."""
    import onnxruntime

    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 29):
        pytest.skip("onnxruntime collects usage data on Linux from 1.29 on")
    run_at_home(tmp_path, ["-c", "import onnxruntime"])
    assert any("onnxruntime" in file for file in left_in(tmp_path))


def test_onnxruntime_imported_before_us_is_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    from vavl_runtime.backends.ort.session import import_onnxruntime

    told: list[bool] = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: told.append(True))
    import_onnxruntime()
    assert told


def receipt_of(place: Path, *arguments: str) -> dict[str, str]:
    command = [sys.executable, "-m", "vavl_runtime", *arguments, "-q", "--privacy-receipt"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stderr.splitlines() if ": " in line)


def test_a_receipt_tells_what_was_read_and_written(tmp_path: Path, example_clip: Path) -> None:
    shutil.copy(example_clip, tmp_path / "clip.mp4")
    told = receipt_of(tmp_path, "clip.mp4", "--audio-only", "-o", "answer.json")
    assert (told["clips read"], told["connections"], told["programs started"]) == ("1", "none", "none")
    assert int(told["files of the bundle read"]) > 10
    assert told["files written and kept"] == str(tmp_path / "answer.json")
    assert int(told["temporary files, removed again"]) >= 4  # graphs and weights, while they are loaded
    assert receipt_of(tmp_path, "clip.mp4", "--audio-only")["files written and kept"] == "none"


def test_a_receipt_tells_of_connections_and_programs() -> None:
    script = """
import socket, subprocess, sys
from pathlib import Path
from vavl_runtime.cli.privacy import Receipt
receipt = Receipt()
with socket.socket() as opened:
    opened.connect_ex(("127.0.0.1", 9))
subprocess.run([sys.executable, "-c", "pass"])
print("\\n".join(receipt.lines([], Path("."))))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "connections: connect ('127.0.0.1', 9)" in done.stdout
    assert f"programs started: {sys.executable}" in done.stdout


@pytest.mark.slow
def test_a_long_run_opens_no_connection_and_writes_no_file(tmp_path: Path, example_clip: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    home, log = tmp_path / "home", tmp_path / "calls"
    home.mkdir()
    calls = "trace=%network,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,link,symlink"
    run_at_home(home, ["-c", LONG_RUN, str(example_clip)], strace, "-f", "-qq", "-e", calls, "-o", str(log))
    seen = [line.split(maxsplit=1)[1] for line in log.read_text("utf-8", "replace").splitlines()]
    assert any(str(example_clip) in line for line in seen)
    opened_to_write = re.compile(r"^open(at)?\(.*O_(WRONLY|RDWR|CREAT)")
    harmless = re.compile(r"^(open(at)?\([^)]*O_RDONLY[^)]*\)|[+-]{3}|<\.\.\. open)")
    odd = [line for line in seen if opened_to_write.match(line) or not harmless.match(line)]
    # Private copies of graphs, while they are loaded; they are removed by their names in an open folder.
    copies = re.compile(r'.*"/dev/shm/vavl-|unlinkat\(\d+, "[^/"]*"')
    odd = [line for line in odd if not copies.match(line)]
    assert odd == []
