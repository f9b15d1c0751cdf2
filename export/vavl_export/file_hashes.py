"""Lists the files of a bundle folder as its manifest does: sizes and hashes."""

import hashlib
from pathlib import Path

from vavl_runtime.bundle.manifest import FILE_NAME, FileRecord


def list_files(folder: Path) -> dict[str, FileRecord]:
    """Hash every file but the manifest.

    Args:
        folder: A bundle folder.

    Returns:
        Records by path, sorted.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / FILE_NAME)
    return {path.relative_to(folder).as_posix(): _record(path) for path in paths}


def _record(path: Path) -> FileRecord:
    content = path.read_bytes()
    return FileRecord(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
