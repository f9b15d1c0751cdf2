"""``vavl-train features``: extract and cache the encoder features of a corpus."""

from pathlib import Path
from typing import Annotated

import typer

from vavl.cli.devices import check_device
from vavl.cli.options import CorpusOptions, Options
from vavl.cli.reporting import ProgressLine, warn_of_random_encoders
from vavl_runtime.cli.common import print_line


class FeatureOptions(Options):
    """What ``features`` can be told beside the corpus."""

    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the cache; filled further if it exists.")]
    audio_encoder: str = "prosody"
    """Reference of the audio encoder. Nothing in 'prosody' is learned; 'light' has a part that must be trained."""
    face_encoder: str = "light"
    """Reference of the face encoder. 'light' and 'landmarks' come trained."""
    device: str = "cpu"
    """PyTorch device of the encoders: cpu, cuda, …."""
    token_rate: Annotated[
        float | None,
        typer.Option(
            help="Tokens a second for the features of faces, whatever the frame rate; 0 for a token a frame, as "
            "in caches of versions up to 0.2.0. Default: 29.97, the frame rate of most corpora.",
            min=0,
            max=125,
        ),
    ] = None
    workers: Annotated[
        int | None, typer.Option(help="Number of processes that read clips; one per core by default.", min=1)
    ] = None


def features(corpus: CorpusOptions, options: FeatureOptions) -> None:
    """Extract the features of every clip; can be stopped at any time and resumed by the same command."""
    check_device(options.device)
    from vavl.features.extract import EncoderChoice, extract
    from vavl_runtime.bundle.manifest import CropRecipe

    rate = options.token_rate
    if rate is not None and 0.0 < rate < 1.0:
        raise typer.BadParameter(f"--token-rate: got {rate:g}, expected 0, or 1 to 125")
    crop = None if rate is None else CropRecipe(token_rate=rate or None)
    clips = corpus.open().clips
    encoders = EncoderChoice(options.audio_encoder, options.face_encoder, device=options.device)
    warn_of_random_encoders({"audio": options.audio_encoder, "visual": options.face_encoder})
    progress = ProgressLine("clips")
    done = extract(clips, options.output, encoders, crop=crop, workers=options.workers, progress=progress)
    for message in done.failed.values():
        print_line(message)
    counts = f"{done.computed} clips extracted, {done.reused} already cached, {len(done.failed)} unreadable"
    print(f"{options.output}: {counts}")
    if done.failed and not corpus.skip_bad:
        print_line("error: some clips cannot be read; mend them, or leave them out with --skip-bad")
        raise typer.Exit(3)
