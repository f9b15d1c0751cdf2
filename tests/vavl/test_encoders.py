"""Encoders: references, loading, refusal, and equality with the libraries they build on."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification, Wav2Vec2Model

from tests.vavl.small_wav2vec2 import SMALL, save_small_wav2vec2
from vavl.config import WaveformNormalization
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.encoders.reference import parse_reference
from vavl.encoders.timm_face import EFFICIENTNET_B2
from vavl.encoders.wav2vec2 import Wav2Vec2Encoder
from vavl.errors import ConfigError, EncoderUnavailableError


@pytest.fixture(scope="module")
def wav2vec2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network saved as the hub would have it."""
    return save_small_wav2vec2(tmp_path_factory.mktemp("wav2vec2"))


def test_wav2vec2_equals_transformers(wav2vec2_folder: Path) -> None:
    encoder = load_audio_encoder(str(wav2vec2_folder)).module
    reference = Wav2Vec2Model.from_pretrained(wav2vec2_folder).eval()
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    sounds = [0.3 * torch.randn(size).numpy() + 0.05 for size in (9000, 16000, 4321)]
    batch = extractor(sounds, sampling_rate=16000, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = reference(batch.input_values, attention_mask=batch.attention_mask).last_hidden_state
        raw = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(sound) for sound in sounds], batch_first=True)
        features, lengths = encoder(raw, torch.tensor([len(sound) for sound in sounds]))
    assert lengths.tolist() == reference._get_feat_extract_output_lengths(batch.attention_mask.sum(-1)).tolist()
    for got, wanted, length in zip(features, expected, lengths, strict=True):
        torch.testing.assert_close(got[:length], wanted[:length], atol=1e-4, rtol=1e-4)


def test_global_statistics_equal_normalising_beforehand(wav2vec2_folder: Path) -> None:
    sound, samples = 0.1 * torch.randn(1, 8000), torch.tensor([8000])
    inside = load_audio_encoder(str(wav2vec2_folder), WaveformNormalization(kind="global", mean=0.02, std=0.3)).module
    none = load_audio_encoder(str(wav2vec2_folder), WaveformNormalization(kind="none")).module
    with torch.no_grad():
        torch.testing.assert_close(inside(sound, samples)[0], none((sound - 0.02) / 0.3, samples)[0])


def test_weights_decide_the_hash_and_references_mark_randomness(wav2vec2_folder: Path) -> None:
    loaded = load_audio_encoder(str(wav2vec2_folder))
    assert loaded.trained
    one, same, other = (load_audio_encoder(f"random:light@{seed}") for seed in (1, 1, 2))
    assert not one.trained
    assert one.weights_sha256 == same.weights_sha256 != other.weights_sha256


def test_group_norm_networks_are_refused() -> None:
    network = Wav2Vec2Model(Wav2Vec2Config(**{**SMALL, "feat_extract_norm": "group", "do_stable_layer_norm": False}))
    with pytest.raises(ConfigError, match="feat_extract_norm='group'"):
        Wav2Vec2Encoder(network, WaveformNormalization())


@pytest.mark.slow
def test_a_state_dict_of_the_released_audio_encoder_is_read(tmp_path: Path) -> None:
    random = load_audio_encoder("random:wav2vec2-large-robust@5")
    from vavl.encoders.loading import _large_robust

    torch.manual_seed(5)
    state = _large_robust().state_dict()
    old_names = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in state.items()
    }
    torch.save(old_names, tmp_path / "final_wav2vec.pt")
    loaded = load_audio_encoder(str(tmp_path / "final_wav2vec.pt"))
    assert loaded.trained
    assert loaded.weights_sha256 == random.weights_sha256
    old_names["encoder.layers.12.final_layer_norm.weight"] = torch.zeros(1)
    torch.save(old_names, tmp_path / "more.pt")
    with pytest.raises(ConfigError, match=r"unknown encoder\.layers\.12"):
        load_audio_encoder(str(tmp_path / "more.pt"))


def test_efficientnet_b2_reads_a_state_dict_with_its_classifier(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(3)
    network = timm.create_model(EFFICIENTNET_B2, num_classes=8)  # enet_b2_8 has eight emotions
    torch.save(network.state_dict(), tmp_path / "enet_b2_8.pt")
    loaded = load_face_encoder(str(tmp_path / "enet_b2_8.pt"))
    assert loaded.trained
    assert loaded.module.dim == 1408
    with torch.no_grad():
        faces = torch.randint(0, 256, (1, 224, 224, 3), dtype=torch.uint8)
        pixels = (faces.permute(0, 3, 1, 2) / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
            [0.229, 0.224, 0.225]
        )[:, None, None]
        expected = network.eval().forward_head(network.forward_features(pixels), pre_logits=True)
        torch.testing.assert_close(loaded.module(faces), expected, atol=1e-4, rtol=1e-4)


def test_a_pickled_module_is_not_opened(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(ConfigError, match="not a plain state dict.*is not opened"):
        load_face_encoder(str(tmp_path / "whole.pt"))


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    save_file({"stem.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match="unknown stem.weight; missing"):
        load_face_encoder(f"timm:resnet18={tmp_path / 'other.safetensors'}")


def test_light_audio_gives_a_token_for_every_four_of_wav2vec2(wav2vec2_folder: Path) -> None:
    light, large = load_audio_encoder("light").module, load_audio_encoder(str(wav2vec2_folder)).module
    samples = torch.arange(400, 20_000, 37)
    assert torch.equal(light.output_lengths(samples), large.output_lengths(samples) // 4)
    assert large.minimum_samples == 400
    least = torch.tensor(light.minimum_samples)
    assert (light.output_lengths(least - 1), light.output_lengths(least)) == (0, 1)
    with torch.no_grad():
        for size in (int(least), int(least) + 319, 2 * int(least), 9000):
            features, lengths = light(torch.randn(1, size), torch.tensor([size]))
            assert features.shape == (1, lengths[0], light.dim)
            assert lengths[0] == light.output_lengths(torch.tensor(size))


def test_the_light_face_encoder_comes_with_trained_weights_unless_random_ones_are_asked_for() -> None:
    trained, again, random = (load_face_encoder(text) for text in ("light", "light", "random:light@0"))
    assert (trained.trained, random.trained) == (True, False)
    assert trained.weights_sha256 == again.weights_sha256 != random.weights_sha256


def test_missing_weights_say_what_to_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailableError, match="config.json model.safetensors.*copy that folder here"):
        load_audio_encoder(str(tmp_path))

    import timm

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(EncoderUnavailableError, match=r"no network.*use timm:tf_efficientnet_b2=FILE"):
        load_face_encoder("timm:tf_efficientnet_b2")


@pytest.mark.parametrize("text", ["", "nowhere", "random:", "random:light@x", "random:nothing", "timm:x=missing.pt"])
def test_malformed_references_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="encoder"):
        load_audio_encoder(text)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("light", "package", "light"),
        ("random:light@2", "random", "light"),
        ("random:timm:resnet18@3", "random", "timm:resnet18"),
        ("hf:owner/name", "hub", "owner/name"),
        ("timm:resnet18", "hub", "timm:resnet18"),
    ],
)
def test_references_parse(text: str, kind: str, name: str) -> None:
    parsed = parse_reference(text)
    assert (parsed.kind, parsed.name) == (kind, name)


def test_a_folder_that_misses_weights_is_refused(wav2vec2_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    state = load_file(wav2vec2_folder / "model.safetensors")
    kept = {name: value for name, value in state.items() if not name.startswith("encoder.layers.1.")}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((wav2vec2_folder / "config.json").read_bytes())
    with pytest.raises(ConfigError, match=r"missing encoder\.layers\.1\."):
        load_audio_encoder(str(tmp_path))


def test_the_light_encoder_refuses_a_global_normalisation() -> None:
    with pytest.raises(ConfigError, match="allows no global waveform normalisation"):
        load_audio_encoder("light", WaveformNormalization(kind="global", mean=0.1, std=2.0))


def test_a_fine_tuned_network_loses_only_its_head(tmp_path: Path) -> None:
    """The layout of audeering's checkpoint: `wav2vec2.` before every name, and a head that VAVL does not use."""
    torch.manual_seed(2)
    tuned = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**SMALL)).eval()
    tuned.save_pretrained(tmp_path)
    loaded = load_audio_encoder(str(tmp_path), WaveformNormalization(kind="none"))
    sound = 0.1 * torch.randn(1, 8000)
    with torch.no_grad():
        features, _ = loaded.module(sound, torch.tensor([8000]))
        torch.testing.assert_close(features, tuned.wav2vec2(sound).last_hidden_state, atol=1e-4, rtol=1e-4)
