"""The ``released`` layout agrees with the re-computation, and with what is said of a clip alone."""

import copy
import math

import pytest
import torch
from torch import Tensor

from tests.vavl.released_reference import State, reference_all, reference_unimodal
from tests.vavl.tiny_released import (
    MODALITIES,
    TASKS,
    distance,
    double_state,
    project_all,
    random_features,
    tiny_config,
    tiny_model,
)
from vavl.config import paper_config
from vavl.errors import ConfigError
from vavl.model import Modality, Vavl
from vavl_runtime.errors import InvalidArrayError

LENGTHS = ((1, 1), (2, 2), (7, 7), (50, 50), (9, 4))  # of sound and picture
TOLERANCE = 1e-5  # relative L2, float32 project against float64 reference


@pytest.mark.parametrize("frames", LENGTHS, ids=lambda frames: "-".join(map(str, frames)))
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("path", ["audio", "visual", "audio_visual"])
def test_project_agrees_with_reference(path: str, task: str, frames: tuple[int, int]) -> None:
    model = tiny_model(task)
    audio = random_features(model.config, batch=1, frames=frames[0])[0]
    visual = random_features(model.config, batch=1, frames=frames[1])[1]
    expected = reference_all(double_state(model), model.config, audio.double(), visual.double())
    actual = project_all(model, audio, visual)
    assert actual.keys() == expected.keys()
    for name in (name for name in expected if name.startswith(f"{path}.")):
        assert actual[name].shape == expected[name].shape, name
        assert distance(actual[name], expected[name]) <= TOLERANCE, name


@pytest.mark.parametrize("modality", MODALITIES)
def test_project_ignores_padding_so_it_answers_as_the_released_code_does_for_the_unpadded_clip(
    modality: Modality,
) -> None:
    model = tiny_model("classification")
    features = random_features(model.config, batch=1, frames=7)[MODALITIES.index(modality)]
    with torch.no_grad():
        padded = model.unimodal(modality, features, torch.tensor([4]))
    expected = reference_unimodal(double_state(model), model.config, modality, features[:, :4].double())
    assert distance(padded.logits, expected["logits"]) <= TOLERANCE
    assert distance(padded.embedding, expected["embedding"]) <= TOLERANCE


@pytest.mark.parametrize("modality", MODALITIES)
def test_project_agrees_with_reference_where_the_guard_of_layer_norm_shows(modality: Modality) -> None:
    """Tokens with a variance near 1e-5, so that another epsilon in LayerNorm could not pass."""
    model = copy.deepcopy(tiny_model("classification"))
    front = getattr(model, modality).input
    with torch.no_grad():
        front.weight.mul_(3e-3)
        front.bias.mul_(3e-3)
    features = random_features(model.config, batch=1, frames=7)[MODALITIES.index(modality)]
    with torch.no_grad():
        actual = model.unimodal(modality, features, torch.tensor([7]))
    expected = reference_unimodal(double_state(model), model.config, modality, features.double())
    assert distance(actual.logits, expected["logits"]) <= TOLERANCE
    assert distance(actual.embedding, expected["embedding"]) <= TOLERANCE


@pytest.mark.parametrize("source", ["project", "reference"])
def test_order_of_time_does_not_matter_for_a_clip_alone(source: str) -> None:
    model = tiny_model("regression")
    clip = random_features(model.config, batch=1, frames=7)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    shuffled = clip[0][:, order], clip[1][:, order]
    if source == "project":
        before, after = project_all(model, *clip), project_all(model, *shuffled)
        tolerance = 1e-5
    else:
        state = double_state(model)
        before, after = (
            reference_all(state, model.config, audio.double(), visual.double()) for audio, visual in (clip, shuffled)
        )
        tolerance = 1e-12
    for name, value in before.items():
        assert distance(after[name], value) <= tolerance, name


DEAD = ("query.weight", "query.bias", "key.weight", "key.bias", "position.weight", "content_bias", "position_bias")


@pytest.mark.parametrize("source", ["project", "reference"])
def test_every_entry_of_the_state_matters_for_a_clip_alone_except_what_chooses_between_keys(source: str) -> None:
    """Also shows that the comparison above has the power to notice any single wrong entry."""
    config = tiny_config("classification")
    model = copy.deepcopy(tiny_model("classification"))
    original = double_state(model)
    audio, visual = random_features(config, batch=1, frames=2)

    def outputs(state: State) -> dict[str, Tensor]:
        if source == "reference":
            return reference_all(state, config, audio.double(), visual.double())
        model.load_state_dict(state)
        return project_all(model, audio, visual)

    before = outputs(original)
    matters = set()
    for name, value in original.items():
        after = outputs({**original, name: 1.5 * value})
        if max(distance(after[key], before[key]) for key in before) > 10 * TOLERANCE:
            matters.add(name)
    expected = {name for name in original if not name.endswith((*DEAD, "num_batches_tracked"))}
    assert matters == expected


@pytest.mark.parametrize("source", ["project", "reference"])
def test_only_the_centre_tap_matters_for_a_clip_alone(source: str) -> None:
    config = tiny_config("classification")
    model = copy.deepcopy(tiny_model("classification"))
    state = double_state(model)
    audio, visual = random_features(config, batch=1, frames=3)

    def outputs() -> Tensor:
        if source == "reference":
            return reference_all(state, config, audio.double(), visual.double())["audio.logits"]
        model.load_state_dict(state)
        return project_all(model, audio, visual)["audio.logits"]

    before = outputs()
    taps = [value for name, value in state.items() if name.endswith("depthwise.weight")]
    assert [tuple(tap.shape) for tap in taps] == [(32, 1, 31)] * 4
    for tap in taps:
        tap[:, :, :15] = 3.0
        tap[:, :, 16:] = -3.0
    assert distance(outputs(), before) <= 1e-6
    for tap in taps:
        tap[:, :, 15] += 0.5
    assert distance(outputs(), before) > 0.01


# ---------------------------------------------------------------------------------------------------------------
# What a person reads, what is refused, normalisation, sizes.


def test_flipped_attributes_come_back_turned_and_the_others_do_not() -> None:
    model = tiny_model("regression")
    logits = torch.tensor([[0.0, 0.0, 1.0], [0.25, 0.25, 0.5], [1.0, 1.0, -0.25]])
    expected = torch.tensor([[5.0, 1.0, 5.0], [4.0, 2.0, 3.0], [1.0, 5.0, 0.0]])
    assert model.config.labels == ("arousal", "dominance", "valence") and model.config.flipped == ("arousal",)
    assert torch.allclose(model.presentation(logits), expected)


def test_classes_come_back_as_probabilities() -> None:
    model = tiny_model("classification")
    logits = torch.tensor([[0.0, math.log(2.0), math.log(3.0), 0.0, 0.0, 0.0]])
    assert torch.allclose(model.presentation(logits), torch.tensor([[1.0, 2.0, 3.0, 1.0, 1.0, 1.0]]) / 9)


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("batch", [2, 3])
def test_more_than_one_clip_is_refused(modality: Modality, batch: int) -> None:
    model = tiny_model("classification")
    features = random_features(model.config, batch=batch, frames=5)[MODALITIES.index(modality)]
    with pytest.raises(InvalidArrayError, match=f"batch of {batch}"):
        model.unimodal(modality, features, torch.full((batch,), 5))


def test_projection_over_neighbours_is_refused() -> None:
    with pytest.raises(ConfigError, match="projection_kernel 1"):
        paper_config(layout="released", projection_kernel=3)


@pytest.mark.parametrize("modality", MODALITIES)
def test_features_are_normalised_with_a_millionth_on_the_deviation(modality: Modality) -> None:
    """A deviation as small as the guard tells (x - mean) / (std + 1e-6) from its look-alikes (D13)."""
    model = copy.deepcopy(tiny_model("classification"))
    normalizer = getattr(model, modality).normalizer
    normalizer.mean.fill_(0.5)
    normalizer.std.fill_(3e-6)
    features = 0.5 + 2**-16 * random_features(model.config, batch=1, frames=6)[MODALITIES.index(modality)]
    expected = ((features.double() - 0.5) / 4e-6).mean(dim=1)
    with torch.no_grad():
        target = model.unimodal(modality, features, torch.tensor([6])).target
    assert distance(target, expected) <= TOLERANCE


def count(*modules: torch.nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_paper_sized_model_has_the_sizes_of_the_released_one() -> None:
    with torch.device("meta"):
        model = Vavl(paper_config(layout="released", projection_kernel=1))
    never_called = (512 * 9 + 512) + (512 * 512 * 9 + 512)  # conv_subsample, in each released encoder (D10b)
    assert never_called == 2_364_928
    audio, visual, shared = model.audio, model.visual, model.shared
    heads = (audio.head, visual.head)
    assert count(audio.projection, audio.input, audio.encoder) == 21_411_840 - never_called == 19_046_912
    assert count(visual.projection, visual.input, visual.encoder) == 21_431_040 - never_called == 19_066_112
    assert count(shared) == 15_275_008 - never_called == 12_910_080
    assert [count(head) for head in heads] == [395_526, 395_526]
    assert count(model.audio_visual_head) == 657_670
    assert count(audio.reconstruction) == 657_152
    assert count(visual.reconstruction) == 755_840
    reconstruction = count(audio.reconstruction, visual.reconstruction)
    assert count(model) - reconstruction == 52_471_826  # the 52.47 M that audio-visual inference reads
