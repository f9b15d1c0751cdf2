"""Copy, damage and pack bundles, and expect them to be refused."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vavl_runtime import ArrayClip, Recognizer, open_bundle
from vavl_runtime.errors import VavlError

SOUND = ArrayClip(audio=np.sin(np.arange(16_000) * 0.09).astype(np.float32) * np.float32(0.4))
Damage = Callable[[Path], object]


def copy_bundle(original: Path, folder: Path) -> Path:
    return Path(shutil.copytree(original, folder))  # no hard links: onnx refuses the original while it has any


def rewrite(file: Path, content: bytes) -> None:
    """Replace a file."""
    file.write_bytes(content)


def flip(file: Path, offset: int, mask: int = 1) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= mask
    rewrite(file, content)


def edit_manifest(bundle: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    edit(manifest)
    rewrite(bundle / "manifest.json", json.dumps(manifest).encode())


def entry_of(content: bytes) -> dict[str, Any]:
    """What a manifest says of a file."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def list_file(bundle: Path, path: str, content: bytes) -> None:
    """Enter a file's size and hash in the manifest."""
    edit_manifest(bundle, lambda manifest: manifest["files"].update({path: entry_of(content)}))


def zip_folder(folder: Path, place: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(place, "w", compression) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return place


def manifest_is(content: bytes) -> Damage:
    return lambda bundle: rewrite(bundle / "manifest.json", content)


def truncated_weights(bundle: Path) -> None:
    rewrite(bundle / "weights.bin", (bundle / "weights.bin").read_bytes()[:-1])


def refused_when_opened(bundle: Path, expected: type[VavlError], message: str) -> None:
    with pytest.raises(VavlError, match=message) as caught:
        open_bundle(bundle).close()
    assert type(caught.value) is expected, repr(caught.value)


def refused_when_used(bundle: Path, expected: type[VavlError], message: str) -> None:
    with pytest.raises(VavlError, match=message) as caught, Recognizer(bundle, threads=1) as recognizer:
        recognizer.predict(SOUND)
    assert type(caught.value) is expected, repr(caught.value)
