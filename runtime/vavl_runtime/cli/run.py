"""``vavl-run``: clips in, emotions out."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vavl_runtime.cli.common import UNDECODABLE, device_name, exit_on_error, new_app, print_line, run_app

if TYPE_CHECKING:
    from vavl_runtime.cli.formats import Record
    from vavl_runtime.media.find import Listed
    from vavl_runtime.pipeline.availability import Use
    from vavl_runtime.recognizer import Recognizer

app = new_app("Recognise emotion in clips, by the modalities that are really there.")


class Precision(str, Enum):
    """Precisions that can be asked for."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"
    auto = "auto"


class BackendName(str, Enum):
    """Backends that can be asked for."""

    auto = "auto"
    onnxruntime = "onnxruntime"
    onnxruntime_tensorrt = "onnxruntime-tensorrt"
    tensorrt = "tensorrt"


class Format(str, Enum):
    """Output formats."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


@app.command(
    epilog="Example: vavl-run clip.mp4 --audio-only --format json    "
    "Exit codes: 0 answered, 1 some clips could not be, 2 bad usage, 3 bad input, 4 no such backend."
)
def run(
    clips: Annotated[list[Path], typer.Argument(help="Media files, or folders to search for them.", readable=False)],
    bundle: Annotated[
        Path | None,
        typer.Option(help="Bundle folder or .vavl file; else $VAVL_BUNDLE, ./vavl-bundle, the packaged one."),
    ] = None,
    audio_only: Annotated[bool, typer.Option("--audio-only", help="Use the sound alone.")] = False,
    visual_only: Annotated[bool, typer.Option("--visual-only", help="Use the picture alone.")] = False,
    all_paths: Annotated[bool, typer.Option("--all-paths", help="With both, give the unimodal answers too.")] = False,
    output_format: Annotated[Format, typer.Option("--format", "-f", help="How to print.")] = Format.table,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file instead.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of the graphs; all cores by default.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Print where each clip's time went, on stderr.")] = False,
    precision: Annotated[
        Precision, typer.Option(help="Graphs of this precision; 'auto' takes what was measured to be worth it.")
    ] = Precision.fp32,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda:N; 'auto' takes a GPU if one works.", callback=device_name)
    ] = "auto",
    stride: Annotated[int, typer.Option(min=1, help="Look at every n-th frame only.")] = 1,
    detect_every: Annotated[
        int | None, typer.Option(min=1, max=100, help="Frames from one face detection to the next; else the bundle's.")
    ] = None,
    backend: Annotated[BackendName, typer.Option(help="Backend; 'auto' takes the best that works.")] = BackendName.auto,
) -> None:
    """Recognise emotion in clips, by the modalities that are really there."""
    if audio_only and visual_only:
        raise typer.BadParameter("--audio-only and --visual-only exclude each other")
    if all_paths and output_format is Format.csv:
        raise typer.BadParameter("--all-paths has no place in a row of CSV; use table, json or jsonl")
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
            if device == "auto" or recognizer.skipped_backends:
                skipped_backends = f" ({'; '.join(recognizer.skipped_backends)})" if recognizer.skipped_backends else ""
                print_line(f"device {device}: {recognizer.backend}{skipped_backends}")
            if precision is Precision.auto:
                taken = ", ".join(f"{name} {chosen}" for name, chosen in recognizer.precisions.items())
                print_line(f"precision auto: {taken}")
            writer = new_writer(
                output_format.value,
                single=len(clips) == 1 and listed[0].path == clips[0],
                labels=recognizer.manifest.labels,
                width=max((len(str(clip.path)) for clip in listed), default=0),
            )
            if recognizer.identity.weights == "untrained":
                print_line(f"bundle {recognizer.identity.name}: UNTRAINED, its answers mean nothing")
            failed = 0
            write(writer.start())
            try:
                for record in _records(recognizer, listed, use, all_paths, profile):
                    failed += record["error"] is not None
                    write(writer.record(record))
            finally:  # a bundle that turns out to be damaged ends the run, not the syntax of what was printed
                write(writer.end())
        if failed:
            raise typer.Exit(3 if failed == len(listed) else 1)


def _records(
    recognizer: "Recognizer", listed: "list[Listed]", use: "Use", all_paths: bool, profile: bool
) -> "Iterator[Record]":
    from vavl_runtime.result import ClipResult
    from vavl_runtime.stage_profile import profile_lines

    for number, clip in enumerate(listed, 1):
        if len(listed) > 1:
            print_line(f"[{number}/{len(listed)}] {clip.path}")
        if clip.error is not None:
            result = ClipResult.failed(str(clip.path), clip.error, 0.0, recognizer.backend, recognizer.identity)
        else:
            (result,) = recognizer.predict_many([clip.path], use=use, all_paths=all_paths)
        if result.error is not None:
            print_line(f"error: {result.error}")
        if profile and result.error is None:
            for line in (f"{clip.path}: where the time went", *profile_lines(result.budget)):
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
