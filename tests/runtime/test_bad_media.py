"""Media that cannot be used: each kind has its exception, which names the file."""

import os
from pathlib import Path

import pytest

from tests.runtime.bad_clips import BAD
from tests.runtime.made_media import pcm16, tone, write_wav
from vavl_runtime import Recognizer
from vavl_runtime.errors import InputError, NotAFileError, UnreadableFileError


@pytest.mark.parametrize("case", BAD)
def test_bad_media_has_its_own_exception(case: str, recognizer: Recognizer, tmp_path: Path) -> None:
    make, expected, message = BAD[case]
    clip = make(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        recognizer.predict(clip)
    assert type(caught.value) is expected
    assert str(clip) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected", "message"),
    [
        (".", NotAFileError, "not a regular file; expected a media file"),
        ("nu\0ll.mp4", UnreadableFileError, "cannot be read"),
    ],
    ids=["folder", "null"],
)
def test_path_that_only_the_api_can_be_given(
    name: str, expected: type[InputError], message: str, recognizer: Recognizer, tmp_path: Path
) -> None:
    """On the command line a folder means the media inside, and no argument holds a null."""
    with pytest.raises(InputError, match=message) as caught:
        recognizer.predict(tmp_path / name)
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    "how", [pytest.param("mode", marks=pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")), "access"]
)
def test_file_without_permission(
    how: str, recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_wav(tmp_path / "secret.wav", pcm16(tone()))
    if how == "mode":
        clip.chmod(0)
    else:
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != clip)
    with pytest.raises(UnreadableFileError, match="no permission to read it") as caught:
        recognizer.predict(clip)
    assert type(caught.value) is UnreadableFileError
