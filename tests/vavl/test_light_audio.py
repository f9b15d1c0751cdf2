"""The light audio encoder: how many tokens, what stands in them, and that a clip is encoded for itself."""

from functools import cache

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vavl.encoders import load_audio_encoder
from vavl.encoders.light_audio import LightAudioEncoder
from vavl.encoders.prosody import frame_count
from vavl.model.masking import length_mask

BANDS, WIDTH = 12, 8
FIELD, HOP, GROUP = 400, 320, 4
few = settings(max_examples=12, deadline=None)
sizes = st.integers(FIELD + (GROUP - 1) * HOP, 12_000)
seeds = st.integers(0, 2**31)


@cache
def encoder() -> LightAudioEncoder:
    torch.manual_seed(0)
    return LightAudioEncoder(width=WIDTH, blocks=2, bands=BANDS).eval()


def sound(samples: int, seed: int) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def encode(clip: torch.Tensor) -> torch.Tensor:
    """Tokens of a clip alone, (T, dim)."""
    with torch.no_grad():
        tokens, lengths = encoder()(clip[None], torch.tensor([len(clip)]))
    assert lengths.tolist() == [tokens.shape[1]]
    return tokens[0]


@given(samples=st.integers(FIELD, 200_000))
def test_tokens_are_complete_groups_of_frames(samples: int) -> None:
    frames = len(range(0, samples - FIELD + 1, HOP))
    assert encoder().output_lengths(torch.tensor([samples])).tolist() == [frames // GROUP]


@few
@given(samples=sizes, seed=seeds)
def test_a_token_holds_the_clip_and_the_moment_and_what_is_learned(samples: int, seed: int) -> None:
    clip = sound(samples, seed)
    tokens, count = encode(clip), torch.tensor([samples])
    mel, pitch, periodicity, energy = encoder().prosody(clip[None], count)
    mask = length_mask(frame_count(count), mel.shape[1])
    statistics = encoder().statistics(mel, pitch, periodicity, energy, mask)[0]
    context, moment, learned = tokens.split([len(statistics), 3 + BANDS, WIDTH], dim=1)
    torch.testing.assert_close(context, statistics.expand(len(tokens), -1))
    for number, token in enumerate(moment):
        group = slice(GROUP * number, GROUP * (number + 1))
        expected = [pitch[0, group].mean(), periodicity[0, group].mean(), 0.2 * energy[0, group].mean()]
        torch.testing.assert_close(token[:3], torch.stack(expected))
        torch.testing.assert_close(token[3:], 0.2 * mel[0, group].mean(dim=0))
    torch.testing.assert_close(learned.mean(dim=1), torch.zeros(len(tokens)), atol=1e-5, rtol=0)  # LayerNorm


@few
@given(lengths=st.lists(sizes, min_size=1, max_size=3), padding=st.integers(0, 5000), seed=seeds)
def test_batch_padding_and_garbage_do_not_matter(lengths: list[int], padding: int, seed: int) -> None:
    clips = [sound(length, seed + number) for number, length in enumerate(lengths)]
    waveform = torch.full((len(clips), max(lengths) + padding), 0.9)
    for row, clip in zip(waveform, clips, strict=True):
        row[: len(clip)] = clip
    with torch.no_grad():
        together, counts = encoder()(waveform, torch.tensor(lengths))
    for tokens, count, clip in zip(together, counts, clips, strict=True):
        alone = encode(clip)
        assert len(alone) == count
        torch.testing.assert_close(tokens[:count], alone, atol=1e-3, rtol=1e-4)


@few
@given(samples=sizes, seed=seeds)
def test_prosody_alone_is_the_same_without_spectrum_and_learning(samples: int, seed: int) -> None:
    alone, clip = load_audio_encoder("prosody"), sound(samples, seed)
    assert alone.trained  # there is nothing in it that could be random
    assert not alone.module.state_dict()
    with torch.no_grad():
        tokens, _ = alone.module(clip[None], torch.tensor([samples]))
    whole, statistics = encode(clip), encoder().statistics.dim
    kept = [*range(statistics - 2 * BANDS), *range(statistics, statistics + 3)]
    assert alone.module.dim == len(kept)
    torch.testing.assert_close(tokens[0], whole[:, kept])


def test_only_the_learned_part_has_parameters_and_all_of_them_get_a_gradient() -> None:
    encoder().zero_grad()
    tokens, _ = encoder()(sound(6000, 0)[None], torch.tensor([6000]))
    tokens[..., -WIDTH:].square().mean().backward()
    gradients = {name: value.grad for name, value in encoder().named_parameters()}
    assert not [name for name in gradients if name.startswith(("prosody.", "statistics."))]
    assert not [name for name, gradient in gradients.items() if gradient is None or not gradient.any()]
