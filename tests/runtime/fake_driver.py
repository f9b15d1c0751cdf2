"""A stand-in for ``libcuda.so.1`` that fills what ctypes points to."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FakeGpu:
    name: str = "NVIDIA H100 80GB HBM3"
    compute_capability: tuple[int, int] = (9, 0)
    memory_bytes: int = 85_000_000_000
    integrated: bool = False


ORIN = FakeGpu("Orin", (8, 7), 8_000_000_000, integrated=True)


@dataclass
class FakeDriver:
    """The driver's library.

    Attributes:
        init: What ``cuInit`` returns.
        name: What ``cuDeviceGetName`` returns.
        pinned: Page-locked memory by address.
        pinned_left: How many more allocations of it succeed.
    """

    gpus: Sequence[FakeGpu] = field(default_factory=lambda: [FakeGpu()])
    version: int = 13020
    init: int = 0
    name: int = 0
    pinned: dict[int, Any] = field(default_factory=dict)
    pinned_left: int = 1 << 30

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = self.version
        return 0

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.init

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self.gpus)
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        device._obj.value = ordinal
        return 0

    def cuDeviceGetName(self, name: Any, length: int, device: Any) -> int:  # noqa: N802
        name.value = self.gpus[device.value].name.encode()[: length - 1]
        return self.name

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> int:  # noqa: N802
        size._obj.value = self.gpus[device.value].memory_bytes
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        gpu = self.gpus[device.value]
        value._obj.value = {18: int(gpu.integrated), 75: gpu.compute_capability[0], 76: gpu.compute_capability[1]}[
            attribute
        ]
        return 0

    def cuGetErrorString(self, status: int, text: Any) -> int:  # noqa: N802
        known = {100: b"no CUDA-capable device is detected", 804: b"forward compatibility was attempted"}
        text._obj.value = ctypes.c_char_p(known[status]).value if status in known else None
        return 0 if status in known else 1

    def cuMemHostAlloc(self, address: Any, size: Any, flags: int) -> int:  # noqa: N802
        if self.pinned_left == 0:
            return 2
        self.pinned_left -= 1
        memory = ctypes.create_string_buffer(size.value)
        address._obj.value = ctypes.addressof(memory)
        self.pinned[ctypes.addressof(memory)] = memory
        return 0

    def cuMemFreeHost(self, address: Any) -> int:  # noqa: N802
        return 0 if self.pinned.pop(address.value, None) else 1

    def cuMemcpyDtoH_v2(self, target: Any, source: Any, size: Any) -> int:  # noqa: N802
        if target.value not in self.pinned:
            return 1
        ctypes.memmove(target.value, source.value, size.value)
        return 0

    def load(self, library: str) -> "FakeDriver":
        assert library == "libcuda.so.1"
        return self


def no_driver(library: str) -> Any:
    raise OSError(f"{library}: cannot open shared object file: No such file or directory")


Load = Callable[[str], Any]
