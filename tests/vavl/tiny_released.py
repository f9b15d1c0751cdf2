"""A tiny project model in the ``released`` layout with random values, features for it, and all that it answers."""

import math
from functools import cache

import torch
from torch import Tensor

from tests.vavl.released_reference import State
from vavl.config import VavlConfig, paper_config
from vavl.model import Modality, Vavl

MODALITIES: tuple[Modality, Modality] = ("audio", "visual")
TASKS: dict[str, dict[str, object]] = {
    "classification": {},
    "regression": {"task": "regression", "labels": ("arousal", "dominance", "valence"), "flipped": ("arousal",)},
}


def project_all(model: Vavl, audio: Tensor, visual: Tensor) -> dict[str, Tensor]:
    """Every output of the three paths for unpadded clips, as ``path.output``."""
    by_path: dict[str, dict[str, Tensor]] = {}
    with torch.no_grad():
        unimodal = {
            modality: model.unimodal(modality, features, torch.tensor([features.shape[1]] * features.shape[0]))
            for modality, features in zip(MODALITIES, (audio, visual), strict=True)
        }
        for modality, output in unimodal.items():
            by_path[modality] = {
                "logits": output.logits,
                "embedding": output.embedding,
                "reconstruction": output.reconstruction,
                "target": output.target,
            }
        logits, embedding = model.audio_visual(unimodal["audio"], unimodal["visual"])
        by_path["audio_visual"] = {"logits": logits, "embedding": embedding}
        for outputs in by_path.values():
            outputs["presentation"] = model.presentation(outputs["logits"])
    return {f"{path}.{name}": value for path, outputs in by_path.items() for name, value in outputs.items()}


def tiny_config(task: str) -> VavlConfig:
    """A small model; kernel 31 and the fourfold feed-forward stay as released."""
    return paper_config(
        layout="released",
        projection_kernel=1,
        audio_dim=24,
        visual_dim=20,
        width=32,
        heads=4,
        head_hidden=(16, 8),
        projection_dim=10,
        audio_layers=2,
        visual_layers=1,
        shared_layers=1,
        **TASKS[task],
    )


def random_state(model: Vavl, seed: int) -> State:
    """Random values for every parameter and buffer, so that no default hides a missing term."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, value in model.state_dict().items():
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith(("running_var", "normalizer.std")):
            state[name] = 0.5 + torch.rand(value.shape, generator=generator)
        elif name.endswith("depthwise.weight"):
            state[name] = 0.5 * noise
        elif value.ndim > 1:
            state[name] = noise / math.sqrt(value[0].numel())
        elif name.endswith("weight"):  # LayerNorm and BatchNorm
            state[name] = 1 + 0.3 * noise
        else:
            state[name] = 0.5 * noise
    return state


@cache
def tiny_model(task: str) -> Vavl:
    """The randomised project model in evaluation mode; shared by tests, so never changed."""
    model = Vavl(tiny_config(task)).eval()
    model.load_state_dict(random_state(model, seed=len(task)))
    return model


def double_state(model: Vavl) -> State:
    return {name: value.double() for name, value in model.state_dict().items()}


def random_features(config: VavlConfig, batch: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Audio (B, T, F_a) and visual (B, T, F_v) features, float32, off-centre and scaled."""
    generator = torch.Generator().manual_seed(1000 * seed + 100 * batch + frames)
    audio = 0.3 + 1.5 * torch.randn(batch, frames, config.audio_dim, generator=generator)
    visual = -0.2 + 0.7 * torch.randn(batch, frames, config.visual_dim, generator=generator)
    return audio, visual


def distance(actual: Tensor, expected: Tensor) -> float:
    """Relative L2 distance, in float64."""
    expected = expected.double()
    return float((actual.double() - expected).norm() / expected.norm())
