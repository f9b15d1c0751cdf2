"""Energy per clip above idle: from NVML's counter, or on a Jetson from jtop's power rails."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

from vavl_bench.clock import Clock
from vavl_bench.nvml import Nvml, NvmlError, open_nvml
from vavl_bench.schema import Energy, Quantity

IDLE_S = 3.0  # seconds over which idle power is averaged; jtop updates once a second
_RAIL_PERIOD_S = 0.1


class EnergyLostError(Exception):
    """A counter that worked can no longer be read."""


class EnergyCounter(Protocol):
    """Counts joules."""

    def joules(self) -> float:
        """Energy since some start.

        Raises:
            EnergyLostError: The counter can no longer be read.
        """


class NvmlCounter:
    """The counter inside the GPU."""

    def __init__(self, nvml: Nvml, gpu: int) -> None:
        self._nvml = nvml
        self._handle = nvml.gpu(gpu)

    def joules(self) -> float:
        """Energy of the GPU since its driver was loaded."""
        try:
            return self._nvml.energy_j(self._handle)
        except NvmlError as error:
            raise EnergyLostError(str(error)) from error


class RailCounter:
    """Integrates the power of the whole module that jtop reports.

    Args:
        jetson: An open ``jtop``.

    Raises:
        KeyError: The board has no power sensors.
    """

    def __init__(self, jetson: Any) -> None:
        self._jetson = jetson
        self._joules = 0.0
        self._watts()  # raises KeyError on a board without sensors
        self._failed: str | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="power rails", daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        last = time.monotonic()
        while not self._closed.wait(_RAIL_PERIOD_S):
            now = time.monotonic()
            try:
                self._joules += (now - last) * self._watts()
            except Exception as error:  # jtop's exceptions are its own; a thread that dies would leave a sum too small
                self._failed = f"jtop stopped: {type(error).__name__}: {error}"
                return
            last = now

    def _watts(self) -> float:
        return float(self._jetson.power["tot"]["power"]) / 1000  # given in milliwatts

    def joules(self) -> float:
        """Energy of the module since the counter was made."""
        if self._failed is not None:
            raise EnergyLostError(self._failed)
        return self._joules

    def close(self) -> None:
        """Stop sampling."""
        self._closed.set()
        self._thread.join()


@contextlib.contextmanager
def open_energy_counter(gpu: int | None) -> Iterator[EnergyCounter | str]:
    """Find an energy counter of this machine.

    Args:
        gpu: Number of the GPU in use; None for the CPU alone.

    Yields:
        A counter, or the reason why there is none.
    """
    with contextlib.ExitStack() as stack:
        yield _find_counter(gpu, stack)


def _find_counter(gpu: int | None, stack: contextlib.ExitStack) -> EnergyCounter | str:
    try:
        from jtop import jtop  # type: ignore[import-not-found]
    except ImportError:
        no_rails = "jtop is not installed"
    else:
        try:
            counter = RailCounter(stack.enter_context(jtop()))
        except Exception as error:  # jtop's exceptions are its own and differ between versions
            no_rails = f"jtop: {error}"
        else:
            stack.callback(counter.close)
            return counter
    if gpu is None:
        return f"no GPU in use, and {no_rails}"
    try:
        nvml_counter = NvmlCounter(stack.enter_context(open_nvml()), gpu)
        nvml_counter.joules()
        return nvml_counter
    except (NvmlError, EnergyLostError) as error:
        return f"{error}, and {no_rails}"


class EnergyMeter:
    """Subtracts idle power from the energy of a measurement.

    Args:
        counter: The counter, or the reason why there is none.
        clock: Where time is read.
    """

    def __init__(self, counter: EnergyCounter | str, clock: Clock) -> None:
        self._counter = counter
        self._clock = clock
        self._idle_w = 0.0
        self._start_j = self._start_s = 0.0

    def _joules(self) -> float:
        """Read the counter. Once it is lost, the reason takes its place."""
        if isinstance(self._counter, str):
            return 0.0
        try:
            return self._counter.joules()
        except EnergyLostError as error:
            self._counter = str(error)
            return 0.0

    def observe_idle(self) -> None:
        """Measure the idle power. Call it before anything is loaded."""
        if not isinstance(self._counter, str):
            start_s, start_j = self._clock.now(), self._joules()
            self._clock.wait_until(start_s + IDLE_S)
            self._idle_w = (self._joules() - start_j) / (self._clock.now() - start_s)

    def start(self) -> None:
        """Start counting."""
        self._start_s, self._start_j = self._clock.now(), self._joules()

    def stop(self, clips: int) -> Energy:
        """Divide the energy above idle by the number of clips.

        Args:
            clips: Clips answered since `start`.

        Returns:
            Energy per clip; slightly negative values are possible where the work draws hardly any power.
        """
        used_j = self._joules() - self._start_j
        if isinstance(self._counter, str):
            missing = Quantity(reason=self._counter)
            return Energy(per_clip_j=missing, idle_w=missing)
        idle_j = self._idle_w * (self._clock.now() - self._start_s)
        return Energy(per_clip_j=Quantity(value=(used_j - idle_j) / clips), idle_w=Quantity(value=self._idle_w))
