"""The model: masking, statistics, invariances, parameter groups."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.export.exported import REGRESSION, tiny_model
from vavl.config import VavlConfig, light_config, paper_config
from vavl.errors import ConfigError
from vavl.model import Vavl
from vavl.model.attention import RelativeSelfAttention, relative_positions, shift_relative
from vavl.model.masking import MaskedBatchNorm, length_mask, masked_mean
from vavl_runtime.errors import InvalidArrayError

few = settings(max_examples=15, deadline=None)


@few
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=5), padding=st.integers(0, 9))
def test_masked_mean_is_the_mean_of_the_valid_tokens(lengths: list[int], padding: int) -> None:
    x = torch.randn(len(lengths), max(lengths) + padding, 3)
    mean = masked_mean(x, length_mask(torch.tensor(lengths), x.shape[1]))
    for row, clip, length in zip(mean, x, lengths, strict=True):
        torch.testing.assert_close(row, clip[:length].mean(dim=0))


@few
@given(lengths=st.lists(st.integers(1, 12), min_size=2, max_size=4), padding=st.integers(0, 9))
def test_batch_norm_statistics_see_valid_tokens_only(lengths: list[int], padding: int) -> None:
    torch.manual_seed(sum(lengths))
    clips = [torch.randn(length, 4) * 3 + 1 for length in lengths]
    padded = nn.utils.rnn.pad_sequence(clips, batch_first=True, padding_value=99.0)
    padded = nn.functional.pad(padded, (0, 0, 0, padding), value=-50.0)
    masked, plain = MaskedBatchNorm(4), nn.BatchNorm1d(4)
    out = masked(padded, length_mask(torch.tensor(lengths), padded.shape[1]))
    expected = plain(torch.cat(clips))
    got = torch.cat([row[:length] for row, length in zip(out, lengths, strict=True)])
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(masked.running_mean, plain.running_mean)
    torch.testing.assert_close(masked.running_var, plain.running_var)
    torch.testing.assert_close(masked.eval()(padded[:1], None), plain.eval()(padded[0])[None], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 5, 9])
def test_relative_shift_aligns_distances_with_keys(length: int) -> None:
    distances = torch.arange(length - 1, -length, -1).float().expand(1, 1, length, -1)
    shifted = shift_relative(distances)[0, 0]
    query, key = torch.meshgrid(torch.arange(length), torch.arange(length), indexing="ij")
    torch.testing.assert_close(shifted, (query - key).float())


def test_attention_equals_a_straight_computation() -> None:
    torch.manual_seed(0)
    attention = RelativeSelfAttention(8, 2, 0.0).eval()
    nn.init.normal_(attention.content_bias)
    nn.init.normal_(attention.position_bias)
    x, table = torch.randn(1, 6, 8), relative_positions(6, 8)
    q, k, v = (layer(x)[0].reshape(6, 2, 4) for layer in (attention.query, attention.key, attention.value))
    p = attention.position(table).reshape(11, 2, 4)
    mixed = torch.zeros(6, 2, 4)
    for head in range(2):
        scores = torch.empty(6, 6)
        for i in range(6):
            for j in range(6):
                content = (q[i, head] + attention.content_bias[head]) @ k[j, head]
                position = (q[i, head] + attention.position_bias[head]) @ p[5 - (i - j), head]
                scores[i, j] = (content + position) / 4**0.5
        mixed[:, head] = torch.softmax(scores, -1) @ v[:, head]
    expected = attention.output(mixed.reshape(1, 6, 8))
    torch.testing.assert_close(attention(x, table, torch.zeros(1, 1, 1, 6)), expected, atol=1e-5, rtol=1e-5)


@few
@given(lengths=st.lists(st.integers(1, 30), min_size=2, max_size=4), padding=st.integers(0, 20))
def test_a_clip_is_answered_for_itself(lengths: list[int], padding: int) -> None:
    model = tiny_model()
    features = torch.randn(len(lengths), max(lengths) + padding, 24)
    with torch.no_grad():
        together = model.unimodal("audio", features, torch.tensor(lengths))
        for index, length in enumerate(lengths):
            alone = model.unimodal("audio", features[index : index + 1, :length], torch.tensor([length]))
            for name in ("logits", "embedding", "reconstruction", "target"):
                difference = getattr(alone, name)[0] - getattr(together, name)[index]
                assert difference.abs().max() <= 1e-4


def test_time_order_matters_in_the_paper_layout() -> None:
    model, features = tiny_model(), torch.randn(1, 20, 24)
    forward, backward = (model.unimodal("audio", x, torch.tensor([20])).logits for x in (features, features.flip(1)))
    assert (forward - backward).abs().max() > 1e-2


def test_each_path_touches_only_its_own_parameters() -> None:
    model = tiny_model()
    groups = {"audio": "audio.", "visual": "visual."}
    for modality, width in (("audio", 24), ("visual", 20)):
        model.zero_grad()
        output = model.unimodal(modality, torch.randn(2, 9, width), torch.tensor([9, 4]))  # type: ignore[arg-type]
        (output.logits.sum() + output.reconstruction.square().sum()).backward()
        touched = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}
        assert all(name.startswith((groups[modality], "shared.")) for name in touched)
        assert any(name.startswith("shared.") for name in touched)


def test_attributes_come_back_on_their_scale() -> None:
    model = tiny_model(**REGRESSION)
    logits = torch.tensor([[0.0, 0.0, 1.0]])
    assert model.presentation(logits).tolist() == [[5.0, 1.0, 5.0]]  # arousal is flipped


def test_ablation_three_averages_the_predictions() -> None:
    model = tiny_model(audio_visual_head=False)
    audio = model.unimodal("audio", torch.randn(2, 9, 24), torch.tensor([9, 4]))
    visual = model.unimodal("visual", torch.randn(2, 5, 20), torch.tensor([5, 5]))
    fused = model.presentation(model.audio_visual(audio, visual)[0])
    expected = 0.5 * (model.presentation(audio.logits) + model.presentation(visual.logits))
    torch.testing.assert_close(fused, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("modality", "shape", "message"),
    [
        ("audio", (1, 5, 23), r"got shape \(1, 5, 23\), expected \(B, T, 24\)"),
        ("visual", (5, 20), r"got shape \(5, 20\)"),
        ("audio", (1, 70, 24), "got 70 tokens, the position table covers 64"),
    ],
)
def test_wrong_features_are_refused(modality: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InvalidArrayError, match=message):
        tiny_model(max_tokens=64).unimodal(modality, torch.zeros(shape), torch.tensor([1]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 100}, "width 100 must be a multiple of 2 x heads"),
        ({"conv_kernel": 30}, "conv_kernel 30 must be odd"),
        ({"labels": ("a", "a")}, "must be distinct"),
        ({"flipped": ("arousal",)}, "must be among labels"),
        ({"scale": (5, 1)}, "must go from low to high"),
        ({"layout": "released"}, "projection_kernel 1"),
        ({"dropout": 1.5}, "dropout"),
        ({"widht": 512}, "widht"),
        ({"task": "ranking"}, "task"),
    ],
)
def test_contradictory_configurations_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VavlConfig.create(**changes)


def test_sizes() -> None:
    def count(config: VavlConfig) -> int:
        with torch.device("meta"):
            return sum(value.numel() for value in Vavl(config).parameters())

    assert count(light_config()) < 2_000_000
    assert 52_000_000 < count(paper_config(reconstruction=False)) < 54_000_000
