"""The statistics pickle: whatever numpy writes is read, anything else is refused, and nothing is ever run."""

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vavl.errors import ConfigError
from vavl.released.statistics import LARGEST_FILE, NormalizationStatistics, read_statistics

MEAN, DEVIATION = np.array([1.0, 2.0, 3.0], np.float32), np.array([0.5, 0.25, 0.125])

# pickle.dumps((np.float32(0.5), np.float64(0.25), MEAN, DEVIATION), protocol) as numpy 1.26.4 wrote it.
NUMPY_1 = {
    2: (
        b"\x80\x02(cnumpy.core.multiarray\nscalar\nq\x00cnumpy\ndtype\nq\x01X\x02\x00\x00\x00f4q\x02\x89\x88\x87q\x03Rq"
        b"\x04(K\x03X\x01\x00\x00\x00<q\x05NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x06bc_codecs\nencode\nq\x07X"
        b"\x04\x00\x00\x00\x00\x00\x00?q\x08X\x06\x00\x00\x00latin1q\t\x86q\nRq\x0b\x86q\x0cRq\rh\x00h\x01X\x02\x00\x00"
        b"\x00f8q\x0e\x89\x88\x87q\x0fRq\x10(K\x03h\x05NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x11bh\x07X\t\x00"
        b"\x00\x00\x00\x00\x00\x00\x00\x00\xc3\x90?q\x12h\t\x86q\x13Rq\x14\x86q\x15Rq\x16cnumpy.core.multiarray\n_recon"
        b"struct\nq\x17cnumpy\nndarray\nq\x18K\x00\x85q\x19h\x07X\x01\x00\x00\x00bq\x1ah\t\x86q\x1bRq\x1c\x87q\x1dRq"
        b"\x1e(K\x01K\x03\x85q\x1fh\x04\x89h\x07X\r\x00\x00\x00\x00\x00\xc2\x80?\x00\x00\x00@\x00\x00@@q h\t\x86q!Rq"
        b"\"tq#bh\x17h\x18K\x00\x85q$h\x1c\x87q%Rq&(K\x01K\x03\x85q'h\x10\x89h\x07X\x1b\x00\x00\x00\x00\x00\x00\x00\x00"
        b"\x00\xc3\xa0?\x00\x00\x00\x00\x00\x00\xc3\x90?\x00\x00\x00\x00\x00\x00\xc3\x80?q(h\t\x86q)Rq*tq+btq,."
    ),
    4: (
        b"\x80\x04\x95\x1c\x01\x00\x00\x00\x00\x00\x00(\x8c\x15numpy.core.multiarray\x94\x8c\x06scalar\x94\x93\x94\x8c"
        b"\x05numpy\x94\x8c\x05dtype\x94\x93\x94\x8c\x02f4\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff"
        b"\xffJ\xff\xff\xff\xffK\x00t\x94bC\x04\x00\x00\x00?\x94\x86\x94R\x94h\x02h\x05\x8c\x02f8\x94\x89\x88\x87\x94R"
        b"\x94(K\x03h\tNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94bC\x08\x00\x00\x00\x00\x00\x00\xd0?\x94\x86\x94R"
        b"\x94h\x00\x8c\x0c_reconstruct\x94\x93\x94h\x03\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94"
        b"(K\x01K\x03\x85\x94h\x08\x89C\x0c\x00\x00\x80?\x00\x00\x00@\x00\x00@@\x94t\x94bh\x16h\x18K\x00\x85\x94h\x1a"
        b"\x87\x94R\x94(K\x01K\x03\x85\x94h\x10\x89C\x18\x00\x00\x00\x00\x00\x00\xe0?\x00\x00\x00\x00\x00\x00\xd0?\x00"
        b"\x00\x00\x00\x00\x00\xc0?\x94t\x94bt\x94."
    ),
}


def read(folder: Path, content: bytes, width: int = 3) -> NormalizationStatistics:
    path = folder / "train_norm_stat.pkl"
    path.write_bytes(content)
    return read_statistics(path, width)


def read_values(folder: Path, *values: object, width: int = 3, protocol: int = 4) -> NormalizationStatistics:
    return read(folder, pickle.dumps(values, protocol=protocol), width)


# ---------------------------------------------------------------------------------------------------------------
# What is read.


@pytest.mark.parametrize("protocol", NUMPY_1)
def test_files_of_numpy_1_are_read(protocol: int, tmp_path: Path) -> None:
    statistics = read(tmp_path, NUMPY_1[protocol])
    assert (statistics.waveform_mean, statistics.waveform_std) == (0.5, 0.25)
    np.testing.assert_array_equal(statistics.visual_mean, MEAN)
    np.testing.assert_array_equal(statistics.visual_std, DEVIATION)


@pytest.mark.parametrize("scalar", [float, np.float32, np.float64])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_files_of_the_numpy_at_hand_are_read(protocol: int, scalar: type, tmp_path: Path) -> None:
    statistics = read_values(tmp_path, scalar(0.5), scalar(0.25), MEAN, DEVIATION, protocol=protocol)
    assert (statistics.waveform_mean, statistics.waveform_std) == (0.5, 0.25)
    np.testing.assert_array_equal(statistics.visual_mean, MEAN)
    np.testing.assert_array_equal(statistics.visual_std, DEVIATION)


@settings(max_examples=60, deadline=None)
@given(
    values=hnp.arrays(
        st.sampled_from([np.dtype("<f4"), np.dtype(">f4"), np.dtype("<f8"), np.dtype(">f8")]),
        st.integers(1, 50),
        elements=st.floats(0.0009765625, 1e6, width=32),
    ),
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_any_float_array_comes_back_exactly(
    values: np.ndarray, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    statistics = read_values(folder, 0.0, 1.0, -values, values, width=len(values), protocol=protocol)
    np.testing.assert_array_equal(statistics.visual_mean, -values)
    np.testing.assert_array_equal(statistics.visual_std, values)
    assert statistics.visual_std.dtype == np.float64


# ---------------------------------------------------------------------------------------------------------------
# Values that cannot be statistics.


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.0, 1.0), "got 2 values, expected"),
        ((0.0, 1.0, MEAN), "got 3 values, expected"),
        ((0.0, 1.0, MEAN, DEVIATION, 1.0), "got 5 values, expected"),
        ((MEAN, 1.0, MEAN, DEVIATION), "waveform mean: got a _reconstruct, expected a float"),
        ((0, 1.0, MEAN, DEVIATION), "waveform mean: got a int, expected a float"),
        ((float("nan"), 1.0, MEAN, DEVIATION), "waveform mean: got nan, expected a finite number"),
        ((0.0, np.float32("inf"), MEAN, DEVIATION), "waveform deviation: got inf, expected a finite number"),
        ((0.0, 0.0, MEAN, DEVIATION), "waveform deviation: got 0.0, expected a positive number"),
        ((0.0, -1.0, MEAN, DEVIATION), "waveform deviation: got -1.0, expected a positive number"),
        ((0.0, 1.0, MEAN[:2], DEVIATION), r"face means: got shape \(2,\), expected \(3,\)"),
        ((0.0, 1.0, MEAN, DEVIATION[None]), r"face deviations: got shape \(1, 3\), expected \(3,\)"),
        ((0.0, 1.0, [1.0, 2.0, 3.0], DEVIATION), "face means: got a list, expected an array"),
        ((0.0, 1.0, MEAN.astype(np.int64), DEVIATION), "got numbers of type 'i8', expected 'f4' or 'f8'"),
        ((0.0, 1.0, MEAN.astype(object), DEVIATION), "got numbers of type 'O8', expected 'f4' or 'f8'|got a list"),
        ((0.0, 1.0, np.array([1, np.nan, 2]), DEVIATION), "face means: not all are finite"),
        ((0.0, 1.0, np.array([1, 1e300, 2]), DEVIATION), "face means: not all are finite"),
        ((0.0, 1.0, MEAN, np.array([1.0, 0.0, -1.0])), "face deviations: 2 of 3 are not positive"),
    ],
)
def test_values_that_are_no_statistics_are_refused(values: tuple[object, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"train_norm_stat\.pkl: .*({message})"):
        read_values(tmp_path, *values)


@pytest.mark.parametrize("value", [None, 1.0, [0.0, 1.0, 2.0, 3.0], {"mean": 0.0}])
def test_anything_but_a_tuple_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"got a {type(value).__name__}, expected"):
        read(tmp_path, pickle.dumps(value))


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    content = pickle.dumps((0.0, 1.0, MEAN, DEVIATION), protocol=4)
    assert content.count(b"(K\x01K\x03\x85") == 2  # state: version 1, shape (3,)
    with pytest.raises(ConfigError, match="face means: got 3 values, expected 9"):
        read(tmp_path, content.replace(b"(K\x01K\x03\x85", b"(K\x01K\x09\x85"), width=9)


# ---------------------------------------------------------------------------------------------------------------
# Files that are damaged or too large.


@pytest.mark.parametrize("kept", [0, 1, 20, 100, 200, -1])
def test_a_truncated_file_is_refused(kept: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a readable pickle"):
        read(tmp_path, NUMPY_1[4][:kept])


@settings(max_examples=300, deadline=None)
@given(
    position=st.integers(0, len(NUMPY_1[4]) - 1),
    byte=st.integers(0, 255),
)
def test_a_damaged_byte_gives_statistics_or_our_error(
    position: int, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(NUMPY_1[4])
    content[position] = byte
    try:
        statistics = read(tmp_path_factory.getbasetemp(), bytes(content))
    except ConfigError as error:
        assert "train_norm_stat.pkl: " in str(error)
    else:
        assert statistics.waveform_std > 0
        assert statistics.visual_mean.shape == statistics.visual_std.shape == (3,)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"larger than {LARGEST_FILE} bytes"):
        read_values(tmp_path, 0.0, 1.0, np.zeros(LARGEST_FILE // 8), DEVIATION)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.pkl: cannot be read \(No such file"):
        read_statistics(tmp_path / "none.pkl", 3)


@pytest.mark.parametrize("opcode", [b"r" + struct.pack("<I", 2**32 - 1), b"p4294967295\n"], ids=["LONG_BINPUT", "PUT"])
def test_a_pickle_that_asks_for_a_huge_memo_is_refused(opcode: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="claims to hold 4294967295 objects in"):
        read(tmp_path, b"\x80\x02N" + opcode + b".")


def test_a_pickle_that_announces_a_huge_string_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a readable pickle"):
        read(tmp_path, b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.")


# ---------------------------------------------------------------------------------------------------------------
# Files that would run code.


class Call:
    """Pickles as a call."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", ["whole", "within", "argument", "state"])
@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [
        (os.system, "mkdir '{}'", "posix.system"),
        (os.mkdir, "{}", "posix.mkdir"),
        (eval, "__import__('os').mkdir('{}')", r"(builtins|__builtin__).eval"),
        (exec, "import os; os.mkdir('{}')", r"(builtins|__builtin__).exec"),
        (getattr, "{}", r"(builtins|__builtin__).getattr"),
        (np.load, "{}", r"numpy.load"),
    ],
    ids=["system", "mkdir", "eval", "exec", "getattr", "numpy"],
)
def test_no_other_name_is_admitted_and_nothing_runs(
    function: object, argument: str, name: str, place: str, protocol: int, tmp_path: Path
) -> None:
    hostile: object = Call(function, argument.format(tmp_path / "ran"))
    if place == "within":
        hostile = (0.0, 1.0, MEAN, [hostile])
    elif place == "argument":
        hostile = Call(np.dtype, Call(np.dtype, hostile))
    elif place == "state":
        hostile = (0.0, 1.0, MEAN, np.array([hostile], dtype=object))
    with pytest.raises(ConfigError, match=rf"names {name}, expected numpy arrays and floats only"):
        read(tmp_path, pickle.dumps(hostile, protocol=protocol))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy", "ndarray.tofile"),
        ("numpy", "dtype.__class__"),
        ("numpy.core.multiarray", "fromfile"),
        ("os", "system"),
    ],
)
def test_neither_an_attribute_of_an_admitted_name_nor_a_neighbour_is_admitted(
    module: str, name: str, tmp_path: Path
) -> None:
    names = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    with pytest.raises(ConfigError, match=f"names {module}.{name},"):
        read(tmp_path, b"\x80\x04" + names + b"\x93.")


def test_an_admitted_name_is_never_called(tmp_path: Path) -> None:
    """Numpy would raise for such a type, or make an array of a million million values."""
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(L1000000000000L\ntS'f8'\ntR"
    with pytest.raises(ConfigError, match="waveform mean: got a _reconstruct"):
        read(tmp_path, b"(" + 4 * array + b"t.")


def test_state_cannot_change_what_an_admitted_name_does(tmp_path: Path) -> None:
    content = pickle.dumps((0.0, 1.0, MEAN, DEVIATION), protocol=2)
    changed = b"\x80\x02cnumpy\nndarray\n}X\x04\x00\x00\x00nameX\x06\x00\x00\x00scalarsb0" + content[2:]
    np.testing.assert_array_equal(read(tmp_path, changed).visual_mean, MEAN)
