"""Exports the networks to ONNX files in a work folder, in every precision, whole and cut for two streams."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import onnx

from benchmarks.gpu.models import make_networks
from benchmarks.gpu.narrowing import narrow_norms
from benchmarks.gpu.plan import NARROW
from benchmarks.gpu.splitting import fix_dimension, split_by_inputs
from vavl_export.fused import FUSED, fuse_path, fused_name
from vavl_export.graph_specs import GraphPlan, encoder_plans, path_plans
from vavl_export.precision.half_conversion import lower_precision
from vavl_export.to_onnx import export_graph

SINGLE = ("audio_encoder", "face_encoder", "audio_visual", "audio", "visual")
LOWER = ("fp16", "bf16")
BRANCHES = {"hear": ("waveform", "samples"), "see": ("faces",)}
_FINISHED = "finished"

Progress = Callable[[str], None]


def graph_file(folder: Path, name: str, variant: str) -> Path:
    """Where a graph lies in a work folder."""
    return folder / f"{name}.{variant}.onnx"


def branch_name(part: str) -> str:
    """Name of a part of the fused audio-visual graph: ``hear``, ``see`` or ``rest``."""
    return f"{fused_name('audio_visual')}_{part}"


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
        names = [name for name, precision in jobs if precision == "fp16"]
        for name in pool.map(_narrow, names, [folder] * len(names)):
            progress(f"{name} in {NARROW}")
        for variant in pool.map(_split, ("fp16", NARROW), [folder] * 2):
            progress(f"cut {fused_name('audio_visual')} in {variant}")
    (folder / _FINISHED).touch()


def plans(*, tiny: bool) -> dict[str, GraphPlan]:
    """The exporter's plans of the networks, by name."""
    networks = make_networks(tiny=tiny)
    made = [*path_plans(networks.original), *encoder_plans(networks.audio, networks.face)]
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
    _save(lower_precision(model, precision), graph_file(folder, name, precision))  # type: ignore[arg-type]
    return name, precision


def _narrow(name: str, folder: Path) -> str:
    model = onnx.load(graph_file(folder, name, "fp16"))
    narrow_norms(model)
    _save(model, graph_file(folder, name, NARROW))
    return name


def _split(variant: str, folder: Path) -> str:
    whole = onnx.load(graph_file(folder, fused_name("audio_visual"), variant))
    fix_dimension(whole, "batch", 1)  # one clip, as the faces are
    for part, model in split_by_inputs(whole, BRANCHES).items():
        _save(model, graph_file(folder, branch_name(part), variant))
    return variant


def _save(model: onnx.ModelProto, file: Path) -> None:
    onnx.save_model(model, file, save_as_external_data=True, location=f"{file.stem}.bin")
