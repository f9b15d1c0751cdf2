"""Probes of the machine: what the kernel and the drivers say is read, and what they do not say has a reason."""

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vavl_bench.clock import SimulatedClock, SystemClock
from vavl_bench.energy import IDLE_S, EnergyMeter, RailCounter, open_energy_counter
from vavl_bench.environment import read_environment
from vavl_bench.nvml import Nvml, NvmlError, open_nvml
from vavl_bench.system_state import read_condition


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """The files of a machine with two cores."""
    for core, (khz, throttled) in enumerate((("2000000", "3"), ("3000000", "4"))):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}"
        write(folder / "cpufreq/scaling_cur_freq", khz)
        write(folder / "cpufreq/scaling_governor", "powersave\n")
        write(folder / "thermal_throttle/core_throttle_count", throttled)
    write(tmp_path / "sys/class/thermal/thermal_zone0/type", "iwlwifi_1\n")
    write(tmp_path / "sys/class/thermal/thermal_zone0/temp", "99000\n")
    write(tmp_path / "sys/class/thermal/thermal_zone1/type", "x86_pkg_temp\n")
    write(tmp_path / "sys/class/thermal/thermal_zone1/temp", "61500\n")
    write(tmp_path / "proc/cpuinfo", "model name\t: Made Processor\ncpu MHz\t\t: 1234.5\n")
    write(tmp_path / "proc/loadavg", "0.25 0.1 0.1 1/100 1\n")
    write(tmp_path / "proc/meminfo", "MemTotal:     8388608 kB\n")
    return tmp_path


def test_the_kernels_files_are_read(kernel: Path) -> None:
    condition = read_condition(root=kernel)
    assert condition.cpu_mhz.value == 2500
    assert condition.cpu_celsius.value == 61.5
    assert condition.cpu_throttle_events.value == 7
    assert condition.gpu_mhz.reason == "no GPU in use"
    machine = read_environment(root=kernel)
    assert (machine.processor, machine.governor) == ("Made Processor", "powersave")
    assert (machine.load_average.value, machine.memory_mib.value) == (0.25, 8192)
    assert {"vavl-edge", "python", "onnxruntime", "numpy"} <= machine.versions.keys()


def test_what_the_kernel_hides_has_a_reason(tmp_path: Path) -> None:
    condition = read_condition(root=tmp_path)
    for quantity in (condition.cpu_mhz, condition.cpu_celsius, condition.cpu_throttle_events):
        assert quantity.value is None
        assert quantity.reason
    machine = read_environment(root=tmp_path)
    assert machine.governor is None
    assert machine.load_average.reason and machine.memory_mib.reason


def test_the_clock_rate_falls_to_cpuinfo(kernel: Path) -> None:
    for file in kernel.glob("sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq"):
        file.unlink()
    assert read_condition(root=kernel).cpu_mhz.value == 1234.5


class FakeNvml:
    """The library's functions, with the signatures of nvml.h."""

    def __init__(self) -> None:
        self.fails: dict[str, int] = {}
        self.open = 0
        self.nvmlErrorString = lambda code: b"Not Supported"

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, Any] = {
            "nvmlDeviceGetTotalEnergyConsumption": 12_500,
            "nvmlDeviceGetClockInfo": 1410,
            "nvmlDeviceGetTemperature": 55,
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x1 | 0x20,
            "nvmlDeviceGetCount_v2": 1,
        }

        def call(*arguments: Any) -> int:
            if name in self.fails:
                return self.fails[name]
            if name == "nvmlInit_v2":
                self.open += 1
            elif name == "nvmlShutdown":
                self.open -= 1
            elif name in ("nvmlDeviceGetName", "nvmlSystemGetDriverVersion"):
                arguments[-2].value = b"Made GPU"
            elif name == "nvmlDeviceGetMemoryInfo":
                arguments[-1]._obj.used = 3 * 2**20
            elif name == "nvmlDeviceGetHandleByIndex_v2":
                arguments[-1]._obj.value = 1
            elif name in answers:
                arguments[-1]._obj.value = answers[name]
            else:
                raise AssertionError(name)
            return 0

        return call


def test_nvml_is_asked_by_its_own_signatures() -> None:
    nvml = Nvml(FakeNvml())
    gpu = nvml.gpu(0)
    assert (nvml.driver(), nvml.name(gpu), nvml.count()) == ("Made GPU", "Made GPU", 1)
    assert (nvml.used_mib(gpu), nvml.energy_j(gpu)) == (3.0, 12.5)
    assert (nvml.clock_mhz(gpu), nvml.celsius(gpu)) == (1410, 55)
    assert nvml.throttling(gpu) == ("software thermal slowdown",)


def test_nvml_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NvmlError, match="no libmissing.so: no NVIDIA driver"), open_nvml("libmissing.so"):
        pass
    library = FakeNvml()
    library.fails["nvmlDeviceGetTotalEnergyConsumption"] = 3
    with pytest.raises(NvmlError, match="nvmlDeviceGetTotalEnergyConsumption: Not Supported"):
        Nvml(library).energy_j(ctypes.c_void_p(1))
    monkeypatch.setattr("ctypes.CDLL", lambda name: library)
    condition = read_condition(gpu=0)
    assert (condition.gpu_mhz.value, condition.gpu_throttle_reasons) == (1410, ("software thermal slowdown",))
    assert library.open == 1  # the one made above; reading closes its own


class Counter:
    """Ten watts while idle, thirty while told to work."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.extra_j = 0.0

    def joules(self) -> float:
        return 10 * self._clock.now() + self.extra_j


def test_idle_power_is_subtracted() -> None:
    clock = SimulatedClock()
    counter = Counter(clock)
    meter = EnergyMeter(counter, clock)
    meter.observe_idle()
    assert clock.now() == IDLE_S
    meter.start()
    clock.advance(5.0)
    counter.extra_j += 100.0
    energy = meter.stop(clips=4)
    assert energy.idle_w.value == pytest.approx(10)
    assert energy.per_clip_j.value == pytest.approx(25)


def test_power_rails_are_integrated() -> None:
    clock = SystemClock()
    begun = clock.now()
    rails = RailCounter(SimpleNamespace(power={"tot": {"power": 10_000}}))
    while rails.joules() == 0:
        clock.wait_until(clock.now() + 0.02)
    rails.close()
    assert 0 < rails.joules() <= 10 * (clock.now() - begun)
    with pytest.raises(KeyError):
        RailCounter(SimpleNamespace(power={}))  # a board without sensors


def test_rails_that_stop_are_no_energy() -> None:
    clock = SystemClock()
    jetson = SimpleNamespace(power={"tot": {"power": 10_000}})
    rails = RailCounter(jetson)
    meter = EnergyMeter(rails, clock)
    meter.start()
    jetson.power = {}  # as after jtop's service was stopped
    deadline = clock.now() + 10
    while (energy := meter.stop(clips=1)).per_clip_j.reason is None and clock.now() < deadline:
        clock.wait_until(clock.now() + 0.02)
    rails.close()
    assert energy.per_clip_j.reason == "jtop stopped: KeyError: 'tot'"
    assert energy.idle_w.reason == energy.per_clip_j.reason


def test_energy_without_a_counter_has_a_reason() -> None:
    clock = SimulatedClock()
    with open_energy_counter(None) as counter:
        assert isinstance(counter, str)
        meter = EnergyMeter(counter, clock)
        meter.observe_idle()
        meter.start()
        energy = meter.stop(clips=1)
    assert clock.now() == 0
    assert energy.per_clip_j.reason == "no GPU in use, and jtop is not installed"
