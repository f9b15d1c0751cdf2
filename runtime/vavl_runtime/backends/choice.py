"""Which engine runs the graphs on which device: what is named, or for ``auto`` the best that works."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from vavl_runtime.backends.base import Backend
from vavl_runtime.bundle import Bundle
from vavl_runtime.devices import Device, Gpu, parse_device, probe_driver, require_gpu
from vavl_runtime.engines import FOLDER, find_engines, this_machine
from vavl_runtime.errors import BackendUnavailableError, InputError
from vavl_runtime.manifest import REQUIRED_GRAPHS
from vavl_runtime.precision import PrecisionChoice, choose_precisions

Engine = Literal["auto", "onnxruntime", "onnxruntime-tensorrt", "tensorrt"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
# Tried in this order on a GPU by `auto`. ONNX Runtime's TensorRT provider builds engines for minutes in the middle of
# the first clip, so it is only taken when named.
_AUTO_ON_GPU: tuple[Engine, ...] = ("tensorrt", "onnxruntime")
_GPU_ONLY = ("onnxruntime-tensorrt", "tensorrt")


@dataclass(frozen=True)
class Chosen:
    """A backend, and what was passed over for it.

    Attributes:
        backend: Ready to load graphs.
        gpu: It runs them on a GPU.
        passed_over: One sentence for each device or engine that was tried before and does not work. Only what is left
            to ``auto`` is tried: a named GPU may still pass over TensorRT, if the engine is not named too.
    """

    backend: Backend
    gpu: bool
    passed_over: tuple[str, ...]


def create_backend(
    device: str = "auto", engine: str = "auto", threads: int | None = None, bundle: Bundle | None = None
) -> Backend:
    """Make the backend of a device and an engine for fp32 graphs; `choose_backend` also tells what it passed over."""
    return choose_backend(device, engine, threads, bundle).backend


def choose_backend(
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
    bundle: Bundle | None = None,
    *,
    precision: PrecisionChoice = "fp32",
    load: Callable[[str], Any] = ctypes.CDLL,
) -> Chosen:
    """Make the backend of a device and an engine.

    Args:
        device: ``auto`` (a GPU if one works, else the CPU), ``cpu`` or ``cuda:N``.
        engine: ``auto``, ``onnxruntime``, ``onnxruntime-tensorrt`` or ``tensorrt``; on the CPU only ONNX Runtime.
        threads: Threads on the CPU; all cores by default.
        bundle: The bundle to run; TensorRT finds its engines through it.
        precision: Of the graphs to run; ``auto`` takes TensorRT only if all of its engines fit this machine.
        load: Loads the driver's library.

    Returns:
        The backend and what was passed over.

    Raises:
        InputError: An unknown device or engine.
        BackendUnavailableError: What was named is not there, or two names contradict each other.
    """
    wanted = parse_device(device)
    if engine not in ENGINES:
        raise InputError(f"backend: got {engine!r}, expected one of {', '.join(ENGINES)}")
    if wanted.kind == "auto" and engine in _GPU_ONLY:
        wanted = Device("cuda")
    passed_over: list[str] = []
    gpus: list[Gpu | None] = [None]
    if wanted.kind != "cpu":
        driver = probe_driver(load)
        if wanted.kind == "cuda":
            gpus = [require_gpu(wanted.index, driver)]
        elif driver.problem is not None:
            passed_over.append(driver.problem)
        else:
            gpus = [driver.gpus[0], None]
    for gpu in gpus:
        for name in _engines(engine, gpu):
            try:
                if engine == "auto" and name == "tensorrt" and gpu is not None:
                    _require_engines(bundle, gpu, precision)
                return Chosen(_make(name, gpu, threads, bundle, precision), gpu is not None, tuple(passed_over))
            except BackendUnavailableError as error:
                passed_over.append(str(error))
    raise BackendUnavailableError("; ".join(passed_over))


def _engines(engine: str, gpu: Gpu | None) -> tuple[str, ...]:
    if engine != "auto":
        return (engine,)
    return ("onnxruntime",) if gpu is None else _AUTO_ON_GPU


def _require_engines(bundle: Bundle | None, gpu: Gpu, precision: PrecisionChoice) -> None:
    """Without fitting engines TensorRT has nothing to run, and building them takes minutes that nobody asked for."""
    if bundle is None or not (bundle.root / FOLDER).is_dir():
        raise BackendUnavailableError(
            f"tensorrt: no engines in the bundle; vavl-export tensorrt BUNDLE --precision {precision} builds them"
        )
    from vavl_runtime.backends.tensorrt_library import find_tensorrt

    library = find_tensorrt()
    machine = this_machine(library.name, library.version, gpu)
    precisions = choose_precisions(bundle.manifest, precision, gpu=True)
    for name in sorted(REQUIRED_GRAPHS):
        find_engines(bundle, machine, name, bundle.manifest.graphs[name].in_precision(precisions[name]))


def _make(
    engine: str, gpu: Gpu | None, threads: int | None, bundle: Bundle | None, precision: PrecisionChoice
) -> Backend:
    """Import an engine's module only when it is chosen: none of them is needed by the others."""
    if gpu is None:
        if engine != "onnxruntime":
            raise BackendUnavailableError(
                f"backend {engine} needs a GPU; pass --device cuda:0 or --backend onnxruntime"
            )
        from vavl_runtime.backends.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(threads)
    if engine == "tensorrt":
        from vavl_runtime.backends.tensorrt import TensorRtBackend

        return TensorRtBackend(gpu.index, bundle, precision)
    from vavl_runtime.backends.onnxruntime_gpu import OnnxRuntimeGpuBackend

    return OnnxRuntimeGpuBackend(gpu, tensorrt=engine == "onnxruntime-tensorrt", bundle=bundle)
