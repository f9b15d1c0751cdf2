"""What is there: one function for each thing that a backend needs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vavl_runtime.backends.ort.session import CUDA, TENSORRT
from vavl_runtime.backends.trt.engine_store import version_numbers
from vavl_runtime.doctor.environment import Environment, Library, OnnxRuntimeBuild
from vavl_runtime.doctor.extras import installed_extras
from vavl_runtime.doctor.jetson import POWER_MODE_COMMAND, RELEASE_FILE, Jetson, parse_power_mode, parse_release

# Each version of TensorRT is a distribution that only fetches others; the module lies in the bindings.
TENSORRT_WHEELS = tuple(
    f"tensorrt{cuda}{part}" for cuda in ("", "-cu12", "-cu13") for part in ("", "-libs", "-bindings")
)
CUDA_MAJORS = (13, 12)
TENSORRT_MAJORS = (11, 10, 8)
CUDNN_MAJORS = (9, 8)
GPU_PROVIDERS = (CUDA, TENSORRT)
_SMI = ("nvidia-smi", "--query-gpu=index,driver_version,memory.free", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Machine:
    """All that was asked, once.

    Attributes:
        environment: Where it came from.
        jetson: None on other machines.
        cuda: CUDA runtimes that load, by major.
        cudnn: cuDNNs that load, by major.
        tensorrt: TensorRTs that load, by major.
        onnxruntime: The build, or why it cannot be imported.
        providers: By listed GPU provider: None if it starts, else the reason.
    """

    environment: Environment
    jetson: Jetson | None
    cuda: dict[int, Library]
    cudnn: dict[int, Library]
    tensorrt: dict[int, Library]
    onnxruntime: OnnxRuntimeBuild | str
    providers: dict[str, str | None]


def look(environment: Environment) -> Machine:
    """Ask everything.

    Args:
        environment: The machine to ask.

    Returns:
        The answers.
    """

    def loadable(name: str, majors: tuple[int, ...]) -> dict[int, Library]:
        found = {major: environment.library(f"{name}.so.{major}") for major in majors}
        return {major: library for major, library in found.items() if library is not None}

    build = environment.onnxruntime()
    listed = build.providers if isinstance(build, OnnxRuntimeBuild) else ()
    return Machine(
        environment=environment,
        jetson=parse_release(environment.read(RELEASE_FILE)),
        cuda=loadable("libcudart", CUDA_MAJORS),
        cudnn=loadable("libcudnn", CUDNN_MAJORS),
        tensorrt=loadable("libnvinfer", TENSORRT_MAJORS),
        onnxruntime=build,
        providers={name: environment.provider(name) for name in GPU_PROVIDERS if name in listed},
    )


def facts(machine: Machine) -> Iterator[tuple[str, str]]:
    """Say what is there.

    Args:
        machine: The answers.

    Yields:
        A name and a value in words.
    """
    environment = machine.environment
    yield "vavl-edge", f"{environment.product}; {_extras(environment)}"
    yield "machine", f"{environment.architecture}, Python {environment.python}"
    yield "processor", f"{environment.cores} cores; {_instructions(environment.instructions)}"
    if machine.jetson is not None:
        yield "JetPack", f"{machine.jetson.jetpack} (L4T {machine.jetson.l4t})"
        mode = parse_power_mode(environment.run(POWER_MODE_COMMAND))
        yield "power mode", mode or "nvpmodel does not tell; run vavl-doctor with sudo"
    yield "memory", _memory(environment)
    yield "disk", f"{environment.free_disk_bytes / 1e9:.1f} GB free in the home folder"
    yield from _driver(environment)
    yield "CUDA", _versions(machine.cuda)
    yield "cuDNN", _versions(machine.cudnn)
    yield "TensorRT", _tensorrt(machine)
    yield "TensorRT-RTX", _tensorrt_rtx(environment)
    if isinstance(machine.onnxruntime, str):
        yield "onnxruntime", machine.onnxruntime
        return
    build = machine.onnxruntime
    yield "onnxruntime", f"{build.version}, " + (f"built for CUDA {build.cuda}" if build.cuda else "CPU build")
    for name, reason in machine.providers.items():
        yield name, "starts" if reason is None else f"does not start: {reason}"


def _extras(environment: Environment) -> str:
    if environment.requirements is None:
        return "runs from a source folder, without installed extras"
    extras = installed_extras(environment.requirements, environment.distributions)
    return f"extras: {', '.join(extras) or 'none'}"


def _instructions(names: tuple[str, ...] | None) -> str:
    if names is None:
        return "the system does not tell the instruction sets"
    return f"instruction sets: {', '.join(names) or 'none beyond the basic one'}"


def _memory(environment: Environment) -> str:
    text = environment.read("/proc/meminfo") or ""
    sizes = {key: int(kb) * 1024 / 1e9 for key, kb in re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB", text, re.M)}
    if len(sizes) < 2:
        return "not told"
    return f"{sizes['MemAvailable']:.1f} of {sizes['MemTotal']:.1f} GB free"


def _driver(environment: Environment) -> Iterator[tuple[str, str]]:
    driver = environment.driver
    cuda = f"CUDA up to {driver.cuda[0]}.{driver.cuda[1]}" if driver.cuda else ""
    yield "driver", "; ".join(filter(None, (cuda, driver.problem)))
    # Boards with shared memory answer [N/A] for free memory: there it is the machine's.
    told = dict(re.findall(r"^(\d+), (.+)$", (environment.run(_SMI) if driver.gpus else None) or "", re.M))
    for gpu in driver.gpus:
        major, minor = gpu.compute_capability
        version, _, free = told.get(str(gpu.index), ", ").partition(", ")
        words = [gpu.name, f"compute capability {major}.{minor}", f"{gpu.memory_bytes / 1e9:.1f} GB"]
        words += ["shared with the machine"] if gpu.integrated else []
        words += [f"{int(free) * 2**20 / 1e9:.1f} GB free"] if free.strip().isdigit() else []
        words += [f"driver {version}"] if version else []
        yield f"cuda:{gpu.index}", ", ".join(words)


def _versions(libraries: dict[int, Library]) -> str:
    if not libraries:
        return "none that loads"
    return ", ".join(
        ".".join(map(str, library.version)) if library.version else str(major) for major, library in libraries.items()
    )


def cuda_python(environment: Environment) -> str | None:
    """Version of cuda-python; since 12.6 its modules are a distribution of their own."""
    return environment.distributions("cuda-bindings") or environment.distributions("cuda-python")


def tensorrt_wheels(machine: Machine) -> list[tuple[str, str]]:
    """Name and version of each installed distribution of TensorRT."""
    found = [(name, machine.environment.distributions(name)) for name in TENSORRT_WHEELS]
    return [(name, version) for name, version in found if version is not None]


def newest_tensorrt(machine: Machine) -> tuple[int, ...] | None:
    """The newest version of TensorRT that a program here can load; None if none tells its version."""
    versions: list[tuple[int, ...]] = [library.version for library in machine.tensorrt.values() if library.version]
    if machine.jetson is None:  # a Jetson uses the system's TensorRT
        versions += [version_numbers(version) for _, version in tensorrt_wheels(machine)]
    return max(versions, default=None)


def _tensorrt(machine: Machine) -> str:
    bindings = cuda_python(machine.environment)
    module = "found" if machine.environment.module("tensorrt") else "none"
    return f"{_versions(machine.tensorrt)}; Python module tensorrt: {module}; cuda-python: {bindings or 'none'}"


def _tensorrt_rtx(environment: Environment) -> str:
    if not environment.module("tensorrt_rtx"):
        return "none"
    reason = environment.imports("tensorrt_rtx")
    version = environment.distributions("tensorrt-rtx") or "version not told"
    return f"{version}, {'can be imported' if reason is None else f'cannot be imported: {reason}'}"
