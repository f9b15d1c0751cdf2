"""Encoder training: it learns, moves only what it may, repeats itself to the bit, and keeps the best epoch."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.vavl.small_wav2vec2 import save_small_wav2vec2
from vavl.config import Task
from vavl.corpora import Clip, Corpus
from vavl.encoders import AudioEncoder, FaceEncoder, load_audio_encoder, load_face_encoder
from vavl.encoders.light_audio import LightAudioEncoder
from vavl.errors import ConfigError
from vavl.features import CacheIdentity, ClipFeatures, FeatureCache, WindowFeatures
from vavl.features.raw import CROP_BYTES
from vavl.training.encoder_fit import (
    EncoderUnderHead,
    RawExample,
    _score,
    face_examples,
    fit_encoder,
    sound_examples,
)
from vavl.training.settings import EncoderSettings

Encoder = AudioEncoder | FaceEncoder
State = dict[str, Tensor]
QUICK = EncoderSettings(epochs=2, batch_size=4, learning_rate=5e-3, hidden=32, dropout=0.0)
THOROUGH = QUICK.model_copy(update={"epochs": 60})


def light_audio() -> LightAudioEncoder:
    torch.manual_seed(3)
    return LightAudioEncoder(width=8, blocks=1, bands=8)


def light_face() -> FaceEncoder:
    return load_face_encoder("random:light@1").module


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> AudioEncoder:
    """A small wav2vec2; copy it before training."""
    return load_audio_encoder(str(save_small_wav2vec2(tmp_path_factory.mktemp("wav2vec2")))).module


def sounds(targets: Sequence[Sequence[float]]) -> list[RawExample]:
    """Noise of different lengths; nothing but training can tell which target belongs to which."""
    random = np.random.default_rng(0)
    return [
        RawExample(
            f"clip {number}",
            0.1 * random.standard_normal(1400 + 300 * number, np.float32),
            np.asarray(target, np.float32),
        )
        for number, target in enumerate(targets)
    ]


def pictures(targets: Sequence[Sequence[float]]) -> list[RawExample]:
    """Crops of blotches."""
    random = np.random.default_rng(0)
    blotches = random.integers(0, 256, (len(targets), 7, 7, 3), np.uint8).repeat(32, axis=1).repeat(32, axis=2)
    return [
        RawExample(f"clip {number}", crop, np.asarray(target, np.float32))
        for number, (crop, target) in enumerate(zip(blotches, targets, strict=True))
    ]


CLASSES = np.eye(2)[[0, 1, 0, 1]]
ATTRIBUTES = np.array([[0.1, 0.9], [0.8, 0.3], [0.4, 0.6], [0.9, 0.1]])
MATERIAL = {"audio": (light_audio, sounds), "face": (light_face, pictures)}


def fit(
    encoder: Encoder,
    train: Sequence[RawExample],
    development: Sequence[RawExample] = (),
    settings: EncoderSettings = QUICK,
    task: Task = "classification",
) -> list[dict[str, Any]]:
    """Train an encoder in place; gives the line of every epoch."""
    lines: list[dict[str, Any]] = []
    assert fit_encoder(encoder, task, train, development, settings, progress=lines.append) is encoder
    return lines


def state_of(encoder: Encoder) -> State:
    return {name: value.clone() for name, value in encoder.state_dict().items()}


def equal(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


# Learning.


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("kind", MATERIAL)
def test_a_tiny_batch_is_learned_by_heart(kind: str, task: Task) -> None:
    make, examples = MATERIAL[kind]
    train = examples(CLASSES if task == "classification" else ATTRIBUTES)
    lines = fit(make(), train, train, THOROUGH, task)
    assert [line["epoch"] for line in lines] == list(range(THOROUGH.epochs))
    assert lines[-1]["train"] < 0.1 < 0.5 < lines[0]["train"]
    assert lines[-1]["development"] > 0.95  # macro F1, or mean CCC: both are 1 at best


@pytest.mark.parametrize("kind", MATERIAL)
def test_the_encoder_itself_learns(kind: str) -> None:
    """All of it that is not frozen."""
    make, examples = MATERIAL[kind]
    encoder = make()
    before = state_of(encoder)
    fit(encoder, examples(CLASSES))
    moved = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if not name.startswith(encoder.frozen)}


@pytest.mark.parametrize("kind", ["audio", "face", "wav2vec2"])
def test_what_is_frozen_does_not_move(kind: str, wav2vec2: AudioEncoder) -> None:
    encoder = copy.deepcopy(wav2vec2) if kind == "wav2vec2" else MATERIAL[kind][0]()
    examples = MATERIAL["face" if kind == "face" else "audio"][1]
    before = state_of(encoder)
    frozen = {name for name in before if name.startswith(encoder.frozen)}
    assert all(any(name.startswith(prefix) for name in before) for prefix in encoder.frozen)  # none is misspelt
    assert bool(frozen) == (kind != "audio")
    fit(encoder, examples(CLASSES))
    after = encoder.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in frozen)
    assert any(not torch.equal(after[name], before[name]) for name in before.keys() - frozen)


def test_the_paper_freezes_the_feature_encoder_and_the_light_pair_the_landmarks(wav2vec2: AudioEncoder) -> None:
    assert {name.split(".")[0] for name in wav2vec2.state_dict() if name.startswith(wav2vec2.frozen)} == {
        "convolutions"
    }
    face = light_face()
    kept = {name.split(".")[0] for name in face.state_dict() if name.startswith(face.frozen)}
    assert kept == {f"{layer}{number}" for layer in ("conv", "prelu") for number in (1, 2, 3)} | {"landmarks"}


def test_a_trained_encoder_is_ready_for_use() -> None:
    encoder = light_face()
    fit(encoder, pictures(CLASSES))
    assert not encoder.training
    assert all(parameter.requires_grad for parameter in encoder.parameters())


# Repeating.


@pytest.mark.parametrize("kind", MATERIAL)
def test_a_seed_repeats_a_run_to_the_last_bit(kind: str) -> None:
    make, examples = MATERIAL[kind]
    train = examples(np.eye(2)[[0, 1, 0, 1, 1]])
    settings = QUICK.model_copy(update={"epochs": 3, "batch_size": 2, "dropout": 0.5, "augment": True})
    runs = []
    for seed in (0, 0, 1):
        encoder = make()
        torch.rand(seed + len(runs))  # whatever was drawn before does not matter
        lines = fit(encoder, train, train, settings.model_copy(update={"seed": seed}))
        runs.append((lines, state_of(encoder)))
    assert runs[0][0] == runs[1][0]
    assert equal(runs[0][1], runs[1][1])
    assert runs[0][0] != runs[2][0]
    assert not equal(runs[0][1], runs[2][1])


# Choosing.


def fit_with_states(
    development: Sequence[RawExample], settings: EncoderSettings
) -> tuple[list[float], list[State], State]:
    """Development scores and states after every epoch, and the state that is kept."""
    encoder, scores, states = light_audio(), [], []

    def note(line: dict[str, Any]) -> None:
        scores.append(line.get("development", 0.0))
        states.append(state_of(encoder))

    fit_encoder(encoder, "classification", sounds(CLASSES), development, settings, progress=note)
    return scores, states, state_of(encoder)


def test_the_first_best_epoch_on_the_development_set_is_kept() -> None:
    wrong = sounds(CLASSES[:, ::-1])  # the more is learned, the less of this is right
    scores, states, kept = fit_with_states(wrong, THOROUGH)
    best = int(np.argmax(scores))
    assert scores[best] > scores[-1]
    assert equal(kept, states[best])
    assert not equal(kept, states[-1])


def test_without_a_development_set_the_last_epoch_is_kept() -> None:
    _, states, kept = fit_with_states([], QUICK)
    assert equal(kept, states[-1])
    assert not equal(kept, states[-2])


class Echo(torch.nn.Module):
    """Answers with the logits that an example carries."""

    def forward(self, examples: Sequence[RawExample], augment: bool) -> Tensor:
        assert not augment
        return torch.stack([torch.from_numpy(example.values) for example in examples])


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_clip_is_scored_by_the_mean_over_its_windows(size: int) -> None:
    """Neither most windows nor the surest one decide: the mean of the probabilities does, and a clip counts once."""
    shares = {"calm": ([0.7, 0.7, 0.15], 0), "tense": ([0.52, 0.52, 0.01], 1)}  # windows' shares of class 0, truth
    examples = [
        RawExample(clip, np.log(np.array([share, 1 - share], np.float32)), np.eye(2, dtype=np.float32)[truth])
        for clip, (windows, truth) in shares.items()
        for share in windows
    ]
    assert _score(Echo(), "classification", examples, size) == 1.0
    assert _score(Echo(), "classification", examples[:5], size) == pytest.approx(1 / 3)  # the last one had decided


@pytest.mark.parametrize("size", [1, 3])
def test_attributes_are_scored_by_ccc(size: int) -> None:
    examples = [RawExample(str(number), row.astype(np.float32), row) for number, row in enumerate(ATTRIBUTES)]
    assert _score(Echo(), "regression", examples, size) == pytest.approx(1.0)
    swapped = [RawExample(it.clip, it.values[::-1].copy(), it.target) for it in examples]
    assert _score(Echo(), "regression", swapped, size) < 0


# Batches.


def test_one_example_is_normalised_by_what_was_seen_before() -> None:
    """A last batch of one has no deviation; fed as it is, its features would be out of all proportion."""
    torch.manual_seed(0)
    model = EncoderUnderHead(light_audio(), 2, QUICK).train()
    examples = sounds(CLASSES)
    for _ in range(50):
        model(examples, False)
    alone = model(examples[:1], False)
    model.eval()
    torch.testing.assert_close(alone, model(examples[:1], False))


def test_batches_that_do_not_come_out_even_are_trained_on() -> None:
    lines = fit(light_audio(), sounds(np.eye(2)[[0, 1, 0, 1, 1]]), settings=THOROUGH)
    assert lines[-1]["train"] < 0.1


def test_shortest_sound_survives_augmentation() -> None:
    """Sped up, it would be too short for a token, and the mean over none is no number."""
    shortest = LightAudioEncoder.minimum_samples
    random = np.random.default_rng(0)
    train = [RawExample(str(n), 0.1 * random.standard_normal(shortest, np.float32), CLASSES[n]) for n in range(4)]
    lines = fit(light_audio(), train, settings=QUICK.model_copy(update={"augment": True, "epochs": 10}))
    assert np.isfinite([line["train"] for line in lines]).all()


# Refusals.


def test_nothing_to_train_on() -> None:
    with pytest.raises(ConfigError, match="no clip of the training set has this modality"):
        fit(light_audio(), [])


def test_nothing_to_train() -> None:
    with pytest.raises(ConfigError, match="this encoder has no trainable parameters"):
        fit(load_audio_encoder("prosody").module, sounds(CLASSES))


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    with pytest.raises(ConfigError, match="the loss is not finite in epoch .*; lower the learning rate"):
        fit(light_audio(), sounds(CLASSES), settings=QUICK.model_copy(update={"learning_rate": 1e30}))


# From a cache of raw material.


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    """Two clips: one of two windows, heard and seen, the other only heard."""
    identity = CacheIdentity(
        dims={"audio": 1, "visual": CROP_BYTES},
        encoders={"audio": "raw", "visual": "raw"},
        recipe={},
        dtypes={"audio": "float32", "visual": "uint8"},
    )
    crops = np.arange(3, dtype=np.uint8)[:, None].repeat(CROP_BYTES, axis=1)
    with FeatureCache(tmp_path / "raw", identity, writable=True) as filled:
        long, short, other = (np.full((size, 1), value, np.float32) for size, value in ((2000, 1), (100, 2), (1500, 3)))
        filled.add("a", "", ClipFeatures((WindowFeatures(long, crops[:2]), WindowFeatures(short, crops[2:]))))
        filled.add("b", "", ClipFeatures((WindowFeatures(other, None),)))
    return FeatureCache(tmp_path / "raw")


@pytest.fixture
def corpus() -> Corpus:
    """What the two clips are, on a scale from 1 to 5."""
    clips = [Clip(name, name, target, Path("a.wav"), None, "memory") for name, target in (("a", (1.0,)), ("b", (4.0,)))]
    return Corpus("made", "regression", ("valence",), tuple(clips))


def test_examples_are_windows_of_sound_that_are_long_enough(cache: FeatureCache, corpus: Corpus) -> None:
    found = sound_examples(cache, corpus, corpus.clips, minimum=1500)
    assert [(it.clip, it.values.shape, it.values[0]) for it in found] == [("a", (2000,), 1.0), ("b", (1500,), 3.0)]
    assert [it.target.tolist() for it in found] == [[0.0], [0.75]]
    assert len(sound_examples(cache, corpus, corpus.clips, minimum=100)) == 3
    assert [it.clip for it in sound_examples(cache, corpus, corpus.clips, minimum=1501)] == ["a"]


def test_every_crop_is_an_example_labelled_by_its_clip(cache: FeatureCache, corpus: Corpus) -> None:
    found = face_examples(cache, corpus, corpus.clips)
    assert [(it.clip, it.values.shape, it.values.dtype) for it in found] == [("a", (224, 224, 3), np.uint8)] * 3
    assert [int(it.values[0, 0, 0]) for it in found] == [0, 1, 2]
    assert [it.target.tolist() for it in found] == [[0.0]] * 3
