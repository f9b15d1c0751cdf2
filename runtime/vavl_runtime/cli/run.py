"""``vavl-run``: clips in, emotions out."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vavl_runtime.cli.app import new_app, run_app
from vavl_runtime.cli.common import UNDECODABLE, exit_on_error, notify, notify_in_detail, print_line
from vavl_runtime.cli.options import (
    BackendName,
    BackendOption,
    BundleOption,
    DeviceOption,
    Precision,
    PrecisionOption,
    ThreadsOption,
)

if TYPE_CHECKING:
    from vavl_runtime.cli.formats import Record
    from vavl_runtime.media.find import Listed
    from vavl_runtime.pipeline.availability import Use
    from vavl_runtime.recognizer import Recognizer

app = new_app("Recognise emotion in audio and video clips.")


class Format(str, Enum):
    """Output formats."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


@app.command(
    no_args_is_help=True,
    epilog="Example: vavl-run clip.mp4 --audio-only --format json    "
    "Exit codes: 0 every clip was processed, 1 some clips failed, 2 bad usage, 3 bad input, "
    "4 no such device or backend.",
)
def run(
    clips: Annotated[list[Path], typer.Argument(help="Media files, or folders to search for them.", readable=False)],
    bundle: BundleOption = None,
    audio_only: Annotated[bool, typer.Option("--audio-only", help="Use the audio alone.")] = False,
    visual_only: Annotated[bool, typer.Option("--visual-only", help="Use the video alone.")] = False,
    all_paths: Annotated[
        bool,
        typer.Option("--all-paths", help="For clips with audio and video, also print what each gives alone."),
    ] = False,
    output_format: Annotated[Format, typer.Option("--format", "-f", help="How to print the results.")] = Format.table,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the results to this file. Default: print them.")
    ] = None,
    threads: ThreadsOption = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Print on stderr how long each stage of a clip took.")
    ] = False,
    precision: PrecisionOption = Precision.fp32,
    device: DeviceOption = "auto",
    stride: Annotated[
        int,
        typer.Option(
            min=1,
            help="Process every n-th frame. Above 1 is faster but differs from training, so accuracy may drop.",
        ),
    ] = 1,
    detect_every: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Detect faces in every n-th processed frame. Default: what the bundle says."),
    ] = None,
    backend: BackendOption = BackendName.auto,
) -> None:
    """Recognise emotion in clips from audio, video or both, whichever each clip has."""
    if audio_only and visual_only:
        raise typer.BadParameter("--audio-only and --visual-only exclude each other")
    if all_paths and output_format is Format.csv:
        raise typer.BadParameter("--all-paths does not fit into CSV, which has one row per clip; use table or json")
    with exit_on_error():
        from vavl_runtime.cli.formats import new_writer
        from vavl_runtime.media.find import list_clips
        from vavl_runtime.recognizer import Recognizer

        listed = list_clips(clips)
        use: Use = "audio" if audio_only else "visual" if visual_only else "auto"
        with (
            _destination(output) as write,
            Recognizer(
                bundle,
                device=device,
                backend=backend.value,
                threads=threads,
                precision=precision.value,
                stride=stride,
                detect_every=detect_every,
            ) as recognizer,
        ):
            _notify_of_device(recognizer, device)
            _notify_of_precision(recognizer, precision)
            _warn_of_untrained_weights(recognizer)
            writer = new_writer(
                output_format.value,
                single=len(clips) == 1 and listed[0].path == clips[0],
                labels=recognizer.manifest.labels,
                width=max((len(str(clip.path)) for clip in listed), default=0),
            )
            failed = 0
            write(writer.start())
            try:
                for record in _records(recognizer, listed, use, all_paths, profile):
                    failed += record["error"] is not None
                    write(writer.record(record))
            finally:  # a damaged bundle ends the run, but what was printed must stay valid JSON
                write(writer.end())
        if failed:
            raise typer.Exit(3 if failed == len(listed) else 1)


def _notify_of_device(recognizer: "Recognizer", device: str) -> None:
    """Say which backend was taken where there was a choice. A machine without a GPU has none: then only with ``-v``."""
    skipped = recognizer.skipped_backends
    if device != "auto" and not skipped:
        return
    from vavl_runtime.devices.gpu import probe_driver

    tell = notify if probe_driver().gpus else notify_in_detail
    tell(f"device {device}: {recognizer.backend}" + (f" (skipped: {'; '.join(skipped)})" if skipped else ""))


def _notify_of_precision(recognizer: "Recognizer", precision: Precision) -> None:
    if precision is Precision.auto:
        taken = ", ".join(f"{name} {chosen}" for name, chosen in recognizer.precisions.items())
        notify(f"precision auto: {taken}")


def _warn_of_untrained_weights(recognizer: "Recognizer") -> None:
    if recognizer.identity.weights == "untrained":
        print_line(f"warning: bundle {recognizer.identity.name} is UNTRAINED; its answers mean nothing")


def _records(
    recognizer: "Recognizer", listed: "list[Listed]", use: "Use", all_paths: bool, profile: bool
) -> "Iterator[Record]":
    from vavl_runtime.result import ClipResult
    from vavl_runtime.stage_profile import profile_lines

    for number, clip in enumerate(listed, 1):
        if len(listed) > 1:
            notify(f"[{number}/{len(listed)}] {clip.path}")
        if clip.error is not None:
            result = ClipResult.failed(str(clip.path), clip.error, 0.0, recognizer.backend, recognizer.identity)
        else:
            (result,) = recognizer.predict_many([clip.path], use=use, all_paths=all_paths)
        if result.error is not None:
            print_line(f"error: {result.error}")
        if profile and result.error is None:
            for line in (f"{clip.path}: time by stage", *profile_lines(result.budget)):
                print_line(line)
        yield result.to_dict()


@contextlib.contextmanager
def _destination(output: Path | None) -> Iterator[Callable[[str], object]]:
    if output is None:
        yield _print_now
        return
    from vavl_runtime.files import file_beside

    with file_beside(output) as temporary, temporary.open("w", encoding="utf-8", errors=UNDECODABLE) as file:
        yield file.write


def _print_now(text: str) -> None:
    if text:
        sys.stdout.write(text)
        sys.stdout.flush()


def main() -> None:
    """Run the command line."""
    run_app(app)


if __name__ == "__main__":
    main()
