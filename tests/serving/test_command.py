"""``vavl-run --jobs``: results and progress in the order of the clips, and what does not go together."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.programs import run, run_apart
from tests.runtime.command_line import records

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_results_and_progress_in_the_order_of_the_clips(folder_of_clips: Path, tmp_path: Path) -> None:
    done = run_apart("vavl-run", folder_of_clips, "--jobs", 3, "--device", "cpu", "--format", "jsonl")
    assert done.returncode == 1  # some clips failed
    found = records(done.stdout)
    assert [Path(record["clip"]).name for record in found] == ["a.mp4", "b.mp4", "c.mp4"]
    assert [record["error"] and record["error"]["kind"] for record in found] == [None, "unsupported_media", None]
    assert found[0]["scores"] == found[2]["scores"]
    assert found[0]["backend"].endswith("x1")  # graphs of one thread each, as many as jobs
    lines = done.stderr.splitlines()
    assert [line[:5] for line in lines if line.startswith("[")] == ["[1/3]", "[2/3]", "[3/3]"]
    assert [line for line in lines if line.startswith("error: ")] == [f"error: {found[1]['error']['message']}"]


def test_threads_that_are_named_stay(folder_of_clips: Path) -> None:
    done = run("vavl-run", folder_of_clips / "a.mp4", "--jobs", 1, "--threads", 2, "--device", "cpu", "-f", "jsonl")
    assert records(done.stdout)[0]["backend"].endswith("x2")


def test_bad_usage(folder_of_clips: Path) -> None:
    done = run("vavl-run", folder_of_clips, "--jobs", 0)
    assert done.exit_code == 2 and "--jobs" in done.stderr
    done = run("vavl-run", folder_of_clips, "--jobs", 2, "--profile")
    assert done.exit_code == 2 and "--profile tells of one process; leave --jobs out" in done.stderr


def test_multiprocessing_is_imported_for_jobs_alone(example_clip: Path) -> None:
    code = (
        "import sys; from vavl_runtime import Recognizer\n"
        f"with Recognizer(device='cpu') as recognizer: recognizer.predict({str(example_clip)!r})\n"
        "print(sorted(name for name in sys.modules if name.startswith(('multiprocessing', 'vavl_runtime.serving'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"


def test_processes_import_no_pytorch() -> None:
    code = "import sys; import vavl_runtime.serving.worker; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "False\n"
