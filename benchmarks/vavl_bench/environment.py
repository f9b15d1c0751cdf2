"""The machine that measurements are taken on: processor, governor, load, memory, GPUs, versions."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vavl_bench.nvml import NvmlError, open_nvml
from vavl_bench.schema import Environment, Quantity
from vavl_bench.system_state import ROOT
from vavl_runtime._version import __version__
from vavl_runtime.devices.cpu import usable_cores

DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-cu12",
    "tensorrt-cu13",
    "tensorrt-rtx",
    "tensorrt-rtx-cu13",
    "openvino",
    "torch",
    "timm",
    "transformers",
    "onnx",
    "numpy",
    "av",
    "pillow",
)


def read_environment(root: Path = ROOT) -> Environment:
    """Describe this machine.

    Args:
        root: Where the kernel's files are; another folder in tests.

    Returns:
        The description.
    """
    gpus, driver = _gpus()
    return Environment(
        processor=_line(root / "proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        cores=usable_cores(root),
        governor=_governor(root),
        load_average=_load_average(root),
        memory_mib=_memory(root),
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        gpus=gpus,
        gpu_driver=driver,
        versions=_versions(),
    )


def _line(file: Path, start: str) -> str | None:
    """What follows the colon in the first line that starts so."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(start)), None)


def _governor(root: Path) -> str | None:
    found = set()
    for file in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"):
        found.add(file.read_text("utf-8").strip())
    return ", ".join(sorted(found)) or None


def _load_average(root: Path) -> Quantity:
    """Processes that wanted a core during the last minute: above zero, others compete."""
    try:
        return Quantity(value=float((root / "proc/loadavg").read_text("utf-8").split()[0]))
    except OSError as error:
        return Quantity(reason=f"/proc/loadavg: {error.strerror}")


def _memory(root: Path) -> Quantity:
    total = _line(root / "proc/meminfo", "MemTotal")
    return Quantity(value=int(total.split()[0]) / 1024) if total else Quantity(reason="/proc/meminfo gives no total")


def _gpus() -> tuple[tuple[str, ...], str | None]:
    try:
        with open_nvml() as nvml:
            return tuple(nvml.name(nvml.gpu(index)) for index in range(nvml.count())), nvml.driver()
    except NvmlError:
        return (), None


def _versions() -> dict[str, str]:
    versions = {"vavl-edge": __version__, "python": platform.python_version()}
    for distribution in DISTRIBUTIONS:
        try:
            versions[distribution] = version(distribution)
        except PackageNotFoundError:
            continue
    return versions
