"""Unpacks a ``.vavl`` archive: what its manifest lists, and nothing that could fill memory or disk."""

import errno
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

from vavl_runtime.bundle.manifest import (
    FILE_NAME,
    MAX_MANIFEST_BYTES,
    Manifest,
    parse_manifest,
    safe_relative_path,
)
from vavl_runtime.bundle.signature import SIGNATURE_BYTES, SIGNATURE_NAME
from vavl_runtime.errors import AlteredFileError, ManifestError, MissingFileError, OutputError

MAX_ENTRIES = 10_000
# Weights hardly shrink: an archive that unpacks to much more than its own size holds something else.
MAX_GROWTH = 20
FREE_GROWTH = 64 << 20  # bytes; small bundles may hold files of zeros

# Others, which zipfile reads too, unpack a block without a bound on its size.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_BLOCK = 1 << 20
# What zipfile raises for damaged, encrypted or unsupported archives; ValueError for names that are not UTF-8.
_FAULTS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def unpack(place: Path, folder: Path) -> None:
    """Unpack the manifest, its signature and what the manifest lists.

    Args:
        place: The archive.
        folder: An empty folder.

    Raises:
        AlteredFileError: The archive is damaged, or holds something else than its manifest lists.
        ManifestError: The manifest is missing, too large or malformed.
        MissingFileError: A listed file is missing.
        OutputError: The folder has no room.
        UnsafePathError: A path leaves the bundle.
    """
    try:
        with zipfile.ZipFile(place) as archive:
            entries = _checked_entries(place, archive)
            manifest = _unpack_manifest(place, archive, entries, folder)
            if SIGNATURE_NAME in entries:
                _copy(archive, entries[SIGNATURE_NAME], folder / SIGNATURE_NAME, SIGNATURE_BYTES)
            _check_sizes(place, manifest, entries, folder)
            for path, record in manifest.files.items():
                _copy(archive, entries[path], folder / path, record.bytes)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _no_room(place, folder, str(error.strerror)) from error
        raise AlteredFileError(f"{place}: damaged archive ({error}); copy the bundle again") from error
    except _FAULTS as error:
        raise AlteredFileError(f"{place}: damaged archive ({error}); copy the bundle again") from error


def _checked_entries(place: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """All entries by name, each of a kind that can be unpacked safely."""
    listed = archive.infolist()
    if len(listed) > MAX_ENTRIES:
        raise AlteredFileError(f"{place}: {len(listed)} entries, expected at most {MAX_ENTRIES}; this is no bundle")
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in listed:
        if entry.is_dir():
            continue
        safe_relative_path(entry.filename)
        if entry.filename in entries:
            raise AlteredFileError(f"{place}: holds {entry.filename} twice; export the bundle again")
        if entry.compress_type not in _COMPRESSIONS or entry.flag_bits & _ENCRYPTED:
            how = "is encrypted" if entry.flag_bits & _ENCRYPTED else f"has compression {entry.compress_type}"
            raise AlteredFileError(
                f"{place}: {entry.filename} {how}, expected stored or deflated entries; export the bundle again"
            )
        entries[entry.filename] = entry
    return entries


def _unpack_manifest(
    place: Path, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], folder: Path
) -> Manifest:
    if FILE_NAME not in entries:
        raise ManifestError(f"{place}: no {FILE_NAME} at its top; is this a bundle?")
    with archive.open(entries[FILE_NAME]) as file:  # bounded by reading: the announced size may be a lie
        content = file.read(MAX_MANIFEST_BYTES + 1)
    manifest = parse_manifest(content)
    (folder / FILE_NAME).write_bytes(content)
    return manifest


def _check_sizes(place: Path, manifest: Manifest, entries: dict[str, zipfile.ZipInfo], folder: Path) -> None:
    total = 0
    for path, record in manifest.files.items():
        if path not in entries:
            raise MissingFileError(f"{place}: {path} is listed in the manifest but missing")
        if entries[path].file_size != record.bytes:
            raise AlteredFileError(f"{place}: the size of {path} differs from the manifest")
        total += record.bytes
    packed = place.stat().st_size
    if total > MAX_GROWTH * packed + FREE_GROWTH:
        raise AlteredFileError(
            f"{place}: {packed} bytes would unpack to {total}, which weights do not; do not use this bundle"
        )
    free = shutil.disk_usage(folder).free
    if total > free:
        raise _no_room(place, folder, f"needs {total} bytes, {free} are free")


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, size: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    left = size
    with archive.open(entry) as source, target.open("wb") as file:
        while block := source.read(min(_BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                break
            file.write(block)
    if left:
        raise AlteredFileError(f"{archive.filename}: {entry.filename} does not have the {size} bytes it announces")


def _no_room(place: Path, folder: Path, reason: str) -> OutputError:
    return OutputError(f"{folder}: no room to unpack {place} ({reason}); set TMPDIR to a folder with room")
