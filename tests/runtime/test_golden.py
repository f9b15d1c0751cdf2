"""Golden vectors that the manifest vouches for and that are damaged all the same."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.damaged_bundles import list_file, rewrite
from vavl_runtime import Recognizer
from vavl_runtime.bundle.golden import read_golden, relative_l2
from vavl_runtime.bundle.npz_reader import read_npz
from vavl_runtime.errors import AlteredFileError

GOLDEN = "golden/audio.0.npz"


def npz(header: bytes, values: bytes = b"") -> bytes:
    """An archive of one array by hand."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("input.x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values)
    return file.getvalue()


def header(descr: str, shape: str) -> bytes:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()


def saved(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


DAMAGED = {
    "nothing": (b"", "not a readable golden vector"),
    "text": (b"no archive", "not a readable golden vector"),
    "no header": (npz(b"{'shape': (3, 8, \n"), "'input.x.npy' has no header of an array"),
    "objects": (saved(**{"input.x": np.array([{"a": 1}], object)}), "holds object, expected numbers"),
    "words": (saved(**{"input.x": np.array(["a"])}), "holds <U1, expected numbers"),
    "huge": (npz(header("'<f4'", f"({1 << 40},)")), r"has 0 bytes, its shape \(1099511627776,\) takes 4398046511104"),
    "negative": (npz(header("'<f4'", "(-1,)")), r"has 0 bytes, its shape \(-1,\) takes -4"),
    "short": (npz(header("'<f4'", "(4,)"), bytes(8)), r"has 8 bytes, its shape \(4,\) takes 16"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_vector_is_refused(case: str, tmp_path: Path) -> None:
    content, message = DAMAGED[case]
    (tmp_path / "damaged.npz").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(AlteredFileError, match=message):
            read_golden(tmp_path / "damaged.npz")
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vavl_runtime.bundle.npz_reader.MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("input.x.npy", bytes(50 << 20))
    with pytest.raises(AlteredFileError, match="holds more than 1048576 bytes"):
        read_golden(tmp_path / "bomb.npz")


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(3, 2)),
        "c": np.array(1.5),
        "d": np.zeros((0, 4), np.uint8),
        "e": np.arange(3, dtype=">f8"),
    }
    np.savez_compressed(tmp_path / "good.npz", **arrays)  # type: ignore[arg-type]
    read = read_npz(tmp_path / "good.npz")
    assert read.keys() == arrays.keys()
    for name, values in arrays.items():
        assert read[name].dtype == values.dtype and np.array_equal(read[name], values)


def replaced(bundle: Path, content: bytes) -> Recognizer:
    rewrite(bundle / GOLDEN, content)
    list_file(bundle, GOLDEN, content)
    return Recognizer(bundle, device="cpu", threads=1)


def test_a_vector_that_promises_nan_fails_the_self_test(bundle: Path) -> None:
    with np.load(bundle / GOLDEN) as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    changed["output.prediction"] = np.full_like(changed["output.prediction"], np.nan)
    with replaced(bundle, saved(**changed)) as recognizer:
        assert [check.graph for check in recognizer.self_test() if not check.passed] == ["audio"]


def test_a_vector_of_other_outputs_is_refused(bundle: Path) -> None:
    with np.load(bundle / GOLDEN) as arrays:
        changed = {name.replace("prediction", "other"): arrays[name] for name in arrays.files}
    with (
        replaced(bundle, saved(**changed)) as recognizer,
        pytest.raises(
            AlteredFileError, match=r"has outputs \['embedding', 'other'\], graph audio has \['embedding', 'pr"
        ),
    ):
        recognizer.self_test()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_an_error_is_infinite_where_it_cannot_be_told(value: float) -> None:
    assert relative_l2(np.array([1.0, 2.0]), np.array([1.0, value])) == np.inf
    assert relative_l2(np.array([1.0, value]), np.array([1.0, 2.0])) in (np.inf, pytest.approx(value / 5**0.5))
