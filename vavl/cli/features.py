"""``vavl-train features``: extract and cache the encoder features of a corpus."""

from pathlib import Path
from typing import Annotated

import typer

from vavl.cli.devices import check_device
from vavl.cli.options import CorpusOptions, Options
from vavl.cli.reporting import ProgressLine
from vavl_runtime.cli.common import print_line


class FeatureOptions(Options):
    """What ``features`` can be told beside the corpus."""

    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the cache; filled further if it exists.")]
    audio_encoder: str = "light"
    """Reference of the audio encoder."""
    face_encoder: str = "light"
    """Reference of the face encoder."""
    device: str = "cpu"
    """PyTorch device of the encoders: cpu, cuda, …."""
    workers: Annotated[
        int | None, typer.Option(help="Number of processes that read clips; one per core by default.", min=1)
    ] = None


def features(corpus: CorpusOptions, options: FeatureOptions) -> None:
    """Extract the features of every clip; can be stopped at any time and resumed by the same command."""
    check_device(options.device)
    from vavl.features.extract import EncoderChoice, extract

    clips = corpus.open().clips
    encoders = EncoderChoice(options.audio_encoder, options.face_encoder, device=options.device)
    done = extract(clips, options.output, encoders, workers=options.workers, progress=ProgressLine("clips"))
    for message in done.failed.values():
        print_line(message)
    counts = f"{done.computed} clips extracted, {done.reused} already cached, {len(done.failed)} unreadable"
    print(f"{options.output}: {counts}")
    if done.failed and not corpus.skip_bad:
        print_line("error: some clips cannot be read; mend them, or leave them out with --skip-bad")
        raise typer.Exit(3)
