"""``vavl-train import-released``: the checkpoint folder of the released VAVL code."""

from pathlib import Path
from typing import Annotated

import typer

from vavl.config import Task
from vavl_runtime.cli.common import exit_on_error

TASKS: dict[str, Task] = {"classification": "classification", "regression": "regression"}


def import_released(
    folder: Annotated[Path, typer.Argument(help="Released checkpoint folder (docs/released.md).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Checkpoint folder to write.")],
    task: Annotated[str, typer.Option(help="classification or regression.")],
    audio_encoder: Annotated[str, typer.Option(help="Reference of the encoder it was trained with: final_wav2vec.pt.")],
    face_encoder: Annotated[str, typer.Option(help="Reference of the face encoder: enet_b2_8.pt.")],
    labels: Annotated[str | None, typer.Option(help="Names in output order, comma-separated.")] = None,
    arousal_polarity: Annotated[
        str | None, typer.Option(help="For regression: 'upright' or 'flipped' (D3); never guessed.")
    ] = None,
) -> None:
    """Turn a released checkpoint folder into a checkpoint of layout 'released'."""
    with exit_on_error():
        from vavl.checkpoint import save_checkpoint
        from vavl.errors import ConfigError
        from vavl.released import import_released as read_released

        if task not in TASKS:
            raise ConfigError(f"--task {task!r}: expected {' or '.join(TASKS)}")
        if arousal_polarity not in (None, "upright", "flipped"):
            raise ConfigError(f"--arousal-polarity {arousal_polarity!r}: expected upright or flipped")
        checkpoint = read_released(
            folder,
            task=TASKS[task],
            labels=tuple(labels.split(",")) if labels else None,
            flipped=None if arousal_polarity is None else arousal_polarity == "flipped",
            audio_encoder=audio_encoder,
            face_encoder=face_encoder,
        )
        save_checkpoint(checkpoint, output)
        print(output)
