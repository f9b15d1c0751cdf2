"""The command ``vavl-export``: translates its options to the functions of `vavl_export`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vavl_runtime.cli.app import new_group, run_app
from vavl_runtime.cli.common import exit_on_error, notify, print_line
from vavl_runtime.cli.options import BundleArgument, OptionalBackendOption, OptionalDeviceOption
from vavl_runtime.errors import VavlError

if TYPE_CHECKING:
    from vavl_export.checks import Check

app = new_group(
    "Export VAVL models as bundles of ONNX graphs, verify bundles, and build TensorRT engines.", extra="export"
)

# Messages of the library name its parameters. These are the options that set them.
OPTIONS = {
    "allow_drift=True": "--allow-drift",
    "buckets: ": "--buckets: ",
    "calibration=": "--calibration ",
    "compute_capability": "--compute-capability",
    "corpus: ": "--corpus: ",
    "graphs: ": "--graph: ",
    "max_batch": "--max-batch",
    "overwrite=True": "--force",
    "precisions: ": "--precision: ",
    "preset: ": "--preset: ",
    "workspace_mib": "--workspace",
}
_CorpusOption = Annotated[
    tuple[str, Path] | None,
    typer.Option(help="Kind and folder of a labelled corpus, to measure what lower precisions cost on it."),
]


@contextlib.contextmanager
def _errors_with_options() -> Iterator[None]:
    """Exit with one line for an error of ours; it names options in place of parameters."""
    with exit_on_error():
        try:
            yield
        except VavlError as error:
            message = str(error)
            for parameter, option in OPTIONS.items():
                message = message.replace(parameter, option)
            error.args = (message,)
            raise


@app.command(
    "onnx",
    epilog="Example: vavl-export onnx my-checkpoint -o my-bundle",
)
def export_onnx(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write, or a file ending in .vavl.")],
    checkpoint: Annotated[
        Path | None, typer.Argument(help="Run or checkpoint folder; without one, --preset with random weights.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Without a checkpoint: 'paper' or 'light'.")] = "paper",
    seed: Annotated[int, typer.Option(help="Without a checkpoint: seed of the random weights.")] = 0,
    audio_encoder: Annotated[
        str | None, typer.Option(help="Reference of an audio encoder that replaces the checkpoint's own.")
    ] = None,
    face_encoder: Annotated[
        str | None, typer.Option(help="Reference of a face encoder that replaces the checkpoint's own.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Short name of the bundle; by default the output's name.")] = None,
    fused: Annotated[bool, typer.Option("--fused", help="Also write end-to-end graphs.")] = False,
    precision: Annotated[
        str, typer.Option(help="Comma-separated: any of fp32, fp16, bf16, int8. fp32 is always written.")
    ] = "fp32",
    calibration: Annotated[
        Path | None,
        typer.Option(help="Folder of clips with speech and faces: for int8 ranges, and to keep fp16 from overflowing."),
    ] = None,
    corpus: _CorpusOption = None,
    allow_drift: Annotated[
        bool, typer.Option("--allow-drift", help="Keep variants that drift beyond the tolerance.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
) -> None:
    """Export a checkpoint as a bundle: three path graphs, encoders, face detector, golden vectors.

    With --corpus, a lower precision that changes too many labels or loses too much F1 or CCC fails the export.
    """
    with _errors_with_options():
        from vavl.corpora import open_corpus
        from vavl_export.bundle_writer import export_bundle

        result = export_bundle(
            output,
            checkpoint,
            preset=preset,
            seed=seed,
            audio_encoder=audio_encoder,
            face_encoder=face_encoder,
            name=name,
            fused=fused,
            precisions=_split(precision),
            calibration=calibration,
            corpus=open_corpus(*corpus) if corpus is not None else None,
            allow_drift=allow_drift,
            overwrite=force,
            progress=notify,
        )
        if result.random:
            parts = ", ".join(result.random)
            print_line(f"warning: {result.path} is UNTRAINED, its answers mean nothing; random weights: {parts}")
        print(result.path)


@app.command("tensorrt", epilog="Example: vavl-export tensorrt my-bundle --precision fp16")
def export_tensorrt(
    bundle: BundleArgument = None,
    precision: Annotated[
        str, typer.Option(help="fp32, a lower precision that the bundle has, or auto: fp16 if the bundle has it.")
    ] = "fp16",
    buckets: Annotated[
        str | None,
        typer.Option(help="Upper bounds of the length buckets, seconds; the last is the bundle's window: 4,12."),
    ] = None,
    max_batch: Annotated[int, typer.Option(min=1, help="Largest number of clips at once; the runtime needs 1.")] = 1,
    workspace: Annotated[
        int | None,
        typer.Option(min=1, help="Largest scratch memory of a layer, MiB; by default an eighth of the GPU's memory."),
    ] = None,
    graph: Annotated[list[str] | None, typer.Option(help="Build only this graph; may be repeated.")] = None,
    strip: Annotated[
        bool, typer.Option("--strip", help="Build plans without weights, which are read from the ONNX file.")
    ] = False,
    version_compatible: Annotated[
        bool,
        typer.Option("--version-compatible", help="Build plans that newer versions of TensorRT run; may be slower."),
    ] = False,
    compute_capability: Annotated[
        str | None, typer.Option(help="Build for SM86, SM89, ...: with TensorRT-RTX only, needs no GPU.")
    ] = None,
) -> None:
    """Build TensorRT engines on the device that will run them. They are stored in the bundle's folder `engines`."""
    try:
        seconds = [float(bound) for bound in _split(buckets)] if buckets is not None else None
    except ValueError:
        raise typer.BadParameter(f"--buckets: got {buckets}, expected numbers such as 4,12") from None
    with _errors_with_options():
        from vavl_export.tensorrt.build import build_engines
        from vavl_runtime.bundle import find_bundle

        engines = build_engines(
            find_bundle(bundle),
            precision=precision,  # type: ignore[arg-type]  # `choose_precisions` checks it
            buckets=seconds,
            max_batch=max_batch,
            graphs=graph,
            workspace_mib=workspace,
            strip_weights=strip,
            version_compatible=version_compatible,
            compute_capability=compute_capability,
            progress=notify,
        )
        for engine in engines:
            print(engine.plan.parent)


@app.command(epilog="Example: vavl-export verify my-bundle --device cuda:0 --corpus javanese folder")
def verify(
    bundle: BundleArgument = None,
    corpus: _CorpusOption = None,
    device: OptionalDeviceOption = None,
    backend: OptionalBackendOption = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the drift on the device and the corpus to a JSON file.")
    ] = None,
) -> None:
    """Check hashes, graph rules, weight sharing, golden vectors and drift; exit with 1 if a check fails.

    With --device or --backend, drift is measured there too.
    """
    if report is not None and corpus is None and device is None and backend is None:
        raise typer.BadParameter("--report: there is nothing to report without --corpus, --device or --backend")
    with _errors_with_options():
        from vavl.corpora import open_corpus
        from vavl_export.verify import verify_bundle
        from vavl_runtime.bundle import find_bundle
        from vavl_runtime.files import write_atomically

        result = verify_bundle(
            find_bundle(bundle),
            device=device,
            backend=backend.value if backend is not None else None,
            corpus=open_corpus(*corpus) if corpus is not None else None,
            on_check=_print_check,
            progress=notify,
        )
        if report is not None:
            write_atomically(report, result.report.to_bytes())
        skipped = f", {len(result.skipped)} skipped" if result.skipped else ""
        print(f"all checks passed{skipped}" if result.passed else f"{len(result.failed)} failed{skipped}")
        raise typer.Exit(0 if result.passed else 1)


@app.command(epilog="Example: vavl-export sign my-bundle --key key.pem")
def sign(
    bundle: Annotated[Path, typer.Argument(help="The bundle: a folder or a .vavl file.")],
    key: Annotated[Path, typer.Option(help="Your Ed25519 private key: a PEM file without a password.")],
) -> None:
    """Sign a bundle, so that vavl-run --trusted-keys accepts it."""
    with _errors_with_options():
        from vavl_export.signing import sign_bundle

        sign_bundle(bundle, key)
        print(bundle)


@app.command(epilog="Example: vavl-export inspect my-bundle")
def inspect(
    bundle: BundleArgument = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Print a bundle's task, labels, encoders, graphs and sizes."""
    with _errors_with_options():
        from vavl_export.describe import describe_bundle
        from vavl_runtime.bundle import open_bundle

        with open_bundle(bundle) as opened:
            print(opened.manifest.model_dump_json(indent=1) if as_json else describe_bundle(opened))


def _split(listed: str) -> list[str]:
    return [part.strip() for part in listed.split(",") if part.strip()]


def _print_check(check: "Check") -> None:
    result = "skipped" if check.skipped else "ok     " if check.passed else "FAILED "
    print(f"{result} {check.name}: {check.detail}", flush=True)


def main() -> None:
    """Run the command line."""
    run_app(app)
