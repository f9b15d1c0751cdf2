"""The ``released`` layout against a straight re-computation of the released code's arithmetic.

The reference below is plain functions in float64, written from the description of the released code and not from
``vavl.model``. It takes any batch, so it also shows what the project refuses to run: clips that mix (D1).
Legend: B clips, T frames, F features, D width, H heads, L length of the axis the conformer works along.
"""

import copy
import math
from collections.abc import Iterator
from functools import cache

import pytest
import torch
from torch import Tensor

from vavl.config import VavlConfig, paper_config
from vavl.model import Modality, Vavl
from vavl_runtime.errors import ConfigError, InvalidArrayError

State = dict[str, Tensor]
MODALITIES: tuple[Modality, Modality] = ("audio", "visual")
TASKS: dict[str, dict[str, object]] = {
    "classification": {},
    "regression": {"task": "regression", "labels": ("arousal", "dominance", "valence"), "flipped": ("arousal",)},
}
LENGTHS = (1, 2, 7, 50)
TOLERANCE = 1e-5  # relative L2, float32 project against float64 reference


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small lose far more to thread hand-over than they gain: 100 times and more on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---------------------------------------------------------------------------------------------------------------
# The reference.


def linear(state: State, name: str, x: Tensor, bias: bool = True) -> Tensor:
    y = x @ state[f"{name}.weight"].T
    return y + state[f"{name}.bias"] if bias else y


def layer_norm(state: State, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = (centred**2).mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-5) * state[f"{name}.weight"] + state[f"{name}.bias"]


def batch_norm(state: State, name: str, x: Tensor) -> Tensor:
    """BatchNorm with its stored statistics, channels last."""
    standard = (x - state[f"{name}.running_mean"]) / torch.sqrt(state[f"{name}.running_var"] + 1e-5)
    return standard * state[f"{name}.weight"] + state[f"{name}.bias"]


def swish(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.zeros_like(x))


def softmax(x: Tensor) -> Tensor:
    exponentials = torch.exp(x - x.max(dim=-1, keepdim=True).values)
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


def absolute_positions(length: int, width: int) -> Tensor:
    """Sinusoids of the rows 0 … L-1, sine in even and cosine in odd columns, shape (L, D) (D7)."""
    table = torch.zeros(length, width, dtype=torch.float64)
    for row in range(length):
        for pair in range(width // 2):
            angle = row / 10000 ** (2 * pair / width)
            table[row, 2 * pair] = math.sin(angle)
            table[row, 2 * pair + 1] = math.cos(angle)
    return table


def shift(scores: Tensor) -> Tensor:
    """Transformer-XL shift of (N, L, L): a zero column to the left, read as (L + 1, L), first row dropped (D7)."""
    count, length, _ = scores.shape
    padded = torch.cat([torch.zeros(count, length, 1, dtype=scores.dtype), scores], dim=2)
    return padded.reshape(count, length + 1, length)[:, 1:]


def self_attention(state: State, name: str, x: Tensor) -> Tensor:
    """Attend along the middle axis of (N, L, D), all L x L scores at once, scaled by 1/sqrt(D) (D6)."""
    _, length, width = x.shape
    query = linear(state, f"{name}.query", x)
    key = linear(state, f"{name}.key", x)
    value = linear(state, f"{name}.value", x)
    position = linear(state, f"{name}.position", absolute_positions(length, width), bias=False)
    heads = state[f"{name}.content_bias"].shape[0]
    size = width // heads
    mixed = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        content_query = query[:, :, part] + state[f"{name}.content_bias"][head]
        position_query = query[:, :, part] + state[f"{name}.position_bias"][head]
        content_scores = content_query @ key[:, :, part].transpose(1, 2)  # (N, L, L)
        position_scores = shift(position_query @ position[:, part].T)  # (N, L, L)
        attention = softmax((content_scores + position_scores) / math.sqrt(width))
        mixed.append(attention @ value[:, :, part])
    return linear(state, f"{name}.output", torch.cat(mixed, dim=2))


def depthwise_convolution(weight: Tensor, x: Tensor) -> Tensor:
    """Depthwise convolution without bias along the middle axis of (N, L, D), zeros outside; weight (D, 1, K)."""
    length, taps = x.shape[1], weight.shape[2]
    y = torch.zeros_like(x)
    for target in range(length):
        for tap in range(taps):
            source = target + tap - taps // 2
            if 0 <= source < length:
                y[:, target] += weight[:, 0, tap] * x[:, source]
    return y


def feed_forward(state: State, name: str, x: Tensor) -> Tensor:
    x = layer_norm(state, f"{name}.0", x)
    return linear(state, f"{name}.4", swish(linear(state, f"{name}.1", x)))


def convolution_module(state: State, name: str, x: Tensor) -> Tensor:
    width = x.shape[2]
    x = linear(state, f"{name}.expand", layer_norm(state, f"{name}.norm", x))
    x = x[:, :, :width] / (1 + torch.exp(-x[:, :, width:]))  # GLU
    x = depthwise_convolution(state[f"{name}.depthwise.weight"], x)
    return linear(state, f"{name}.project", swish(batch_norm(state, f"{name}.batch_norm", x)))


def conformer(state: State, name: str, layers: int, x: Tensor) -> Tensor:
    """A stack of conformer blocks along the middle axis of (N, L, D)."""
    for layer in range(layers):
        block = f"{name}.blocks.{layer}"
        x = x + 0.5 * feed_forward(state, f"{block}.feed_forward_in", x)
        x = x + self_attention(state, f"{block}.attention", layer_norm(state, f"{block}.attention_norm", x))
        x = x + convolution_module(state, f"{block}.convolution", x)
        x = x + 0.5 * feed_forward(state, f"{block}.feed_forward_out", x)
        x = layer_norm(state, f"{block}.norm", x)
    return x


def head_first(state: State, name: str, x: Tensor) -> Tensor:
    return relu(linear(state, f"{name}.first.0", x))


def head_rest(state: State, name: str, x: Tensor) -> Tensor:
    """The second hidden layer and the output, nothing between them (D8)."""
    return linear(state, f"{name}.rest.2", linear(state, f"{name}.rest.1", x))


def reference_unimodal(state: State, config: VavlConfig, modality: Modality, features: Tensor) -> dict[str, Tensor]:
    """One modality's path over features (B, T, F); attention and convolution run over B, as released (D1)."""
    layers = config.audio_layers if modality == "audio" else config.visual_layers
    normalized = (features - state[f"{modality}.normalizer.mean"]) / (state[f"{modality}.normalizer.std"] + 1e-6)
    projected = normalized @ state[f"{modality}.projection.weight"][:, :, 0].T  # kernel 1, no bias (D5)
    x = projected.permute(1, 0, 2)  # (T, B, 50), handed to a batch-first conformer: N is T and L is B
    x = conformer(state, f"{modality}.encoder", layers, linear(state, f"{modality}.input", x))
    shared = conformer(state, "shared.encoder", config.shared_layers, linear(state, "shared.input", x))
    encoded = layer_norm(state, "shared.norm", shared + x).permute(1, 0, 2)  # (B, T, D) (D9)
    embedding = encoded.mean(dim=1)  # over all T, padding included (D4)
    return {
        "logits": head_rest(state, f"{modality}.head", head_first(state, f"{modality}.head", embedding)),
        "embedding": embedding,
        "reconstruction": head_rest(
            state, f"{modality}.reconstruction", head_first(state, f"{modality}.reconstruction", embedding)
        ),
        "target": normalized.mean(dim=1),
    }


def reference_audio_visual(state: State, audio: Tensor, visual: Tensor) -> dict[str, Tensor]:
    """Fuse two embeddings (B, D), audio first."""
    hidden = head_first(state, "audio_visual_head", torch.cat([audio, visual], dim=1))
    return {"logits": head_rest(state, "audio_visual_head", hidden), "embedding": hidden}


def reference_presentation(config: VavlConfig, logits: Tensor) -> Tensor:
    """Probabilities, or scores on the 1 … 5 scale with flipped attributes turned back (D3, D19)."""
    if config.task == "classification":
        return softmax(logits)
    columns = [
        5 - 4 * logits[:, index] if label in config.flipped else 1 + 4 * logits[:, index]
        for index, label in enumerate(config.labels)
    ]
    return torch.stack(columns, dim=1)


def reference_all(state: State, config: VavlConfig, audio: Tensor, visual: Tensor) -> dict[str, Tensor]:
    """Every output of the three paths, as ``path.output``."""
    by_path = {
        "audio": reference_unimodal(state, config, "audio", audio),
        "visual": reference_unimodal(state, config, "visual", visual),
    }
    by_path["audio_visual"] = reference_audio_visual(
        state, by_path["audio"]["embedding"], by_path["visual"]["embedding"]
    )
    for outputs in by_path.values():
        outputs["presentation"] = reference_presentation(config, outputs["logits"])
    return {f"{path}.{name}": value for path, outputs in by_path.items() for name, value in outputs.items()}


# ---------------------------------------------------------------------------------------------------------------
# The project, and what both are fed.


def project_all(model: Vavl, audio: Tensor, visual: Tensor) -> dict[str, Tensor]:
    """The same outputs from the project, unpadded clips."""
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


# ---------------------------------------------------------------------------------------------------------------
# The reference itself does what the released code is described to do.


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


# ---------------------------------------------------------------------------------------------------------------
# The project against the reference.


@pytest.mark.parametrize("frames", LENGTHS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("path", ["audio", "visual", "audio_visual"])
def test_project_agrees_with_reference(path: str, task: str, frames: int) -> None:
    model = tiny_model(task)
    audio, visual = random_features(model.config, batch=1, frames=frames)
    expected = reference_all(double_state(model), model.config, audio.double(), visual.double())
    actual = project_all(model, audio, visual)
    assert actual.keys() == expected.keys()
    for name in (name for name in expected if name.startswith(f"{path}.")):
        assert actual[name].shape == expected[name].shape, name
        assert distance(actual[name], expected[name]) <= TOLERANCE, name


def test_project_agrees_with_reference_when_lengths_differ_between_modalities() -> None:
    model = tiny_model("classification")
    audio = random_features(model.config, batch=1, frames=9)[0]
    visual = random_features(model.config, batch=1, frames=4)[1]
    expected = reference_all(double_state(model), model.config, audio.double(), visual.double())
    actual = project_all(model, audio, visual)
    for name, value in expected.items():
        assert distance(actual[name], value) <= TOLERANCE, name


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
