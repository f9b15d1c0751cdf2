"""Encoder folders: every kind of encoder comes back as it was, and what is no such folder is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.vavl.small_wav2vec2 import save_small_wav2vec2
from vavl.config import WaveformNormalization
from vavl.encoders import LoadedEncoder, load_audio_encoder, load_face_encoder, save_encoder
from vavl.encoders.folder import is_encoder_folder
from vavl.encoders.light_audio import LightAudioEncoder
from vavl.errors import ConfigError
from vavl_runtime.errors import OutputError

KINDS = {
    "light audio": "audio",
    "prosody": "audio",
    "wav2vec2": "audio",
    "light face": "face",
    "landmarks": "face",
    "timm": "face",
}
LOAD: dict[str, Callable[[str], LoadedEncoder[Any]]] = {"audio": load_audio_encoder, "face": load_face_encoder}
NO_FOLDER = "encoder .*: not a folder with encoder.json and encoder.safetensors"
Description = dict[str, Any]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedEncoder[Any]]:
    """An encoder of every kind."""
    return {
        "light audio": load_audio_encoder("random:light@4"),
        "prosody": load_audio_encoder("prosody"),
        "wav2vec2": load_audio_encoder(str(save_small_wav2vec2(tmp_path_factory.mktemp("wav2vec2")))),
        "light face": load_face_encoder("light"),
        "landmarks": load_face_encoder("landmarks"),
        "timm": load_face_encoder("random:timm:mobilenetv3_small_050@2"),
    }


@pytest.fixture(scope="module")
def folders(originals: dict[str, LoadedEncoder[Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same, saved."""
    place = tmp_path_factory.mktemp("folders")
    for name, original in originals.items():
        save_encoder(original.module, place / name, provenance="a test")
    return {name: place / name for name in originals}


@pytest.fixture
def folder(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the light audio encoder's, to damage."""
    return Path(shutil.copytree(folders["light audio"], tmp_path / "encoder"))


def edit(folder: Path, change: Callable[[Description], object]) -> None:
    description = json.loads((folder / "encoder.json").read_text("utf-8"))
    change(description)
    (folder / "encoder.json").write_text(json.dumps(description), "utf-8")


def inputs(kind: str) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    if kind == "audio":
        return 0.1 * torch.randn(2, 9000, generator=generator), torch.tensor([9000, 5000])
    return (torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8, generator=generator),)


@pytest.mark.parametrize("name", KINDS)
def test_round_trip(name: str, originals: dict[str, LoadedEncoder[Any]], folders: dict[str, Path]) -> None:
    original, loaded = originals[name], LOAD[KINDS[name]](str(folders[name]))
    assert loaded.trained
    assert loaded.reference == str(folders[name])
    assert loaded.weights_sha256 == original.weights_sha256
    assert type(loaded.module) is type(original.module)
    assert loaded.module.dim == original.module.dim
    assert loaded.module.settings == original.module.settings
    with torch.no_grad():
        mine, other = (module(*inputs(KINDS[name])) for module in (original.module, loaded.module))
    for left, right in zip(mine, other, strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_pickled_and_where_it_comes_from_is_kept(name: str, folders: dict[str, Path]) -> None:
    assert sorted(path.name for path in folders[name].iterdir()) == ["encoder.json", "encoder.safetensors"]
    description = json.loads((folders[name] / "encoder.json").read_text("utf-8"))
    assert (description["kind"], description["provenance"]) == (KINDS[name], "a test")
    assert is_encoder_folder(folders[name])


@pytest.mark.parametrize("name", KINDS)
def test_the_other_kind_is_refused(name: str, folders: dict[str, Path]) -> None:
    other = "face" if KINDS[name] == "audio" else "audio"
    with pytest.raises(ConfigError, match=f"{other} encoder .*: this folder holds a {KINDS[name]} encoder"):
        LOAD[other](str(folders[name]))


@pytest.mark.parametrize("name", KINDS)
def test_a_description_that_claims_the_other_kind_is_refused(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    other = "face" if KINDS[name] == "audio" else "audio"
    folder = Path(shutil.copytree(folders[name], tmp_path / "encoder"))
    edit(folder, lambda description: description.update(kind=other))
    with pytest.raises(ConfigError, match=f"{NO_FOLDER}.*is no {other} encoder"):
        LOAD[other](str(folder))


def test_saving_again_replaces(folder: Path) -> None:
    torch.manual_seed(1)
    module = LightAudioEncoder(width=8, blocks=1, bands=10)
    save_encoder(module, folder)
    loaded = load_audio_encoder(str(folder)).module
    assert loaded.dim == module.dim
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in module.state_dict().items())


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_encoder(LightAudioEncoder(width=8, blocks=1), folder / "encoder.json")


def test_settings_are_part_of_what_a_cache_was_made_by(folders: dict[str, Path], tmp_path: Path) -> None:
    """The same weights behind another crop see something else."""
    other = Path(shutil.copytree(folders["light face"], tmp_path / "other"))
    edit(other, lambda description: description["settings"].update(margin=0.0))
    hashes = {load_face_encoder(str(path)).weights_sha256 for path in (folders["light face"], other)}
    assert len(hashes) == 2


@pytest.mark.parametrize("name", ["encoder.safetensors", "encoder.json"])
def test_cut_short(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for size in (0, 5, len(content) // 2, len(content) - 3):
        (folder / name).write_bytes(content[:size])
        with pytest.raises(ConfigError, match=NO_FOLDER):
            load_audio_encoder(str(folder))


def test_without_weights(folder: Path) -> None:
    (folder / "encoder.safetensors").unlink()
    with pytest.raises(ConfigError, match=NO_FOLDER):
        load_audio_encoder(str(folder))


FOREIGN: dict[str, Callable[[Description], object]] = {
    "another network": lambda it: it.update(network="resnet"),
    "a network of the other kind": lambda it: it.update(network="timm", settings=TIMM),
    "a light encoder of the other kind": lambda it: it.update(settings={"margin": 0.2}),
    "no kind": lambda it: it.pop("kind"),
    "no network": lambda it: it.pop("network"),
    "no settings": lambda it: it.pop("settings"),
    "settings that are none": lambda it: it.update(settings=3),
    "an unknown setting": lambda it: it["settings"].update(depth=3),
    "a width of text": lambda it: it["settings"].update(width="64"),
    "a width below zero": lambda it: it["settings"].update(width=-64),
    "no bands": lambda it: it["settings"].update(bands=0),
    "a timm network that does not exist": lambda it: it.update(network="timm", settings={**TIMM, "name": "nothing"}),
    "a wav2vec2 that cannot be": lambda it: it.update(network="wav2vec2", settings=ODD),
}
TIMM = {"name": "mobilenetv3_small_050", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
ODD = {"num_hidden_layers": 1, "hidden_size": 10, "num_attention_heads": 3}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_descriptions(folder: Path, what: str) -> None:
    edit(folder, FOREIGN[what])
    with pytest.raises(ConfigError, match=f"{NO_FOLDER}|weights do not fit the network"):
        load_audio_encoder(str(folder))


@pytest.mark.parametrize("text", ["", "[]", "null", '"light"', "{", "[" * 100_000, "\ud800"])
def test_descriptions_that_are_none(folder: Path, text: str) -> None:
    (folder / "encoder.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError, match=NO_FOLDER):
        load_audio_encoder(str(folder))


def test_weights_of_another_size_are_named(folder: Path) -> None:
    edit(folder, lambda description: description["settings"].update(width=32))
    with pytest.raises(ConfigError, match=r"do not fit the network: .*: got \(.*\), expected \(.*\)"):
        load_audio_encoder(str(folder))


def test_the_normalisation_is_the_checkpoints_not_the_folders(folders: dict[str, Path]) -> None:
    sound, samples = 0.1 * torch.randn(1, 8000), torch.tensor([8000])
    plain, shifted = (
        load_audio_encoder(str(folders["wav2vec2"]), normalization).module
        for normalization in (
            WaveformNormalization(kind="none"),
            WaveformNormalization(kind="global", mean=0.02, std=0.3),
        )
    )
    with torch.no_grad():
        torch.testing.assert_close(shifted(sound, samples)[0], plain((sound - 0.02) / 0.3, samples)[0])
