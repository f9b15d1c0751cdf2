"""Private copies of files, hashed while they are copied: what was hashed is what runs.

A runtime maps weights into memory. If a file of the bundle is overwritten, cut or swapped meanwhile, the process dies
or answers something else. Nobody else has the name of a private copy, and its content stays after it is removed, for as
long as somebody has it open.
"""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from vavl_runtime.bundle.manifest import FileRecord
from vavl_runtime.bundle.private_folder import PrivateFolder
from vavl_runtime.errors import AlteredFileError, MissingFileError, OutputError

# Memory, on Linux: the copy costs no writing to a disk, and is gone after a crash of the machine.
_IN_MEMORY = Path("/dev/shm")
_BLOCK = 1 << 20


@contextlib.contextmanager
def sealed_copies(root: Path, records: Mapping[str, FileRecord]) -> Iterator[Path]:
    """Copy files of a bundle to a private folder, which is removed at the end of the block.

    Args:
        root: The bundle's folder.
        records: Sizes and hashes of the files to copy, by their path in the bundle.

    Yields:
        A folder with the files, at the same paths.

    Raises:
        AlteredFileError: The content of a file is not what the manifest says.
        MissingFileError: A file is gone.
        OutputError: There is no room for the copies.
    """
    with PrivateFolder(_place_for(sum(record.bytes for record in records.values()))) as folder:
        for path, record in records.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(root / path, target, record)
        yield folder


def check_content(place: Path, found_sha256: str, record: FileRecord) -> None:
    """Compare the hash of a file with the manifest.

    Raises:
        AlteredFileError: They differ.
    """
    if found_sha256 != record.sha256:
        raise AlteredFileError(
            f"{place}: sha256 is {found_sha256[:12]}…, the manifest says {record.sha256[:12]}…; "
            "the file was altered or damaged, copy or export the bundle again"
        )


def _place_for(size: int) -> Path | None:
    """Memory, if it has room for ``size`` bytes; otherwise None for the usual folder for temporary files."""
    in_memory = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free > 2 * size
    return _IN_MEMORY if in_memory else None


def _copy(source: Path, target: Path, record: FileRecord) -> None:
    digest = hashlib.sha256()
    try:
        with target.open("wb") as copy:
            for block in _blocks(source):
                digest.update(block)
                copy.write(block)
    except OSError as error:
        raise OutputError(f"{target}: no room for a copy of {source} ({error.strerror}); set TMPDIR") from error
    check_content(source, digest.hexdigest(), record)


def _blocks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise MissingFileError(f"{source}: cannot be read ({error.strerror}); copy the bundle again") from error
