"""Chooses the backend and the device: those that were named, or with ``auto`` the best that work."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from vavl_runtime.backends.base import Backend
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import REQUIRED_GRAPHS
from vavl_runtime.bundle.precision import PrecisionChoice, choose_precisions
from vavl_runtime.devices.gpu import Device, Gpu, parse_device, probe_driver, require_gpu
from vavl_runtime.errors import BackendUnavailableError, InputError

BackendName = Literal["auto", "onnxruntime", "onnxruntime-tensorrt", "tensorrt"]
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
# The order in which `auto` tries backends on a GPU. ONNX Runtime's TensorRT provider is used only when named: it
# builds engines for minutes during the first clip.
_AUTO_ON_GPU: tuple[BackendName, ...] = ("tensorrt", "onnxruntime")
_GPU_ONLY = ("onnxruntime-tensorrt", "tensorrt")


@dataclass(frozen=True)
class Chosen:
    """A backend, and what was tried before it.

    Attributes:
        backend: Ready to load graphs.
        skipped_backends: One sentence for each device or backend that was tried first and does not work. Only ``auto``
            tries more than one: with a named GPU and backend ``auto``, TensorRT may still be skipped.
    """

    backend: Backend
    skipped_backends: tuple[str, ...]


def choose_backend(
    device: str = "auto",
    backend: str = "auto",
    threads: int | None = None,
    bundle: Bundle | None = None,
    *,
    precision: PrecisionChoice = "fp32",
    load: Callable[[str], Any] = ctypes.CDLL,
) -> Chosen:
    """Make the backend of a device and a backend name.

    Args:
        device: ``auto`` (a GPU if one works, else the CPU), ``cpu`` or ``cuda:N``.
        backend: ``auto``, ``onnxruntime``, ``onnxruntime-tensorrt`` or ``tensorrt``; on the CPU only ONNX Runtime.
        threads: Threads on the CPU; all cores by default.
        bundle: The bundle to run; TensorRT finds its engines through it.
        precision: Of the graphs to run; ``auto`` takes TensorRT only if all of its engines fit this machine.
        load: Loads the driver's library.

    Returns:
        The backend, and what was tried before it.

    Raises:
        InputError: An unknown device or backend.
        BackendUnavailableError: What was named is not there, or two names contradict each other.
    """
    wanted = parse_device(device)
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads: got {threads!r}, expected a whole number of at least 1, or None for all cores")
    if backend not in BACKENDS:
        raise InputError(f"backend: got {backend!r}, expected one of {', '.join(BACKENDS)}")
    if wanted.kind == "auto" and backend in _GPU_ONLY:
        wanted = Device("cuda")
    skipped_backends: list[str] = []
    gpus: list[Gpu | None] = [None]
    if wanted.kind != "cpu":
        driver = probe_driver(load)
        if wanted.kind == "cuda":
            gpus = [require_gpu(wanted.index, driver)]
        elif driver.problem is not None:
            skipped_backends.append(driver.problem)
        else:
            gpus = [driver.gpus[0], None]
    for gpu in gpus:
        for name in _names(backend, gpu):
            try:
                if backend == "auto" and name == "tensorrt" and gpu is not None:
                    _require_engines(bundle, gpu, precision)
                return Chosen(_make(name, gpu, threads, bundle, precision), tuple(skipped_backends))
            except BackendUnavailableError as error:
                skipped_backends.append(str(error))
    # On a machine without a GPU nobody misses one: only the reason of the CPU counts there.
    reasons = skipped_backends[-1:] if gpus == [None] else dict.fromkeys(skipped_backends)
    raise BackendUnavailableError("; ".join(reasons))


def _names(backend: str, gpu: Gpu | None) -> tuple[str, ...]:
    if backend != "auto":
        return (backend,)
    return ("onnxruntime",) if gpu is None else _AUTO_ON_GPU


def _require_engines(bundle: Bundle | None, gpu: Gpu, precision: PrecisionChoice) -> None:
    """Check that engines for this machine exist: building them takes minutes, which ``auto`` must not do unasked."""
    from vavl_runtime.backends.trt.engine_store import FOLDER, find_engines, this_machine
    from vavl_runtime.backends.trt.library import find_tensorrt

    if bundle is None or not (bundle.root / FOLDER).is_dir():
        raise BackendUnavailableError(
            f"tensorrt: no engines in the bundle; vavl-export tensorrt BUNDLE --precision {precision} builds them"
        )
    library = find_tensorrt()
    machine = this_machine(library.name, library.version, gpu)
    precisions = choose_precisions(bundle.manifest, precision, gpu=True)
    for name in sorted(REQUIRED_GRAPHS):
        find_engines(bundle, machine, name, bundle.manifest.graphs[name].in_precision(precisions[name]))


def _make(
    backend: str, gpu: Gpu | None, threads: int | None, bundle: Bundle | None, precision: PrecisionChoice
) -> Backend:
    """Import only the module of the chosen backend; the others may lack their libraries."""
    if gpu is None:
        if backend != "onnxruntime":
            raise BackendUnavailableError(
                f"backend {backend} needs a GPU: choose device cuda:0, or backend onnxruntime"
            )
        from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend

        return OnnxRuntimeBackend(threads)
    if backend == "tensorrt":
        from vavl_runtime.backends.trt.backend import TensorRtBackend

        return TensorRtBackend(gpu.index, bundle, precision)
    from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend

    return OnnxRuntimeGpuBackend(gpu, tensorrt=backend == "onnxruntime-tensorrt", bundle=bundle)
