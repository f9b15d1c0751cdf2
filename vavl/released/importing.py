"""Converts a checkpoint folder of the released code into a checkpoint with ``layout: released``."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vavl.checkpoint import Checkpoint, CheckpointDescription
from vavl.config import CREMA_D_CLASSES, Task, VavlConfig, WaveformNormalization
from vavl.errors import ConfigError
from vavl.model import Vavl
from vavl.released.keys import FILES, POINTWISE
from vavl.released.statistics import read_statistics
from vavl.released.weights import ReleasedTensor, read_weights
from vavl_runtime._version import __version__
from vavl_runtime.errors import NotFoundError

STATISTICS = "train_norm_stat.pkl"
LABELS: dict[Task, tuple[str, ...]] = {
    "classification": CREMA_D_CLASSES,
    "regression": ("arousal", "dominance", "valence"),  # the released order, D18
}
GUARD = 1e-6  # the released code adds this to a deviation before dividing by it

Weights = dict[str, ReleasedTensor]


def import_released(
    folder: Path,
    *,
    task: Task,
    labels: tuple[str, ...] | None = None,
    flipped: bool | None = None,
    audio_encoder: str,
    face_encoder: str,
) -> Checkpoint:
    """Import a checkpoint folder written by the released training code.

    Args:
        folder: Holds nine state dicts and ``train_norm_stat.pkl``; see ``docs/released.md``.
        task: The task of the model; the files do not say.
        labels: Class or attribute names in output order; by default the six classes of CREMA-D in the released order
            (D17), or arousal, dominance, valence (D18).
        flipped: Needed for regression, None for classification: whether the network predicts its first attribute,
            arousal, inverted (D3). The files do not say; labelled clips show it.
        audio_encoder: Reference of the wav2vec2 that the model was trained with (D11), for the checkpoint.
        face_encoder: Reference of the face encoder, for the checkpoint.

    Returns:
        The model in evaluation mode, and its description. It takes one clip at a time (D1).

    Raises:
        NotFoundError: The folder does not exist.
        ConfigError: The polarity is missing, a file is missing or damaged, or its content differs from what the
            released code saves; all unknown, missing and misshapen tensors are listed.
    """
    _check_polarity(task, flipped)
    labels = LABELS[task] if labels is None else labels
    _check_files(folder)
    weights = read_weights(folder)
    sizes = _sizes(weights)
    _check_outputs(weights, task, labels)
    statistics = read_statistics(folder / STATISTICS, sizes["visual_dim"])
    try:
        config = VavlConfig.create(
            layout="released",
            task=task,
            labels=labels,
            flipped=labels[:1] if flipped else (),
            waveform_normalization=WaveformNormalization(
                kind="global", mean=statistics.waveform_mean, std=statistics.waveform_std + GUARD
            ),
            **sizes,
        )
    except ConfigError as error:
        raise ConfigError(f"{folder}: the sizes of these tensors do not make a valid model: {error}") from error
    state = _fitted(folder, config, weights)
    # FeatureNormalizer adds GUARD itself. The released code does not normalise audio features.
    state["visual.normalizer.mean"] = torch.from_numpy(statistics.visual_mean).float()
    state["visual.normalizer.std"] = torch.from_numpy(statistics.visual_std).float()
    state["audio.normalizer.mean"] = torch.zeros(config.audio_dim)
    state["audio.normalizer.std"] = torch.ones(config.audio_dim)
    model = Vavl(config)
    model.load_state_dict(state)
    description = CheckpointDescription(
        model=config,
        audio_encoder=audio_encoder,
        face_encoder=face_encoder,
        trained=True,
        provenance=f"files of the released code, imported by vavl-edge {__version__}; one clip at a time (D1); "
        "accuracy published for the released code must be measured anew (D2)",
    )
    return Checkpoint(model.eval(), description)


def _check_polarity(task: Task, flipped: bool | None) -> None:
    if task not in LABELS:
        raise ConfigError(f"task: got {task!r}, expected {' or '.join(LABELS)}")
    if task == "classification" and flipped is not None:
        raise ConfigError("arousal polarity: given for classification, which has none; leave it out")
    if task == "regression" and flipped is None:
        raise ConfigError(
            "arousal polarity: not given. The released training inverts the arousal labels in every epoch and does not "
            "store the epoch (D3), so this network predicts arousal or its opposite, and the files do not say which. "
            "Find out on labelled clips, as docs/released.md shows; then import with flipped=False (upright) or "
            "flipped=True",
            argument="flipped",
        )


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: no such folder; expected one with the files of a released checkpoint")
    missing = [name for name in (*FILES, STATISTICS) if not (folder / name).is_file()]
    if missing:
        # MLP_av_head.pt is unused but required: the released code always writes it.
        raise ConfigError(
            f"{folder}: no {', '.join(missing)}; expected all files of the released code: "
            f"{', '.join((*FILES, STATISTICS))}"
        )


def _sizes(weights: Weights) -> dict[str, Any]:
    """Take each size from one tensor; `_fitted` checks all other tensors against these sizes."""
    projection_dim, audio_dim, taps = _shape(weights["audio.projection.weight"], 3)
    _, visual_dim, _ = _shape(weights["visual.projection.weight"], 3)
    width, _ = _shape(weights["audio.input.weight"], 2)
    hidden, _ = _shape(weights["audio.encoder.blocks.0.feed_forward_in.1.weight"], 2)
    heads, _ = _shape(weights["audio.encoder.blocks.0.attention.content_bias"], 2)
    _, _, conv_kernel = _shape(weights["audio.encoder.blocks.0.convolution.depthwise.weight"], 3)
    first, _ = _shape(weights["audio.head.first.0.weight"], 2)
    second, _ = _shape(weights["audio.head.rest.1.weight"], 2)
    return {
        "audio_dim": audio_dim,
        "visual_dim": visual_dim,
        "projection_dim": projection_dim,
        "projection_kernel": taps,
        "width": width,
        "heads": heads,
        "feed_forward_mult": hidden // width,
        "conv_kernel": conv_kernel,
        "head_hidden": (first, second),
        "audio_layers": _layers(weights, "audio"),
        "visual_layers": _layers(weights, "visual"),
        "shared_layers": _layers(weights, "shared"),
    }


def _shape(tensor: ReleasedTensor, axes: int) -> tuple[int, ...]:
    shape = tuple(tensor.value.shape)
    if len(shape) != axes:
        raise ConfigError(f"{tensor.source}: got shape {shape}, expected {axes} axes")
    return shape


def _layers(weights: Weights, branch: str) -> int:
    blocks = f"{branch}.encoder.blocks."
    return len({name.removeprefix(blocks).partition(".")[0] for name in weights if name.startswith(blocks)})


def _check_outputs(weights: Weights, task: Task, labels: tuple[str, ...]) -> None:
    output = weights["audio.head.rest.2.weight"]
    outputs, _ = _shape(output, 2)
    if outputs != len(labels):
        raise ConfigError(
            f"{output.source}: got {outputs} outputs, expected {len(labels)} for {task} of {', '.join(labels)}; name "
            "another task, or the labels in the order the model was trained with"
        )


def _fitted(folder: Path, config: VavlConfig, weights: Weights) -> dict[str, Tensor]:
    """Check the shape of every tensor and reshape it to its shape in the model."""
    with torch.device("meta"):  # shapes only: wrong sizes must not allocate memory
        shapes = {name: tuple(value.shape) for name, value in Vavl(config).state_dict().items()}
    wrong = []
    for name, tensor in weights.items():
        expected = (*shapes[name], 1) if name.endswith(POINTWISE) else shapes[name]
        if tuple(tensor.value.shape) != expected:
            wrong.append(f"{tensor.source}: got {tuple(tensor.value.shape)}, expected {expected}")
    if wrong:
        raise ConfigError(f"{folder}: sizes contradict each other: {'; '.join(wrong)}")
    return {name: tensor.value.reshape(shapes[name]) for name, tensor in weights.items()}
