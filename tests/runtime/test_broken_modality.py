"""One modality breaks and the other answers; one that is not asked for is never touched."""

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.command_line import error_lines, records, run_cli
from tests.runtime.made_media import RATE, face_pictures, film_of_a_face, jpeg, tone, write_matroska
from vavl_runtime import Recognizer
from vavl_runtime.errors import DamagedMediaError, InputError
from vavl_runtime.media.file import FileSource


def broken_sound() -> NDArray[np.float32]:
    sound = tone()
    sound[5000] = np.nan
    return sound


@pytest.mark.parametrize(
    ("sound", "reason"), [(broken_sound(), "damaged_media"), (tone(0), "empty_stream")], ids=["damaged", "empty"]
)
def test_picture_answers_when_the_sound_is_broken(
    sound: NDArray[np.float32], reason: str, recognizer: Recognizer, light_bundle: Path, tmp_path: Path
) -> None:
    clip = film_of_a_face(tmp_path / "film.mkv", face_pictures(), sound)
    whole = film_of_a_face(tmp_path / "picture.mkv", face_pictures(), None)
    result = recognizer.predict(clip)
    assert (result.path, result.reasons.audio, result.reasons.visual) == ("visual", reason, None)
    assert (result.faces.frames, result.faces.with_face) == (5, 5)
    assert result.scores == pytest.approx(recognizer.predict(whole).scores, abs=1e-5)
    cli = run_cli(clip, "--bundle", light_bundle)
    assert cli.exit_code == 0
    assert error_lines(cli.stderr) == []
    assert records(cli.stdout)[0]["reasons"] == {"audio": reason, "visual": None}
    assert f"audio is broken: {clip}: " in run_cli(clip, "--bundle", light_bundle, "-v").stderr


@pytest.mark.parametrize(
    ("pictures", "reason"), [([jpeg(np.zeros((64, 64, 3), np.uint8)), b"\x00" * 500], "damaged_media"),
                             ([], "empty_stream")], ids=["damaged", "empty"],
)  # fmt: skip
def test_sound_answers_when_the_picture_is_broken(
    pictures: list[bytes], reason: str, recognizer: Recognizer, light_bundle: Path, tmp_path: Path
) -> None:
    clip = write_matroska(tmp_path / "film.mkv", pictures, tone())
    whole = write_matroska(tmp_path / "sound.mkv", None, tone())
    result = recognizer.predict(clip)
    assert (result.path, result.reasons.audio, result.reasons.visual) == ("audio", None, reason)
    assert result.scores == pytest.approx(recognizer.predict(whole).scores, abs=1e-5)
    cli = run_cli(clip, "--bundle", light_bundle)
    assert cli.exit_code == 0
    assert error_lines(cli.stderr) == []
    assert records(cli.stdout)[0]["reasons"] == {"audio": None, "visual": reason}


def test_sound_answers_when_the_picture_is_too_large(recognizer: Recognizer, tmp_path: Path) -> None:
    """An AVI whose header claims 16000 x 16000 pixels, with sound that is fine."""
    path = tmp_path / "large.avi"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("rawvideo", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "bgr24"
        audio: Any = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
        container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray((tone() * 32767).astype(np.int16)[None], format="s16", layout="mono")
        sound.sample_rate = RATE
        container.mux(audio.encode(sound))
    content = bytearray(path.read_bytes())
    sizes = content.index(b"strf") + 12  # BITMAPINFOHEADER: size of the header, then width and height
    assert struct.unpack_from("<i", content, sizes)[0] == 64
    struct.pack_into("<ii", content, sizes, 16_000, 16_000)
    path.write_bytes(content)
    result = recognizer.predict(path)
    assert (result.path, result.reasons.audio, result.reasons.visual) == ("audio", None, "oversized_media")


def test_both_whole_is_audio_visual(recognizer: Recognizer, tmp_path: Path) -> None:
    result = recognizer.predict(film_of_a_face(tmp_path / "film.mkv", face_pictures(), tone(0.2)))
    assert (result.path, result.reasons.audio, result.reasons.visual) == ("audio_visual", None, None)


@pytest.mark.parametrize("use", ["audio", "visual"])
def test_the_modality_that_is_not_asked_for_is_never_touched(
    use: Any, recognizer: Recognizer, light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = face_pictures() if use == "visual" else [b"\x00" * 500] * 5
    clip = film_of_a_face(tmp_path / "film.mkv", pictures, tone() if use == "audio" else broken_sound())
    other = {"audio": "visual", "visual": "audio"}[use]

    def touched(source: FileSource) -> None:
        raise AssertionError(f"{other} was touched")

    monkeypatch.setattr(FileSource, {"visual": "frames", "audio": "sound"}[other], touched)
    result = recognizer.predict(clip, use=use)
    assert result.path == use
    assert getattr(result.reasons, other) == "user_choice"
    cli = run_cli(clip, f"--{use}-only", "--bundle", light_bundle)
    assert cli.exit_code == 0, cli.output
    assert records(cli.stdout)[0]["reasons"] == {use: None, other: "user_choice"}


@pytest.mark.parametrize("use", ["audio", "visual"])
def test_broken_modality_that_alone_is_asked_for_is_an_error(use: Any, recognizer: Recognizer, tmp_path: Path) -> None:
    pictures = face_pictures() if use == "audio" else [b"\x00" * 500] * 5
    clip = film_of_a_face(tmp_path / "film.mkv", pictures, tone() if use == "visual" else broken_sound())
    with pytest.raises(DamagedMediaError, match="sound holds NaN" if use == "audio" else "picture breaks: 5 of 5"):
        recognizer.predict(clip, use=use)


def test_unknown_use(recognizer: Recognizer, tmp_path: Path) -> None:
    wrong: Any = "both"
    with pytest.raises(InputError, match="got 'both', expected 'auto', 'audio' or 'visual'"):
        recognizer.predict(tmp_path / "clip.wav", use=wrong)


def test_both_modalities_excluded_on_the_command_line(tmp_path: Path) -> None:
    result = run_cli(tmp_path / "clip.wav", "--audio-only", "--visual-only")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr
