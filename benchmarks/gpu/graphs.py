"""Exports the networks to ONNX files in a work folder, in every precision, one by one and fused."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import onnx

from benchmarks.gpu.models import make_networks
from vavl_export.fused import FUSED, fuse_path, fused_name
from vavl_export.graph_specs import GraphSpec, encoder_specs, path_specs
from vavl_export.precision.half_conversion import convert_to_half
from vavl_export.to_onnx import export_graph

SINGLE = ("audio_encoder", "face_encoder", "audio_visual", "audio", "visual")
LOWER = ("fp16", "bf16")
_FINISHED = "finished"

Progress = Callable[[str], None]


def graph_file(folder: Path, name: str, precision: str) -> Path:
    """Where a graph lies in a work folder."""
    return folder / f"{name}.{precision}.onnx"


def write_graphs(folder: Path, *, tiny: bool, workers: int, progress: Progress) -> None:
    """Export everything that is not there yet.

    Args:
        folder: The work folder; finished ones are kept as they are.
        tiny: Tiny networks, for a dry run.
        workers: Processes at once.
        progress: Called with a line of text at each step.

    Raises:
        ExportError: A graph cannot be exported.
    """
    if (folder / _FINISHED).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for name in pool.map(_export, SINGLE, [folder] * len(SINGLE), [tiny] * len(SINGLE)):
            progress(f"exported {name}")
        for path in pool.map(_fuse, FUSED, [folder] * len(FUSED)):
            progress(f"composed {fused_name(path)}")
        jobs = [
            (name, precision)
            for name in (fused_name("audio_visual"), *SINGLE, fused_name("audio"), fused_name("visual"))
            for precision in LOWER
        ]
        for name, precision in pool.map(_lower, *zip(*jobs, strict=True), [folder] * len(jobs)):
            progress(f"{name} in {precision}")
    (folder / _FINISHED).touch()


def plans(*, tiny: bool) -> dict[str, GraphSpec]:
    """The exporter's plans of the networks, by name."""
    networks = make_networks(tiny=tiny)
    made = [*path_specs(networks.original), *encoder_specs(networks.audio, networks.face)]
    return {plan.name: plan for plan in made}


def _export(name: str, folder: Path, tiny: bool) -> str:
    _save(export_graph(plans(tiny=tiny)[name]), graph_file(folder, name, "fp32"))
    return name


def _fuse(path: str, folder: Path) -> str:
    models = {name: onnx.load(graph_file(folder, name, "fp32")) for name in (*SINGLE[:2], path)}
    _save(fuse_path(path, models), graph_file(folder, fused_name(path), "fp32"))
    return path


def _lower(name: str, precision: str, folder: Path) -> tuple[str, str]:
    model = onnx.load(graph_file(folder, name, "fp32"))
    _save(convert_to_half(model, precision), graph_file(folder, name, precision))  # type: ignore[arg-type]
    return name, precision


def _save(model: onnx.ModelProto, file: Path) -> None:
    onnx.save_model(model, file, save_as_external_data=True, location=f"{file.stem}.bin")
