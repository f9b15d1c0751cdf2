"""What contradicts itself on a machine, and what keeps a GPU idle, each with the command that mends it."""

from collections.abc import Iterator
from dataclasses import dataclass

from vavl_runtime.backends.onnxruntime_session import CUDA, TENSORRT
from vavl_runtime.doctor.environment import OnnxRuntimeBuild
from vavl_runtime.doctor.facts import Machine, cuda_python

PIP = "python -m pip"
BUILT_FOR_CUDA_12 = "<1.27"  # onnxruntime-gpu; later wheels are built for CUDA 13
JETSON_INDEX = "JETSON_AI_LAB_INDEX"  # a variable of the shell
TENSORRT_OF_PROVIDER = 10  # the libnvinfer that onnxruntime-gpu's wheels link to


@dataclass(frozen=True)
class Remedy:
    """A problem in one sentence, and the command that mends it."""

    problem: str
    command: str


def conflicts(machine: Machine) -> Iterator[Remedy]:
    """Find what contradicts itself.

    Args:
        machine: What is there.

    Yields:
        Problems that make a backend fail or something else run than was asked for.
    """
    installed = machine.environment.distributions
    cpu, gpu = installed("onnxruntime"), installed("onnxruntime-gpu")
    if cpu and gpu:
        keep = f"onnxruntime=={cpu}"
        if machine.environment.driver.gpus:
            keep = f"{_index(machine)}onnxruntime-gpu=={gpu}"
        yield Remedy(
            f"onnxruntime {cpu} and onnxruntime-gpu {gpu} are both installed, into the same folder: which one runs is "
            f"chance{_where(machine)}",
            _replace(machine, "onnxruntime onnxruntime-gpu", f"{PIP} install --no-deps {keep}"),
        )
    build = machine.onnxruntime
    if isinstance(build, OnnxRuntimeBuild) and machine.environment.driver.gpus:
        yield from _cuda_conflicts(machine, build)
        yield from _tensorrt_conflicts(machine, build)
    bindings, driver = cuda_python(machine.environment), machine.environment.driver
    if bindings and driver.gpus and driver.cuda and int(bindings.split(".")[0]) > driver.cuda[0]:
        yield Remedy(
            f"cuda-python {bindings} is for CUDA {bindings.split('.')[0]}, the driver serves CUDA "
            f"{driver.cuda[0]}.{driver.cuda[1]} at most",
            _install_bindings(machine),
        )
    if machine.jetson is not None and machine.jetson.major == 6:
        for name in ("tensorrt", "tensorrt-cu12", "tensorrt-cu13"):
            version = installed(name)
            if version and version.split(".")[0] == "11":
                yield Remedy(
                    f"{name} {version} does not run on JetPack 6, whose TensorRT is 10.3",
                    f"{PIP} uninstall -y {name} && sudo apt-get install -y tensorrt python3-libnvinfer",
                )


def advice(machine: Machine) -> Iterator[Remedy]:
    """Find what keeps a GPU idle although nothing contradicts itself.

    Args:
        machine: What is there.

    Yields:
        What could be installed.
    """
    environment, build = machine.environment, machine.onnxruntime
    if isinstance(build, str):
        yield Remedy("onnxruntime cannot be imported", f"{PIP} install --force-reinstall onnxruntime")
        return
    if not environment.driver.gpus:
        return
    if CUDA not in build.providers:
        yield Remedy(
            f"there is a GPU, but onnxruntime {build.version} is built for the CPU{_where(machine)}",
            _replace(machine, "onnxruntime", _install(machine, _driver_major(machine))),
        )
    elif machine.providers.get(CUDA) is not None and not list(_cuda_conflicts(machine, build)):
        yield Remedy(
            f"onnxruntime {build.version} does not start its CUDA provider: {machine.providers[CUDA]}",
            _install(machine, build.cuda or _driver_major(machine), build.version),
        )
    if environment.module("tensorrt") and cuda_python(environment) is None:
        yield Remedy("TensorRT is installed, but --backend tensorrt needs cuda-python too", _install_bindings(machine))
    if machine.jetson is not None and machine.tensorrt and not environment.module("tensorrt"):
        yield Remedy(
            "TensorRT is installed, but this Python does not see its module: apt installs it for the system's Python",
            "python3 -m venv --system-site-packages .venv",
        )


def _cuda_conflicts(machine: Machine, build: OnnxRuntimeBuild) -> Iterator[Remedy]:
    driver = machine.environment.driver.cuda
    if build.cuda is None or driver is None:
        return
    if build.cuda > driver[0]:
        yield Remedy(
            f"onnxruntime {build.version} is built for CUDA {build.cuda}, the driver serves CUDA "
            f"{driver[0]}.{driver[1]} at most",
            _install(machine, driver[0]),
        )
    elif machine.cuda and build.cuda not in machine.cuda:
        there = " and ".join(map(str, sorted(machine.cuda)))
        yield Remedy(
            f"onnxruntime {build.version} is built for CUDA {build.cuda}, the libraries here are of CUDA {there}",
            _install(machine, build.cuda, build.version),
        )


def _tensorrt_conflicts(machine: Machine, build: OnnxRuntimeBuild) -> Iterator[Remedy]:
    if TENSORRT not in build.providers or machine.providers.get(TENSORRT) is None:
        return
    if machine.tensorrt and TENSORRT_OF_PROVIDER not in machine.tensorrt:
        there = " and ".join(map(str, sorted(machine.tensorrt)))
        wheel = f"tensorrt-cu{build.cuda or _driver_major(machine)}"
        install = f"{PIP} install '{wheel}>=10.13,<11'"
        yield Remedy(
            f"ONNX Runtime's TensorRT provider links libnvinfer.so.{TENSORRT_OF_PROVIDER}, here is TensorRT {there}; "
            "--backend tensorrt does not need the provider",
            install if machine.jetson is None else 'vavl-export tensorrt "$VAVL_BUNDLE"',  # for that backend
        )


def _driver_major(machine: Machine) -> int:
    return machine.environment.driver.cuda[0] if machine.environment.driver.cuda else 12


def _install_bindings(machine: Machine) -> str:
    cuda = _driver_major(machine)
    return f"{PIP} install 'cuda-python>={cuda},<{cuda + 1}'"


def _index(machine: Machine) -> str:
    """The option that names the package index of Jetsons, whose wheels are not on the usual one."""
    return f'--index-url "${JETSON_INDEX}" ' if machine.jetson is not None else ""


def _where(machine: Machine) -> str:
    return f" (docs/jetson.md says what to set {JETSON_INDEX} to)" if machine.jetson is not None else ""


def _replace(machine: Machine, old: str, install: str) -> str:
    """The command that takes packages away and brings another; on a Jetson only once its index is known."""
    guard = f'test -n "${JETSON_INDEX}" && ' if machine.jetson is not None else ""
    return f"{guard}{PIP} uninstall -y {old} && {install}"


def _install(machine: Machine, cuda: int, version: str | None = None) -> str:
    """The command that brings an onnxruntime-gpu for a CUDA, and on servers CUDA's libraries with it."""
    if machine.jetson is not None:
        return f"{PIP} install --no-deps {_index(machine)}onnxruntime-gpu"
    wanted = f"=={version}" if version else BUILT_FOR_CUDA_12 if cuda < 13 else ""
    blas = "nvidia-cublas" if cuda >= 13 else f"nvidia-cublas-cu{cuda}"  # the extras leave it out
    return f"{PIP} install 'onnxruntime-gpu[cuda,cudnn]{wanted}' {blas}"
