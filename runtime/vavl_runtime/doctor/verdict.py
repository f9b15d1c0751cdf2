"""Whether clips can be processed here, on the CPU and on a GPU, and why not."""

from collections.abc import Iterator
from dataclasses import dataclass

from vavl_runtime.backends.ort.session import CPU, CUDA
from vavl_runtime.backends.trt.library import OLDEST
from vavl_runtime.doctor.facts import Machine, cuda_python, newest_tensorrt

NO_ONNXRUNTIME = "onnxruntime cannot be imported"  # the facts say why, and the advice what to install


@dataclass(frozen=True)
class Verdict:
    """The answer for one kind of device.

    Attributes:
        works: Whether clips can be processed on it.
        reason: What runs them, or why nothing does.
    """

    works: bool
    reason: str

    def __str__(self) -> str:
        return f"yes, with {self.reason}" if self.works else f"no, because {self.reason}"


def cpu_verdict(machine: Machine) -> Verdict:
    """Judge the CPU, which needs ONNX Runtime.

    Args:
        machine: What is there.

    Returns:
        The verdict.
    """
    build = machine.onnxruntime
    if isinstance(build, str):
        return Verdict(False, NO_ONNXRUNTIME)
    if CPU not in build.providers:
        return Verdict(False, f"onnxruntime {build.version} has no {CPU}")
    return Verdict(True, f"onnxruntime {build.version}")


def gpu_verdict(machine: Machine) -> Verdict:
    """Judge the GPU, which needs a driver, and ONNX Runtime's CUDA provider or TensorRT.

    Args:
        machine: What is there.

    Returns:
        The verdict.
    """
    driver = machine.environment.driver
    if not driver.gpus:
        return Verdict(False, f"there is {driver.problem}" if driver.cuda is None else str(driver.problem))
    failures = [reason for reason in (_why_no_cuda(machine), _why_no_tensorrt(machine)) if reason is not None]
    working = list(_working(machine))
    return Verdict(True, " or ".join(working)) if working else Verdict(False, "; ".join(failures))


def _working(machine: Machine) -> Iterator[str]:
    if _why_no_cuda(machine) is None:
        yield "onnxruntime"
    if _why_no_tensorrt(machine) is None:
        yield "TensorRT, once 'vavl-export tensorrt' has built engines into the bundle"


def _why_no_cuda(machine: Machine) -> str | None:
    build = machine.onnxruntime
    if isinstance(build, str):
        return NO_ONNXRUNTIME
    if CUDA not in build.providers:
        return f"onnxruntime {build.version} is built for the CPU"
    reason = machine.providers.get(CUDA)
    return None if reason is None else f"onnxruntime does not start {CUDA} ({reason})"


def _why_no_tensorrt(machine: Machine) -> str | None:
    if not machine.environment.module("tensorrt"):
        return "Python has no module tensorrt"
    version = newest_tensorrt(machine)
    if version is not None and version < OLDEST:
        return f"TensorRT {'.'.join(map(str, version))} is too old"
    return None if cuda_python(machine.environment) else "TensorRT needs cuda-python, which is not installed"
