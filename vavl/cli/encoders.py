"""``vavl-train audio-encoder`` and ``vavl-train face-encoder``: train a feature encoder (paper §4.2)."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vavl.cli.devices import check_device
from vavl.cli.options import CorpusOptions, Options, PartitionOptions
from vavl.cli.reporting import ProgressLine, command_line, epoch_printer
from vavl.cli.settings import Without
from vavl.training.settings import EncoderSettings


class EncoderOptions(Options):
    """What both encoder commands can be told beside corpus, partition and training settings."""

    output: Annotated[Path, typer.Option("--output", "-o", help="Encoder folder to write.")]
    raw: Path
    """Folder of the cache of raw sound or faces; filled further if it exists."""
    encoder: str = "light"
    """Reference of the encoder to start from."""
    device: str = "cpu"
    """PyTorch device: cpu, cuda, …."""


Settings = Annotated[EncoderSettings, Without("dropout")]


def audio_encoder(
    corpus: CorpusOptions, options: EncoderOptions, partition: PartitionOptions, settings: Settings
) -> None:
    """Train an audio encoder on the training speakers of a corpus, under a head on its averaged tokens."""
    _train("audio", corpus, options, partition, settings)


def face_encoder(
    corpus: CorpusOptions, options: EncoderOptions, partition: PartitionOptions, settings: Settings
) -> None:
    """Train a face encoder on the training speakers of a corpus; every frame has the label of its clip."""
    _train("visual", corpus, options, partition, settings)


def _train(
    modality: Literal["audio", "visual"],
    corpus: CorpusOptions,
    options: EncoderOptions,
    partition: PartitionOptions,
    settings: EncoderSettings,
) -> None:
    check_device(options.device)
    from vavl.encoders import save_encoder
    from vavl.training.encoder_run import EncoderRun, train_encoder
    from vavl.training.material import choose_partition

    opened = corpus.open()
    chosen = choose_partition(opened, partition.choice())
    encoder = train_encoder(
        EncoderRun(modality, opened, chosen, options.encoder, options.raw, corpus.skip_bad),
        settings,
        device=options.device,
        on_clip=ProgressLine("clips"),
        on_epoch=epoch_printer(settings.epochs),
    )
    save_encoder(encoder, options.output, f"{command_line()}; corpus {opened.name}, partition {chosen.name}")
    print(options.output)
