"""Compiles the stand-in for CUDA: shared libraries with the names of the real ones."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "library"
RUNTIME = "libcudart.so.13"
CUDNN = "libcudnn.so.9"
# Each has the version of symbols that its users ask the loader for, which is its own name.
_LIBRARIES = {
    RUNTIME: ("state.c", "memory.c", "streams.c", "device.c"),
    "libcuda.so.1": ("driver.c",),
    "libcublas.so.13": ("blas.c",),
    "libcublasLt.so.13": ("blaslt.c",),
    "libcurand.so.10": (),
    CUDNN: ("dnn.c",),
}


def build_standin(folder: Path) -> None:
    """Compile all libraries into a folder. Skips the test if there is no C compiler.

    Args:
        folder: An empty folder.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("the stand-in for CUDA needs a C compiler (cc)")
    empty = folder / "empty.c"
    empty.write_text("typedef int nothing;\n")
    for name, sources in _LIBRARIES.items():
        versions = folder / f"{name}.map"
        versions.write_text(f"{name} {{ global: *; }};\n" if name != "libcuda.so.1" else "{ global: *; };\n")
        files = [SOURCES / source for source in sources] or [empty]
        command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", folder / name]
        command += [f"-Wl,-soname,{name}", f"-Wl,--version-script={versions}", *files]
        command += [f"-L{folder}", f"-l:{RUNTIME}"] if name != RUNTIME else []
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
