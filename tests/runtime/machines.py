"""Made-up machines for the doctor: a server, Jetsons, and what goes wrong with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vavl_runtime.devices.gpu import Driver, Gpu
from vavl_runtime.doctor.environment import Environment, Library, OnnxRuntimeBuild

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
H100 = Gpu(0, "NVIDIA H100 80GB HBM3", (9, 0), 85_000_000_000)
ORIN = Gpu(0, "Orin", (8, 7), 7_990_000_000, integrated=True)
THOR = Gpu(0, "NVIDIA Thor", (11, 0), 131_000_000_000, integrated=True)
NO_DRIVER = Driver(None, (), "no NVIDIA driver (libcuda.so.1: cannot open shared object file)")
MEMORY = "MemTotal:        7990000 kB\nMemFree:  1 kB\nMemAvailable:    5000000 kB\n"
RELEASE = (
    "# R{}, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\n"
)
CPU_BUILD = OnnxRuntimeBuild("1.32.0", None, ("AzureExecutionProvider", CPU))


@dataclass(frozen=True)
class MadeUp:
    """What a machine has, in plain values; ``environment`` turns it into what the doctor asks.

    Attributes:
        libraries: Version by soname, of the system.
        packaged: The same, of pip packages: found only where the system has none.
        broken: Reason by provider that is listed but does not start, or by module that cannot be imported.
    """

    driver: Driver = NO_DRIVER
    distributions: Mapping[str, str] = field(default_factory=lambda: {"onnxruntime": "1.32.0"})
    modules: tuple[str, ...] = ()
    libraries: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    packaged: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    build: OnnxRuntimeBuild | str = CPU_BUILD
    broken: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=lambda: {"/proc/meminfo": MEMORY})
    commands: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "x86_64"
    cores: int = 8
    instructions: tuple[str, ...] | None = ("avx2", "avx512_vnni")
    requirements: tuple[str, ...] | None = ("onnxruntime>=1.19; extra == 'cpu'", "matplotlib>=3.7; extra == 'report'")

    def environment(self) -> Environment:
        return Environment(
            product="1.2.3",
            requirements=self.requirements,
            architecture=self.architecture,
            cores=self.cores,
            instructions=self.instructions,
            python="3.10.12",
            driver=self.driver,
            distributions=self.distributions.get,
            module=lambda name: name in self.modules,
            imports=self.broken.get,
            library=self._library,
            onnxruntime=lambda: self.build,
            provider=self.broken.get,
            read=self.files.get,
            run=lambda command: self.commands.get(command[0]),
            free_disk_bytes=20_000_000_000,
        )

    def _library(self, name: str) -> Library | None:
        if name in self.libraries:
            return Library(self.libraries[name], name)
        return Library(self.packaged[name], f"/venv/{name}") if name in self.packaged else None


def server(cuda: int, version: str, **changes: object) -> MadeUp:
    """A server whose driver, libraries and onnxruntime-gpu fit each other."""
    values: dict[str, object] = {
        "driver": Driver((cuda, 2), (H100,), None),
        "distributions": {"onnxruntime-gpu": version, "cuda-bindings": f"{cuda}.2.0"},
        "libraries": {
            f"libcudart.so.{cuda}": (cuda, 2, 0),
            "libcudnn.so.9": (9, 12, 0),
            "libnvinfer.so.10": (10, 13, 3),
        },
        "modules": ("tensorrt",),
        "build": OnnxRuntimeBuild(version, cuda, (TENSORRT, CUDA, CPU)),
        "commands": {"nvidia-smi": "0, 580.65.06, 80000\n"},
    }
    return MadeUp(**(values | changes))  # type: ignore[arg-type]


def jetson(release: str, gpu: Gpu, cuda: tuple[int, int], tensorrt: tuple[int, int, int], **changes: object) -> MadeUp:
    """A Jetson with what its JetPack brings and an onnxruntime-gpu made for it."""
    build = OnnxRuntimeBuild("1.23.0", cuda[0], (TENSORRT, CUDA, CPU))
    values: dict[str, object] = {
        "driver": Driver(cuda, (gpu,), None),
        "distributions": {"onnxruntime-gpu": "1.23.0", "cuda-bindings": f"{cuda[0]}.0.1"},
        "libraries": {
            f"libcudart.so.{cuda[0]}": (*cuda, 0),
            "libcudnn.so.9": (9, 3, 0),
            f"libnvinfer.so.{tensorrt[0]}": tensorrt,
        },
        "modules": ("tensorrt",),
        "build": build,
        "files": {"/etc/nv_tegra_release": RELEASE.format(release), "/proc/meminfo": MEMORY},
        "commands": {"nvpmodel": "NV Power Mode: MAXN_SUPER\n2\n", "nvidia-smi": "0, 540.4.0, [N/A]\n"},
        "architecture": "aarch64",
    }
    return MadeUp(**(values | changes))  # type: ignore[arg-type]


JETPACK_6_0 = jetson("36 (release), REVISION: 3.0", ORIN, (12, 2), (8, 6, 2))
JETPACK_6 = jetson("36 (release), REVISION: 4.3", ORIN, (12, 6), (10, 3, 0))
JETPACK_7 = jetson("39 (release), REVISION: 2.0", THOR, (13, 2), (10, 16, 2))
