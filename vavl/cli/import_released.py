"""``vavl-train import-released``: convert a checkpoint folder of the released VAVL code."""

from pathlib import Path
from typing import Annotated

import typer

from vavl.cli.errors import exit_on_error
from vavl.config import Task

TASKS: dict[str, Task] = {"classification": "classification", "regression": "regression"}


def import_released(
    folder: Annotated[Path, typer.Argument(help="Checkpoint folder of the released code (docs/released.md).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Checkpoint folder to write.")],
    task: Annotated[str, typer.Option(help="classification or regression.")],
    audio_encoder: Annotated[
        str, typer.Option(help="Reference of the wav2vec2 that the model was trained with: final_wav2vec.pt.")
    ],
    face_encoder: Annotated[str, typer.Option(help="Reference of the face encoder: enet_b2_8.pt.")],
    labels: Annotated[
        str | None, typer.Option(help="Class or attribute names in output order, separated by commas.")
    ] = None,
    arousal_polarity: Annotated[
        str | None, typer.Option(help="Needed for regression: 'upright' or 'flipped' (D3, docs/released.md).")
    ] = None,
) -> None:
    """Convert a checkpoint folder of the released code into a checkpoint with layout 'released'."""
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
