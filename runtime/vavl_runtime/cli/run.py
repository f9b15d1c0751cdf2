"""``vavl-run``: clips in, emotions out."""

import contextlib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vavl_runtime.cli.app import new_app, run_app
from vavl_runtime.cli.common import UNDECODABLE, exit_on_error, notify, notify_in_detail, print_line
from vavl_runtime.cli.isolation import choose_jobs, read_limits, warn_of_missing_limits
from vavl_runtime.cli.options import (
    BackendName,
    BackendOption,
    BundleOption,
    DeviceOption,
    Precision,
    PrecisionOption,
    ThreadsOption,
)
from vavl_runtime.cli.signals import end_if_asked
from vavl_runtime.cli.stream_options import AudioStreamOption, VideoStreamOption, named_streams

if TYPE_CHECKING:
    from collections import Counter

    from vavl_runtime.cli.formats import Record
    from vavl_runtime.media.find import Listed
    from vavl_runtime.pipeline.availability import Use
    from vavl_runtime.recognizer import Recognizer
    from vavl_runtime.stream_numbers import StreamNumbers

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
    clips: Annotated[
        list[Path] | None, typer.Argument(help="Media files, or folders to search for them.", readable=False)
    ] = None,
    bundle: BundleOption = None,
    audio_only: Annotated[bool, typer.Option("--audio-only", help="Use the audio alone.")] = False,
    visual_only: Annotated[bool, typer.Option("--visual-only", help="Use the video alone.")] = False,
    audio_stream: AudioStreamOption = None,
    video_stream: VideoStreamOption = None,
    all_paths: Annotated[
        bool,
        typer.Option("--all-paths", help="For clips with audio and video, also print what each gives alone."),
    ] = False,
    output_format: Annotated[
        Format | None,
        typer.Option(
            "--format", "-f", help="How to print the results. Default: by the suffix of --output, otherwise table."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the results to this file; .csv and .jsonl grow clip by clip. Default: print them.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the .csv or .jsonl file of a run that did not finish.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that holds other things, or an unfinished run.")
    ] = False,
    parents: Annotated[bool, typer.Option("--parents", help="Make missing folders of --output.")] = False,
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
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Read this many clips at once, each in a process of its own. Default: one after the other.",
        ),
    ] = None,
    isolate: Annotated[
        bool | None,
        typer.Option(
            "--isolate/--no-isolate",
            help="Read clips in a process of its own with limits, so that one that crashes, hangs or fills memory is "
            "one failed clip. Default: for folders, unless the graphs run on a GPU.",
            show_default=False,
        ),
    ] = None,
    limits: Annotated[
        str | None,
        typer.Option(
            help="What a clip may ask for, such as memory=2GB,time=300,pixels=40M,samples=10G,streams=100: memory of "
            "the process, seconds for one window, pixels of a frame, samples of all channels. Implies --isolate.",
        ),
    ] = None,
    trusted_keys: Annotated[
        Path | None,
        typer.Option(help="Accept only a bundle that is signed with one of the public keys in this folder."),
    ] = None,
    privacy_receipt: Annotated[
        bool,
        typer.Option("--privacy-receipt", help="Print on stderr what was read, written and connected to, at the end."),
    ] = False,
    selftest: Annotated[
        bool,
        typer.Option(
            "--selftest", help="Run no clip: check that the graphs compute here what they computed at export."
        ),
    ] = False,
) -> None:
    """Recognise emotion in clips from audio, video or both, whichever each clip has."""
    named = clips or []
    if bool(named) == selftest:
        raise typer.BadParameter("--selftest runs no clip; leave the clips out" if selftest else "name a clip to run")
    if audio_only and visual_only:
        raise typer.BadParameter("--audio-only and --visual-only exclude each other")
    if force and resume:
        raise typer.BadParameter("--force starts again, --resume goes on; give one of them")
    streams = named_streams(audio_stream, video_stream, audio_only=audio_only, visual_only=visual_only)
    one_process = "--profile" if profile else "--privacy-receipt" if privacy_receipt else None
    clip_limits = read_limits(limits)
    with exit_on_error():
        from vavl_runtime.bundle import open_bundle
        from vavl_runtime.cli.formats import new_writer
        from vavl_runtime.cli.output_file import check_output, choose_format, open_output
        from vavl_runtime.cli.privacy import Receipt
        from vavl_runtime.media.find import list_clips
        from vavl_runtime.recognizer import Recognizer

        receipt = Receipt() if privacy_receipt else None
        chosen = choose_format(output, output_format.value if output_format is not None else None)
        if all_paths and chosen == "csv":
            raise typer.BadParameter("--all-paths does not fit into CSV, which has one row per clip; use table or json")
        listing = list_clips(named)
        listed = listing.clips
        _notify_of_skipped(listing.skipped)
        if output is not None:
            check_output(output, [clip.path for clip in listed], force=force, resume=resume, parents=parents)
        use: Use = "audio" if audio_only else "visual" if visual_only else "auto"
        with (
            open_bundle(bundle, trusted_keys=trusted_keys) as opened,
            Recognizer(
                opened,
                device=device,
                backend=backend.value,
                threads=1 if threads is None and jobs is not None else threads,  # as many graphs run at once as jobs
                precision=precision.value,
                stride=stride,
                detect_every=detect_every,
                clip_limits=clip_limits,
            ) as recognizer,
        ):
            readers = choose_jobs(
                jobs,
                isolate,
                limits_given=limits is not None,
                one_process=one_process,
                folder=not {clip.path for clip in listed} <= set(named),
                on_gpu=recognizer.backend.on_gpu,
                manifest=recognizer.manifest,
            )
            if readers is not None:
                warn_of_missing_limits()
            _notify_of_device(recognizer, device)
            _notify_of_precision(recognizer, precision)
            _warn_of_untrained_weights(recognizer)
            if selftest:
                _self_test(recognizer)
                return
            settings = {
                "bundle": recognizer.identity.sha256,
                "format": chosen,
                "use": use,
                "all_paths": all_paths,
                "precision": precision.value,
                "stride": stride,
                "detect_every": detect_every,
                "audio_stream": audio_stream,
                "video_stream": video_stream,
            }
            writer = new_writer(
                chosen,
                single=len(named) == 1 and listed[0].path == named[0],
                labels=recognizer.manifest.labels,
                width=max((len(str(clip.path)) for clip in listed), default=0),
            )
            failed = 0
            with open_output(output, chosen, settings, writer.start(), resume=resume, parents=parents) as results:
                listed = _without(listed, results.done)
                if not results.begun:
                    results.write(writer.start())
                try:
                    for record in _records(recognizer, listed, use, all_paths, profile, readers, streams):
                        failed += record["error"] is not None
                        results.write(writer.record(record), record["clip"])
                        end_if_asked()
                finally:  # a damaged bundle ends the run, but what was printed must stay valid JSON
                    results.write(writer.end())
            if receipt is not None:
                for line in receipt.lines([clip.path for clip in listed], opened.root):
                    print_line(line)
        if failed:
            raise typer.Exit(3 if failed == len(listed) else 1)


def _self_test(recognizer: "Recognizer") -> None:
    """Print one line for each graph; exit with 1 if one does not compute what it computed at export."""
    checks = recognizer.self_test()
    for check in checks:
        print(check)
    failed = sum(not check.passed for check in checks)
    worst = max(check.error for check in checks)
    print(f"{recognizer.backend}: {failed} of {len(checks)} graphs failed, largest error {worst:.1e}")
    if failed:
        raise typer.Exit(1)


def _without(listed: "list[Listed]", done: list[str]) -> "list[Listed]":
    """Leave out the clips that are done, each as often as it is done."""
    if not done:
        return listed
    from collections import Counter

    def written(name: str) -> str:
        """As a file of results has it."""
        return name.encode("utf-8", errors=UNDECODABLE).decode()

    open_counts = Counter(written(str(clip.path)) for clip in listed)
    open_counts.subtract(map(written, done))
    left: list[Listed] = []
    for clip in reversed(listed):
        if open_counts[written(str(clip.path))] > 0:
            open_counts[written(str(clip.path))] -= 1
            left.append(clip)
    notify(f"{len(listed) - len(left)} of {len(listed)} clips are done already")
    return left[::-1]


def _notify_of_skipped(skipped: "Counter[str]") -> None:
    """Count the files that were left out of folders."""
    if skipped:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(skipped.items()))
        notify(f"left out of the folders, by suffix: {kinds}")


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
    recognizer: "Recognizer",
    listed: "list[Listed]",
    use: "Use",
    all_paths: bool,
    profile: bool,
    jobs: int | None,
    streams: "StreamNumbers",
) -> "Iterator[Record]":
    from vavl_runtime.result import ClipResult
    from vavl_runtime.stage_profile import profile_lines

    paths = [clip.path for clip in listed if clip.error is None]
    answers = recognizer.predict_many(paths, use=use, all_paths=all_paths, jobs=jobs, streams=streams)
    with contextlib.closing(answers) as results:
        for number, clip in enumerate(listed, 1):
            if len(listed) > 1:
                notify(f"[{number}/{len(listed)}] {clip.path}")
            if clip.error is not None:
                result = ClipResult.failed(str(clip.path), clip.error, 0.0, recognizer.backend, recognizer.identity)
            else:
                result = next(results)
            if result.error is not None:
                print_line(f"error: {result.error}")
            if profile and result.error is None:
                for line in (f"{clip.path}: time by stage", *profile_lines(result.budget)):
                    print_line(line)
            yield result.to_dict()


def main() -> None:
    """Run the command line."""
    run_app(app)


if __name__ == "__main__":
    main()
