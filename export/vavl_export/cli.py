"""``vavl-export``: a checkpoint becomes a bundle, and a bundle proves what it is."""

from pathlib import Path
from typing import Annotated

import typer

from vavl_runtime.cli.common import exit_on_error, new_app, print_line, run_app

app = new_app("Turn a VAVL model into a bundle of ONNX graphs, and check bundles.")


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
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
) -> None:
    """Export a checkpoint as a bundle: three path graphs, encoders, detector, golden vectors."""
    with exit_on_error():
        from vavl_export.request import build_request
        from vavl_export.write import write_bundle

        request = build_request(
            checkpoint,
            preset=preset,
            seed=seed,
            audio_encoder=audio_encoder,
            face_encoder=face_encoder,
            name=name or output.stem,
            fused=fused,
        )
        write_bundle(request, output, overwrite=force, progress=print_line)
        print(output)


@app.command(epilog="Example: vavl-export verify my-bundle")
def verify(bundle: Annotated[Path, typer.Argument(help="Bundle folder or .vavl file.")]) -> None:
    """Check hashes, graph rules, weight sharing and PyTorch's golden vectors; exit 1 if a check fails."""
    with exit_on_error():
        from vavl_export.verify import verify_bundle
        from vavl_runtime.bundle import open_bundle

        failed = 0
        with open_bundle(bundle) as opened:
            for check in verify_bundle(opened):
                failed += not check.passed
                print(f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.detail}")
        print(f"{failed} failed" if failed else "all checks passed")
        raise typer.Exit(1 if failed else 0)


@app.command(epilog="Example: vavl-export inspect my-bundle")
def inspect(
    bundle: Annotated[Path | None, typer.Argument(help="Bundle; the default one without it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest itself.")] = False,
) -> None:
    """Print what a bundle is: task, labels, encoders, graphs, sizes."""
    with exit_on_error():
        from vavl_export.inspect import describe_bundle
        from vavl_runtime.bundle import open_bundle

        with open_bundle(bundle) as opened:
            print(opened.manifest.model_dump_json(indent=1) if as_json else describe_bundle(opened))


def main() -> None:
    """Run the command line."""
    run_app(app)
