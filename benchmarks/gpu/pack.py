"""Packs wheels for another host into files small enough to carry: ``python -m benchmarks.gpu.pack WHEELS -o PARTS``.

On the other side ``cat PARTS/* | tar -xJ -C SITE`` gives a folder for PYTHONPATH.
"""

import argparse
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from vavl_runtime.files import write_atomically

# Of the unpacked onnxruntime-gpu: what a run on the CUDA provider never opens.
_LEFT_OUT = ("onnxruntime/transformers/", "onnxruntime/tools/", "onnxruntime/quantization/")
_LEFT_OUT_LIBRARY = "libonnxruntime_providers_tensorrt"


def main() -> int:
    """Pack, and say what was written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.pack", description=__doc__)
    parser.add_argument("wheels", type=Path, help="folder of wheels for the host with the GPU")
    parser.add_argument("--output", "-o", type=Path, required=True, help="folder for the parts")
    parser.add_argument("--part-mib", type=int, default=45, help="largest part")
    parser.add_argument("--preset", type=int, default=6, help="of xz, 0 to 9")
    arguments = parser.parse_args()
    packed = pack(sorted(arguments.wheels.glob("*.whl")), arguments.preset)
    for number, part in enumerate(parts(packed, arguments.part_mib << 20)):
        place = arguments.output / f"site.tar.xz.{number:02}"
        write_atomically(place, part)
        print(f"{place} {len(part) / 2**20:.1f} MiB")
    return 0


def pack(wheels: list[Path], preset: int) -> bytes:
    """Unpack wheels into one compressed archive, without what the benchmark never opens."""
    packed = io.BytesIO()
    with lzma.open(packed, "wb", preset=preset) as compressed, tarfile.open(fileobj=compressed, mode="w|") as archive:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as content:
                for item in content.infolist():
                    if item.is_dir() or not is_needed(item.filename):
                        continue
                    entry = tarfile.TarInfo(item.filename)
                    entry.size = item.file_size
                    entry.mode = 0o644
                    with content.open(item) as file:
                        archive.addfile(entry, file)
    return packed.getvalue()


def parts(packed: bytes, size: int) -> Iterator[bytes]:
    """Cut into pieces of at most ``size`` bytes."""
    for start in range(0, len(packed), size):
        yield packed[start : start + size]


def is_needed(name: str) -> bool:
    """Whether a file of a wheel is worth carrying."""
    return not name.startswith(_LEFT_OUT) and _LEFT_OUT_LIBRARY not in name


if __name__ == "__main__":
    sys.exit(main())
