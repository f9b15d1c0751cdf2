"""One process on the device: measures the ceilings or one point, and reports every step as a line of JSON.

A failure inside a GPU library can leave the process unusable or end it, so no two points share one.
"""

import contextlib
import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TextIO

import torch

from benchmarks.gpu.accelerator import Accelerator, open_accelerator
from benchmarks.gpu.ceilings import measure_ceilings
from benchmarks.gpu.counting import Ceilings, count, roofline
from benchmarks.gpu.models import Inputs, Networks, Subject, make_inputs, make_networks
from benchmarks.gpu.parity import check, error_of
from benchmarks.gpu.plan import ENGINE, Engine, Point
from benchmarks.gpu.timing import TINY, Effort, measure_latency, measure_throughput
from vavl_export.golden import TOLERANCE
from vavl_runtime.backends.trt.library import find_tensorrt
from vavl_runtime.errors import BackendUnavailableError

POISONED = 75  # exit code: an engine left the device in an error, the others can go on in a new process
_TINY_S = 0.4  # of media in a dry run

Report = Callable[[dict[str, Any]], None]


class Program(Protocol):
    """A subject on an engine, ready to run."""

    def run(self) -> None:
        """Enqueue one run."""

    def outputs(self) -> Inputs:
        """What the last run gave, on the device."""

    def close(self) -> None:
        """Release everything."""


def main() -> int:
    """Do what the JSON in the first argument says; see `benchmarks.gpu.coordinator`."""
    job = json.loads(sys.argv[1])
    with _private_stdout() as out:

        def report(line: dict[str, Any]) -> None:
            print(json.dumps(line), file=out, flush=True)

        accelerator = open_accelerator(job["device"])
        with accelerator.use():
            if job["kind"] == "ceilings":
                ceilings = measure_ceilings(accelerator, tiny=job["tiny"])
                report({"kind": "ceilings", **asdict(ceilings), "device": accelerator.describe() | _versions()})
                return 0
            return measure_point(accelerator, job, report)


def measure_point(accelerator: Accelerator, job: dict[str, Any], report: Report) -> int:
    """Prepare every engine, compare it with PyTorch's fp32, and time those that agree, in turns.

    Args:
        accelerator: The device.
        job: ``point``, ``engines`` by name, ``ceilings``, ``folder``, ``tiny``, and ``seconds``, the time there is.
        report: Takes ``counts``, then ``start`` and ``cell`` for each engine.

    Returns:
        The exit code.
    """
    begin = time.monotonic()
    point, tiny = Point(**job["point"]), bool(job["tiny"])
    networks = make_networks(tiny=tiny)
    subject = Subject(networks, point.scope, point.path).eval()
    effort = TINY if tiny else Effort()
    seconds = min(point.seconds, _TINY_S) if tiny else point.seconds
    inputs = make_inputs(networks, point.scope, point.path, seconds, point.batch)
    counts = count(subject, inputs)
    report(
        {
            "kind": "counts",
            "operations": counts.operations,
            "weight_bytes": counts.weight_bytes,
            "io_bytes": counts.io_bytes,
            **asdict(roofline(counts, Ceilings(**job["ceilings"]))),
        }
    )
    on_device = {name: value.to(accelerator.device) for name, value in inputs.items()}
    expected = _reference(accelerator, subject, on_device)
    programs: dict[str, Program] = {}
    facts: dict[str, dict[str, Any]] = {}
    for name in job["engines"]:
        if time.monotonic() - begin > job["seconds"] - effort.reserve_s(len(programs)):
            break  # these are measured now, the others by the next command
        report({"kind": "start", "engine": name})
        before = _settled_mib(accelerator)
        try:
            program = _open(accelerator, ENGINE[name], point, networks, Path(job["folder"]), on_device)
            for _ in range(effort.warm_ups):
                program.run()
            accelerator.synchronize()
            error = error_of(expected, program.outputs())
            after = accelerator.used_mib()
            facts[name] = {"parity": error, "tolerance": TOLERANCE[ENGINE[name].precision]}
            if before is not None and after is not None:
                facts[name]["memory_mib"] = round(after - before, 1)
            check(error, ENGINE[name].precision)
            programs[name] = program
        except BackendUnavailableError as error:
            report({"kind": "cell", "engine": name, "status": "not measured", "reason": str(error)})
        except Exception as error:  # whatever fails is a result
            report({"kind": "cell", "engine": name, "status": "failed", "reason": _told(error), **facts.get(name, {})})
            traceback.print_exc()
            if not _works(accelerator):
                return POISONED
    report({"kind": "start", "engine": ""})
    _measure(accelerator, programs, facts, point, effort, report)
    return 0


def _measure(
    accelerator: Accelerator,
    programs: dict[str, Program],
    facts: dict[str, dict[str, Any]],
    point: Point,
    effort: Effort,
    report: Report,
) -> None:
    from benchmarks.gpu.energy import open_counter

    works = {name: program.run for name, program in programs.items()}
    latencies = measure_latency(accelerator, works, effort)
    with open_counter(accelerator.device) as joules:
        for name, work in works.items():
            figures = measure_throughput(accelerator, work, point.batch, effort, joules)
            cell = {"kind": "cell", "engine": name, "status": "measured"}
            report({**cell, **facts[name], **latencies[name], **figures})
    for program in programs.values():
        program.close()


def _open(
    accelerator: Accelerator, engine: Engine, point: Point, networks: Networks, folder: Path, inputs: Inputs
) -> Program:
    """Import a library only when one of its engines is wanted."""
    if engine.family == "torch":
        from benchmarks.gpu.torch_engine import TorchProgram

        return TorchProgram(accelerator, engine, Subject(networks, point.scope, point.path).eval(), inputs)
    if engine.family == "onnxruntime":
        from benchmarks.gpu.onnx_engine import OnnxProgram

        return OnnxProgram(accelerator, engine, point, folder, inputs)
    from benchmarks.gpu.tensorrt_engine import TensorRtProgram

    return TensorRtProgram(accelerator, engine, point, folder, inputs)


def _reference(accelerator: Accelerator, subject: Subject, inputs: Inputs) -> Inputs:
    """PyTorch's fp32 answer, on the CPU."""
    placed = subject.to(accelerator.device)
    with torch.no_grad():
        outputs = {name: value.cpu() for name, value in placed(inputs).items()}
    placed.to("cpu")
    return outputs


def _settled_mib(accelerator: Accelerator) -> float | None:
    gc.collect()
    accelerator.synchronize()
    accelerator.release()
    return accelerator.used_mib()


def _works(accelerator: Accelerator) -> bool:
    try:
        gc.collect()
        accelerator.synchronize()
    except Exception:  # the kind says nothing: CUDA repeats the first error forever
        return False
    return True


def _versions() -> dict[str, str]:
    """Of what was imported: two versions may be installed, one before the other on the path."""
    import onnxruntime

    versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    with contextlib.suppress(BackendUnavailableError):
        versions["tensorrt"] = find_tensorrt().version
    return versions


def _told(error: BaseException) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return f"{type(error).__name__}: {lines[0][:400]}"


@contextlib.contextmanager
def _private_stdout() -> Iterator[TextIO]:
    """Keep what libraries print out of the report."""
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        yield out


if __name__ == "__main__":
    sys.exit(main())
