"""Feature files of a corpus: one ``.npy`` array a file, which takes the place of a recording."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.errors import InvalidArrayError, NotFoundError


def open_features(path: Path) -> NDArray[Any]:
    """Open a feature file.

    Args:
        path: The file.

    Returns:
        Floats, shape (T, F), not empty; they stay on disk until they are used.

    Raises:
        NotFoundError: There is no such file.
        InvalidArrayError: It cannot be read, or does not hold floats of shape (T, F).
    """
    try:
        features: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}: no such file") from error
    except Exception as error:  # NumPy reads the header as Python and raises many types
        raise InvalidArrayError(f"{path}: not a readable feature file ({error}); extract it again") from error
    if features.ndim != 2 or 0 in features.shape or features.dtype.kind != "f":
        raise InvalidArrayError(
            f"{path}: got {features.dtype} of shape {features.shape}, expected floats of shape (T, F), not empty"
        )
    return features
