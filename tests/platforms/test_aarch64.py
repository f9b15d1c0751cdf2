"""The runtime on an emulated aarch64 processor, with the onnxruntime of JetPack 6."""

import json
import os
import subprocess
from itertools import islice
from pathlib import Path

import av
import pytest

from benchmarks.platform_check import check
from benchmarks.platform_rows import Row
from benchmarks.platforms import GOLDEN_TOLERANCE, agrees
from tests.platforms.emulator import ROOT, EmulatorUnavailableError, emulated_python
from tests.platforms.seen import seen

pytestmark = [pytest.mark.slow, pytest.mark.long]

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


def test_the_example_clip_has_the_same_answers(row: Row, here: Row) -> None:
    assert agrees(row, here)
    assert row.largest_difference(here, "file") < 1e-3


@pytest.fixture(scope="module")
def films(example_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The example, and a second of it in codecs whose decoders compute an inverse DCT."""
    made = [example_clip]
    for codec, suffix, pixels in (("mpeg2video", "mpg", "yuv420p"), ("mjpeg", "avi", "yuvj420p")):
        made.append(tmp_path_factory.mktemp("films") / f"film.{suffix}")
        with av.open(str(example_clip)) as source, av.open(str(made[-1]), "w") as target:
            stream = target.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 360, 360, pixels
            for frame in islice(source.decode(video=0), 25):
                target.mux(stream.encode(frame.reformat(format=pixels)))
            target.mux(stream.encode())
    return made


def test_the_same_is_seen_and_heard(python: Path, films: list[Path]) -> None:
    """Frames are the same to the bit. Crops follow boxes, which the detector computes in floating point."""
    done = emulated(python, "-m", "tests.platforms.seen", *films)
    assert done.returncode == 0, done.stderr
    for line, film in zip(done.stdout.splitlines(), films, strict=True):
        there, ours = json.loads(line), seen(film)
        assert there["frames"] == ours["frames"], film.name
        assert there["crops"][0] == ours["crops"][0], film.name
        assert there["sound"] == pytest.approx(ours["sound"], abs=1e-6), film.name


def test_quick_tests_of_the_runtime_pass(python: Path) -> None:
    files = [f"tests/runtime/{name}.py" for name in TESTS]
    plugins = ("-p", "no:cacheprovider", "-p", "tests.platforms.few_examples")
    done = emulated(python, "-m", "pytest", "-q", *plugins, *files)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
