"""Unpacks a package on the GPU host, with nothing but Python: ``python3 -m benchmarks.gpu.unpack PACKAGE SITE``."""

import sys
import tarfile
from pathlib import Path


def unpack_site(package: Path, site: Path) -> None:
    """Unpack the archives of a package; one that is unpacked already is left as it is.

    Args:
        package: Folder that `benchmarks.gpu.pack` wrote.
        site: Folder for ``PYTHONPATH``.

    Raises:
        FileNotFoundError: The package has no archives.
    """
    archives = sorted(package.glob("site-*.tar.xz"))
    if not archives:
        raise FileNotFoundError(f"{package}: holds no site-*.tar.xz; name the folder that benchmarks.gpu.pack wrote")
    site.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        done = site / f".{archive.name}"
        if not done.exists():
            with tarfile.open(archive) as tar:
                tar.extractall(site, filter="data")
            done.touch()


if __name__ == "__main__":
    unpack_site(Path(sys.argv[1]), Path(sys.argv[2]))
