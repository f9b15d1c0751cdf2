"""Full, closed and abandoned streams, and too little memory: one line and an exit code, never a traceback."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.made_media import pcm16, tone, write_wav

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
FULL = "error: the output cannot be written (No space left on device); write to another place\n"
COMMANDS = {
    "a clip": ["vavl_runtime.cli.run", "clip.wav"],
    "a clip as JSON": ["vavl_runtime.cli.run", "clip.wav", "-f", "json"],
    "a file of JSON lines": ["vavl_runtime.cli.run", "clip.wav", "-f", "jsonl", "-o", "/dev/full"],
    "a file of JSON": ["vavl_runtime.cli.run", "clip.wav", "-f", "json", "-o", "/dev/full"],
    "help": ["vavl_runtime.cli.run", "--help"],
    "versions": ["vavl_runtime.cli.run", "--version"],
    "doctor": ["vavl_runtime.cli.doctor"],
    "inspect": ["vavl_export.cli", "inspect"],
    "bench": ["vavl_bench.cli.app", "--help"],
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_wav(tmp_path / "clip.wav", pcm16(tone(0.5)))
    return tmp_path


def run(
    place: Path, module: str, *arguments: str, shell: str = "", **options: object
) -> "subprocess.CompletedProcess[str]":
    """Run a command of ours; ``shell`` redirects its streams."""
    script = f'exec "$0" -c "import sys; from {module} import main; main()" "$@" {shell}'
    command = ["bash", "-c", script, sys.executable, *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("case", COMMANDS)
def test_a_full_disk(case: str, place: Path) -> None:
    module, *arguments = COMMANDS[case]
    done = run(place, module, *arguments, shell="" if "/dev/full" in arguments else ">/dev/full")
    assert (done.returncode, done.stderr) == (3, FULL)


def test_stdout_is_closed(place: Path) -> None:
    done = run(place, "vavl_runtime.cli.run", "clip.wav", shell=">&-")
    assert (done.returncode, done.stderr) == (3, "error: stdout is closed; name a file for the results with --output\n")
    done = run(place, "vavl_runtime.cli.run", "clip.wav", "-o", "answer.json", shell=">&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert (place / "answer.json").read_text().startswith("{")


def test_stderr_is_closed(place: Path) -> None:
    """What belongs there is lost, and must not come between the JSON."""
    done = run(place, "vavl_runtime.cli.run", "clip.wav", "missing.wav", "-f", "json", shell="2>&-")
    assert (done.returncode, done.stdout[0], done.stdout[-2:]) == (1, "[", "]\n")
    assert done.stdout.count("\n{") == 2


def test_everything_is_closed(place: Path) -> None:
    assert run(place, "vavl_runtime.cli.run", "clip.wav", shell="<&- >&- 2>&-").returncode == 3


def test_the_reader_leaves(place: Path) -> None:
    done = run(place, "vavl_runtime.cli.run", *["clip.wav"] * 3, "-q", shell="| head -c 1")
    assert done.stderr == ""


@pytest.mark.parametrize("missing", ["HOME", "TMPDIR", "XDG_CACHE_HOME"])
def test_folders_that_are_not_there(missing: str, place: Path) -> None:
    for environment in (os.environ | {missing: "/not/there"}, {k: v for k, v in os.environ.items() if k != missing}):
        done = run(place, "vavl_runtime.cli.run", "clip.wav", env=environment)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("megabytes", [200, 300])
def test_too_little_memory(megabytes: int, place: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    done = run(place, "vavl_runtime.cli.run", "clip.wav", preexec_fn=limit, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode in (0, 4)
    assert len(done.stderr.splitlines()) == (done.returncode == 4), done.stderr
