"""Which files of a folder are clips, and what is said about names that are no files."""

import os
from pathlib import Path

import pytest

from tests.runtime.command_line import error_lines, records, run_cli
from tests.runtime.made_media import pcm16, tone, write_wav
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import NotFoundError, UnreadableFileError
from vavl_runtime.media import open_source
from vavl_runtime.media.find import list_clips
from vavl_runtime.media.missing import explain_missing


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def found(folder: Path) -> list[str]:
    return [listed.path.relative_to(folder).as_posix() for listed in list_clips([folder]).clips]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "b.mp4", "a.WAV", "._b.mp4", ".trash/c.mp4", "deep/.hidden.wav", "__MACOSX/b.mp4", "deep/d.jpg")
    assert found(tmp_path) == ["a.WAV", "b.mp4", "deep/d.jpg"]
    assert not list_clips([tmp_path]).skipped


def test_a_hidden_file_that_is_named_is_a_clip(tmp_path: Path) -> None:
    make(tmp_path, ".clip.mp4")
    assert [listed.path for listed in list_clips([tmp_path / ".clip.mp4"]).clips] == [tmp_path / ".clip.mp4"]


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder with links to itself, upwards, to a folder inside, and to one elsewhere with a link back."""
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    make(folder, "a.mp4", "z/b.mp4")
    make(elsewhere, "c.mp4", "deep/d.mp4")
    for link, target in {
        folder / "self": folder,
        folder / "up": tmp_path,
        folder / "inside": folder / "z",
        folder / "other": elsewhere,
        elsewhere / "back": folder,
    }.items():
        try:
            link.symlink_to(target, target_is_directory=True)
        except OSError:
            pytest.skip("no links here")
    return folder


def test_linked_folders_are_entered_once(linked: Path) -> None:
    names = found(linked)
    assert [name for name in names if not name.startswith("up/")] == [
        "a.mp4",
        "other/c.mp4",
        "other/deep/d.mp4",
        "z/b.mp4",
    ]
    assert len({(linked / name).resolve() for name in names}) == len(names), "no file twice"


def test_links_to_nothing_are_counted(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "gone.mp4")
    listing = list_clips([tmp_path])
    assert len(listing.clips) == 1
    assert listing.skipped == {"broken link": 1}


def test_skipped_files_are_counted_by_suffix(tmp_path: Path, light_bundle: Path) -> None:
    make(tmp_path, "a.txt", "b.TXT", "deep/c.srt", "README")
    write_wav(tmp_path / "a.wav", pcm16(tone()))
    assert list_clips([tmp_path]).skipped == {".txt": 2, ".srt": 1, "without suffix": 1}
    result = run_cli(tmp_path, "--bundle", light_bundle)
    assert error_lines(result.stderr) == ["left out of the folders, by suffix: 1 .srt, 2 .txt, 1 without suffix"]
    assert len(records(result.stdout)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "closed/b.mp4")
    (tmp_path / "closed").chmod(0)
    try:
        errors = [listed.error for listed in list_clips([tmp_path]).clips]
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert [type(error) for error in errors] == [type(None), UnreadableFileError]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("https://example.org/a/clip.mp4", "curl -o clip.mp4 'https://example.org/a/clip.mp4'"),
        ("rtsp://camera/live", "ffmpeg -i 'rtsp://camera/live' -t 60 clip.mkv"),
        ("file:///tmp/clip.mp4", "give the path alone: /tmp/clip.mp4"),
        ("-", "standard input is not read"),
        ("clips/*.mp4", "leave out the quotes"),
        ("clip[0-9].mp4", "leave out the quotes"),
        ("take?.wav", "leave out the quotes"),
    ],
)
def test_names_that_are_no_files_are_explained(name: str, said: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        open_source(name, Limits())
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["gone.mp4", "folder/gone.mp4", "10:30.mp4", "a [b.mp4", "C:/clips/gone.mp4"])
def test_other_names_are_just_missing(name: str) -> None:
    assert explain_missing(Path(name)) == f"{Path(name)}: no such file"


def test_a_file_is_a_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-", "take[1].wav"):
        assert open_source(write_wav(Path(name), pcm16(tone())), Limits()).has_audio
