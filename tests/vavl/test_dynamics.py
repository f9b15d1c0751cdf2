"""Dynamics beside the visual features: against NumPy, blind to padding, and absent from the paper's model."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.export.exported import TINY, tiny_model
from vavl.config import VavlConfig, paper_config
from vavl.model import Vavl
from vavl.model.masking import STILL, length_mask, with_dynamics, with_spread

few = settings(max_examples=20, deadline=None)
WIDTH = 5
seeds = st.integers(0, 2**31)
lengths = st.lists(st.integers(1, 15), min_size=1, max_size=4)


def clips_of(counts: list[int], width: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, width, generator=generator) for count in counts]


def pad(clips: list[torch.Tensor], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips one below the other, with garbage behind their ends, and their lengths."""
    padded = torch.full((len(clips), max(map(len, clips)) + padding, clips[0].shape[1]), 1000.0)
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip)] = clip
    return padded, torch.tensor([len(clip) for clip in clips])


@few
@given(counts=lengths, padding=st.integers(0, 6), seed=seeds)
def test_every_clip_equals_numpy_whatever_stands_behind_it(counts: list[int], padding: int, seed: int) -> None:
    clips = clips_of(counts, WIDTH, seed)
    padded, sizes = pad(clips, padding)
    got = with_dynamics(padded, length_mask(sizes, padded.shape[1]))
    assert got.shape == (*padded.shape[:2], 3 * WIDTH)
    for row, clip in zip(got.numpy(), clips, strict=True):
        x = clip.double().numpy()
        distance = np.abs(x - x.mean(axis=0)).mean(axis=0)
        change = np.abs(np.diff(x, axis=0, prepend=x[:1])).mean(axis=0)
        movement = np.log(np.hstack([distance, change]) + STILL)
        np.testing.assert_allclose(row[: len(x)], np.hstack([x, np.tile(movement, (len(x), 1))]), atol=1e-4)
    # The spread is the same without the change.
    spread = with_spread(padded, length_mask(sizes, padded.shape[1]))
    torch.testing.assert_close(spread, got[..., : 2 * WIDTH])


def test_what_never_moves_has_no_dynamics() -> None:
    still = torch.randn(1, 1, WIDTH).expand(2, 7, WIDTH)
    got = with_dynamics(still, length_mask(torch.tensor([7, 4]), 7))
    assert torch.equal(got[..., :WIDTH], still)
    torch.testing.assert_close(got[..., WIDTH:], torch.full((2, 7, 2 * WIDTH), math.log(STILL)), atol=1e-3, rtol=0)


@pytest.mark.parametrize("pool", [1, 4])
@pytest.mark.parametrize("dynamics", ["spread", "frames"])
@few
@given(counts=lengths, padding=st.integers(0, 6), seed=seeds)
def test_a_model_with_dynamics_answers_a_clip_for_itself(
    dynamics: str, pool: int, counts: list[int], padding: int, seed: int
) -> None:
    model = tiny_model(visual_dynamics=dynamics, visual_pool=pool)
    clips = clips_of(counts, TINY["visual_dim"], seed)
    padded, sizes = pad(clips, padding)
    with torch.no_grad():
        together = model.unimodal("visual", padded, sizes)
        for number, clip in enumerate(clips):
            alone = model.unimodal("visual", clip[None], torch.tensor([len(clip)]))
            for part in ("logits", "embedding", "reconstruction", "target"):
                assert (getattr(alone, part)[0] - getattr(together, part)[number]).abs().max() <= 1e-4


@pytest.mark.parametrize("dynamics", ["spread", "frames"])
def test_a_model_with_dynamics_sees_movement(dynamics: str) -> None:
    model = tiny_model(visual_dynamics=dynamics)
    frames = torch.randn(1, 12, TINY["visual_dim"], generator=torch.Generator().manual_seed(0))
    # The weights that look at movement, and no others: whatever changes now, changes through them.
    model.visual.projection.weight.data[:, : TINY["visual_dim"]] = 0
    with torch.no_grad():
        answers = [model.unimodal("visual", x, torch.tensor([12])).logits for x in (frames, frames + 3, 2 * frames)]
    torch.testing.assert_close(answers[1], answers[0], atol=1e-3, rtol=1e-3)  # the same movement elsewhere
    assert (answers[2] - answers[0]).abs().max() > 1e-2  # more movement


def test_the_papers_model_has_none() -> None:
    config = paper_config()
    assert config.visual_dynamics == "off"
    with torch.device("meta"):
        plain, dynamic = Vavl(config), Vavl(config.model_copy(update={"visual_dynamics": "frames"}))
    shape = (config.projection_dim, config.visual_dim, config.projection_kernel)
    assert plain.visual.projection.weight.shape == shape
    assert dynamic.visual.projection.weight.shape == (shape[0], 3 * shape[1], shape[2])
    assert dynamic.audio.projection.weight.shape == plain.audio.projection.weight.shape
    assert not [name for name in plain.state_dict() if "dynamics" in name]


def test_half_the_frame_rate_changes_the_spread_less() -> None:
    """A slow movement with the noise of an encoder; frames left out are interpolated, as at run time."""
    generator = torch.Generator().manual_seed(0)
    slow = torch.sin(torch.arange(96)[:, None] / 15.0 + torch.arange(TINY["visual_dim"]))
    film = (slow + 0.3 * torch.randn(slow.shape, generator=generator))[None]
    half = film.clone()
    half[:, 1:-1:2] = 0.5 * (film[:, 0:-2:2] + film[:, 2::2])
    moved = {}
    for dynamics in ("spread", "frames"):
        branch = tiny_model(visual_dynamics=dynamics, visual_pool=4).visual
        described = [branch.describe(x, torch.ones(x.shape[:2]))[0].mean(1) for x in (film, half)]
        moved[dynamics] = float((described[1] - described[0]).abs().max())
    assert moved["spread"] < 0.1 < 0.3 < moved["frames"]


def test_what_earlier_versions_wrote() -> None:
    assert VavlConfig.create(visual_dynamics=True) == VavlConfig.create(visual_dynamics="frames")
    assert VavlConfig.create(visual_dynamics=False) == VavlConfig.create()
