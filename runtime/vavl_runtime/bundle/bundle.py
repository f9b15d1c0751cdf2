"""Opens a bundle: finds it, checks it, and hands out only files that match the manifest."""

import contextlib
import hashlib
import os
import posixpath
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vavl_runtime.bundle.archive import unpack
from vavl_runtime.bundle.manifest import FILE_NAME, MAX_MANIFEST_BYTES, Manifest, Precision, RunsOn, parse_manifest
from vavl_runtime.bundle.onnx_reader import OnnxContent, read_onnx
from vavl_runtime.bundle.private_folder import PrivateFolder
from vavl_runtime.bundle.sealed import check_content, sealed_copies
from vavl_runtime.bundle.signature import SIGNATURE_BYTES, SIGNATURE_NAME, require_signature
from vavl_runtime.errors import (
    AlteredFileError,
    BundleNotFoundError,
    ManifestError,
    MissingFileError,
    UnsafeGraphError,
    UnsafePathError,
)

# Operators of ONNX Runtime that the exporter writes.
CONTRIBUTED = frozenset(
    ("com.microsoft", name)
    for name in (
        "Attention",
        "BiasGelu",
        "FusedMatMul",
        "Gelu",
        "MultiHeadAttention",
        "QuickGelu",
        "SkipLayerNormalization",
    )
)
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
    _remove_unpacked: Callable[[], None] | None = None  # of an archive
    _verified: set[str] = field(default_factory=set)
    _weights: dict[str, list[str]] = field(default_factory=dict)  # by ONNX file

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
            check_content(place, found, self.manifest.files[path])
            self._verified.add(path)
        return place

    def graph_file(self, name: str, precision: Precision | None = None, runs_on: RunsOn | None = None) -> Path:
        """Return the ONNX file of a graph, verified together with its weights.

        Args:
            name: A graph of the manifest.
            precision: One that the manifest lists for it; the graph's own by default.
            runs_on: Take the file that was made for this, if there is one; None for the file that serves everything.

        Returns:
            Where the ONNX file is.

        Raises:
            MissingFileError: A file is gone.
            AlteredFileError: Content is not what was exported.
            UnsafeGraphError: The graph holds what exported graphs do not.
            UnsafePathError: The graph names a file that the manifest does not list.
        """
        place, *_ = [self.verified_file(path) for path in self._graph_paths(name, precision, runs_on)]
        return place

    @contextlib.contextmanager
    def sealed_graph(
        self, name: str, precision: Precision | None = None, runs_on: RunsOn | None = None
    ) -> Iterator[Path]:
        """Give a graph and its weights as files that nobody else can change, for as long as the block runs.

        Whoever has such a file open, or in memory, keeps its content after the block.

        Args:
            name: As in `graph_file`.
            precision: As in `graph_file`.
            runs_on: As in `graph_file`.

        Yields:
            Where the ONNX file is. What it holds was hashed while it was copied.

        Raises:
            BundleError: As in `graph_file`.
            OutputError: There is no room for copies.
        """
        if self._remove_unpacked is not None:  # was unpacked to a private folder
            yield self.graph_file(name, precision, runs_on)
            return
        paths = self._graph_paths(name, precision, runs_on)
        with sealed_copies(self.root, {path: self.manifest.files[path] for path in paths}) as folder:
            yield folder / paths[0]

    def _graph_paths(self, name: str, precision: Precision | None, runs_on: RunsOn | None) -> list[str]:
        """Paths of a graph's ONNX file, whose content is verified, and of the weight files that it names."""
        graph = self.manifest.graphs[name]
        graph = graph.in_precision(precision or graph.precision, runs_on)
        if graph.file not in self._weights:
            self._weights[graph.file] = self._read_weights(graph.file)
        return [graph.file, *self._weights[graph.file]]

    def _read_weights(self, file: str) -> list[str]:
        place = self.verified_file(file)
        paths = []
        for location in sorted(_checked_graph(place).external_files):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(file), location))
            if posixpath.isabs(location) or path not in self.manifest.files:
                raise UnsafePathError(f"{place}: wants to read {location!r}, which the manifest does not list")
            paths.append(path)
        return paths

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
        if self._remove_unpacked is not None:
            self._remove_unpacked()


def find_bundle(path: str | Path | None = None) -> Path:
    """Decide which bundle to use: the argument, ``$VAVL_BUNDLE``, ``./vavl-bundle``, the packaged one.

    Args:
        path: A bundle named by the user, or None. ``light``, as results call it, is the packaged one, unless there is
            a file or folder of that name.

    Returns:
        Its path; whether it is a bundle is not checked here.
    """
    if path is not None:
        packaged = str(path) == PACKAGED_BUNDLE.name and not Path(path).exists()
        return PACKAGED_BUNDLE if packaged else Path(path)
    if named := os.environ.get("VAVL_BUNDLE"):
        return Path(named)
    if (local := Path("vavl-bundle")).exists():
        return local
    return PACKAGED_BUNDLE


def open_bundle(path: str | Path | None = None, *, trusted_keys: str | Path | None = None) -> Bundle:
    """Open a bundle folder or ``.vavl`` archive and check its manifest, paths and sizes.

    Args:
        path: The bundle, or None for the default of `find_bundle`.
        trusted_keys: A folder of public keys, Ed25519 in ``.pem`` files; a bundle that none of them signed is refused.
            None to accept unsigned bundles.

    Returns:
        The bundle; close it to remove what an archive unpacked.

    Raises:
        BundleNotFoundError: Nothing there, or neither a folder nor a zip archive.
        ManifestError: The manifest is missing, malformed or of another schema.
        MissingFileError: A listed file is missing.
        AlteredFileError: A file has another size than listed.
        UnsafePathError: A path leaves the bundle.
        UntrustedBundleError: None of the trusted keys signed it.
    """
    place = find_bundle(path)
    keys = Path(trusted_keys) if trusted_keys is not None else None
    if os.path.isdir(place):  # noqa: PTH112 - unlike Path.is_dir, false for a name that is too long
        return _open_folder(place, place, keys, None)
    if not os.path.isfile(place):  # noqa: PTH113
        raise BundleNotFoundError(f"{place}: no bundle there; name a folder or .vavl file that vavl-export onnx wrote")
    if not zipfile.is_zipfile(place):
        raise BundleNotFoundError(f"{place}: neither a bundle folder nor a .vavl archive")
    archive = PrivateFolder()
    try:
        unpack(place, archive.path)
        return _open_folder(archive.path, place, keys, archive.close)
    except BaseException:
        archive.close()
        raise


def _open_folder(
    root: Path, named: Path, trusted_keys: Path | None, remove_unpacked: Callable[[], None] | None
) -> Bundle:
    content = _read_manifest(root)
    if trusted_keys is not None:
        require_signature(named, content, _read_signature(root), trusted_keys)
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
    return Bundle(root, manifest, hashlib.sha256(content).hexdigest(), remove_unpacked)


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
    return content


def _read_signature(root: Path) -> bytes | None:
    try:
        with (root / SIGNATURE_NAME).open("rb") as file:
            return file.read(SIGNATURE_BYTES + 1)
    except OSError:
        return None


def _checked_graph(place: Path) -> OnnxContent:
    try:
        content = read_onnx(place.read_bytes())
    except ValueError as error:
        raise UnsafeGraphError(
            f"{place}: not an ONNX graph that this runtime runs ({error}); export the bundle again"
        ) from error
    for domain, operator in content.operators:
        if domain not in ("", "ai.onnx") and (domain, operator) not in CONTRIBUTED:
            raise UnsafeGraphError(
                f"{place}: has the operator {operator!r} of {domain!r}, expected ONNX's own; export the bundle again"
            )
    return content


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
