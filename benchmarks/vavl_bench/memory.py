"""Memory of this process and of the GPU it uses."""

import sys
from pathlib import Path

from vavl_bench.nvml import NvmlError, open_nvml
from vavl_bench.schema import Memory, Quantity
from vavl_bench.system_state import quantity

_STATUS = Path("/proc/self/status")


class MemoryProbe:
    """Measures from its making on.

    Args:
        gpu: Number of the GPU in use; None for the CPU alone.
    """

    def __init__(self, gpu: int | None) -> None:
        self._gpu = gpu
        self._device_before = _device_mib(gpu)

    def read(self) -> Memory:
        """Resident memory now and at its peak, and what the GPU holds more than before, MiB."""
        before, now = self._device_before, _device_mib(self._gpu)
        if before.value is None or now.value is None:
            grown = before if before.value is None else now
        else:
            grown = Quantity(value=now.value - before.value)
        return Memory(resident_mib=status_mib("VmRSS"), peak_mib=_peak_mib(), device_mib=grown)


def status_mib(field: str) -> Quantity:
    """Read a field of ``/proc/self/status``, MiB: ``VmRSS``, ``VmHWM`` (the peak), ``RssAnon`` (no mapped files)."""
    try:
        lines = _STATUS.read_text("utf-8").splitlines()
    except OSError as error:
        return Quantity(reason=f"{_STATUS}: {error.strerror}")
    value = next((line.split()[1] for line in lines if line.startswith(f"{field}:")), None)
    return Quantity(reason=f"{_STATUS} has no {field}") if value is None else Quantity(value=int(value) / 1024)


def _peak_mib() -> Quantity:
    peak = status_mib("VmHWM")
    if peak.value is None:
        try:
            import resource
        except ImportError:  # Windows
            return peak
        unit = 1 if sys.platform == "darwin" else 1024  # bytes of `ru_maxrss`'s unit
        peak = Quantity(value=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)
    return peak


def _device_mib(gpu: int | None) -> Quantity:
    if gpu is None:
        return Quantity(reason="no GPU in use")
    try:
        with open_nvml() as nvml:
            return quantity(lambda: nvml.used_mib(nvml.gpu(gpu)))
    except NvmlError as error:
        return Quantity(reason=str(error))
