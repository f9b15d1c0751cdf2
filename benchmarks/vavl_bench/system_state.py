"""The state of the machine at one moment: clock rates, temperatures, throttling. What is missing carries its reason."""

from collections.abc import Callable, Iterable
from pathlib import Path

from vavl_bench.nvml import NvmlError, open_nvml
from vavl_bench.schema import Condition, Quantity

ROOT = Path("/")
# Sensors of processors by the kernel's names for them, most telling first; other zones are batteries and radios.
_CPU_SENSORS = (
    "x86_pkg_temp",
    "cpu-thermal",
    "cpu_thermal",
    "CPU-therm",
    "soc-thermal",
    "k10temp",
    "coretemp",
    "acpitz",
)


def read_condition(gpu: int | None = None, root: Path = ROOT) -> Condition:
    """Read the state of the machine.

    Args:
        gpu: Number of the GPU in use; None for the CPU alone.
        root: Where the kernel's files are; another folder in tests.

    Returns:
        Clock rates, temperatures and throttling.
    """
    condition = Condition(
        cpu_mhz=_cpu_mhz(root),
        cpu_celsius=_cpu_celsius(root),
        cpu_throttle_events=_cpu_throttle_events(root),
        gpu_mhz=Quantity(reason="no GPU in use"),
        gpu_celsius=Quantity(reason="no GPU in use"),
    )
    return condition if gpu is None else condition.model_copy(update=_gpu_condition(gpu))


def _gpu_condition(gpu: int) -> dict[str, Quantity | tuple[str, ...]]:
    try:
        with open_nvml() as nvml:
            handle = nvml.gpu(gpu)
            return {
                "gpu_mhz": quantity(lambda: nvml.clock_mhz(handle)),
                "gpu_celsius": quantity(lambda: nvml.celsius(handle)),
                "gpu_throttle_reasons": nvml.throttling(handle),
            }
    except NvmlError as error:
        return dict.fromkeys(("gpu_mhz", "gpu_celsius"), Quantity(reason=str(error)))


def quantity(read: Callable[[], float]) -> Quantity:
    """Read a figure of NVML, or note why it cannot be read."""
    try:
        return Quantity(value=read())
    except NvmlError as error:
        return Quantity(reason=str(error))


def _numbers(files: Iterable[Path]) -> list[float]:
    """The numbers in files of one number each; files that cannot be read are absent sensors."""
    numbers = []
    for file in files:
        try:
            numbers.append(float(file.read_text("utf-8")))
        except (OSError, ValueError):
            continue
    return numbers


def _cpu_mhz(root: Path) -> Quantity:
    """Mean over the cores."""
    rates = [khz / 1000 for khz in _numbers(root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"))]
    if not rates:
        try:
            lines = (root / "proc/cpuinfo").read_text("utf-8").splitlines()
        except OSError:
            lines = []
        rates = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
    if not rates:
        return Quantity(reason="neither cpufreq nor /proc/cpuinfo gives a clock rate")
    return Quantity(value=sum(rates) / len(rates))


def _cpu_celsius(root: Path) -> Quantity:
    zones = []
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        kind = (zone / "type").read_text("utf-8").strip() if (zone / "type").is_file() else ""
        zones += [(kind, value / 1000) for value in _numbers([zone / "temp"])]
    for sensor in _CPU_SENSORS:
        for kind, value in zones:
            if kind == sensor:
                return Quantity(value=value)
    return Quantity(reason="no thermal zone of a processor in /sys/class/thermal (usual in virtual machines)")


def _cpu_throttle_events(root: Path) -> Quantity:
    """Sum over the cores, since the machine was started."""
    counts = _numbers(root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count"))
    if not counts:
        return Quantity(reason="the kernel counts no throttling here (usual in virtual machines and on Arm)")
    return Quantity(value=sum(counts))
