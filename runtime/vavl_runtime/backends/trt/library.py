"""Finds the installed TensorRT (10.3 to 11.4, or TensorRT-RTX) and keeps what it logs."""

from collections import deque
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from vavl_runtime.backends.trt.engine_store import LIBRARY_NAMES, version_numbers
from vavl_runtime.errors import BackendUnavailableError

KEPT_ERRORS = 5
OLDEST = (10, 3)


@dataclass(frozen=True)
class TensorRt:
    """An imported library.

    Attributes:
        module: ``tensorrt`` or ``tensorrt_rtx``.
        name: Which of the two.
        version: Its version.
    """

    module: Any
    name: str
    version: str

    def __str__(self) -> str:
        return f"{LIBRARY_NAMES[self.name]} {self.version}"

    @property
    def one_profile_only(self) -> bool:
        """Whether an engine must have one profile: before 10.8 several gave wrong results (NVIDIA/TensorRT#4250)."""
        return self.name == "tensorrt" and version_numbers(self.version) < (10, 8)


def find_tensorrt(names: tuple[str, ...] = ("tensorrt", "tensorrt_rtx")) -> TensorRt:
    """Import the first library that is installed.

    Args:
        names: Modules to try, in order.

    Returns:
        The library. No object of it is made: without a GPU some crash the process.

    Raises:
        BackendUnavailableError: None is installed, or it is too old.
    """
    problems = []
    for name in names:
        try:
            module = import_module(name)
        except ImportError as error:
            problems.append(str(error))
            continue
        library = TensorRt(module, name, str(module.__version__))
        if name == "tensorrt" and version_numbers(library.version) < OLDEST:
            raise BackendUnavailableError(
                f"{library} is too old, expected at least {'.'.join(map(str, OLDEST))}; on a Jetson, JetPack 6.1 has it"
            )
        return library
    raise BackendUnavailableError(
        f"TensorRT cannot be imported ({'; '.join(problems)}); on a Jetson: apt install python3-libnvinfer and a "
        "virtual environment with --system-site-packages; elsewhere: pip install tensorrt, or 'vavl-edge[tensorrt-rtx]'"
    )


def new_log(library: TensorRt) -> Any:
    """Make a logger that keeps what explains a failure.

    Args:
        library: The library; its logger class is the base.

    Returns:
        A logger with ``errors`` (the last few, text) and ``notes`` (informational lines about memory).
    """
    base = library.module.ILogger
    loud = (base.INTERNAL_ERROR, base.ERROR)

    class Log(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)
            self.errors: deque[str] = deque(maxlen=KEPT_ERRORS)
            self.notes: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in loud:
                self.errors.append(" ".join(message.split()))
            elif severity == base.INFO and "Memory" in message:
                self.notes.append(message)

    return Log()


def last_errors(log: Any) -> str:
    """What TensorRT logged before it failed, in one line."""
    return "; ".join(log.errors) or "it logged no error"
