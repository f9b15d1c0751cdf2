"""Writes the files of a bundle and keeps their sizes and hashes, which the manifest lists."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import FILE_NAME, FileRecord, Manifest
from vavl_runtime.files import write_atomically


class BundleFiles:
    """The files of one bundle folder.

    Args:
        root: The bundle folder.
        listed: Files that are there already, as the manifest lists them.
    """

    def __init__(self, root: Path, listed: Mapping[str, FileRecord] | None = None) -> None:
        self.root = root
        self._records = dict(listed or {})
        self._growing: dict[str, hashlib._Hash] = {}

    @property
    def records(self) -> dict[str, FileRecord]:
        """Size and hash of every file but the manifest, by path, in order of path."""
        grown = {
            path: FileRecord(bytes=(self.root / path).stat().st_size, sha256=digest.hexdigest())
            for path, digest in self._growing.items()
        }
        return dict(sorted((self._records | grown).items()))

    def write(self, path: str, content: bytes) -> None:
        """Write a whole file.

        Args:
            path: Path of the file in the bundle.
            content: The whole content.

        Raises:
            OutputError: The file cannot be written.
        """
        write_atomically(self.root / path, content)
        self._records[path] = FileRecord(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    def append(self, path: str, content: bytes, alignment: int = 1) -> int:
        """Append to a file; the first call creates it, or empties what an earlier export left.

        Args:
            path: Path of the file in the bundle.
            content: What to append.
            alignment: The content begins at a multiple of this offset.

        Returns:
            The offset of the content.
        """
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        digest = self._growing.get(path)
        with place.open("wb" if digest is None else "ab") as file:
            digest = self._growing.setdefault(path, hashlib.sha256())
            padding = b"\0" * (-file.tell() % alignment)
            for part in (padding, content):
                file.write(part)
                digest.update(part)
            return file.tell() - len(content)

    def write_manifest(self, manifest: Manifest) -> Bundle:
        """Write the manifest, with every file listed.

        Args:
            manifest: The manifest; its list of files is replaced.

        Returns:
            The bundle, open.

        Raises:
            OutputError: The manifest cannot be written.
        """
        bundle = self.preview(manifest)
        write_atomically(self.root / FILE_NAME, _manifest_bytes(bundle.manifest))
        return bundle

    def preview(self, manifest: Manifest) -> Bundle:
        """Open the bundle as `write_manifest` would make it now, without writing the manifest.

        Args:
            manifest: The manifest; its list of files is replaced.

        Returns:
            The bundle, open.
        """
        listed = manifest.model_copy(update={"files": self.records})
        return Bundle(self.root, listed, hashlib.sha256(_manifest_bytes(listed)).hexdigest())


def _manifest_bytes(manifest: Manifest) -> bytes:
    return (manifest.model_dump_json(indent=1) + "\n").encode()


def pack_folder(folder: Path, archive: Path) -> None:
    """Pack a bundle's folder into a ``.vavl`` file.

    Args:
        folder: The bundle.
        archive: The file; what it holds is replaced.
    """
    # Stored, not deflated: weights do not compress, and unpacking stays fast on small devices.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as pack:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            pack.write(path, path.relative_to(folder).as_posix())
