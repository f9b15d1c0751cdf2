"""Builds one plan in its own process, which returns all memory and may crash without harm."""

import multiprocessing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from vavl_export.errors import ExportError
from vavl_export.tensorrt.adapter import BuildOptions, BuiltPlan, ShareDone, build_plan
from vavl_runtime.backends.trt.engine_store import Profile
from vavl_runtime.backends.trt.library import find_tensorrt
from vavl_runtime.errors import VavlError
from vavl_runtime.parent import end_with_parent


@dataclass(frozen=True)
class Job:
    """One plan to build.

    Attributes:
        library: ``tensorrt`` or ``tensorrt_rtx``.
        onnx: The ONNX file.
        profiles: The shapes to serve.
        options: How to build.
    """

    library: str
    onnx: Path
    profiles: tuple[Profile, ...]
    options: BuildOptions


def build_in_process(job: Job, progress: ShareDone = lambda share: None) -> BuiltPlan:
    """Build a plan in a new process.

    Args:
        job: What to build.
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The plan.

    Raises:
        VavlError: As `build_plan`.
        ExportError: The process died, as it does when memory runs out.
    """
    context = multiprocessing.get_context("spawn")  # a forked process would inherit a broken CUDA context
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        return _follow(job, ours, progress)
    except EOFError as error:
        process.join()
        raise ExportError(
            f"{job.onnx}: the process that built the engine died (exit {process.exitcode}); if memory ran out, close "
            "other programs or pass a smaller workspace_mib"
        ) from error
    finally:
        process.kill()
        process.join()
        ours.close()


def _follow(job: Job, pipe: Connection, progress: ShareDone) -> BuiltPlan:
    while True:
        message = pipe.recv()
        if isinstance(message, float):
            progress(message)
        elif isinstance(message, VavlError):
            raise message
        elif isinstance(message, BuiltPlan):
            return message
        else:
            raise ExportError(f"{job.onnx}: building the engine failed: {message}")


def _work(job: Job, pipe: Connection) -> None:
    end_with_parent()
    try:
        pipe.send(build_plan(find_tensorrt((job.library,)), job.onnx, job.profiles, job.options, pipe.send))
    except VavlError as error:
        pipe.send(error)
    except Exception as error:  # the parent adds which graph it was
        pipe.send(f"{type(error).__name__}: {error}")
