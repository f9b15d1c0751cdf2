"""UAVM's own parts: pooling over valid lengths, blocks, augmentation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.systems.small import build, predicted, random_batch
from vavl.systems.losses import task_loss
from vavl.systems.mixup import LARGEST_SHIFT, mix_and_shift
from vavl.systems.system import Task
from vavl.systems.uavm import Block, first_tokens, segment_means

few = settings(max_examples=40, deadline=None)


@few
@given(lengths=st.lists(st.integers(1, 70), min_size=1, max_size=4), segments=st.integers(1, 30))
def test_segments_are_equal_parts_of_the_valid_clip(lengths: list[int], segments: int) -> None:
    features = torch.full((len(lengths), max(lengths) + 5, 3), 99.0)
    for row, length in enumerate(lengths):
        features[row, :length] = torch.randn(length, 3, generator=torch.Generator().manual_seed(row))
    pooled = segment_means(features, torch.tensor(lengths), segments)
    for got, clip, length in zip(pooled, features, lengths, strict=True):
        # Token for token: each repeated until the segments end on whole tokens.
        repeated = clip[:length].repeat_interleave(segments, dim=0)
        torch.testing.assert_close(got, repeated.reshape(segments, length, 3).mean(dim=1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [6, 12, 60, 3, 2])
def test_segments_equal_adaptive_pooling_where_that_has_equal_parts(length: int) -> None:
    features = torch.randn(2, length, 4)
    expected = nn.functional.adaptive_avg_pool1d(features.transpose(1, 2), 6).transpose(1, 2)
    torch.testing.assert_close(segment_means(features, torch.tensor([length, length]), 6), expected)


@pytest.mark.parametrize("size", [4, 6, 9])
def test_cut_clips_are_padded_with_zeros(size: int) -> None:
    features = torch.arange(1.0, 1 + 2 * size).reshape(2, size, 1)
    got = first_tokens(features, torch.tensor([3, size]), 6)[:, :, 0].tolist()
    assert got[0] == [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]
    assert got[1] == ([float(size + 1 + t) for t in range(size)] + [0.0, 0.0])[:6]


def test_tokens_have_unit_length() -> None:
    """However faint the features are, down to where the epsilon of a layer norm would be felt."""
    system, batch = build("uavm").eval(), random_batch([(9, 4), (5, 13)])
    answers = predicted(system, batch)
    system.audio_normalizer.std.mul_(1e4)
    for row, answer in predicted(system, batch)["audio"].items():
        torch.testing.assert_close(answer, answers["audio"][row], atol=1e-5, rtol=1e-4)


def test_a_block_equals_the_torch_layer() -> None:
    torch.manual_seed(0)
    block = Block(8, 2)
    layer = nn.TransformerEncoderLayer(8, 2, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    norm, widen, _, narrow = block.feed_forward
    with torch.no_grad():
        for value in block.parameters():
            nn.init.normal_(value, std=0.4)
        layer.self_attn.in_proj_weight.copy_(block.query_key_value.weight)
        layer.self_attn.in_proj_bias.zero_()
    layer.self_attn.out_proj.load_state_dict(block.output.state_dict())
    for mine, theirs in (
        (block.attention_norm, layer.norm1),
        (norm, layer.norm2),
        (widen, layer.linear1),
        (narrow, layer.linear2),
    ):
        theirs.load_state_dict(mine.state_dict())
    x = torch.randn(3, 5, 8)
    torch.testing.assert_close(block(x), layer(x), atol=1e-5, rtol=1e-4)


@few
@given(clips=st.integers(1, 8), seed=st.integers(0, 1000))
def test_tokens_and_targets_are_mixed_alike(clips: int, seed: int) -> None:
    torch.manual_seed(seed)
    target = torch.rand(clips, 3)
    tokens = target[:, None].expand(clips, 20, 3)  # constant in time, so that shifts do not show
    mixed, mixed_target = mix_and_shift(tokens, target)
    torch.testing.assert_close(mixed, mixed_target[:, None].expand(clips, 20, 3))
    assert (mixed_target >= target.min(dim=0).values - 1e-6).all()
    assert (mixed_target <= target.max(dim=0).values + 1e-6).all()


@few
@given(seed=st.integers(0, 1000))
def test_shifts_are_circular(seed: int) -> None:
    torch.manual_seed(seed)
    tokens = torch.arange(40.0).reshape(1, 40, 1)  # alone, a clip can only be mixed with itself
    shifted, _ = mix_and_shift(tokens, torch.zeros(1, 2))
    rolled = [tokens.roll(by, dims=1) for by in range(-LARGEST_SHIFT, LARGEST_SHIFT + 1)]
    assert any(torch.allclose(shifted, candidate) for candidate in rolled)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_augmentation_is_for_training_only(task: Task) -> None:
    batch = random_batch([(9, 4), (5, 13), (7, 7), (3, 10)], task)
    system, plain = build("uavm", task, augmentation=True), build("uavm", task)

    def loss(of: nn.Module, seed: int = 5) -> torch.Tensor:
        torch.manual_seed(seed)
        value = of.loss("drawn", batch)
        assert isinstance(value, torch.Tensor) and value.isfinite()
        return value

    assert torch.equal(loss(system.eval()), loss(plain.eval()))
    assert not torch.equal(loss(system.train()), loss(plain.train()))


def test_the_plain_loss_is_the_task_loss_of_the_drawn_modality() -> None:
    batch, system = random_batch([(9, 4), (5, 13), (7, 7)], "regression"), build("uavm", "regression")
    answers = system.eval().predict(batch)
    possible = [task_loss("regression", answers[path][1], batch.target) for path in ("audio", "visual")]
    for seed in range(6):
        torch.manual_seed(seed)
        loss = system.loss("drawn", batch)
        assert any(torch.allclose(loss, candidate, atol=1e-5) for candidate in possible)
