"""``audio-encoder`` and ``face-encoder`` on made media, from the files to an encoder folder that can be used."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import Result

from tests.cli.commands import fail, succeed
from tests.corpora.made_corpora import table
from tests.features.in_process import read_raw
from tests.runtime.made_media import RATE, face_pictures, film_of_a_face, jpeg, pcm16, write_wav
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.features import FeatureCache
from vavl.features import extract as extraction

COMMANDS = ("audio-encoder", "face-encoder")
LOAD = {"audio-encoder": load_audio_encoder, "face-encoder": load_face_encoder}
SPLITS = {"ann": "train", "ben": "train", "cam": "development", "dan": "test"}
HEADER = "id,speaker,audio,visual,label,split"
TINY = ("--epochs", 2, "--hidden", 8, "--batch-size", 3, "--learning-rate", 1e-3)


def write_media(folder: Path) -> Path:
    """Everybody says something low and calm and something high and tense, and looks dark or bright; the manifest."""
    data = pytest.importorskip("skimage.data", reason="scikit-image carries the picture of a face")
    face = data.astronaut()[:256, 100:356].astype(np.float32)
    rows = []
    for number, (speaker, split) in enumerate(SPLITS.items()):
        for label, hz, light in (("calm", 110.0, 0.7), ("tense", 260.0, 1.0)):
            name = f"{speaker}-{label}"
            tone = 0.3 * np.sin(2 * np.pi * (hz + 9 * number) / RATE * np.arange(0.3 * RATE)).astype(np.float32)
            write_wav(folder / f"{name}.wav", pcm16(tone))
            picture = jpeg((face * (light - 0.02 * number)).astype(np.uint8))
            film_of_a_face(folder / f"{name}.mkv", [picture] * 5, None)
            for kept, files in {
                "heard": f"{name}.wav,",
                "seen": f",{name}.mkv",
                "both": f"{name}.wav,{name}.mkv",
            }.items():
                rows.append(f"{name}-{kept},{speaker},{files},{label},{split}")
    return table(folder / "manifest.csv", "# name: moods", HEADER, *rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the corpus's manifest and media, the raw material of each command, and what each has trained."""
    folder = tmp_path_factory.mktemp("media")
    write_media(folder)
    return folder


def arguments(command: str, place: Path, output: Path) -> tuple[object, ...]:
    return (command, "manifest", place / "manifest.csv", "--raw", place / f"{command}-raw", *TINY, "-o", output)


@pytest.fixture(scope="module")
def trained(place: Path) -> dict[str, Result]:
    """Both commands, run once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extraction, "_read_all", read_raw)
        return {command: succeed(*arguments(command, place, place / command)) for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_encoder_is_trained_and_can_be_named_by_its_folder(
    command: str, trained: dict[str, Result], place: Path
) -> None:
    done = trained[command]
    assert done.stdout == f"{place / command}\n"
    epochs = [line for line in done.stderr.splitlines() if line.startswith("epoch ")]
    assert [bool(re.fullmatch(rf"epoch {n}/2  train [\d.]+  development [\d.]+", epochs[n - 1])) for n in (1, 2)]
    assert len(epochs) == 2
    found, start = LOAD[command](str(place / command)), LOAD[command]("light")
    assert found.trained
    assert found.module.dim == start.module.dim
    before, after = start.module.state_dict(), found.module.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not [name for name in moved if name.startswith(start.module.frozen)]
    provenance = json.loads((place / command / "encoder.json").read_text("utf-8"))["provenance"]
    assert provenance.endswith("; corpus moods, partition split")


@pytest.mark.parametrize(("command", "other"), [("audio-encoder", "visual"), ("face-encoder", "audio")])
def test_the_other_modality_is_not_even_read(command: str, other: str, trained: dict[str, Result], place: Path) -> None:
    with FeatureCache(place / f"{command}-raw") as cache:
        assert len(list(cache)) == 2 * 2 * len(SPLITS)  # heard or seen, and both; of both classes
        assert all(getattr(window, other) is None for clip in cache for window in cache.windows(clip))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_second_run_reads_no_media_and_gives_the_same(
    command: str, trained: dict[str, Result], place: Path, tmp_path: Path
) -> None:
    raw = place / f"{command}-raw"
    before = {file.name: file.read_bytes() for file in raw.iterdir()}
    done = succeed(*arguments(command, place, tmp_path / "again"))
    assert {file.name: file.read_bytes() for file in raw.iterdir()} == before
    assert " clips, " in trained[command].stderr and " clips, " not in done.stderr
    weights = [(folder / "encoder.safetensors").read_bytes() for folder in (place / command, tmp_path / "again")]
    assert weights[0] == weights[1]
    other = succeed(*arguments(command, place, tmp_path / "other"), "--seed", 1, "--augment")
    assert other.exit_code == 0
    assert (tmp_path / "other" / "encoder.safetensors").read_bytes() != weights[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_training_on_everybody_has_nothing_to_choose_by(
    command: str, trained: dict[str, Result], place: Path, tmp_path: Path
) -> None:
    done = succeed(*arguments(command, place, tmp_path / "all"), "--partition", "all")
    assert "development" not in done.stderr
    assert done.stderr.count("epoch ") == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_an_encoder_can_be_trained_further(
    command: str, trained: dict[str, Result], place: Path, tmp_path: Path
) -> None:
    succeed(*arguments(command, place, tmp_path / "further"), "--encoder", place / command)
    hashes = {LOAD[command](str(folder)).weights_sha256 for folder in (place / command, tmp_path / "further")}
    assert len(hashes) == 2


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--partition", 2), "partition 2: the corpus moods has 1, or 'all'"),
        (("--partition", "first"), "--partition: got 'first', expected 1, 2, … or 'all'"),
        (("--encoder", "nowhere"), "'nowhere': no such file or folder"),
        (("--learning-rate", 0), "--learning-rate: Input should be greater than 0"),
    ],
)
def test_wrong_value_before_any_media_is_read(
    command: str, options: tuple[object, ...], message: str, place: Path, tmp_path: Path
) -> None:
    common = (command, "manifest", place / "manifest.csv", "--raw", tmp_path / "raw", *TINY, "-o", tmp_path / "out")
    assert message in fail(3, *common, *options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("command", "kept"), [("audio-encoder", "seen"), ("face-encoder", "heard")])
def test_a_corpus_without_the_modality(command: str, kept: str, place: Path, tmp_path: Path) -> None:
    name, header, *rows = (place / "manifest.csv").read_text("utf-8").splitlines()
    table(place / f"{kept}.csv", name, header, *(row for row in rows if f"-{kept}," in row))
    stderr = fail(
        3, command, "manifest", place / f"{kept}.csv", "--raw", tmp_path / "raw", *TINY, "-o", tmp_path / "out"
    )
    assert (
        stderr == "error: encoder training: no clip of the training set has this modality; choose another partition\n"
    )
    assert not (tmp_path / "out").exists()


def test_an_encoder_of_the_other_kind(trained: dict[str, Result], place: Path, tmp_path: Path) -> None:
    for command, other in (COMMANDS, COMMANDS[::-1]):
        stderr = fail(3, *arguments(command, place, tmp_path / "out"), "--encoder", place / other)
        assert f"this folder holds a {other.removesuffix('-encoder')} encoder" in stderr


def test_nothing_to_train(trained: dict[str, Result], place: Path, tmp_path: Path) -> None:
    stderr = fail(3, *arguments("audio-encoder", place, tmp_path / "out"), "--encoder", "prosody")
    assert "this encoder has no trainable parameters" in stderr


@pytest.mark.slow
def test_media_that_break_while_they_are_read(trained: dict[str, Result], place: Path, tmp_path: Path) -> None:
    film_of_a_face(place / "broken.mkv", [*face_pictures(2), *[b"no picture"] * 40], None)
    manifest = place / "with-broken.csv"
    manifest.write_text((place / "manifest.csv").read_text("utf-8") + "broken,ann,,broken.mkv,calm,train\n", "utf-8")
    raw = shutil.copytree(place / "face-encoder-raw", tmp_path / "raw")
    common = ("face-encoder", "manifest", manifest, "--raw", raw, *TINY, "-o", tmp_path / "out")
    stderr = fail(3, *common)
    (line,) = (line for line in stderr.splitlines() if "broken.mkv" in line)
    assert "with-broken.csv:27: " in line
    assert "1 clips cannot be read; mend these clips, or leave them out" in stderr
    assert stderr.splitlines()[-1] == "hint: --skip-bad leaves the bad clips out"
    assert not (tmp_path / "out").exists()
    succeed(*common, "--skip-bad")
    assert load_face_encoder(str(tmp_path / "out")).trained
