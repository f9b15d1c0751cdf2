"""Runs an experiment in its folder, and loads what a finished run has trained."""

import os
from pathlib import Path
from typing import TypedDict

from vavl.checkpoint import CHECKPOINT, Checkpoint, CheckpointDescription, save_checkpoint
from vavl.config import VavlConfig
from vavl.errors import ConfigError
from vavl.features.cache import FeatureCache
from vavl.systems.build import build_system, check_system
from vavl.systems.system import System
from vavl.systems.vavl import VavlSystem
from vavl.training.experiment import Experiment
from vavl.training.fit import Progress, fit
from vavl.training.material import Material, open_material
from vavl.training.run_folder import RunFolder


class _SystemParts(TypedDict):
    name: str
    config: VavlConfig
    alpha: float | None
    sizes: dict[str, int] | None


def run_experiment(
    experiment: Experiment,
    folder: Path,
    *,
    material: Material | None = None,
    restart: bool = False,
    accelerator: str = "auto",
    devices: int | str = 1,
    progress: Progress | None = None,
    command: str = "",
) -> System:
    """Train as an experiment describes, or resume the run if it was interrupted.

    Args:
        experiment: What to train.
        folder: The run folder. For VAVL it gets a subfolder ``checkpoint``, which ``vavl-export`` takes.
        material: The result of `open_material` for this experiment, if the caller has it already.
        restart: Delete an earlier run in the folder.
        accelerator: ``auto``, ``cpu`` or ``cuda``, as in Lightning Fabric.
        devices: Number of devices, as in Lightning Fabric.
        progress: Called with the history line of every epoch.
        command: The command line, for the checkpoint's provenance.

    Returns:
        The trained system.

    Raises:
        VavlError: The corpus, the features or the settings are wrong, or the folder holds a run with other settings.
    """
    material = material or open_material(experiment)
    check_experiment(experiment)  # before the folder is claimed for this run
    run = RunFolder(folder, experiment.model_dump(mode="json"), restart=restart)
    system = fit(
        lambda: build_system(**_system_parts(experiment)),
        material.splits["train"],
        material.splits.get("development"),
        experiment.fit,
        run,
        accelerator=accelerator,
        devices=devices,
        progress=progress,
    )
    if isinstance(system, VavlSystem):
        description = _describe(experiment, material, folder / CHECKPOINT, command or "vavl-train fit")
        save_checkpoint(Checkpoint(system.model, description), folder / CHECKPOINT)
    return system


def check_experiment(experiment: Experiment) -> None:
    """Check that the system of an experiment can be built, without allocating its weights.

    Raises:
        ConfigError: The system is unknown, or its sizes contradict each other.
    """
    check_system(**_system_parts(experiment))


def _system_parts(experiment: Experiment) -> _SystemParts:
    return {
        "name": experiment.system,
        "config": experiment.model,
        "alpha": experiment.alpha,
        "sizes": experiment.sizes.get(experiment.system),
    }


def _describe(experiment: Experiment, material: Material, checkpoint: Path, command: str) -> CheckpointDescription:
    identity = FeatureCache(Path(experiment.features)).identity
    source = f"corpus {material.corpus.name}, partition {material.partition.name}"
    return CheckpointDescription(
        model=experiment.model,
        audio_encoder=reference_from(identity.references["audio"], checkpoint),
        face_encoder=reference_from(identity.references["visual"], checkpoint),
        audio_encoder_sha256=identity.encoders["audio"],
        face_encoder_sha256=identity.encoders["visual"],
        token_rate=identity.token_rate,
        trained=True,
        provenance=f"{command}; {source}, speakers {', '.join(material.speakers('train'))}",
    )


def reference_from(reference: str, checkpoint: Path) -> str:
    """Write an encoder reference so that it is valid in a checkpoint folder.

    Args:
        reference: An encoder reference; see `vavl.encoders.reference`.
        checkpoint: The checkpoint folder.

    Returns:
        The path of a local file or folder relative to the checkpoint folder; any other reference unchanged.
    """
    path = Path(reference)
    return os.path.relpath(path.resolve(), checkpoint.resolve()) if path.exists() else reference


def load_trained(experiment: Experiment, folder: Path) -> System:
    """Load the best weights of a finished run.

    Args:
        experiment: The experiment of the run.
        folder: The run folder.

    Returns:
        The system in evaluation mode, on the CPU.

    Raises:
        ConfigError: Not all epochs of the run are done.
    """
    run = RunFolder(folder, experiment.model_dump(mode="json"))
    state = run.load_state()
    if state is None or state.epochs_done < experiment.fit.epochs:
        done = state.epochs_done if state else 0
        raise ConfigError(f"{folder}: {done} of {experiment.fit.epochs} epochs are done; finish it with vavl-train fit")
    system = build_system(**_system_parts(experiment))
    system.load_state_dict(run.load_best())
    system.eval()
    return system
