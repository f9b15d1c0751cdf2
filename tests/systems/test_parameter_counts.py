"""Sizes at the paper's widths, against the figures of the released codes.

Those figures count what the released modules instantiate; ours have no weights that no path uses. Where the two differ
the difference is written down, weight by weight.
"""

import pytest
import torch
from torch import nn

from vavl.config import paper_config
from vavl.model import Vavl
from vavl.systems import UAVM, AuxFormer, MulT, Unimodal
from vavl.systems.system import Shape

PAPER = Shape("classification", outputs=6, audio_dim=1024, visual_dim=1408)

# VAVL's released modules, as instantiated.
ACOUSTIC, VISUAL, SHARED = 21_411_840, 21_431_040, 15_275_008
HEAD, AUDIO_VISUAL_HEAD = 395_526, 657_670
AUDIO_RECONSTRUCTION, VISUAL_RECONSTRUCTION = 657_152, 755_840
# A convolutional front end in each encoder that is never called: 1 -> 512 and 512 -> 512 channels, kernel 3 x 3.
DEAD_SUBSAMPLING = (9 * 512 + 512) + (9 * 512 * 512 + 512)
PROJECTIONS = 50 * 1024, 50 * 1408
INPUT = 50 * 512 + 512
SHARED_INPUT, SHARED_NORM = 512 * 512 + 512, 2 * 512
BLOCK = (SHARED - DEAD_SUBSAMPLING - SHARED_INPUT - SHARED_NORM) // 2
LIVE = ACOUSTIC + VISUAL + SHARED - 3 * DEAD_SUBSAMPLING + 2 * HEAD + AUDIO_VISUAL_HEAD


def count(build: type[nn.Module], *args: object, **options: object) -> int:
    with torch.device("meta"):
        return sum(value.numel() for value in build(*args, **options).parameters())


def vavl(**changes: object) -> int:
    return count(Vavl, paper_config(**changes))


def test_the_released_layout_has_the_live_weights_of_the_released_code() -> None:
    assert vavl(layout="released", projection_kernel=1, reconstruction=False) == LIVE
    assert round(LIVE / 1e6, 2) == 52.47


def test_the_paper_layout_differs_by_the_projection_and_the_shared_front() -> None:
    """Three taps in place of one (D5); no second input layer and no norm over the shared residual (D9)."""
    wider = 2 * sum(PROJECTIONS)
    assert vavl(reconstruction=False) == LIVE + wider - SHARED_INPUT - SHARED_NORM
    assert vavl(projection_kernel=1, reconstruction=False) == LIVE - SHARED_INPUT - SHARED_NORM


@pytest.mark.parametrize(
    ("ablation", "dropped"),
    [
        ({"residual": False}, 0),
        ({"reconstruction": False}, AUDIO_RECONSTRUCTION + VISUAL_RECONSTRUCTION),
        ({"audio_visual_head": False}, AUDIO_VISUAL_HEAD),
    ],
)
def test_ablations_drop_what_they_name(ablation: dict[str, bool], dropped: int) -> None:
    assert vavl() - vavl(**ablation) == dropped


def test_uavm() -> None:
    """The released 117.0 M count two square projections and two heads that no forward pass uses."""
    square_projection = 1024 * 1024 + 1024  # where features are 1024 wide already: audio branch, shared branch
    unused_head = 2 * 1024 + 1024 * 6 + 6  # each branch is built with a head, and only the shared one's is used
    released = count(UAVM, PAPER) + 2 * square_projection + 2 * unused_head
    assert released == pytest.approx(117.0e6, abs=0.05e6)


def test_auxformer() -> None:
    visual_projection = 1408 * 50  # the released code took video features that were 50 wide
    assert visual_projection == pytest.approx(0.07e6, abs=0.005e6)
    assert count(AuxFormer, PAPER) - visual_projection == pytest.approx(1.16e6, abs=0.005e6)


@pytest.mark.parametrize(("options", "millions"), [({}, 0.30), ({"width": 50, "heads": 10}, 0.76)])
def test_mult(options: dict[str, int], millions: float) -> None:
    assert count(MulT, PAPER, **options) == pytest.approx(millions * 1e6, abs=0.005e6)


def test_unimodal() -> None:
    """Five of VAVL's blocks; a block's size follows from each of the three released encoders alike."""
    for encoder, projection in zip((ACOUSTIC, VISUAL), PROJECTIONS, strict=True):
        assert encoder - DEAD_SUBSAMPLING - projection - INPUT == 3 * BLOCK
    taps = paper_config().projection_kernel
    with torch.device("meta"):
        system = Unimodal(PAPER)
    for network, projection in zip((system.audio, system.visual), PROJECTIONS, strict=True):
        size = sum(value.numel() for value in network.parameters())
        assert size == taps * projection + INPUT + 5 * BLOCK + HEAD
