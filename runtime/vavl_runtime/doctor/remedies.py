"""What conflicts on a machine, and what keeps a GPU idle, each with the command that mends it."""

from collections.abc import Iterator
from dataclasses import dataclass

from vavl_runtime.backends.ort.session import CUDA, TENSORRT
from vavl_runtime.backends.trt.engine_store import version_numbers
from vavl_runtime.backends.trt.library import OLDEST
from vavl_runtime.doctor.environment import OnnxRuntimeBuild
from vavl_runtime.doctor.facts import Machine, cuda_python, newest_tensorrt, tensorrt_wheels

PIP = "python -m pip"
BUILT_FOR_CUDA_12 = "<1.27"  # onnxruntime-gpu; later wheels are built for CUDA 13
JETSON_INDEX = "JETSON_AI_LAB_INDEX"  # a variable of the shell
APT_SOURCE = "/etc/apt/sources.list.d/nvidia-l4t-apt-source.list"
TENSORRT_OF_PROVIDER = 10  # the libnvinfer that onnxruntime-gpu's wheels link to


@dataclass(frozen=True)
class Remedy:
    """A problem in one sentence, and the command that mends it."""

    problem: str
    command: str


def conflicts(machine: Machine) -> Iterator[Remedy]:
    """Find installations that conflict.

    Args:
        machine: What is there.

    Yields:
        Problems that make a backend fail, or run something else than what was asked for.
    """
    installed = machine.environment.distributions
    cpu, gpu = installed("onnxruntime"), installed("onnxruntime-gpu")
    if cpu and gpu:
        keep = f"onnxruntime=={cpu}"
        if machine.environment.driver.gpus:
            keep = f"{_index(machine)}onnxruntime-gpu=={gpu}"
        yield Remedy(
            f"onnxruntime {cpu} and onnxruntime-gpu {gpu} are both installed and own the same files: it is not "
            f"certain which one runs{_where(machine)}",
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
    yield from _old_tensorrt(machine)
    yield from _two_tensorrts(machine)


def advice(machine: Machine) -> Iterator[Remedy]:
    """Find what is missing where nothing conflicts.

    Args:
        machine: What is there.

    Yields:
        What to install.
    """
    environment, build = machine.environment, machine.onnxruntime
    if isinstance(build, str):
        yield _without_onnxruntime(machine)
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
            "TensorRT is installed, but this Python does not find its module: apt installs it for the system's Python",
            "python3 -m venv --system-site-packages .venv",
        )


def _without_onnxruntime(machine: Machine) -> Remedy:
    """Onnxruntime is not there, or it is and cannot be imported."""
    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if machine.environment.distributions(name)]
    if installed and machine.jetson is None:
        problem = f"{' and '.join(installed)} cannot be imported"
        return Remedy(problem, f"{PIP} install --force-reinstall {installed[-1]}")
    if machine.environment.driver.gpus:
        problem = f"onnxruntime cannot be imported{_where(machine)}"
        return Remedy(problem, _install(machine, _driver_major(machine)))
    return Remedy("onnxruntime is not installed", f"{PIP} install 'vavl-edge[cpu]'")


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


def _old_tensorrt(machine: Machine) -> Iterator[Remedy]:
    """Find that every installed TensorRT is too old for the native backend."""
    newest = newest_tensorrt(machine)
    if newest is None or newest >= OLDEST or not machine.environment.driver.gpus:
        return
    problem = f"TensorRT {_text(newest)} is too old for --backend tensorrt, which needs {_text(OLDEST)} or newer"
    if machine.jetson is None:
        yield Remedy(problem, f"{PIP} install 'tensorrt-cu{_driver_major(machine)}>={_text(OLDEST)}'")
    elif machine.jetson.jetpack == "6.0":
        yield Remedy(
            f"{problem} and comes with JetPack 6.1; make a backup, this brings the whole board up to date",
            f"sudo sed -i 's/r36[.]3/r36.4/' {APT_SOURCE} && sudo apt-get update && sudo apt-get dist-upgrade && "
            "sudo apt-get install -y nvidia-jetpack python3-libnvinfer",
        )


def _two_tensorrts(machine: Machine) -> Iterator[Remedy]:
    """Find a wheel of TensorRT with another version than the system's."""
    loaded = [
        (library.path == f"libnvinfer.so.{major}", library.version) for major, library in machine.tensorrt.items()
    ]
    system = sorted(version[:2] for by_soname, version in loaded if by_soname and version is not None)
    others = [
        (name, version) for name, version in tensorrt_wheels(machine) if version_numbers(version)[:2] not in system
    ]
    if not others:
        return
    wheel, there = " ".join(others[0]), " and ".join(map(_text, system))
    uninstall = f"{PIP} uninstall -y {' '.join(name for name, _ in others)}"
    from_apt = f"{uninstall} && sudo apt-get install -y tensorrt python3-libnvinfer"
    beside = (
        f"{wheel} is installed beside the system's TensorRT {there}: engines of one do not run on the other, and "
        "which one a process loads depends on what it imports first"
    )
    if machine.jetson is not None and machine.jetson.major == 6:
        yield Remedy(f"{wheel} does not run on JetPack 6, whose TensorRT is {there or '10.3'}", from_apt)
    elif machine.jetson is not None and system:
        yield Remedy(beside, from_apt)
    elif (
        system and system[-1] >= OLDEST
    ):  # an older one shares no library with the wheel, and other programs may need it
        yield Remedy(beside, f"{uninstall} && {PIP} install '{others[0][0]}=={_text(system[-1])}.*'")


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _driver_major(machine: Machine) -> int:
    return machine.environment.driver.cuda[0] if machine.environment.driver.cuda else 12


def _install_bindings(machine: Machine) -> str:
    cuda = _driver_major(machine)
    return f"{PIP} install 'cuda-python>={cuda},<{cuda + 1}'"


def _index(machine: Machine) -> str:
    """Return pip's option for the package index of Jetsons, whose wheels are not on the usual index."""
    return f'--index-url "${JETSON_INDEX}" ' if machine.jetson is not None else ""


def _where(machine: Machine) -> str:
    return f" (docs/jetson.md says what to set {JETSON_INDEX} to)" if machine.jetson is not None else ""


def _replace(machine: Machine, old: str, install: str) -> str:
    """Return the command that replaces packages; on a Jetson it does nothing until the index is set."""
    guard = f'test -n "${JETSON_INDEX}" && ' if machine.jetson is not None else ""
    return f"{guard}{PIP} uninstall -y {old} && {install}"


def _install(machine: Machine, cuda: int, version: str | None = None) -> str:
    """Return the command that installs onnxruntime-gpu for a CUDA version, on servers with CUDA's libraries."""
    if machine.jetson is not None:
        return f"{PIP} install --no-deps {_index(machine)}onnxruntime-gpu"
    wanted = f"=={version}" if version else BUILT_FOR_CUDA_12 if cuda < 13 else ""
    blas = "nvidia-cublas" if cuda >= 13 else f"nvidia-cublas-cu{cuda}"  # the extras leave it out
    return f"{PIP} install 'onnxruntime-gpu[cuda,cudnn]{wanted}' {blas}"
