"""Moves weights out of ONNX files into shared data files, each distinct tensor standing once."""

import hashlib
import posixpath
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

INLINE_BYTES = 1024  # smaller tensors stay in the graph, where shape inference can see them
ALIGNMENT = 64  # a cache line; ONNX Runtime maps from the page below by itself


class WeightFiles:
    """The data files of one bundle.

    Args:
        root: Folder of the bundle that is being written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._places: dict[str, dict[bytes, tuple[int, int]]] = {}  # data file -> digest -> offset, length

    def externalize(self, model: onnx.ModelProto, file: str, data: str | None) -> None:
        """Replace large initializers by references.

        Args:
            model: Changed in place.
            file: Path of the ONNX file in the bundle, for relative locations.
            data: Data file that takes new tensors, or None to find every tensor in the files written so far.

        Raises:
            KeyError: ``data`` is None and a tensor stands in no file yet.
        """
        for tensor in model.graph.initializer:
            content = np.ascontiguousarray(numpy_helper.to_array(tensor)).tobytes()
            if len(content) < INLINE_BYTES:
                continue
            place, offset = self._store(content, tensor.data_type, data)
            tensor.ClearField("raw_data")
            for field in ("float_data", "int32_data", "int64_data", "double_data"):
                tensor.ClearField(field)
            tensor.data_location = TensorProto.EXTERNAL
            del tensor.external_data[:]
            location = posixpath.relpath(place, posixpath.dirname(file) or ".")
            for key, value in (("location", location), ("offset", offset), ("length", len(content))):
                tensor.external_data.add(key=key, value=str(value))

    def _store(self, content: bytes, data_type: int, data: str | None) -> tuple[str, int]:
        digest = hashlib.sha256(bytes([data_type]) + content).digest()
        if data is None:
            for place, known in self._places.items():
                if digest in known:
                    return place, known[digest][0]
            raise KeyError("a fused graph holds a weight that no data file has")
        known = self._places.setdefault(data, {})
        if digest not in known:
            path = self.root / data
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(b"\0" * (-file.tell() % ALIGNMENT))
                known[digest] = (file.tell(), len(content))
                file.write(content)
        return data, known[digest][0]

    def close(self, data: str) -> None:
        """Create ``data`` even if no tensor was large enough to be stored in it."""
        path = self.root / data
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
