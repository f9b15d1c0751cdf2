"""Packing: device code of other GPUs goes, sizes are kept, and a package that is too large fails."""

import struct
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.gpu import pack
from benchmarks.gpu.trim import FATBIN, NEVER_LAUNCHED, hollow, trim_provider
from benchmarks.gpu.unpack import unpack_site

MARK = b"zstd"


class NotCompressedError(Exception):
    pass


class Decompressor:
    def decompress(self, code: bytes, max_output_size: int) -> bytes:
        if not code.startswith(MARK):
            raise NotCompressedError
        return code.removeprefix(MARK)


@pytest.fixture(autouse=True)
def _zstandard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decompressor is in no test environment; this one takes off a mark."""
    stand_in = SimpleNamespace(ZstdDecompressor=Decompressor, ZstdError=NotCompressedError)
    monkeypatch.setitem(sys.modules, "zstandard", stand_in)


def entry(generation: int, code: bytes) -> bytes:
    header = struct.calcsize("<HHIQIIHHIIIQ")
    return struct.pack("<HHIQIIHHIIIQ", 2, 1, header, len(code), 0, 0, 0, 0, generation, 0, 0, 0) + code


def elf(sections: dict[str, bytes]) -> bytes:
    """An ELF file with these sections, and one of their names."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    body, headers = bytearray(64), [struct.pack("<IIQQQQIIQQ", *(0,) * 10)]
    for name, content in {**sections, ".shstrtab": names}.items():
        where = names.index(b"\0" + name.encode() + b"\0") + 1
        headers.append(struct.pack("<IIQQQQIIQQ", where, 1, 0, 0, len(body), len(content), 0, 0, 0, 0))
        body += content
    struct.pack_into("<Q", body, 0x28, len(body))
    struct.pack_into("<HHH", body, 0x3A, 64, len(headers), len(headers) - 1)
    return bytes(body) + b"".join(headers)


def library(*containers: bytes) -> bytes:
    """A library with containers of device code."""
    body = b"".join(struct.pack("<IHHQ", FATBIN, 1, 16, len(part)) + part for part in containers)
    return elf({".nv_fatbin": body})


def test_only_code_of_one_generation_is_kept() -> None:
    wanted, other = entry(90, b"kept" * 9), entry(80, b"gone" * 9)
    whole = library(other + wanted, other)
    trimmed = trim_provider(whole, 90)
    assert len(trimmed) == len(whole)
    assert trimmed.count(b"kept") == 9
    assert b"gone" not in trimmed
    assert struct.unpack_from("<Q", trimmed, 64 + 8) == (len(wanted),)


def test_kernels_that_no_graph_launches_go() -> None:
    needed = entry(90, MARK + b".text.conv_kernel .text.conv_other")
    unused = entry(90, MARK + b".text.moe_gemm .text.moe_route")
    trimmed = trim_provider(library(needed + unused), 90)
    assert b"conv_kernel" in trimmed
    assert b"moe" not in trimmed
    assert not NEVER_LAUNCHED.search(b"cudnn_attention_SoftmaxForward")


@pytest.mark.parametrize("content", [library(entry(80, b"x" * 8)), library()])
def test_another_library_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="CUDA provider"):
        trim_provider(content, 90)


def test_a_hollow_library_keeps_what_the_loader_reads() -> None:
    constructors, needed = struct.pack("<QQ", 27, 64), struct.pack("<QQ", 1, 5)
    whole = elf({".text": b"code" * 8, ".dynsym": b"name" * 8, ".dynamic": needed + constructors})
    hollowed = hollow(whole)
    assert len(hollowed) == len(whole)
    assert b"code" not in hollowed
    assert hollowed.count(b"name") == 8
    assert needed + struct.pack("<QQ", 27, 0) in hollowed


def test_a_site_arrives_without_what_nobody_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(requirements: object, python: str, folder: Path) -> None:
        folder.mkdir()
        with zipfile.ZipFile(folder / "a.whl", "w") as wheel:
            wheel.writestr("av/__init__.py", "there")
            wheel.writestr("av/frame.pyx", "source")
            wheel.writestr("PIL/_avif.so", "unused")
            wheel.writestr(pack.PROVIDER, library(entry(80, b"gone" * 8) + entry(90, b"kept" * 8)))

    monkeypatch.setattr(pack, "download", download)
    pack.pack_site(("av",), "3.12", 90, tmp_path / "site-media.tar.xz")
    site = tmp_path / "there"
    unpack_site(tmp_path, site)
    assert (site / "av/__init__.py").read_text("utf-8") == "there"
    assert {path.name for path in site.rglob("*") if path.is_file()} == {
        "__init__.py",
        Path(pack.PROVIDER).name,
        ".site-media.tar.xz",
    }
    assert b"gone" not in (site / pack.PROVIDER).read_bytes()
    (site / "av/__init__.py").write_text("mine", "utf-8")
    unpack_site(tmp_path, site)  # again: nothing to do
    assert (site / "av/__init__.py").read_text("utf-8") == "mine"


def test_a_folder_that_is_no_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"benchmarks\.gpu\.pack"):
        unpack_site(tmp_path, tmp_path / "site")


@pytest.mark.parametrize(("most", "code"), [(1 << 20, 0), (100, 1)])
def test_a_package_that_is_too_large_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], most: int, code: int
) -> None:
    def write(preset: str, folder: Path, progress: object) -> None:
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_bytes(b"x" * 60)

    monkeypatch.setattr(pack, "pack_site", lambda names, python, generation, archive: archive.write_bytes(b"y" * 60))
    monkeypatch.setattr(pack, "pack_structures", write)
    monkeypatch.setattr(pack, "MOST_BYTES", most)
    monkeypatch.setattr(sys, "argv", ["pack", str(tmp_path / "package")])
    assert pack.main() == code
    assert ("too large" in capsys.readouterr().err) == bool(code)
    assert pack.size_of(tmp_path / "package") == 60 * 5
