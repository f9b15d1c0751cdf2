"""A ``.vavl`` archive answers like its folder; a bad one is refused and leaves nothing behind."""

import re
import shutil
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.runtime.command_line import run_cli
from tests.runtime.damaged_bundles import (
    SOUND,
    flip,
    list_file,
    manifest_is,
    refused_when_opened,
    refused_when_used,
    truncated_weights,
    zip_folder,
)
from vavl_runtime import Recognizer, open_bundle
from vavl_runtime.errors import (
    AlteredFileError,
    BundleError,
    BundleNotFoundError,
    ManifestError,
    MissingFileError,
    OutputError,
    UnsafePathError,
)


@pytest.fixture
def unpacked_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where archives are unpacked during the test."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_archive_answers_like_its_folder(archive: Path, recognizer: Recognizer, unpacked_here: Path) -> None:
    expected = recognizer.predict(SOUND)
    with Recognizer(archive, threads=1) as zipped:
        assert len(list(unpacked_here.iterdir())) == 1
        result = zipped.predict(SOUND)
        assert zipped.identity == recognizer.identity
    assert result.path == expected.path == "audio"
    assert result.scores == pytest.approx(expected.scores, abs=1e-6)
    assert list(unpacked_here.iterdir()) == []


def patch_zip(place: Path, patched: Path, *, flag: int = 0, method: int | None = None) -> Path:
    """Copy an archive with other flags or another compression method in every header."""
    content = bytearray(place.read_bytes())
    for signature, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        for found in re.finditer(re.escape(signature), bytes(content)):
            content[found.start() + at] |= flag
            if method is not None:
                content[found.start() + at + 2] = method
    patched.write_bytes(content)
    return patched


def overwrite(at: float) -> Callable[[Path, Path], Path]:
    """Zero 64 bytes at a place, as a fraction of the archive's length."""

    def damage(archive: Path, place: Path) -> Path:
        content = bytearray(archive.read_bytes())
        start = int(len(content) * at)
        content[start : start + 64] = bytes(64)
        place.write_bytes(content)
        return place

    return damage


def overwrite_member(name: str) -> Callable[[Path, Path], Path]:
    """Break the compressed data of one member a little after its start."""

    def damage(archive: Path, place: Path) -> Path:
        content = bytearray(archive.read_bytes())
        with zipfile.ZipFile(archive) as opened:
            start = opened.getinfo(name).header_offset + 30 + len(name) + 40
        content[start : start + 200] = bytes(range(200))
        place.write_bytes(content)
        return place

    return damage


def cut(archive: Path, place: Path) -> Path:
    place.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    return place


def with_member(name: str) -> Callable[[Path, Path], Path]:
    def add(archive: Path, place: Path) -> Path:
        shutil.copy(archive, place)
        with zipfile.ZipFile(place, "a") as opened:
            opened.writestr(name, "evil")
        return place

    return add


def repacked(change: Callable[[Path], object]) -> Callable[[Path, Path], Path]:
    """Unpack, change, pack."""

    def pack(archive: Path, place: Path) -> Path:
        folder = place.with_suffix("")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        change(folder)
        return zip_folder(folder, place)

    return pack


def file_and_folder_of_one_name(archive: Path, place: Path) -> Path:
    folder = place.with_suffix("")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    list_file(folder, "clash", b"x")
    list_file(folder, "clash/inside", b"x")
    zip_folder(folder, place)
    with zipfile.ZipFile(place, "a") as opened:
        opened.writestr("clash", "x")
        opened.writestr("clash/inside", "x")
    return place


def with_a_member_twice(archive: Path, place: Path) -> Path:
    shutil.copy(archive, place)
    with zipfile.ZipFile(place, "a") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened.writestr("weights.bin", "other")
    return place


def with_many_members(archive: Path, place: Path) -> Path:
    shutil.copy(archive, place)
    with zipfile.ZipFile(place, "a") as opened:
        for number in range(10_001):
            opened.writestr(f"extra/{number}", "")
    return place


def with_a_bomb(archive: Path, place: Path) -> Path:
    """A listed file of zeros, a thousand times as large as its compressed form."""
    folder = place.with_suffix("")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    list_file(folder, "zeros.bin", bytes(300 << 20))
    zip_folder(folder, place)
    with zipfile.ZipFile(place, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros.bin", bytes(300 << 20))
    return place


def with_a_lying_size(archive: Path, place: Path) -> Path:
    """A member that holds more than both the manifest and the archive's directory announce."""
    folder = place.with_suffix("")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    list_file(folder, "small.bin", bytes(1000))
    zip_folder(folder, place)
    with zipfile.ZipFile(place, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("small.bin", bytes(50 << 20))
    content = place.read_bytes()
    place.write_bytes(content.replace((50 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    return place


def with_a_name_that_is_no_text(archive: Path, place: Path) -> Path:
    """A name in UTF-8 by its flag, and none by its bytes."""
    patched = bytearray(archive.read_bytes())
    for signature, flags, name in ((b"PK\x01\x02", 8, 46), (b"PK\x03\x04", 6, 30)):
        start = patched.find(signature)
        patched[start + flags + 1] |= 8
        patched[start + name] = 0xBF
    place.write_bytes(patched)
    return place


def packed_with_bzip2(archive: Path, place: Path) -> Path:
    folder = place.with_suffix("")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return zip_folder(folder, place, zipfile.ZIP_BZIP2)


ARCHIVES: dict[str, tuple[Callable[[Path, Path], Path], type[BundleError], str]] = {
    "start": (overwrite(0), AlteredFileError, "damaged archive .*; copy the bundle again"),
    "first_member": (overwrite(0.0005), AlteredFileError, "damaged archive"),
    "middle": (overwrite(0.5), AlteredFileError, "damaged archive"),
    "near_the_end": (overwrite(0.99), AlteredFileError, "damaged archive"),
    "manifest_data": (overwrite_member("manifest.json"), AlteredFileError, "damaged archive"),
    "graph_data": (overwrite_member("audio.onnx"), AlteredFileError, "damaged archive"),
    "cut": (cut, BundleNotFoundError, "neither a bundle folder nor a .vavl archive"),
    "encrypted": (lambda a, p: patch_zip(a, p, flag=1), AlteredFileError, "audio.onnx is encrypted"),
    "strong_encryption": (lambda a, p: patch_zip(a, p, flag=64), AlteredFileError, "damaged archive|encrypt"),
    "unknown_method": (
        lambda a, p: patch_zip(a, p, method=99),
        AlteredFileError,
        "has compression 99, expected stored",
    ),
    "wrong_method": (
        lambda a, p: patch_zip(a, p, method=12),
        AlteredFileError,
        "has compression 12, expected stored",
    ),
    "evil_member": (with_member("../evil"), UnsafePathError, r"bundle path '\.\./evil': leaves the bundle"),
    "absolute_member": (with_member("/evil"), UnsafePathError, "bundle path '/evil': leaves the bundle"),
    "no_manifest": (
        repacked(lambda f: (f / "manifest.json").unlink()),
        ManifestError,
        "no manifest.json at its top",
    ),
    "bad_manifest": (repacked(manifest_is(b"{")), ManifestError, "not JSON"),
    "huge_manifest": (
        repacked(manifest_is(b" " * 4_000_001)),
        ManifestError,
        "more than 4000000 bytes",
    ),
    "member_missing": (repacked(lambda f: (f / "weights.bin").unlink()), MissingFileError, "weights.bin is listed in"),
    "another_size": (repacked(truncated_weights), AlteredFileError, "size of weights.bin differs from the manifest"),
    "twice": (with_a_member_twice, AlteredFileError, "holds weights.bin twice"),
    "many": (with_many_members, AlteredFileError, "entries, expected at most 10000"),
    "bomb": (with_a_bomb, AlteredFileError, "bytes would unpack to .*, which weights do not"),
    "no_text": (with_a_name_that_is_no_text, AlteredFileError, "damaged archive .*codec can't decode"),
    "lying_size": (with_a_lying_size, AlteredFileError, "damaged archive"),
    "bzip2": (packed_with_bzip2, AlteredFileError, "has compression 12, expected stored"),
    "clash": (file_and_folder_of_one_name, AlteredFileError, "damaged archive .*clash"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_bad_archive_is_refused_and_leaves_nothing(
    case: str, archive: Path, tmp_path: Path, unpacked_here: Path
) -> None:
    damage, expected, message = ARCHIVES[case]
    place = damage(archive, tmp_path / "bad.vavl")
    refused_when_opened(place, expected, message)
    assert list(unpacked_here.iterdir()) == []
    assert not (tmp_path / "evil").exists()
    result = run_cli(tmp_path / "clip.wav", "--bundle", place)
    assert (result.exit_code, result.stdout) == (3, "")
    assert re.fullmatch(f"error: .*({message}).*\n", result.stderr)


def test_altered_member_of_the_right_size(archive: Path, tmp_path: Path) -> None:
    place = repacked(lambda folder: flip(folder / "weights.bin", 7))(archive, tmp_path / "altered.vavl")
    refused_when_used(place, AlteredFileError, "weights.bin: sha256 is")


def test_unlisted_members_stay_packed(archive: Path, tmp_path: Path, unpacked_here: Path) -> None:
    opened = open_bundle(with_member("extra/bomb.bin")(archive, tmp_path / "extra.vavl"))
    try:
        assert not list(unpacked_here.rglob("bomb.bin"))
        assert list(unpacked_here.rglob("weights.bin"))
    finally:
        opened.close()


def test_a_full_disk_is_seen_before_unpacking(
    archive: Path, unpacked_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    refused_when_opened(archive, OutputError, r"no room to unpack .* \(needs \d+ bytes, 1000 are free\); set TMPDIR")
    assert list(unpacked_here.iterdir()) == []


def test_a_bomb_costs_neither_memory_nor_time(shared: Path) -> None:
    bomb = shared / "cases" / "hostile" / "bzip2_manifest_bomb.vavl"
    if not bomb.is_file():
        pytest.skip("no hostile archive among the real media")
    tracemalloc.start()
    try:
        refused_when_opened(bomb, AlteredFileError, "compression 12")
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()
