"""``vavl-export``: a checkpoint becomes a bundle, and a bundle proves what it is."""

from pathlib import Path
from typing import Annotated

import typer

from vavl_runtime.cli.app import new_group, run_app
from vavl_runtime.cli.common import exit_on_error, notify
from vavl_runtime.cli.options import BackendName, BundleArgument, OptionalBackendOption, OptionalDeviceOption

app = new_group("Turn a VAVL model into a bundle of ONNX graphs, and check bundles.", extra="export")


@app.command(
    "onnx",
    epilog="Example: vavl-export onnx my-checkpoint -o my-bundle",
)
def export_onnx(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write, or a file ending in .vavl.")],
    checkpoint: Annotated[
        Path | None, typer.Argument(help="Checkpoint folder; without one, random weights of --preset.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Without a checkpoint: 'paper' or 'light'.")] = "paper",
    seed: Annotated[int, typer.Option(help="Without a checkpoint: seed of the random weights.")] = 0,
    audio_encoder: Annotated[
        str | None, typer.Option(help="Reference of the audio encoder, in place of the checkpoint's own.")
    ] = None,
    face_encoder: Annotated[
        str | None, typer.Option(help="Reference of the face encoder, in place of the checkpoint's own.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Short name of the bundle; the output's name by default.")] = None,
    fused: Annotated[bool, typer.Option("--fused", help="Also write end-to-end graphs.")] = False,
    precision: Annotated[
        str, typer.Option(help="Comma-separated: fp32 and any of fp16, bf16, int8, written beside it.")
    ] = "fp32",
    calibration: Annotated[
        Path | None, typer.Option(help="Folder of clips with speech and faces: int8 ranges, overflow of fp16.")
    ] = None,
    corpus: Annotated[
        tuple[str, Path] | None,
        typer.Option(help="Kind and folder of a labelled corpus: variants that cost too much there fail the export."),
    ] = None,
    allow_drift: Annotated[
        bool, typer.Option("--allow-drift", help="Keep variants that drift beyond the tolerance.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
) -> None:
    """Export a checkpoint as a bundle: three path graphs, encoders, detector, golden vectors."""
    with exit_on_error():
        from vavl_export.bundle_writer import write_bundle
        from vavl_export.precision.variants import VariantRequest
        from vavl_export.request import build_request

        variants = VariantRequest.parse(precision, calibration, allow_drift=allow_drift, corpus=corpus)
        request = build_request(
            checkpoint,
            preset=preset,
            seed=seed,
            audio_encoder=audio_encoder,
            face_encoder=face_encoder,
            name=name or output.stem,
            fused=fused,
            variants=variants,
        )
        write_bundle(request, output, overwrite=force, progress=notify)
        print(output)


@app.command("tensorrt", epilog="Example: vavl-export tensorrt my-bundle --precision fp16")
def export_tensorrt(
    bundle: BundleArgument = None,
    precision: Annotated[
        str, typer.Option(help="fp32, a variant that the bundle has, or auto: fp16 where it is there.")
    ] = "fp16",
    buckets: Annotated[
        str | None, typer.Option(help="Upper ends of the length buckets, seconds; the last is the window: 4,12.")
    ] = None,
    max_batch: Annotated[int, typer.Option(min=1, help="Most clips at once; the runtime needs 1.")] = 1,
    workspace: Annotated[
        int | None, typer.Option(min=1, help="Most scratch memory of a layer, MiB; an eighth of the GPU's by default.")
    ] = None,
    graph: Annotated[list[str] | None, typer.Option(help="Build this graph only; may be repeated.")] = None,
    strip: Annotated[bool, typer.Option("--strip", help="Plans without weights, read from the ONNX file.")] = False,
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="Plans that newer versions of TensorRT run; may be slower.")
    ] = False,
    compute_capability: Annotated[
        str | None, typer.Option(help="Build for SM86, SM89, …: TensorRT-RTX only, needs no GPU.")
    ] = None,
) -> None:
    """Build TensorRT engines on the device that will run them. They are stored in the bundle's folder `engines`."""
    try:
        seconds = tuple(map(float, buckets.split(","))) if buckets is not None else None
    except ValueError:
        raise typer.BadParameter(f"--buckets {buckets}: expected numbers such as 4,12") from None
    with exit_on_error():
        from vavl_export.tensorrt.command import run
        from vavl_runtime.bundle import find_bundle

        engines = run(
            find_bundle(bundle),
            precision=precision,  # type: ignore[arg-type]  # checked with the bundle
            seconds=seconds,
            batch=max_batch,
            workspace_mib=workspace,
            graphs=tuple(graph or ()),
            stripped=strip,
            version_compatible=version_compatible,
            compute_capability=compute_capability,
            progress=notify,
        )
        for engine in engines:
            print(engine.plan.parent)


@app.command(epilog="Example: vavl-export verify my-bundle --device cuda:0 --corpus javanese folder")
def verify(
    bundle: BundleArgument = None,
    corpus: Annotated[
        tuple[str, Path] | None,
        typer.Option(help="Kind and folder of a labelled corpus: what do the variants cost there?"),
    ] = None,
    device: OptionalDeviceOption = None,
    backend: OptionalBackendOption = None,
    report: Annotated[Path | None, typer.Option(help="Write that drift to a JSON file.")] = None,
) -> None:
    """Check hashes, graph rules, weight sharing, PyTorch's golden vectors and drift; exit 1 if a check fails.

    With --device or --backend, drift is measured there, too.
    """
    target = None
    if device is not None or backend is not None:
        target = (device or "auto", (backend or BackendName.auto).value)
    if report is not None and corpus is None and target is None:
        raise typer.BadParameter("--report: nothing to report; name a --corpus, --device or --backend")
    with exit_on_error():
        from vavl_export.verify_command import run
        from vavl_runtime.bundle import find_bundle

        failed = skipped = 0
        for check in run(find_bundle(bundle), corpus=corpus, target=target, report=report, progress=notify):
            failed += not check.passed
            skipped += check.skipped
            result = "skipped" if check.skipped else "ok     " if check.passed else "FAILED "
            print(f"{result} {check.name}: {check.detail}", flush=True)
        left = f", {skipped} skipped" if skipped else ""
        print(f"{failed} failed{left}" if failed else f"all checks passed{left}")
        raise typer.Exit(1 if failed else 0)


@app.command(epilog="Example: vavl-export inspect my-bundle")
def inspect(
    bundle: BundleArgument = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest itself.")] = False,
) -> None:
    """Print what a bundle is: task, labels, encoders, graphs, sizes."""
    with exit_on_error():
        from vavl_export.describe import describe_bundle
        from vavl_runtime.bundle import open_bundle

        with open_bundle(bundle) as opened:
            print(opened.manifest.model_dump_json(indent=1) if as_json else describe_bundle(opened))


def main() -> None:
    """Run the command line."""
    run_app(app)
