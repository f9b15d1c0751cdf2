"""The cross-modal encoder: positions, masks, and PyTorch's own attention as the reference."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.systems import reference
from vavl.systems.crossmodal import CrossModalEncoder, Tokens, sinusoids, visible_keys
from vavl.systems.fusion import CrossModalFusion

few = settings(max_examples=25, deadline=None)
lengths = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4)


@few
@given(lengths=lengths, padding=st.integers(0, 3))
def test_the_mask_reaches_as_far_as_the_lengths_differ(lengths: list[tuple[int, int]], padding: int) -> None:
    query_lengths, key_lengths = (torch.tensor(column) for column in zip(*lengths, strict=True))
    query = Tokens(torch.zeros(len(lengths), 9 + padding, 4), query_lengths)
    source = Tokens(torch.zeros(len(lengths), 9 + padding, 4), key_lengths)
    visible = visible_keys(query, source)[:, 0]
    for seen, (asking, asked) in zip(visible, lengths, strict=True):
        for i in range(asking):
            last = min(i + abs(asking - asked), asked - 1)
            assert seen[i].tolist() == [key <= last for key in range(9 + padding)]
        assert seen[asking - 1].sum() == asked  # the step that is read out sees everything
    assert visible.any(dim=-1).all()  # no softmax over nothing


@pytest.mark.parametrize("width", [30, 50])
def test_positions_are_fairseq_sinusoids_counted_from_one(width: int) -> None:
    torch.testing.assert_close(sinusoids(7, width), reference.positions(7, width))


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("sizes", [(6, None), (6, 4), (3, 8), (9, 2)])
def test_the_encoder_equals_torch_attention(scalar: bool, positions: bool, sizes: tuple[int, int | None]) -> None:
    torch.manual_seed(0)
    encoder = CrossModalEncoder(12, 3, 2, 16, positions=positions, scalar=scalar).eval()
    for value in encoder.parameters():
        nn.init.normal_(value, std=0.3)
    asking, asked = sizes
    query = torch.randn(1, asking, 12)
    source = None if asked is None else torch.randn(1, asked, 12)
    with torch.no_grad():
        alone = None if source is None else source[0]
        expected = reference.encode(encoder, query[0], alone, placed=positions, scalar=scalar)
        tokens = None if source is None else Tokens(source, torch.tensor([source.shape[1]]))
        got = encoder(Tokens(query, torch.tensor([asking])), tokens).values[0]
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


def test_a_zeroed_modality_has_no_positions() -> None:
    """What attends on it gets the same whatever its length."""
    torch.manual_seed(0)
    encoder = CrossModalEncoder(8, 2, 2, 16, positions=True).eval()
    query = Tokens(torch.randn(1, 6, 8), torch.tensor([6]))
    answers = [encoder(query, Tokens(torch.zeros(1, n, 8), torch.tensor([n]))).values for n in (1, 6, 13)]
    torch.testing.assert_close(answers[0], answers[1])
    torch.testing.assert_close(answers[0], answers[2])


def test_the_readout_is_the_last_valid_step() -> None:
    values = torch.arange(24.0).reshape(2, 6, 2)
    assert Tokens(values, torch.tensor([3, 6])).last().tolist() == [[4.0, 5.0], [22.0, 23.0]]


def test_audio_comes_first_in_the_fusion() -> None:
    torch.manual_seed(0)
    fusion = CrossModalFusion(4, 2, 1, 3, 16, memory_positions=True, memory_scalar=False, head_dropout=0.0).eval()
    audio, visual = (Tokens(torch.randn(1, n, 4), torch.tensor([n])) for n in (5, 3))
    with torch.no_grad():
        for value in fusion.head.residual.parameters():
            value.zero_()
        fusion.head.output.weight[:, 4:].zero_()
        crossed = fusion.audio_on_visual(audio, visual)
        expected = fusion.head.output.weight[:, :4] @ fusion.audio_memory(crossed).last()[0] + fusion.head.output.bias
        torch.testing.assert_close(fusion(audio, visual)[0], expected)
