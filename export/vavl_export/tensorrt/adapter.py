"""Builds a plan with any TensorRT from 10.3 to 11.4, or with TensorRT-RTX.

Features that differ between versions are detected with ``hasattr``, never from a version number. Networks are always
strongly typed: precision is a property of the ONNX file.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vavl_export.errors import ExportError
from vavl_runtime.backends.trt.engine_store import Profile
from vavl_runtime.backends.trt.library import TensorRt, last_errors, new_log
from vavl_runtime.errors import BackendUnavailableError

OPTIMIZATION_LEVEL = 3  # higher levels try many more kernels, for which small boards lack memory

ShareDone = Callable[[float], None]


@dataclass(frozen=True)
class BuildOptions:
    """How a plan is built.

    Attributes:
        workspace_bytes: Largest scratch memory of a layer.
        tactic_bytes: Largest device memory for trying kernels; None for all of it.
        stripped: Leave the weights out of the plan.
        version_compatible: Let newer versions of TensorRT run the plan.
        compute_capability: Compute capability of the GPU, such as ``8.6``; for TensorRT-RTX only.
        timing_cache: Kernel timings of earlier builds on this GPU.
    """

    workspace_bytes: int
    tactic_bytes: int | None = None
    stripped: bool = False
    version_compatible: bool = False
    compute_capability: str | None = None
    timing_cache: bytes = b""


@dataclass(frozen=True)
class BuiltPlan:
    """A plan, and the time and memory of its build.

    Attributes:
        plan: The serialised engine.
        timing_cache: Kernel timings, including those of this build.
        build_seconds: Duration of the build, seconds.
        activation_bytes: Memory for intermediate tensors of the largest profile; None if TensorRT did not report it.
    """

    plan: bytes
    timing_cache: bytes
    build_seconds: float
    activation_bytes: int | None


def build_plan(
    library: TensorRt,
    onnx: Path,
    profiles: Sequence[Profile],
    options: BuildOptions,
    progress: ShareDone = lambda share: None,
) -> BuiltPlan:
    """Build a plan from an ONNX file.

    Args:
        library: TensorRT.
        onnx: The ONNX file; its weights may be in a file beside it.
        profiles: The shapes to serve.
        options: How to build.
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The plan.

    Raises:
        BackendUnavailableError: TensorRT cannot create a builder here, or lacks a feature that an option needs.
        ExportError: TensorRT refuses the graph or the profiles, or the build fails; the message has TensorRT's log.
    """
    trt = library.module
    log = new_log(library)
    builder = _new_builder(library, log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, network, log, onnx)
    config = builder.create_builder_config()
    _configure(library, config, options)
    for profile in profiles:
        _add_profile(builder, config, profile, log, onnx)
    if hasattr(config, "progress_monitor"):
        config.progress_monitor = _new_monitor(trt, progress)
    start = time.perf_counter()
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportError(f"{onnx}: {library} builds no engine: {last_errors(log)}")
    seconds = time.perf_counter() - start
    return BuiltPlan(bytes(plan), _timings(library, config), seconds, _activation_bytes(log.notes))


def _new_builder(library: TensorRt, log: Any) -> Any:
    try:
        return library.module.Builder(log)
    except TypeError as error:  # pybind11 got a null pointer
        raise BackendUnavailableError(
            f"{library} makes no builder: {last_errors(log)}; it needs a working GPU, see vavl-doctor"
        ) from error


def _parse(trt: Any, network: Any, log: Any, onnx: Path) -> None:
    # Do not call supports_model first: it fills the network, and then parsing fails.
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(onnx)):
        errors = [_describe(parser.get_error(number)) for number in range(parser.num_errors)]
        raise ExportError(f"{onnx}: TensorRT cannot read the graph: {'; '.join(errors) or last_errors(log)}")


def _describe(error: Any) -> str:
    node = f"node {error.node_name()}: " if hasattr(error, "node_name") and error.node_name() else ""
    return node + " ".join(str(error.desc()).split())


def _configure(library: TensorRt, config: Any, options: BuildOptions) -> None:
    trt = library.module
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    if options.tactic_bytes is not None and hasattr(trt.MemoryPoolType, "TACTIC_DRAM"):
        config.set_memory_pool_limit(trt.MemoryPoolType.TACTIC_DRAM, options.tactic_bytes)
    config.builder_optimization_level = OPTIMIZATION_LEVEL
    config.max_aux_streams = 0  # each would need its own scratch memory
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.clear_flag(trt.BuilderFlag.TF32)  # on by default; fp32 means fp32
    flags = ["STRIP_PLAN", "REFIT_IDENTICAL"] if options.stripped else []
    flags += ["VERSION_COMPATIBLE"] if options.version_compatible else []
    for flag in flags:
        if not hasattr(trt.BuilderFlag, flag):
            raise BackendUnavailableError(f"{library} has no {flag}; build without this option")
        config.set_flag(getattr(trt.BuilderFlag, flag))
    if hasattr(config, "set_compute_capability"):
        _set_compute_capability(library, config, options.compute_capability)
    elif options.compute_capability is not None:
        raise BackendUnavailableError(
            f"{library} builds for the GPU at hand only; compute_capability needs TensorRT-RTX"
        )
    if library.name == "tensorrt":  # TensorRT-RTX times nothing when it builds
        cache = config.create_timing_cache(options.timing_cache)
        if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
            # Damaged, or of another driver. Timings only save time, so start without.
            config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def _set_compute_capability(library: TensorRt, config: Any, wanted: str | None) -> None:
    if wanted is None:
        return
    known = library.module.ComputeCapability
    name = f"SM{wanted.replace('.', '')}"
    if not hasattr(known, name):
        there = sorted(item for item in dir(known) if item.startswith("SM"))
        raise BackendUnavailableError(f"{library} cannot build for {name}, only for {', '.join(there)}")
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(known, name), 0)


def _add_profile(builder: Any, config: Any, profile: Profile, log: Any, onnx: Path) -> None:
    added = builder.create_optimization_profile()
    for name, bounds in profile.inputs.items():
        added.set_shape(name, bounds.min, bounds.opt, bounds.max)
    if config.add_optimization_profile(added) < 0:
        raise ExportError(f"{onnx}: TensorRT refuses the profile {profile.model_dump()}: {last_errors(log)}")


def _new_monitor(trt: Any, progress: ShareDone) -> Any:
    """Report the progress of the outermost phase; phases inside it say nothing about the whole."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.phase = ""
            self.steps = 1

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                self.phase, self.steps = phase_name, max(num_steps, 1)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name == self.phase:
                progress(min(1.0, (step + 1) / self.steps))
            return True

        def phase_finish(self, phase_name: str) -> None:
            pass

    return Monitor()


def _timings(library: TensorRt, config: Any) -> bytes:
    if library.name != "tensorrt":
        return b""
    cache = config.get_timing_cache()
    return bytes(cache.serialize()) if cache is not None else b""


def _activation_bytes(notes: list[str]) -> int | None:
    """Read the memory of the largest profile from the log; profiles share it."""
    sizes = [int(match[1]) for note in notes if (match := re.search(r"Total Activation Memory: (\d+)", note))]
    return max(sizes, default=None)
