"""The benchmark on one core: its films are what they are called, and its processes have one core."""

import itertools
from pathlib import Path

import pytest

from benchmarks.studies import one_core
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import InputError
from vavl_runtime.media import open_source


@pytest.fixture(scope="module")
def limits() -> Limits:
    with open_bundle() as bundle:
        return bundle.manifest.limits


def test_a_repeated_film_is_the_film_again_and_again(example_clip: Path, tmp_path: Path, limits: Limits) -> None:
    once = list(open_source(example_clip, limits).frames())
    film = one_core.repeated(example_clip, tmp_path / "film.mp4", 6.0)
    frames = list(open_source(film, limits).frames())
    assert len(frames) == 2 * len(once)
    times = [frame.time_s for frame in frames]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    assert (frames[len(once)].pixels == once[0].pixels).all()
    sound = sum(len(block.samples) for block in open_source(film, limits).sound())
    assert sound / 16_000 == pytest.approx(times[-1], abs=0.3)


def test_an_enlarged_film_has_its_size(example_clip: Path, tmp_path: Path, limits: Limits) -> None:
    film = one_core.enlarged(example_clip, tmp_path / "film.mp4", 640, 480)
    frames = list(open_source(film, limits).frames())
    assert {frame.pixels.shape for frame in frames} == {(480, 640, 3)}
    assert len(frames) == len(list(open_source(example_clip, limits).frames()))


def test_a_prediction_has_one_core(example_clip: Path) -> None:
    film = one_core.apart(one_core.predict, example_clip) | one_core.apart(one_core.index, example_clip)
    assert film["backend"].endswith(" x1")
    assert film["path"] == "audio_visual"
    assert film["took_s"] > 0
    assert 50 < film["peak_mb"] < 1000
    assert 0 < film["index_mb"] < 10
    record = {"command": "command", "environment": {"processor": "P", "onnxruntime": "1"}, "films": {"it": film}}
    assert f"| {film['took_s'] / film['seconds']:.3f} |" in one_core.table(record)


def test_a_process_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        one_core.apart(one_core.predict, tmp_path / "missing.mp4")
