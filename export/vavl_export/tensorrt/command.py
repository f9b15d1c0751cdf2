"""What ``vavl-export tensorrt`` does: find the library and the GPU, settle the options, build."""

import re
from collections.abc import Callable
from pathlib import Path

from vavl_export.tensorrt.adapter import BuildOptions
from vavl_export.tensorrt.build import build_engines
from vavl_export.tensorrt.profiles import GRAPHS, choose_buckets
from vavl_runtime.backends.trt.engine_store import Engine, this_machine
from vavl_runtime.backends.trt.library import find_tensorrt
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.precision import PrecisionChoice
from vavl_runtime.devices.gpu import Gpu, probe_driver, require_gpu
from vavl_runtime.errors import BundleNotFoundError, InputError

MIB = 1 << 20
CROSS_BUILD_WORKSPACE = 1024 * MIB
_LEAST_WORKSPACE, _MOST_WORKSPACE = 256 * MIB, 4096 * MIB


def run(
    place: Path,
    *,
    precision: PrecisionChoice,
    seconds: tuple[float, ...] | None,
    batch: int,
    workspace_mib: int | None,
    graphs: tuple[str, ...],
    stripped: bool,
    version_compatible: bool,
    compute_capability: str | None,
    progress: Callable[[str], None],
) -> list[Engine]:
    """Build the engines of a bundle for the first GPU, or for a compute capability.

    Args:
        place: A bundle folder.
        precision: Precision of the encoders and paths.
        seconds: Upper ends of the length buckets; a third of the bundle's window and the window by default.
        batch: Most clips at once.
        workspace_mib: Most scratch memory of a layer; an eighth of the GPU's memory, within limits, by default.
        graphs: Which graphs; all by default.
        stripped: Plans without weights.
        version_compatible: Plans that newer versions of TensorRT run.
        compute_capability: ``SM86``, ``SM120``, … for TensorRT-RTX, which needs no GPU then.
        progress: Called with a line of text at each step.

    Returns:
        The engines.

    Raises:
        InputError: An option is wrong.
        BundleError: The bundle cannot be trusted, is an archive, or lacks the precision.
        BackendUnavailableError: TensorRT or the GPU is missing.
        ExportError: A build fails.
    """
    if not place.is_dir():
        raise BundleNotFoundError(f"{place}: no bundle folder; engines lie in it, so unzip a .vavl archive first")
    if unknown := sorted(set(graphs) - set(GRAPHS)):
        raise InputError(f"graph: got {', '.join(unknown)}, expected some of {', '.join(GRAPHS)}")
    if compute_capability is not None:
        gpu, library = _imagined_gpu(compute_capability), find_tensorrt(("tensorrt_rtx",))
    else:  # asked before TensorRT is: without a driver its objects crash the process
        gpu, library = require_gpu(0, probe_driver()), find_tensorrt()
    machine = this_machine(library.name, library.version, gpu)
    real = compute_capability is None
    default = min(max(gpu.memory_bytes // 8, _LEAST_WORKSPACE), _MOST_WORKSPACE) if real else CROSS_BUILD_WORKSPACE
    options = BuildOptions(
        workspace_bytes=default if workspace_mib is None else workspace_mib * MIB,
        tactic_bytes=gpu.memory_bytes // 2 if real else None,
        stripped=stripped,
        version_compatible=version_compatible,
        compute_capability=machine.compute_capability if library.name == "tensorrt_rtx" else None,
    )
    with open_bundle(place) as bundle:
        buckets = choose_buckets(bundle.manifest, seconds, batch)
        progress(f"{library} for {gpu.name} (compute capability {machine.compute_capability})")
        return build_engines(
            bundle,
            library,
            machine,
            buckets,
            options,
            precision=precision,
            graphs=graphs or GRAPHS,
            progress=progress,
        )


def _imagined_gpu(compute_capability: str) -> Gpu:
    match = re.fullmatch(r"(?:SM)?(\d{1,2})\.?(\d)", compute_capability.upper(), re.ASCII)
    if match is None:
        raise InputError(f"compute-capability: got {compute_capability!r}, expected a name such as SM86")
    return Gpu(index=0, name="any GPU", compute_capability=(int(match[1]), int(match[2])), memory_bytes=0)
