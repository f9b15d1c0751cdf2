"""Signs manifests, and checks who signed: Ed25519 over the bytes of ``manifest.json``, which has the hash of all else.

The signature is 64 bytes beside the manifest, as ``openssl pkeyutl -sign -rawin`` writes them.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from vavl_runtime.errors import InputError, MissingDependencyError, UntrustedBundleError

SIGNATURE_NAME = "manifest.json.sig"
SIGNATURE_BYTES = 64
_MAX_KEY_BYTES = 10_000


def sign_manifest(manifest: bytes, key: Path) -> bytes:
    """Sign a manifest.

    Args:
        manifest: The bytes of ``manifest.json``.
        key: A file with an Ed25519 private key, PEM, without a password.

    Returns:
        The signature.

    Raises:
        InputError: The file is no such key.
        MissingDependencyError: The package cryptography is not installed.
    """
    with _needs_cryptography():
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    try:
        private = load_pem_private_key(_read_key(key), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(
            f"{key}: expected an Ed25519 private key in PEM, without a password; "
            "openssl genpkey -algorithm ed25519 -out key.pem makes one"
        )
    return private.sign(manifest)


def require_signature(place: Path, manifest: bytes, signature: bytes | None, trusted_keys: Path) -> None:
    """Refuse a bundle that no trusted key signed.

    Args:
        place: The bundle, for messages.
        manifest: The bytes of its ``manifest.json``.
        signature: The bytes of its signature; None if it has none.
        trusted_keys: A folder of Ed25519 public keys, PEM, in files that end in ``.pem``.

    Raises:
        UntrustedBundleError: There is no signature, or it is of none of these keys.
        InputError: The folder holds no key, or a file that is none.
        MissingDependencyError: The package cryptography is not installed.
    """
    keys = sorted(trusted_keys.glob("*.pem"))
    if not keys:
        raise InputError(f"trusted_keys: got {trusted_keys}, expected a folder with public keys in .pem files")
    if signature is None:
        raise UntrustedBundleError(f"{place}: not signed; ask its maker for a signed one")
    if not any([_signed_by(key, manifest, signature) for key in keys]):  # a list: every file must be a key
        names = ", ".join(key.name for key in keys)
        raise UntrustedBundleError(
            f"{place}: signed by none of the trusted keys ({names}), or changed since; do not use this bundle"
        )


def _signed_by(key: Path, manifest: bytes, signature: bytes) -> bool:
    with _needs_cryptography():
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    try:
        public = load_pem_public_key(_read_key(key))
    except (ValueError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, Ed25519PublicKey):
        raise InputError(f"{key}: expected an Ed25519 public key in PEM; take this file out of the folder")
    try:
        public.verify(signature, manifest)
    except InvalidSignature:
        return False
    return True


def _read_key(key: Path) -> bytes:
    try:
        with key.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise InputError(f"{key}: cannot be read ({error.strerror}); name a key file") from error


@contextlib.contextmanager
def _needs_cryptography() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingDependencyError(
            f"signatures need cryptography ({error}); pip install 'vavl-edge[signing]'"
        ) from error
