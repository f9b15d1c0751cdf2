"""Which precision each graph of a bundle runs in."""

import platform
from typing import Literal, get_args

from vavl_runtime.bundle.manifest import GraphRecord, Manifest, Precision, SpeedRecord
from vavl_runtime.devices.cpu import int8_instructions
from vavl_runtime.errors import InputError, VariantMissingError

PrecisionChoice = Literal["fp32", "fp16", "bf16", "int8", "auto"]

# The nets of the face detector stay fp32: they are small, and the place of a face must not depend on the precision.
VARIANT_GRAPHS = ("audio", "visual", "audio_visual", "audio_encoder", "face_encoder")


def choose_precisions(manifest: Manifest, choice: PrecisionChoice, *, gpu: bool = False) -> dict[str, Precision]:
    """Decide for every graph.

    Args:
        manifest: The bundle's manifest.
        choice: A precision that all graphs of `VARIANT_GRAPHS` must have, or ``auto``: on a GPU fp16 where the bundle
            has it; on a CPU int8 where it was measured to gain on a processor of this architecture, if this one has
            the same int8 instructions; fp32 otherwise.
        gpu: Whether the graphs run on a GPU.

    Returns:
        Precision by graph name. End-to-end graphs follow where they have the precision; the detector runs as it is.

    Raises:
        InputError: No such choice.
        VariantMissingError: The bundle lacks graphs of this precision.
    """
    if choice not in get_args(PrecisionChoice):
        raise InputError(f"precision: got {choice!r}, expected one of {', '.join(get_args(PrecisionChoice))}")
    chosen: dict[str, Precision] = {name: graph.precision for name, graph in manifest.graphs.items()}
    if choice == "auto":
        return {name: _best(graph, gpu) for name, graph in manifest.graphs.items()}
    if missing := [name for name in VARIANT_GRAPHS if choice not in _precisions(manifest.graphs[name])]:
        there = sorted(set.intersection(*(set(_precisions(manifest.graphs[name])) for name in VARIANT_GRAPHS)))
        raise VariantMissingError(
            f"precision {choice}: bundle {manifest.name} has no {choice} of {', '.join(missing)}; it has "
            f"{', '.join(there)}; export it again with precision {choice}"
        )
    return chosen | {name: choice for name, graph in manifest.graphs.items() if choice in graph.variants}


def _precisions(graph: GraphRecord) -> tuple[Precision, ...]:
    return (graph.precision, *graph.variants)


def _best(graph: GraphRecord, gpu: bool) -> Precision:
    if gpu:
        return "fp16" if "fp16" in graph.variants else graph.precision
    quantised = graph.variants.get("int8")
    measured = quantised.speed if quantised is not None else None
    return "int8" if measured is not None and measured.reason is None and _holds_here(measured) else graph.precision


def _holds_here(measured: SpeedRecord) -> bool:
    """Whether this processor has the architecture and the int8 instructions of the one that was measured."""
    if measured.machine != platform.machine():
        return False
    return measured.instructions is None or set(measured.instructions) <= set(int8_instructions() or ())
