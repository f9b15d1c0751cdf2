"""The harness that kills commands: it finds what is lost, and training loses nothing."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.kills.__main__ import notes_of, rows_of
from benchmarks.kills.command import Command, require
from benchmarks.kills.inputs import Inputs
from benchmarks.kills.points import Point, Points
from benchmarks.kills.training import TrainFit
from tests.cli.made_corpus import fill_cache, write_corpus
from vavl_runtime.files import file_beside, write_atomically

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


class Writer(Command):
    """Writes two files in place of older ones, as a command would; ``careless`` ones write in place."""

    name, module, compared = "writer", "none", "content"
    outputs = ("a", "b")

    def main(self) -> Callable[[], None]:
        def write() -> None:
            for name in sys.argv[2:]:
                if sys.argv[1] == "careless":
                    Path(name).unlink(missing_ok=True)
                    Path(name).write_text("new")
                elif sys.argv[1] == "untidy":
                    with file_beside(Path(name)) as temporary:
                        temporary.write_text("new")
                else:
                    write_atomically(Path(name), b"new")

        return write

    def arguments(self, number: int) -> list[str]:
        return [self.how, *self.outputs]

    def prepare(self, folder: Path, number: int) -> None:
        for name in self.outputs:
            (folder / name).write_text("old")

    def check(self, folder: Path, number: int, said: str) -> None:
        for name in self.outputs:
            file = folder / name
            require(file.exists() and file.read_text() in ("old", "new"), f"{name} is lost")

    def result(self, folder: Path, number: int) -> object:
        return [(folder / name).read_text() for name in self.outputs]

    how = "careful"


def faults(how: str, tmp_path: Path) -> list[str | None]:
    command = Writer(Inputs.within(tmp_path))
    command.how = how
    points = Points(command, tmp_path / "points", seed=1)
    return [points.take(number, signal.SIGKILL, by_change=True).fault for number in range(4)]


def test_a_file_that_is_written_in_place_is_lost(tmp_path: Path) -> None:
    assert any(fault is not None and "is lost" in fault for fault in faults("careless", tmp_path))


def test_leftovers_that_nobody_names_are_a_fault(tmp_path: Path) -> None:
    found = [fault for fault in faults("untidy", tmp_path) if fault is not None]
    assert found and all("without a word" in fault for fault in found)


def test_what_was_found_is_counted(tmp_path: Path) -> None:
    held, lost = Point("SIGKILL at change 3 of 9", None, 0.25, 1), Point("SIGKILL at change 4 of 9", "a is lost", 1, 0)
    command, taken = Writer(Inputs.within(tmp_path)), {"SIGKILL": [held, replace(held, left=0), lost]}
    (row,) = rows_of(command, taken)
    assert (row["what"], row["tried"], row["held"]) == ("writer, SIGKILL", 3, 2)
    assert row["worst"] == "last process gone after 1.0 s; 1 left temporary files"
    assert notes_of(command, taken) == [
        "writer: compared with an undisturbed run: content.",
        "writer, SIGKILL at change 4 of 9: a is lost",
    ]


@pytest.mark.slow
def test_training_is_killed(tmp_path: Path) -> None:
    """In a process of its own: PyTorch cannot be copied once it has trained, which other tests may have done here."""
    code = "import sys, pathlib, tests.benchmarks.test_kills as t; t.kill_training(pathlib.Path(sys.argv[1]))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, encoding="utf-8", cwd=root)
    assert done.returncode == 0, done.stderr[-3000:]


def kill_training(tmp_path: Path) -> None:
    inputs = Inputs.within(tmp_path)
    manifest = write_corpus(tmp_path / "corpus", partitions=1)
    inputs = replace(inputs, manifest=manifest, features=fill_cache(inputs.features, manifest))
    points = Points(TrainFit(inputs), tmp_path / "points", seed=2)
    assert points.take(0, signal.SIGKILL, by_change=True).fault is None
    assert points.take(0, signal.SIGTERM, by_change=False).fault is None
