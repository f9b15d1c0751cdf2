"""Opens a bundle: finds it, checks it, and hands out only files that match the manifest."""

import errno
import hashlib
import lzma
import os
import posixpath
import stat
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle.manifest import FILE_NAME, Manifest, Precision, parse_manifest, safe_relative_path
from vavl_runtime.bundle.onnx_external import external_files
from vavl_runtime.errors import (
    AlteredFileError,
    BundleNotFoundError,
    ManifestError,
    MissingFileError,
    OutputError,
    UnsafePathError,
)

MAX_MANIFEST_BYTES = 4_000_000
# What zipfile raises for damaged, encrypted or unsupported archives.
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)
PACKAGED_BUNDLE = Path(__file__).parent.parent / "bundles" / "light"


@dataclass
class Bundle:
    """An opened bundle. Sizes of all files are checked on opening, a file's hash before its first use.

    Attributes:
        root: Folder that holds the files.
        manifest: The checked manifest.
        sha256: Hash of ``manifest.json``, which holds the hash of everything else.
    """

    root: Path
    manifest: Manifest
    sha256: str
    _archive: "tempfile.TemporaryDirectory[str] | None" = None
    _verified: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The bundle's short name."""
        return self.manifest.name

    def verified_file(self, path: str) -> Path:
        """Return a file after comparing its hash with the manifest, once.

        Args:
            path: A path listed in the manifest.

        Returns:
            Where the file is.

        Raises:
            MissingFileError: The file is gone.
            AlteredFileError: Its content is not what was exported.
        """
        place = self.root / path
        if path not in self._verified:
            try:
                with place.open("rb") as file:
                    found = _sha256(file)
            except OSError as error:
                raise MissingFileError(f"{place}: cannot be read ({error.strerror}); copy the bundle again") from error
            expected = self.manifest.files[path].sha256
            if found != expected:
                raise AlteredFileError(
                    f"{place}: sha256 is {found[:12]}…, the manifest says {expected[:12]}…; "
                    "the file was altered or damaged, copy or export the bundle again"
                )
            self._verified.add(path)
        return place

    def graph_file(self, name: str, precision: Precision | None = None, *, cpu: bool = False) -> Path:
        """Return the ONNX file of a graph, verified together with its weights.

        Args:
            name: A graph of the manifest.
            precision: One that the manifest lists for it; the graph's own by default.
            cpu: Take the file for processors, if there is one.

        Returns:
            Where the ONNX file is.

        Raises:
            MissingFileError: A file is gone.
            AlteredFileError: Content is not what was exported.
            UnsafePathError: The graph names a file that the manifest does not list.
        """
        graph = self.manifest.graphs[name]
        graph = graph.in_precision(precision or graph.precision, cpu=cpu)
        place = self.verified_file(graph.file)
        folder = posixpath.dirname(graph.file)
        try:
            locations = external_files(place.read_bytes())
        except ValueError as error:
            raise ManifestError(f"{place}: not an ONNX file ({error}); export the bundle again") from error
        for location in locations:
            path = posixpath.normpath(posixpath.join(folder, location))
            if posixpath.isabs(location) or path not in self.manifest.files:
                raise UnsafePathError(f"{place}: wants to read {location!r}, which the manifest does not list")
            self.verified_file(path)
        return place

    def golden_inputs(self, name: str) -> dict[str, NDArray[Any]]:
        """Read the inputs of a graph's first golden vector, which the exporter recorded.

        Args:
            name: A graph of the manifest.

        Returns:
            Inputs by name, batch size 1 or 2.

        Raises:
            MissingFileError: The bundle has no golden vector of this graph.
            AlteredFileError: Its content is not what was exported.
        """
        path = f"golden/{name}.0.npz"
        if path not in self.manifest.files:
            raise MissingFileError(f"{self.root}: lists no {path}; export the bundle again")
        with np.load(self.verified_file(path), allow_pickle=False) as arrays:
            return {key.removeprefix("input."): arrays[key] for key in arrays if key.startswith("input.")}

    def verify_all(self) -> None:
        """Check the hash of every file; raises like `verified_file`."""
        for path in self.manifest.files:
            self.verified_file(path)

    def __enter__(self) -> "Bundle":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what opening an archive unpacked."""
        if self._archive is not None:
            self._archive.cleanup()


def find_bundle(path: str | Path | None = None) -> Path:
    """Decide which bundle to use: the argument, ``$VAVL_BUNDLE``, ``./vavl-bundle``, the packaged one.

    Args:
        path: A bundle named by the user, or None.

    Returns:
        Its path; whether it is a bundle is not checked here.
    """
    if path is not None:
        return Path(path)
    if named := os.environ.get("VAVL_BUNDLE"):
        return Path(named)
    if (local := Path("vavl-bundle")).exists():
        return local
    return PACKAGED_BUNDLE


def open_bundle(path: str | Path | None = None) -> Bundle:
    """Open a bundle folder or ``.vavl`` archive and check its manifest, paths and sizes.

    Args:
        path: The bundle, or None for the default of `find_bundle`.

    Returns:
        The bundle; close it to remove what an archive unpacked.

    Raises:
        BundleNotFoundError: Nothing there, or neither a folder nor a zip archive.
        ManifestError: The manifest is missing, malformed or of another schema.
        MissingFileError: A listed file is missing.
        AlteredFileError: A file has another size than listed.
        UnsafePathError: A path leaves the bundle.
    """
    place = find_bundle(path)
    if os.path.isdir(place):  # noqa: PTH112 - unlike Path.is_dir, false for a name that is too long
        return _open_folder(place, None)
    if not os.path.isfile(place):  # noqa: PTH113
        raise BundleNotFoundError(f"{place}: no bundle there; name a folder or .vavl file that vavl-export onnx wrote")
    if not zipfile.is_zipfile(place):
        raise BundleNotFoundError(f"{place}: neither a bundle folder nor a .vavl archive")
    archive = tempfile.TemporaryDirectory(prefix="vavl-")
    try:
        _unpack(place, Path(archive.name))
        return _open_folder(Path(archive.name), archive)
    except BaseException:
        archive.cleanup()
        raise


def _open_folder(root: Path, archive: "tempfile.TemporaryDirectory[str] | None") -> Bundle:
    content = _read_manifest(root)
    manifest = parse_manifest(content)
    inside = root.resolve()
    for path, record in manifest.files.items():
        file = root / path
        try:
            status = file.stat()
        except OSError as error:
            raise MissingFileError(f"{file}: listed in the manifest but missing; copy the bundle again") from error
        if inside not in file.resolve().parents:
            raise UnsafePathError(f"{file}: a link that leaves the bundle; do not use this bundle")
        if not stat.S_ISREG(status.st_mode) or status.st_size != record.bytes:
            raise AlteredFileError(
                f"{file}: {status.st_size} bytes, the manifest says {record.bytes}; copy the bundle again"
            )
    return Bundle(root, manifest, hashlib.sha256(content).hexdigest(), archive)


def _read_manifest(root: Path) -> bytes:
    place = root / FILE_NAME
    try:
        if not stat.S_ISREG(place.stat().st_mode):
            raise ManifestError(f"{place}: not a regular file; is this a bundle?")
        if root.resolve() not in place.resolve().parents:
            raise UnsafePathError(f"{place}: a link that leaves the bundle; do not use this bundle")
        with place.open("rb") as file:
            content = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise ManifestError(f"{root}: no readable {FILE_NAME} ({error.strerror}); is this a bundle?") from error
    if len(content) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{place}: more than {MAX_MANIFEST_BYTES} bytes, which no manifest has")
    return content


def _unpack(place: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(place) as archive:
            names = [item.filename for item in archive.infolist() if not item.is_dir()]
            for name in names:
                safe_relative_path(name)
            if FILE_NAME not in names or archive.getinfo(FILE_NAME).file_size > MAX_MANIFEST_BYTES:
                raise ManifestError(f"{place}: no {FILE_NAME} of a sane size at its top; is this a bundle?")
            manifest = parse_manifest(archive.read(FILE_NAME))
            archive.extract(FILE_NAME, folder)
            for path, record in manifest.files.items():
                # Only what the manifest lists, at the listed size, leaves the archive: no zip bomb.
                if path not in names:
                    raise MissingFileError(f"{place}: {path} is listed in the manifest but missing")
                if archive.getinfo(path).file_size != record.bytes:
                    raise AlteredFileError(f"{place}: the size of {path} differs from the manifest")
                archive.extract(path, folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES):
            raise OutputError(
                f"{folder}: no room to unpack {place} ({error.strerror}); set TMPDIR elsewhere"
            ) from error
        raise AlteredFileError(f"{place}: damaged archive ({error}); copy the bundle again") from error
    except _ZIP_FAULTS as error:
        raise AlteredFileError(f"{place}: damaged archive ({error}); copy the bundle again") from error


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
