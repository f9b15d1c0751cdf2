"""Reads arrays of numbers from an ``.npz`` archive, whatever it announces, with no more memory than they take.

NumPy's own reader makes room for as many numbers as a header claims, and raises what the libraries below it raise.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 256 << 20  # of all arrays; golden vectors of a paper-sized bundle take 10 MB
_NUMBERS = "biuf"  # NumPy's kinds of element types
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack a block without a bound on its size
_SUFFIX = ".npy"


def read_npz(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read all arrays.

    Args:
        path: The archive.

    Returns:
        Arrays by name; their memory is their own.

    Raises:
        ValueError: It is no archive of arrays of numbers, or holds more than `MAX_BYTES`.
        OSError: It cannot be read.
    """
    left = MAX_BYTES
    arrays: dict[str, NDArray[np.generic]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.compress_type not in _COMPRESSIONS:
                    raise ValueError(f"{entry.filename!r:.80} has compression {entry.compress_type}")
                with archive.open(entry) as file:  # bounded by reading: the announced size may be a lie
                    content = file.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise ValueError(f"holds more than {MAX_BYTES} bytes")
                arrays[entry.filename.removesuffix(_SUFFIX)] = _array(entry.filename, content)
    except (OSError, ValueError):
        raise
    except Exception as error:  # zipfile and zlib raise many types for a damaged archive
        raise ValueError(str(error) or type(error).__name__) from error
    return arrays


def _array(name: str, content: bytes) -> NDArray[Any]:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, by_column, dtype = read_header(file)
    except Exception as error:  # NumPy reads the header as Python and raises many types
        raise ValueError(f"{name!r:.80} has no header of an array ({str(error) or type(error).__name__})") from error
    if dtype.kind not in _NUMBERS or dtype.subdtype is not None:
        raise ValueError(f"{name!r:.80} holds {dtype}, expected numbers")
    values = np.frombuffer(content, np.uint8, offset=file.tell())
    size = dtype.itemsize
    for length in shape:  # in Python's numbers, which do not overflow
        size *= length
    if size != values.size:
        raise ValueError(f"{name!r:.80} has {values.size} bytes, its shape {shape} takes {size}")
    array: NDArray[Any] = values.view(dtype).reshape(shape, order="F" if by_column else "C").copy()
    return array
