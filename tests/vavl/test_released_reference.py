"""The reference itself does what the released code is described to do."""

import pytest
import torch

from tests.vavl.released_reference import (
    depthwise_convolution,
    linear,
    reference_unimodal,
    self_attention,
    shift,
)
from tests.vavl.tiny_released import MODALITIES, distance, double_state, random_features, tiny_model
from vavl.model import Modality


def test_reference_shift_wraps_keys_to_the_right_of_the_query() -> None:
    scores = torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]])
    expected = torch.tensor([[[3.0, 0.0, 4.0], [5.0, 6.0, 0.0], [7.0, 8.0, 9.0]]])
    assert torch.equal(shift(scores), expected)


def test_reference_attention_without_positions_is_stock_attention_with_scale_of_the_full_width() -> None:
    model = tiny_model("classification")
    state = double_state(model)
    name = "shared.encoder.blocks.0.attention"
    for term in ("position.weight", "content_bias", "position_bias"):
        state[f"{name}.{term}"] = torch.zeros_like(state[f"{name}.{term}"])
    x = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(1)).double()
    query, key, value = (
        linear(state, f"{name}.{part}", x).reshape(3, 5, 4, 8).transpose(1, 2) for part in ("query", "key", "value")
    )
    stock = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=32**-0.5)
    expected = linear(state, f"{name}.output", stock.transpose(1, 2).reshape(3, 5, 32))
    assert distance(self_attention(state, name, x), expected) < 1e-12


@pytest.mark.parametrize("length", [1, 4, 40])
def test_reference_depthwise_convolution_is_a_grouped_convolution_with_padding_15(length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    weight = torch.randn(6, 1, 31, generator=generator).double()
    x = torch.randn(2, length, 6, generator=generator).double()
    expected = torch.nn.functional.conv1d(x.transpose(1, 2), weight, padding=15, groups=6).transpose(1, 2)
    assert distance(depthwise_convolution(weight, x), expected) < 1e-12


@pytest.mark.parametrize("modality", MODALITIES)
def test_reference_mixes_clips_of_a_batch(modality: Modality) -> None:
    model = tiny_model("classification")
    state = double_state(model)
    index = MODALITIES.index(modality)
    pair = random_features(model.config, batch=2, frames=7)[index].double()
    other = pair.clone()
    other[1] = random_features(model.config, batch=2, frames=7, seed=1)[index][1].double()
    together = reference_unimodal(state, model.config, modality, pair)["logits"]
    changed = reference_unimodal(state, model.config, modality, other)["logits"]
    alone = reference_unimodal(state, model.config, modality, pair[:1])["logits"]
    assert distance(changed[0], together[0]) > 0.01
    assert distance(together[0], alone[0]) > 0.01
