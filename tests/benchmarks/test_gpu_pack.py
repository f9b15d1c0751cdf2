"""Parts that are carried one by one make a folder for PYTHONPATH on the other side."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from benchmarks.gpu.pack import pack, parts

FILES = {
    "onnxruntime/__init__.py": b"version = 1",
    "onnxruntime/capi/libonnxruntime_providers_cuda.so": bytes(range(256)) * 400,
    "av-1.dist-info/METADATA": b"Name: av",
}
LEFT = {
    "onnxruntime/capi/libonnxruntime_providers_tensorrt.so": b"never opened",
    "onnxruntime/transformers/models/big.py": b"never imported",
}


@pytest.mark.parametrize("size", [64, 1 << 20])
def test_parts_unpack_to_what_is_needed(tmp_path: Path, size: int) -> None:
    wheel = tmp_path / "made-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        for name, data in {**FILES, **LEFT}.items():
            content.writestr(name, data)
    carried = list(parts(pack([wheel], 1), size))
    assert all(0 < len(part) <= size for part in carried)
    with tarfile.open(fileobj=io.BytesIO(b"".join(carried)), mode="r:xz") as archive:
        unpacked = {item.name: archive.extractfile(item) for item in archive}
        assert {name: file.read() for name, file in unpacked.items() if file} == FILES
