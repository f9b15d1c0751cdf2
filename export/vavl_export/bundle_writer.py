"""Exports a bundle in four stages: graphs and weights, rules, parity with PyTorch, and lower precisions.

Each stage returns its results, and the next one works on them.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vavl.corpora import Corpus
from vavl.encoders.mtcnn import load_mtcnn
from vavl_export.bundle_files import BundleFiles, pack_folder
from vavl_export.encoders import Encoders, load_encoders
from vavl_export.graph_export import export_graphs
from vavl_export.graph_lint import LintedGraph, lint_graphs
from vavl_export.graph_parity import record_parity
from vavl_export.graph_specs import GraphSpec, detector_specs, encoder_specs, path_specs
from vavl_export.manifest import make_manifest
from vavl_export.precision.report import ParityReport
from vavl_export.precision.variants import VariantRequest, make_variants
from vavl_export.progress import Progress, silent
from vavl_export.request import ExportRequest, build_request
from vavl_runtime.files import file_beside, folder_beside, name_leftovers


@dataclass(frozen=True)
class ExportResult:
    """An exported bundle.

    Attributes:
        path: The bundle: a folder, or a ``.vavl`` file.
        sha256: Hash of its manifest, which stands for the whole bundle.
        graphs: Opset and number of operators by graph.
        parity: Largest relative L2 error against PyTorch by graph.
        variants: Drift of the lower precisions; None if the bundle has none.
        random: What has random weights, in words. If anything has, the bundle is untrained.
    """

    path: Path
    sha256: str
    graphs: dict[str, LintedGraph]
    parity: dict[str, float]
    variants: ParityReport | None
    random: tuple[str, ...] = ()


def export_bundle(
    output: str | Path,
    checkpoint: str | Path | None = None,
    *,
    preset: str = "paper",
    seed: int = 0,
    audio_encoder: str | None = None,
    face_encoder: str | None = None,
    name: str | None = None,
    fused: bool = False,
    precisions: Sequence[str] = ("fp32",),
    calibration: str | Path | None = None,
    corpus: Corpus | None = None,
    allow_drift: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """Export a checkpoint, or random weights, as a bundle.

    The output is complete or absent: if anything fails, nothing is left, and what was there before stays.

    Args:
        output: A folder to write, or a file ending in ``.vavl`` for an archive.
        checkpoint: A checkpoint folder. None for random weights of ``preset``.
        preset: ``paper`` or ``light``; used without a checkpoint.
        seed: Seed of the random weights; used without a checkpoint.
        audio_encoder: Reference of an audio encoder that replaces the checkpoint's own.
        face_encoder: Reference of a face encoder that replaces the checkpoint's own.
        name: Short name of the bundle; the output's name without its suffix by default.
        fused: Also write end-to-end graphs, which take waveform and face crops.
        precisions: ``fp32`` and any of ``fp16``, ``bf16`` and ``int8``. fp32 is always written.
        calibration: A folder of clips with speech and faces. int8 needs it for its ranges; fp16 and bf16 use it to find
            tensors that would overflow.
        corpus: Labelled clips. A variant that changes too many labels there, or loses too much F1 or CCC, fails the
            export.
        allow_drift: Keep variants that drift beyond the tolerance instead of failing.
        overwrite: Replace an existing output.
        progress: Called with a line of text at each step.

    Returns:
        The bundle's path and hash, and what was measured.

    Raises:
        ConfigError: The checkpoint, preset, encoders or precisions are wrong, or do not fit each other.
        InputError: The calibration folder has no clips.
        ExportError: A graph cannot be exported or breaks a rule.
        ParityError: A graph computes something else than PyTorch, or a variant drifts too far.
        OutputError: The output exists already, or cannot be written.

    Examples:
        >>> from vavl_export import export_bundle
        >>> result = export_bundle("my-bundle", preset="light")
        >>> result.path
        PosixPath('my-bundle')
        >>> max(result.parity.values()) < 1e-4
        True
    """
    output = Path(output)
    variants = VariantRequest(
        tuple(precisions), Path(calibration) if calibration is not None else None, allow_drift, corpus
    )
    request = build_request(
        Path(checkpoint) if checkpoint is not None else None,
        preset=preset,
        seed=seed,
        audio_encoder=audio_encoder,
        face_encoder=face_encoder,
        name=name or output.stem,
        fused=fused,
        variants=variants,
    )
    return write_bundle(request, output, overwrite=overwrite, progress=progress or silent)


def write_bundle(request: ExportRequest, output: Path, *, overwrite: bool = False, progress: Progress) -> ExportResult:
    """Export a model that is in memory; the output is complete or absent.

    Args:
        request: What to export.
        output: A folder, or a file ending in ``.vavl`` for an archive.
        overwrite: Replace an existing output.
        progress: Called with a line of text at each step.

    Returns:
        The bundle's path and hash, and what was measured.

    Raises:
        ConfigError: Encoders and model do not fit each other.
        ExportError: A graph cannot be exported or breaks a rule.
        ParityError: A graph computes something else than PyTorch, or a variant drifts too far.
        OutputError: The output exists already, or cannot be written.
    """
    encoders = load_encoders(request.description)
    with _new_bundle(output, overwrite) as folder:
        files = BundleFiles(folder)
        exported = export_graphs(_specs(request, encoders), files, progress, fused=request.fused)
        linted = lint_graphs({graph.spec.name: graph.model for graph in exported})
        parity = record_parity(exported, files, progress)
        manifest, report = make_manifest(request, encoders, exported, folder), None
        if request.variants.lower:
            golden = {name: result.cases for name, result in parity.items()}
            variants = make_variants(files.preview(manifest), golden, request.variants, files, progress)
            manifest, report = variants.manifest, variants.report
        bundle = files.write_manifest(manifest)
    errors = {name: result.relative_l2 for name, result in parity.items()}
    return ExportResult(output, bundle.sha256, linted, errors, report, tuple(_random_parts(request, encoders)))


def _random_parts(request: ExportRequest, encoders: Encoders) -> Iterator[str]:
    if not request.description.trained:
        yield "the model"
    for name, encoder in (("audio", encoders.audio), ("face", encoders.face)):
        if not encoder.trained:
            yield f"the {name} encoder {encoder.reference!r}"


def _specs(request: ExportRequest, encoders: Encoders) -> list[GraphSpec]:
    return [
        *path_specs(request.model),
        *encoder_specs(encoders.audio.module, encoders.face.module),
        *detector_specs(load_mtcnn()),
    ]


@contextlib.contextmanager
def _new_bundle(output: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder to fill; afterwards it becomes the output, as it is or packed."""
    if output.suffix != ".vavl":
        with folder_beside(output, overwrite) as folder:
            yield folder
        return
    if output.absolute().parent.is_dir():
        name_leftovers(output.absolute())
    # Named like the unfinished file, so that the next run names it if this one is killed.
    with (
        file_beside(output, overwrite) as archive,
        tempfile.TemporaryDirectory(dir=archive.parent, prefix=f".{output.name}.") as folder,
    ):
        yield Path(folder)
        pack_folder(Path(folder), archive)
