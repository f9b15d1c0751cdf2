"""Reads ``train_norm_stat.pkl``, the released training-set statistics, without running code that the pickle names.

An unpickler that allows NumPy's functions would pass a crafted state to their C code. Here each allowed name is a
placeholder that only records its arguments; the records are then read as arrays and floats.
"""

import io
import pickle
import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl.errors import ConfigError

LARGEST_FILE = 1_000_000  # bytes; two vectors of 1408 float64 take 23 kB
LARGEST_NUMBER = float(np.finfo(np.float32).max)  # because the model computes in float32

# The names in pickled arrays and floats of NumPy 1.x and 2.x; `_codecs.encode` carries bytes in protocols below 3,
# `_frombuffer` arrays in protocol 5.
ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}
MEMO_WRITES = ("PUT", "BINPUT", "LONG_BINPUT")


@dataclass(frozen=True)
class NormalizationStatistics:
    """Statistics of the released training set.

    Attributes:
        waveform_mean: Mean of all samples (D12).
        waveform_std: Their standard deviation, positive.
        visual_mean: Mean of each face feature, float64, shape (F_v,) (D13).
        visual_std: Their standard deviations, positive, float64, shape (F_v,).
    """

    waveform_mean: float
    waveform_std: float
    visual_mean: NDArray[np.float64]
    visual_std: NDArray[np.float64]


def read_statistics(path: Path, visual_dim: int) -> NormalizationStatistics:
    """Read the statistics. Nothing in the file is executed.

    Args:
        path: A pickle of (waveform mean, waveform deviation, face feature means, face feature deviations).
        visual_dim: Width of the face features, F_v.

    Returns:
        The statistics.

    Raises:
        ConfigError: The file cannot be read, names anything but numpy arrays and floats, or holds values of a wrong
            kind, shape or range.
    """
    try:
        values = _unpickle(_read(path))
        if not isinstance(values, tuple) or len(values) != 4:
            held = f"{len(values)} values" if isinstance(values, tuple) else f"a {type(values).__name__}"
            raise ValueError(f"got {held}, expected (waveform mean, its deviation, face means, their deviations)")
        statistics = NormalizationStatistics(
            waveform_mean=_float(values[0], "waveform mean"),
            waveform_std=_float(values[1], "waveform deviation"),
            visual_mean=_vector(values[2], "face means", visual_dim),
            visual_std=_vector(values[3], "face deviations", visual_dim),
        )
        if statistics.waveform_std <= 0:
            raise ValueError(f"waveform deviation: got {statistics.waveform_std}, expected a positive number")
        if count := int((statistics.visual_std <= 0).sum()):
            raise ValueError(f"face deviations: {count} of {visual_dim} are not positive")
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    return statistics


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    if len(content) > LARGEST_FILE:
        raise ValueError(f"larger than {LARGEST_FILE} bytes, expected some 20 kB")
    return content


class _RefusedError(ValueError):
    """The pickle contains something that is not allowed."""


class _Global:
    """An allowed name; calling it only records the call."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: object) -> "_Call":
        return _Call(self.name, arguments)


class _Call:
    """A call in the pickle, with the state that the pickle sets on the result."""

    def __init__(self, name: str, arguments: tuple[object, ...]) -> None:
        self.name = name
        self.arguments = arguments
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise _RefusedError(
                f"names {module}.{name}, expected numpy arrays and floats only; a pickle can run code, so do not open "
                "this file with another program"
            )
        return _Global(name)


def _unpickle(content: bytes) -> object:
    try:
        for opcode, argument, _ in pickletools.genops(content):
            # A pickle of n bytes stores fewer than n objects, but a large memo index would allocate a large memo.
            if opcode.name in MEMO_WRITES and isinstance(argument, int) and argument > len(content):
                raise _RefusedError(f"claims to hold {argument} objects in {len(content)} bytes; not a released file")
        return _Unpickler(io.BytesIO(content)).load()
    except _RefusedError:
        raise
    except Exception as error:  # a damaged pickle raises many types
        raise ValueError(f"not a readable pickle ({str(error) or type(error).__name__}); copy the file anew") from error


def _float(value: object, what: str) -> float:
    match value:
        case float():
            number = value
        case _Call(name="scalar", arguments=(dtype, content)):
            number = np.frombuffer(_bytes(content), _dtype(dtype)).item()
        case _:
            raise ValueError(f"{what}: got a {_kind(value)}, expected a float")
    if not abs(number) <= LARGEST_NUMBER:
        raise ValueError(f"{what}: got {number}, expected a finite number")
    return float(number)


def _vector(value: object, what: str, width: int) -> NDArray[np.float64]:
    match value:
        case _Call(name="_reconstruct", arguments=(_Global(name="ndarray"), *_), state=(_, shape, dtype, _, content)):
            pass
        case _Call(name="_frombuffer", arguments=(content, dtype, shape, *_)):
            pass
        case _:
            raise ValueError(f"{what}: got a {_kind(value)}, expected an array")
    if shape != (width,):
        raise ValueError(f"{what}: got shape {shape}, expected ({width},), the width of the face features")
    vector = np.frombuffer(_bytes(content), _dtype(dtype))
    if vector.shape != shape:
        raise ValueError(f"{what}: got {vector.size} values, expected {width}")
    if not (np.abs(vector) <= LARGEST_NUMBER).all():
        raise ValueError(f"{what}: not all are finite")
    return vector.astype(np.float64)


def _dtype(value: object) -> np.dtype[Any]:
    match value:
        case _Call(name="dtype", arguments=("f4" | "f8" as kind, *_), state=(_, "<" | ">" as order, *_)):
            return np.dtype(order + kind)
        case _Call(name="dtype", arguments=(kind, *_)):
            raise ValueError(f"got numbers of type {kind!r}, expected 'f4' or 'f8'")
        case _:
            raise ValueError(f"got a {_kind(value)}, expected a numpy dtype")


def _bytes(value: object) -> bytes:
    match value:
        case bytes() | bytearray():
            return bytes(value)
        case _Call(name="encode", arguments=(str() as text, "latin1")):
            return text.encode("latin1")
        case _:
            raise ValueError(f"got a {_kind(value)}, expected the bytes of an array")


def _kind(value: object) -> str:
    return value.name if isinstance(value, _Call | _Global) else type(value).__name__
