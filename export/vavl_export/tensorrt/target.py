"""Chooses what engines are built for and with: the GPU, the TensorRT library and the limits of the build."""

import re
from dataclasses import dataclass

from vavl_export.tensorrt.adapter import BuildOptions
from vavl_runtime.backends.trt.engine_store import Machine, this_machine
from vavl_runtime.backends.trt.library import TensorRt, find_tensorrt
from vavl_runtime.devices.gpu import Gpu, probe_driver, require_gpu
from vavl_runtime.errors import InputError

MIB = 1 << 20
# Scratch memory of a layer: an eighth of the GPU's memory, within these bounds; a fixed amount without a GPU.
_LEAST_WORKSPACE, _MOST_WORKSPACE = 256 * MIB, 4096 * MIB
WITHOUT_GPU_WORKSPACE = 1024 * MIB


@dataclass(frozen=True)
class BuildTarget:
    """What engines are built for and with.

    Attributes:
        library: TensorRT or TensorRT-RTX.
        machine: What the engines are bound to.
        gpu_name: Name of the GPU, for people.
        options: How engines are built.
    """

    library: TensorRt
    machine: Machine
    gpu_name: str
    options: BuildOptions


def find_target(
    *,
    workspace_mib: int | None,
    strip_weights: bool,
    version_compatible: bool,
    compute_capability: str | None,
) -> BuildTarget:
    """Find the first GPU and TensorRT; or TensorRT-RTX, which needs no GPU, for a compute capability.

    Args:
        workspace_mib: Largest scratch memory of a layer, MiB; by default an eighth of the GPU's memory, within limits.
        strip_weights: Build plans without weights.
        version_compatible: Build plans that newer versions of TensorRT run.
        compute_capability: Such as ``SM86``; None for the GPU at hand.

    Returns:
        The target.

    Raises:
        InputError: The compute capability cannot be read.
        BackendUnavailableError: TensorRT or the GPU is missing.
    """
    if compute_capability is not None:
        gpu, library = _imagined_gpu(compute_capability), find_tensorrt(("tensorrt_rtx",))
        workspace, tactics = WITHOUT_GPU_WORKSPACE, None
    else:  # the driver is asked first: without one, TensorRT's objects crash the process
        gpu, library = require_gpu(0, probe_driver()), find_tensorrt()
        workspace = min(max(gpu.memory_bytes // 8, _LEAST_WORKSPACE), _MOST_WORKSPACE)
        tactics = gpu.memory_bytes // 2
    machine = this_machine(library.name, library.version, gpu)
    options = BuildOptions(
        workspace_bytes=workspace if workspace_mib is None else workspace_mib * MIB,
        tactic_bytes=tactics,
        stripped=strip_weights,
        version_compatible=version_compatible,
        compute_capability=machine.compute_capability if library.name == "tensorrt_rtx" else None,
    )
    return BuildTarget(library, machine, gpu.name, options)


def _imagined_gpu(compute_capability: str) -> Gpu:
    match = re.fullmatch(r"(?:SM)?(\d{1,2})\.?(\d)", compute_capability.upper(), re.ASCII)
    if match is None:
        raise InputError(f"compute_capability: got {compute_capability!r}, expected a name such as SM86")
    return Gpu(index=0, name="any GPU", compute_capability=(int(match[1]), int(match[2])), memory_bytes=0)
