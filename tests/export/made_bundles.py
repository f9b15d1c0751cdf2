"""Copies of the packaged bundle, and what is written about their files after a change."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any


def without_variants(bundle: Path, folder: Path) -> Path:
    """Copy a bundle without whatever variants it has."""
    shutil.copytree(bundle, folder, ignore=shutil.ignore_patterns("*.fp16.*", "*.bf16.*", "*.int8.*", "parity*"))
    content = manifest(folder)
    for graph in content["graphs"].values():
        graph.pop("variants", None)
    write_manifest(folder, content)
    return folder


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest as it is."""
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return content


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write a manifest, with the files that are there now."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files.pop("manifest.json", None)
    content["files"] = {
        path: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in sorted(files.items())
    }
    (folder / "manifest.json").write_text(json.dumps(content))
