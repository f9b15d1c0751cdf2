"""The runtime on an emulated aarch64 processor, with the onnxruntime of JetPack 6."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.platform_check import check
from benchmarks.platform_rows import Row
from benchmarks.platforms import GOLDEN_TOLERANCE, agrees
from tests.platforms.emulator import ROOT, EmulatorUnavailableError, emulated_python

pytestmark = pytest.mark.slow

# Quick ones that compute, decode or read the machine: what may differ between processors.
TESTS = ("test_cores", "test_devices", "test_media_times", "test_precision", "test_windows")
KEEP = "VAVL_AARCH64"  # names a folder that keeps the emulated machine between runs of the tests


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get(KEEP) or tmp_path_factory.mktemp("aarch64"))
    try:
        return emulated_python(folder)
    except EmulatorUnavailableError as error:
        pytest.skip(f"no emulated aarch64 machine: {error}")


def emulated(python: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join(map(str, (ROOT, ROOT / "runtime", ROOT / "benchmarks")))
    return subprocess.run(
        [python, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def row(python: Path) -> Row:
    """What the check says there."""
    done = emulated(python, "-m", "benchmarks.platform_check")
    assert done.returncode == 0, done.stderr
    return Row(how="emulated", **json.loads(done.stdout))


@pytest.fixture(scope="module")
def here() -> Row:
    """What the check says on this machine."""
    return Row(how="run", **check())


def test_it_is_another_processor(row: Row) -> None:
    assert row.machine == "aarch64"


def test_every_graph_gives_its_golden_vectors(row: Row, here: Row) -> None:
    assert row.golden.keys() == here.golden.keys()
    assert max(row.golden.values()) <= GOLDEN_TOLERANCE


def test_the_same_pixels_and_sound_give_the_same_answer(row: Row, here: Row) -> None:
    assert row.arrays.keys() == {"audio", "visual", "audio_visual"}
    assert row.largest_difference(here, "arrays") < 2e-3


def test_the_example_clip_has_the_same_labels(row: Row, here: Row) -> None:
    """Not the same probabilities: FFmpeg rounds colours differently on every kind of processor."""
    assert agrees(row, here)
    assert row.file["audio"] == pytest.approx(here.file["audio"], abs=1e-3)


def test_quick_tests_of_the_runtime_pass(python: Path) -> None:
    files = [f"tests/runtime/{name}.py" for name in TESTS]
    plugins = ("-p", "no:cacheprovider", "-p", "tests.platforms.few_examples")
    done = emulated(python, "-m", "pytest", "-q", *plugins, *files)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
