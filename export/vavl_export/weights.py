"""Moves weights out of ONNX graphs into shared data files that hold each distinct tensor once."""

import hashlib
import posixpath

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from vavl_export.bundle_files import BundleFiles

INLINE_BYTES = 1024  # smaller tensors stay in the graph, where shape inference can see them
ALIGNMENT = 64  # a cache line; ONNX Runtime maps memory from the page below by itself


class WeightFiles:
    """The data files of one bundle.

    Args:
        files: Files of the bundle that is being written.
    """

    def __init__(self, files: BundleFiles) -> None:
        self._files = files
        self._places: dict[str, dict[bytes, int]] = {}  # data file -> digest of a tensor -> its offset

    def externalize(self, model: onnx.ModelProto, file: str, data: str | None) -> None:
        """Replace the large initializers of a graph by references to data files.

        Args:
            model: Changed in place.
            file: Path of the ONNX file in the bundle; references are relative to it.
            data: Path of the data file that takes new tensors. None if every tensor is in a data file already.

        Raises:
            KeyError: ``data`` is None and a tensor is in no data file yet.
        """
        if data is not None and data not in self._places:
            self._places[data] = {}
            self._files.append(data, b"")  # the file exists even if no tensor is large enough for it
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
            for place, offsets in self._places.items():
                if digest in offsets:
                    return place, offsets[digest]
            raise KeyError("a fused graph has a weight that is in no data file")
        offsets = self._places[data]
        if digest not in offsets:
            offsets[digest] = self._files.append(data, content, ALIGNMENT)
        return data, offsets[digest]
