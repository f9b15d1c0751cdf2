"""Files of a bundle that change without changing size are refused by their hash, before they are used."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.command_line import error_lines, run_cli
from tests.runtime.damaged_bundles import SOUND, copy_bundle, flip, refused_when_used
from tests.runtime.made_media import pcm16, tone, write_wav
from vavl_runtime import Recognizer, open_bundle
from vavl_runtime.bundle import sealed
from vavl_runtime.errors import AlteredFileError, BundleError, MissingFileError


@pytest.mark.parametrize("form", ["bundle", "archive"])
def test_undamaged_copy_is_verified(form: str, request: pytest.FixtureRequest) -> None:
    opened = open_bundle(request.getfixturevalue(form))
    try:
        opened.verify_all()
        assert all(opened.graph_file(name).is_file() for name in opened.manifest.graphs)
    finally:
        opened.close()


@pytest.mark.parametrize(
    "path", ["weights.bin", "audio.onnx", "encoders/audio_encoder.bin", "encoders/audio_encoder.onnx"]
)
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_one_altered_byte_is_refused(path: str, where: str, bundle: Path) -> None:
    size = (bundle / path).stat().st_size
    flip(bundle / path, {"first": 0, "middle": size // 2, "last": size - 1}[where])
    refused_when_used(
        bundle, AlteredFileError, rf"{path}: sha256 is [0-9a-f]{{12}}…, the manifest says [0-9a-f]{{12}}…"
    )


def test_altered_weights_on_the_command_line(bundle: Path, tmp_path: Path) -> None:
    flip(bundle / "weights.bin", 12_345)
    result = run_cli(write_wav(tmp_path / "clip.wav", pcm16(tone())), "--bundle", bundle)
    assert result.exit_code == 3
    assert isinstance(result.exception, SystemExit)
    lines = error_lines(result.stderr)
    assert len(lines) == 1
    assert re.match(
        r"error: .*weights.bin: sha256 is .*, the manifest says .*; the file was altered or damaged", lines[0]
    )


def test_every_file_of_a_path_is_checked_at_the_start(bundle: Path) -> None:
    """Not in the middle of the first clip that has a face."""
    flip(bundle / "encoders" / "face_encoder.bin", 100)
    with pytest.raises(AlteredFileError, match=r"face_encoder\.bin: sha256 is"):
        Recognizer(bundle, threads=1)


def test_file_that_disappears_after_opening(bundle: Path) -> None:
    with Recognizer(bundle, threads=1) as recognizer:
        (bundle / "weights.bin").unlink()
        with pytest.raises(MissingFileError, match=r"weights.bin: cannot be read \(No such file"):
            recognizer.predict(SOUND)


def test_a_file_that_changes_after_opening_is_not_run(bundle: Path) -> None:
    with Recognizer(bundle, threads=1) as recognizer:
        flip(bundle / "weights.bin", 12_345)
        with pytest.raises(AlteredFileError, match=r"weights.bin: sha256 is"):
            recognizer.predict(SOUND)


CHANGE_AND_PREDICT = r"""
import sys
from pathlib import Path
import numpy as np
from vavl_runtime import ArrayClip, Recognizer
bundle, how = Path(sys.argv[1]), sys.argv[2]
sound = ArrayClip(audio=np.sin(np.arange(16_000) * 0.09).astype(np.float32) * np.float32(0.4))
with Recognizer(bundle, threads=1) as recognizer:
    before = recognizer.predict(sound).scores
    for file in bundle.rglob("*.bin"):
        if how == "overwritten":
            with file.open("r+b") as opened:
                opened.write(bytes([255]) * file.stat().st_size)
        elif how == "cut":
            with file.open("r+b") as opened:
                opened.truncate(0)
        elif how == "swapped":
            other = file.with_suffix(".other")
            other.write_bytes(bytes(file.stat().st_size))
            other.replace(file)
        else:
            file.unlink()
    assert recognizer.predict(sound).scores == before
"""


@pytest.mark.parametrize("how", ["overwritten", "cut", "swapped", "removed"])
def test_what_happens_to_loaded_files_changes_nothing(how: str, bundle: Path) -> None:
    """In a process of its own: where weights are mapped from the bundle's file, cutting it ends the process."""
    command = [sys.executable, "-c", CHANGE_AND_PREDICT, str(bundle), how]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("in_memory", [True, False])
def test_copies_are_private_and_removed(
    in_memory: bool, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "copies"
    place.mkdir()
    monkeypatch.setattr(sealed, "_IN_MEMORY", place if in_memory else tmp_path / "missing")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with open_bundle(bundle) as opened, opened.sealed_graph("audio") as file:
        (folder,) = place.iterdir()
        assert file.is_relative_to(folder)
        assert sorted(path.name for path in file.parent.iterdir()) == ["audio.onnx", "weights.bin"]
        assert folder.stat().st_mode & 0o077 == 0
    assert list(place.iterdir()) == []


def test_copies_of_altered_files_are_refused_and_removed(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "_IN_MEMORY", tmp_path / "copies")
    (tmp_path / "copies").mkdir()
    with open_bundle(bundle) as opened:
        opened.graph_file("audio")
        flip(bundle / "weights.bin", 5)
        with pytest.raises(AlteredFileError, match=r"weights.bin: sha256 is"), opened.sealed_graph("audio"):
            pass
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_small_memory_folder_is_left_alone(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, where it has 64 MB."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    (tmp_path / "copies").mkdir()
    with open_bundle(bundle) as opened, opened.sealed_graph("audio") as file:
        assert file.is_relative_to(tmp_path / "copies")


@contextlib.contextmanager
def passing_copy(original: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=original.parent) as folder:
        yield copy_bundle(original, Path(folder) / "bundle")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_refused(data: st.DataObject, original: Path) -> None:
    """Flipping any byte of any listed file is refused by a full check, and when a graph that needs it is used."""
    manifest = json.loads((original / "manifest.json").read_text())
    path = data.draw(st.sampled_from(sorted(manifest["files"])))
    offset = data.draw(st.integers(0, manifest["files"][path]["bytes"] - 1))
    mask = data.draw(st.integers(1, 255))
    users = [name for name, graph in manifest["graphs"].items() if path in (graph["file"], graph["data"])]
    with passing_copy(original) as bundle:
        flip(bundle / path, offset, mask)
        with pytest.raises(AlteredFileError, match=re.escape(f"{path}: sha256 is")):
            open_bundle(bundle).verify_all()
        for name in users:
            with pytest.raises(AlteredFileError, match=re.escape(f"{path}: sha256 is")):
                open_bundle(bundle).graph_file(name)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_of_the_manifest_never_breaks_out_of_the_tree(data: st.DataObject, original: Path) -> None:
    """The manifest has no hash of its own: a flipped byte is refused, or changes a value that is as valid."""
    size = (original / "manifest.json").stat().st_size
    offset, mask = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, 255))
    with passing_copy(original) as bundle:
        flip(bundle / "manifest.json", offset, mask)
        with contextlib.suppress(BundleError):
            opened = open_bundle(bundle)
            assert opened.sha256 != open_bundle(original).sha256
            opened.verify_all()
