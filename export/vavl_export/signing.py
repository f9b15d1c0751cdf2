"""Signs a bundle, so that others can check who made it."""

from pathlib import Path

from vavl_export.bundle_files import pack_folder
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import FILE_NAME
from vavl_runtime.bundle.signature import SIGNATURE_NAME, sign_manifest
from vavl_runtime.files import file_beside, write_atomically


def sign_bundle(bundle: str | Path, key: str | Path) -> None:
    """Sign a bundle in place; an older signature is replaced. All hashes are checked first.

    Args:
        bundle: A folder, or a ``.vavl`` file.
        key: A file with an Ed25519 private key, PEM, without a password.

    Raises:
        BundleError: The bundle is damaged.
        InputError: The file is no such key.
        MissingDependencyError: The package cryptography is not installed.
        OutputError: The bundle cannot be written.
    """
    place = Path(bundle)
    with open_bundle(place) as opened:
        opened.verify_all()
        signature = sign_manifest((opened.root / FILE_NAME).read_bytes(), Path(key))
        if place.is_dir():
            write_atomically(place / SIGNATURE_NAME, signature)
            return
        with file_beside(place) as archive:  # what opening unpacked is the whole bundle
            (opened.root / SIGNATURE_NAME).write_bytes(signature)
            pack_folder(opened.root, archive)
