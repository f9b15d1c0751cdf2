"""``vavl-train audio-encoder`` and ``face-encoder``: feature encoders trained as in §4.2."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from vavl.cli.options import (
    Folder,
    Kind,
    PartitionNumber,
    PartitionSeed,
    ProgressLine,
    SkipBad,
    check_device,
    command_line,
    exit_on_bad_corpus,
    partition_number,
    report_corpus,
)
from vavl.errors import ConfigError, CorpusError
from vavl_runtime.cli.common import print_line

Raw = Annotated[Path, typer.Option("--raw", help="Folder that caches sound or faces; filled on if it exists.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Encoder folder to write.")]
Start = Annotated[str, typer.Option("--encoder", help="Reference of the encoder to start from.")]
Epochs = Annotated[int, typer.Option(help="Passes over the training set.")]
BatchSize = Annotated[int, typer.Option(help="Clips, or frames, a batch.")]
LearningRate = Annotated[float, typer.Option(help="Of Adam.")]
Hidden = Annotated[int, typer.Option(help="Width of the head's hidden layers.")]
Augment = Annotated[bool, typer.Option("--augment", help="Change speed and loudness, or mirror and light.")]
Seed = Annotated[int, typer.Option(help="Of head, order, dropout and changes.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, ….")]


def audio_encoder(
    kind: Kind,
    folder: Folder,
    output: Output,
    raw: Raw,
    encoder: Start = "light",
    partition: PartitionNumber = "1",
    partition_seed: PartitionSeed = 0,
    epochs: Epochs = 10,
    batch_size: BatchSize = 32,
    learning_rate: LearningRate = 1e-4,
    hidden: Hidden = 1024,
    augment: Augment = False,
    seed: Seed = 0,
    device: Device = "cpu",
    skip_bad: SkipBad = False,
) -> None:
    """Train an audio encoder on a corpus's training speakers: mean pooling under two hidden layers."""
    settings = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "hidden": hidden}
    settings |= {"augment": augment, "seed": seed}
    with exit_on_bad_corpus():
        _train("audio", kind, folder, output, raw, encoder, partition, partition_seed, settings, device, skip_bad)


def face_encoder(
    kind: Kind,
    folder: Folder,
    output: Output,
    raw: Raw,
    encoder: Start = "light",
    partition: PartitionNumber = "1",
    partition_seed: PartitionSeed = 0,
    epochs: Epochs = 10,
    batch_size: BatchSize = 32,
    learning_rate: LearningRate = 1e-4,
    hidden: Hidden = 1024,
    augment: Augment = False,
    seed: Seed = 0,
    device: Device = "cpu",
    skip_bad: SkipBad = False,
) -> None:
    """Train a face encoder on a corpus's training speakers: every frame carries the label of its clip."""
    settings = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "hidden": hidden}
    settings |= {"augment": augment, "seed": seed}
    with exit_on_bad_corpus():
        _train("visual", kind, folder, output, raw, encoder, partition, partition_seed, settings, device, skip_bad)


def _train(
    modality: Literal["audio", "visual"],
    kind: str,
    folder: Path,
    output: Path,
    raw: Path,
    reference: str,
    partition: str,
    partition_seed: int,
    values: dict[str, Any],
    device: str,
    skip_bad: bool,
) -> None:
    from vavl.corpora import open_corpus
    from vavl.encoders import AudioEncoder, load_audio_encoder, load_face_encoder, save_encoder
    from vavl.features.cache import FeatureCache
    from vavl.features.extract import extract
    from vavl.features.raw import RawChoice
    from vavl.training.encoder_fit import EncoderSettings, RawExample, face_examples, fit_encoder, sound_examples
    from vavl.training.experiment import PartitionChoice, choose_partition

    try:
        settings = EncoderSettings(**values)
    except ValidationError as error:
        listed = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigError(f"encoder training: {listed}") from error
    check_device(device)
    corpus = open_corpus(kind, folder, skip_bad=skip_bad)
    report_corpus(corpus)
    chosen = choose_partition(corpus, PartitionChoice(number=partition_number(partition), seed=partition_seed))
    encoder = (load_audio_encoder if modality == "audio" else load_face_encoder)(reference).module
    # Only this modality is read: decoding faces to train on sound would take most of the time.
    clips = [
        replace(clip, visual=None) if modality == "audio" else replace(clip, audio=None)
        for clip in corpus.clips
        if modality in clip.modalities
    ]
    done = extract(clips, raw, RawChoice(), progress=ProgressLine("clips"))
    if done.failed and not skip_bad:
        raise CorpusError("\n".join([*done.failed.values(), "mend these clips, or leave them out with --skip-bad"]))
    readable = [clip for clip in clips if clip.id not in done.failed]

    def show(line: dict[str, Any]) -> None:
        scores = "  ".join(f"{key} {value:.3g}" for key, value in line.items() if key != "epoch")
        print_line(f"epoch {line['epoch'] + 1}/{settings.epochs}  {scores}")

    with FeatureCache(raw) as cache:

        def examples(split: str) -> list[RawExample]:
            chosen_clips = [clip for clip in readable if chosen.split_of.get(clip.id) == split]
            if isinstance(encoder, AudioEncoder):
                return sound_examples(cache, corpus, chosen_clips, encoder.minimum_samples)
            return face_examples(cache, corpus, chosen_clips)

        train, development = examples("train"), examples("development")
        fit_encoder(encoder, corpus.task, train, development, settings, device=device, progress=show)
    save_encoder(encoder, output, f"{command_line()}; corpus {corpus.name}, partition {chosen.name}")
    print(output)
