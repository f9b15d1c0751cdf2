"""Files of a bundle that change without changing size are refused by their hash, before they are used."""

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.command_line import error_lines, run_cli
from tests.runtime.damaged_bundles import SOUND, copy_bundle, flip, refused_when_used
from tests.runtime.made_media import pcm16, tone, write_wav
from vavl_runtime import Recognizer, open_bundle
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


def test_files_of_other_modalities_are_not_read(bundle: Path) -> None:
    """Hashes are checked on first use, so sound alone does not pay for the picture's files."""
    flip(bundle / "encoders" / "face_encoder.bin", 100)
    with Recognizer(bundle, threads=1) as recognizer:
        assert recognizer.predict(SOUND).path == "audio"
    with pytest.raises(AlteredFileError, match=r"face_encoder\.bin: sha256 is"):
        open_bundle(bundle).verify_all()


def test_file_that_disappears_after_opening(bundle: Path) -> None:
    with Recognizer(bundle, threads=1) as recognizer:
        (bundle / "weights.bin").unlink()
        with pytest.raises(MissingFileError, match=r"weights.bin: cannot be read \(No such file"):
            recognizer.predict(SOUND)


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
