"""``vavl-train features``: clips to cached encoder features."""

from pathlib import Path
from typing import Annotated

import typer

from vavl.cli.options import Folder, Kind, ProgressLine, SkipBad, check_device, exit_on_bad_corpus, report_corpus
from vavl_runtime.cli.common import print_line


def features(
    kind: Kind,
    folder: Folder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the cache; filled on if it exists.")],
    audio_encoder: Annotated[str, typer.Option(help="Reference of the audio encoder.")] = "light",
    face_encoder: Annotated[str, typer.Option(help="Reference of the face encoder.")] = "light",
    device: Annotated[str, typer.Option(help="Where encoders run: cpu, cuda, ….")] = "cpu",
    workers: Annotated[
        int | None, typer.Option(help="Processes that read clips; one a core by default.", min=1)
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Extract features once; may be stopped at any moment and started again."""
    with exit_on_bad_corpus():
        from vavl.corpora import open_corpus
        from vavl.features.extract import EncoderChoice, extract

        check_device(device)
        corpus = open_corpus(kind, folder, skip_bad=skip_bad)
        report_corpus(corpus)
        encoders = EncoderChoice(audio_encoder, face_encoder, device=device)
        done = extract(corpus.clips, output, encoders, workers=workers, progress=ProgressLine("clips"))
        for message in done.failed.values():
            print_line(message)
        print(f"{output}: {done.computed} clips extracted, {done.reused} were there, {len(done.failed)} unreadable")
        if done.failed and not skip_bad:
            print_line("error: some clips are unreadable; mend them, or leave them out with --skip-bad")
            raise typer.Exit(3)
