"""A signed bundle is accepted by those who trust its maker, and refused once a byte of its manifest changes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner

from tests.runtime.damaged_bundles import edit_manifest, flip, zip_folder
from vavl_export import sign_bundle
from vavl_export.cli import app
from vavl_runtime import open_bundle
from vavl_runtime.bundle.signature import require_signature
from vavl_runtime.errors import AlteredFileError, InputError, MissingDependencyError, UntrustedBundleError


def write_pair(folder: Path, name: str) -> Path:
    """Write a private key, and its public one into the folder ``trusted``."""
    key = Ed25519PrivateKey.generate()
    private = folder / f"{name}.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "trusted").mkdir(exist_ok=True)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "trusted" / f"{name}.pem").write_bytes(public)
    return private


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return write_pair(tmp_path, "maker")


@pytest.fixture
def trusted(tmp_path: Path, key: Path) -> Path:
    return tmp_path / "trusted"


@pytest.fixture(params=["folder", "archive"])
def bundle(request: pytest.FixtureRequest, light_bundle: Path, tmp_path: Path) -> Path:
    if request.param == "folder":
        return Path(shutil.copytree(light_bundle, tmp_path / "bundle"))
    return zip_folder(light_bundle, tmp_path / "bundle.vavl")


def test_a_signed_bundle_is_accepted(bundle: Path, key: Path, trusted: Path) -> None:
    with open_bundle(bundle) as unsigned:
        before = unsigned.sha256
    sign_bundle(bundle, key)
    sign_bundle(bundle, key)  # again: nothing piles up
    with open_bundle(bundle, trusted_keys=trusted) as opened:
        assert opened.sha256 == before
        opened.verify_all()


def test_any_of_several_keys_will_do(bundle: Path, key: Path, trusted: Path, tmp_path: Path) -> None:
    write_pair(tmp_path, "another")
    sign_bundle(bundle, key)
    open_bundle(bundle, trusted_keys=trusted).close()


def test_an_unsigned_bundle_is_refused(bundle: Path, trusted: Path) -> None:
    with pytest.raises(UntrustedBundleError, match="not signed; ask its maker"):
        open_bundle(bundle, trusted_keys=trusted)


def test_a_stranger_is_refused(bundle: Path, key: Path, tmp_path: Path) -> None:
    stranger = write_pair(tmp_path, "stranger")
    (tmp_path / "trusted" / "stranger.pem").unlink()
    sign_bundle(bundle, stranger)
    with pytest.raises(UntrustedBundleError, match=r"signed by none of the trusted keys \(maker.pem\)"):
        open_bundle(bundle, trusted_keys=tmp_path / "trusted")


def test_a_changed_manifest_is_refused(light_bundle: Path, key: Path, trusted: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(light_bundle, tmp_path / "changed"))
    sign_bundle(bundle, key)
    edit_manifest(bundle, lambda manifest: manifest.update(labels=[*manifest["labels"][1:], manifest["labels"][0]]))
    open_bundle(bundle).close()
    with pytest.raises(UntrustedBundleError, match="or changed since"):
        open_bundle(bundle, trusted_keys=trusted)


@pytest.mark.parametrize("length", [0, 63, 65, 1000])
def test_a_signature_of_another_length_is_refused(
    length: int, light_bundle: Path, key: Path, trusted: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(light_bundle, tmp_path / "changed"))
    (bundle / "manifest.json.sig").write_bytes(bytes(length))
    with pytest.raises(UntrustedBundleError, match="signed by none"):
        open_bundle(bundle, trusted_keys=trusted)


def test_a_damaged_bundle_is_not_signed(light_bundle: Path, key: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(light_bundle, tmp_path / "damaged"))
    flip(bundle / "weights.bin", 7)
    with pytest.raises(AlteredFileError, match=r"weights.bin: sha256 is"):
        sign_bundle(bundle, key)
    assert not (bundle / "manifest.json.sig").exists()


def test_a_folder_without_keys(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trusted_keys: got .*, expected a folder with public keys in \.pem files"):
        open_bundle(bundle, trusted_keys=tmp_path)


def test_a_file_that_is_no_public_key(bundle: Path, key: Path, trusted: Path) -> None:
    sign_bundle(bundle, key)
    (trusted / "zzz.pem").write_bytes(key.read_bytes())
    with pytest.raises(InputError, match=r"zzz.pem: expected an Ed25519 public key"):
        open_bundle(bundle, trusted_keys=trusted)


def test_a_public_key_of_an_unknown_kind(light_bundle: Path, key: Path, trusted: Path) -> None:
    content = (trusted / "maker.pem").read_bytes()
    (trusted / "maker.pem").write_bytes(content.replace(b"MCowBQYDK2Vw", b"MCowBQYDB2Vw"))  # the number of the kind
    with pytest.raises(InputError, match=r"maker.pem: expected an Ed25519 public key"):
        require_signature(light_bundle, b"", bytes(64), trusted)


def test_a_key_of_another_kind(bundle: Path, tmp_path: Path) -> None:
    rsa = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (rsa, b"", b"no key"):
        (tmp_path / "other.pem").write_bytes(content)
        with pytest.raises(InputError, match=r"other.pem: expected an Ed25519 private key .*openssl genpkey"):
            sign_bundle(bundle, tmp_path / "other.pem")


def test_without_cryptography(bundle: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'vavl-edge\[signing\]'"):
        sign_bundle(bundle, key)


def test_the_command_signs_as_openssl_does(light_bundle: Path, key: Path, trusted: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(light_bundle, tmp_path / "signed"))
    result = CliRunner().invoke(app, ["sign", str(bundle), "--key", str(key)])
    assert (result.exit_code, result.stdout) == (0, f"{bundle}\n")
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", trusted / "maker.pem", "-rawin"]
    command += ["-in", bundle / "manifest.json", "-sigfile", bundle / "manifest.json.sig"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
