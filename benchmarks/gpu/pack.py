"""Packs what a GPU host without a network needs beside the checkout: ``python -m benchmarks.gpu.pack FOLDER``.

Into FOLDER go ``site-*.tar.xz``, Python packages for that host (ONNX Runtime for one GPU generation among them), and
``structures/``, the graphs of the measured bundles without their weights. Exit code 1 if it is too large.
"""

import argparse
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.gpu.structures import pack_structures
from benchmarks.gpu.trim import hollow, trim_provider
from vavl_runtime.files import folder_beside

MOST_BYTES = 60 << 20
PROVIDER = "onnxruntime/capi/libonnxruntime_providers_cuda.so"
ENGINE = "onnxruntime-gpu==1.30.0"
# typing-extensions, typing-inspection and annotated-types are what pydantic needs; av decodes, pillow resizes faces.
LIBRARIES = ("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions", "packaging")
MEDIA = ("av", "pillow")
# Parts of the wheels that nothing of ours opens: TensorRT's provider, a second copy of the library, tools, sources,
# and Pillow's readers of AVIF and WebP and its fonts.
LEFT_OUT = (
    "*providers_tensorrt*",
    "*/capi/libonnxruntime.so*",
    "onnxruntime/tools/*",
    "onnxruntime/transformers/*",
    "onnxruntime/quantization/*",
    "*.pyx",
    "*.pxd",
    "PIL/_avif*",
    "PIL/_webp*",
    "PIL/_imagingft*",
    "PIL/_imagingcms*",
    "pillow.libs/libavif*",
    "pillow.libs/libwebp*",
    "pillow.libs/libharfbuzz*",
    "pillow.libs/libfreetype*",
    "pillow.libs/liblcms2*",
)
# FFmpeg is linked with these; clips are decoded by FFmpeg itself.
HOLLOWED = ("libx265*", "libx264*", "libSvtAv1Enc*", "libvpx*", "libdav1d*", "libvmaf*")
X86 = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 9}]


def download(requirements: Sequence[str], python: str, folder: Path) -> None:
    """Download wheels for Linux on x86-64, without what they need.

    Args:
        requirements: What to download.
        python: Version of the host's Python, such as ``3.12``.
        folder: Takes the wheels.

    Raises:
        RuntimeError: pip finds no wheel, or no network.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python, "--dest", str(folder)]
    for minor in (28, 27, 24, 17):
        command += ["--platform", f"manylinux_2_{minor}_x86_64"]
    done = subprocess.run([*command, "--platform", "manylinux2014_x86_64", *requirements], capture_output=True)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"pip cannot download {', '.join(requirements)} ({''.join(last)}); check the network")


def pack_site(requirements: Sequence[str], python: str, generation: int, archive: Path) -> None:
    """Download wheels, leave out what is not needed, and compress the rest into one archive."""
    with tempfile.TemporaryDirectory() as name:
        wheels, site = Path(name, "wheels"), Path(name, "site")
        download(requirements, python, wheels)
        for wheel in sorted(wheels.glob("*.whl")):
            with zipfile.ZipFile(wheel) as opened:
                for member in opened.namelist():
                    if not any(fnmatch(member, pattern) for pattern in LEFT_OUT):
                        opened.extract(member, site)
        if (provider := site / PROVIDER).is_file():
            provider.write_bytes(trim_provider(provider.read_bytes(), generation))
        # PyAV before 19, which older Pythons get, calls some of these encoders while it is imported.
        if not any(site.glob("av-1[0-8].*.dist-info")):
            for library in (path for pattern in HOLLOWED for path in site.rglob(pattern)):
                library.write_bytes(hollow(library.read_bytes()))
        with lzma.open(archive, "wb", filters=X86) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
            tar.add(site, ".")


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> int:
    """Pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="of the host")
    parser.add_argument("--generation", type=int, default=90, help="compute capability of the GPU, 90: H100, H200")
    parser.add_argument("--presets", nargs="+", default=["tiny", "paper"], help="bundles whose structures go along")
    parser.add_argument("--no-engine", action="store_true", help="the host has an ONNX Runtime, as in a rehearsal")
    arguments = parser.parse_args()
    start = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - start:.0f} s] {line}", file=sys.stderr, flush=True)

    sites = {"libraries": LIBRARIES, "media": MEDIA} | ({} if arguments.no_engine else {"engine": (ENGINE,)})
    with folder_beside(arguments.folder, overwrite=True) as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        packing = [
            pool.submit(pack_site, names, arguments.python, arguments.generation, folder / f"site-{name}.tar.xz")
            for name, names in sites.items()
        ]
        for preset in arguments.presets:
            pack_structures(preset, folder / "structures" / preset, say)
        for work in packing:
            work.result()
    for part in sorted(arguments.folder.iterdir()):
        print(f"{(size_of(part) if part.is_dir() else part.stat().st_size) / 2**20:6.1f} MiB  {part.name}")
    total = size_of(arguments.folder)
    print(f"{total / 2**20:6.1f} MiB in all, at most {MOST_BYTES >> 20}")
    if total > MOST_BYTES:
        print("error: the package is too large; pack fewer presets, or leave more out of the wheels", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
