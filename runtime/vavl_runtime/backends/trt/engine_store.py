"""TensorRT engines on disk: what each was built for; an engine built for something else is refused.

An engine lies in ``BUNDLE/engines/KEY`` as ``engine.plan`` with its ``engine.json``. KEY names the graph and the
precision and ends in a hash of everything the plan depends on, so an engine that was moved, edited, damaged or built
for something else is recognised before TensorRT reads it.
"""

import hashlib
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import GraphRecord, Precision, Sha256
from vavl_runtime.bundle.precision import PrecisionChoice
from vavl_runtime.devices.gpu import Gpu
from vavl_runtime.errors import EngineError

FOLDER = "engines"
PLAN = "engine.plan"
RECORD = "engine.json"
LIBRARY_NAMES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
Shape = tuple[int, ...]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShapeRange(_Record):
    """Smallest, tuned and largest shape of an input."""

    min: Shape
    opt: Shape
    max: Shape


class Profile(_Record):
    """The shapes that one optimisation profile serves, by input name."""

    inputs: dict[str, ShapeRange]


class Machine(_Record):
    """What a plan is bound to.

    Attributes:
        library: ``tensorrt`` or ``tensorrt_rtx``.
        version: Its version.
        platform: Operating system and processor.
        gpu: Name of the GPU; empty for TensorRT-RTX, whose plans serve every GPU of a compute capability.
        compute_capability: Such as ``8.7``.
    """

    library: Literal["tensorrt", "tensorrt_rtx"]
    version: str
    platform: str
    gpu: str
    compute_capability: str


class EngineKey(_Record):
    """Everything that a plan depends on.

    Attributes:
        machine: Library, version and GPU.
        graph: Name of the graph.
        precision: Precision of its ONNX file.
        onnx_sha256: Hash of the ONNX file.
        weights_sha256: Hash of its weight file.
        profiles: What it serves, smallest first.
        stripped: The plan holds no weights; they are read from the ONNX file.
        version_compatible: Newer versions of TensorRT may run it.
    """

    machine: Machine
    graph: str
    precision: Precision
    onnx_sha256: Sha256
    weights_sha256: Sha256
    profiles: Annotated[tuple[Profile, ...], Field(min_length=1)]
    stripped: bool = False
    version_compatible: bool = False

    @property
    def folder(self) -> str:
        """Name of the engine's folder."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return f"{self.graph}-{self.precision}-{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


class EngineRecord(_Record):
    """``engine.json``: the key, the plan's size and hash, and what building it took.

    Attributes:
        key: What the plan depends on.
        plan_bytes: Size of the plan.
        plan_sha256: Hash of the plan.
        build_seconds: Time of the build.
        activation_bytes: Memory for intermediate tensors as the builder reported it; None if it did not.
    """

    key: EngineKey
    plan_bytes: Annotated[int, Field(gt=0)]
    plan_sha256: Sha256
    build_seconds: float
    activation_bytes: int | None


@dataclass(frozen=True)
class Engine:
    """An engine that was checked and may be loaded."""

    record: EngineRecord
    plan: Path


def this_machine(library: str, version: str, gpu: Gpu) -> Machine:
    """Describe what plans built here are bound to.

    Args:
        library: ``tensorrt`` or ``tensorrt_rtx``.
        version: Its version.
        gpu: The GPU.
    """
    return Machine.model_validate(
        {
            "library": library,
            "version": version,
            "platform": f"{platform.system()}-{platform.machine()}".lower(),
            "gpu": "" if library == "tensorrt_rtx" else gpu.name,
            "compute_capability": ".".join(map(str, gpu.compute_capability)),
        }
    )


def find_engines(bundle: Bundle, machine: Machine, name: str, record: GraphRecord) -> list[Engine]:
    """Find the engines that serve a graph here, and check their plans; as `load_engines`, without keeping the plans."""
    return [engine for engine, _ in load_engines(bundle, machine, name, record)]


def load_engines(bundle: Bundle, machine: Machine, name: str, record: GraphRecord) -> Iterator[tuple[Engine, bytes]]:
    """Find the engines that serve a graph here, and read their plans, one after the other.

    Args:
        bundle: The bundle.
        machine: What runs them.
        name: Name of the graph.
        record: Its record in the precision that is wanted.

    Yields:
        At least one engine, with the content of its plan. These bytes were hashed; the file may change from now on.

    Raises:
        EngineError: There is none, or one built for this machine is damaged; the message says why each was refused, or
            how to build one.
    """
    fitting: list[tuple[Path, EngineRecord]] = []
    refused: list[str] = []
    remedy = f"build it: vavl-export tensorrt {bundle.root} --precision {record.precision}"
    for folder in engine_folders(bundle.root, name, record.precision):
        try:
            found = _read_record(folder)
            require_fit(found.key, folder, machine, bundle, record)
            fitting.append((folder, found))
        except EngineError as error:
            refused.append(str(error))
    if not fitting:
        reason = "; ".join(refused) or "none was built"
        raise EngineError(f"graph {name} ({record.precision}): no TensorRT engine for this machine: {reason}; {remedy}")
    for folder, found in fitting:
        try:  # no variable holds the plan: the caller may let go of it before the next one is read
            yield Engine(found, folder / PLAN), _read_plan(folder, found)
        except EngineError as error:  # built for this machine: without it some lengths would have no engine
            raise EngineError(f"graph {name} ({record.precision}): {error}; {remedy}") from error


def require_any(bundle: Bundle, machine: Machine, precision: PrecisionChoice) -> None:
    """Check that some engine of a bundle was built for this machine; plans are not read yet.

    Args:
        bundle: The bundle.
        machine: What would run them.
        precision: The one that is wanted, or ``auto``; only the command that builds engines depends on it.

    Raises:
        EngineError: None was; the message says what the first one was built for.
    """
    reasons: list[str] = []
    for folder in sorted(path for path in (bundle.root / FOLDER).glob("[!.]*-*-*") if path.is_dir()):
        try:
            differences = list(_machine_differences(_read_record(folder).key, machine))
        except EngineError as error:
            differences = [str(error)]
        if not differences:
            return
        reasons.append(f"{folder}: {differences[0]}")
    raise EngineError(
        f"tensorrt: {reasons[0] if reasons else 'the bundle has no engines'}; build them on this machine: "
        f"vavl-export tensorrt {bundle.root} --precision {precision}"
    )


def engine_folders(root: Path, name: str, precision: Precision) -> list[Path]:
    """The folders of all engines of a graph in a precision, whatever they were built for."""
    return sorted((root / FOLDER).glob(f"{name}-{precision}-*"))


def read_engine(folder: Path) -> Engine:
    """Read an engine's record and compare the plan's hash with it.

    Args:
        folder: The engine's folder.

    Returns:
        The engine; whether it fits this machine is not checked.

    Raises:
        EngineError: It is incomplete, damaged, moved or edited.
    """
    record = _read_record(folder)
    _read_plan(folder, record)
    return Engine(record, folder / PLAN)


def _read_plan(folder: Path, record: EngineRecord) -> bytes:
    """Read a plan once, and compare its hash with the record."""
    plan = folder / PLAN
    try:
        content = plan.read_bytes()
    except OSError as error:
        raise EngineError(f"{folder}: the engine is incomplete ({error.strerror})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != record.plan_sha256:
        raise EngineError(f"{plan}: damaged, its sha256 is {found[:12]}…, {RECORD} says {record.plan_sha256[:12]}…")
    return content


def _read_record(folder: Path) -> EngineRecord:
    try:
        record = EngineRecord.model_validate_json((folder / RECORD).read_bytes())
    except OSError as error:
        raise EngineError(f"{folder}: the engine is incomplete ({error.strerror})") from error
    except ValidationError as error:
        raise EngineError(f"{folder / RECORD}: damaged or of another version") from error
    if record.key.folder != folder.name:
        raise EngineError(f"{folder}: {RECORD} describes engine {record.key.folder}, so it was moved or edited")
    return record


def require_fit(key: EngineKey, folder: Path, machine: Machine, bundle: Bundle, record: GraphRecord) -> None:
    """Compare an engine with this machine and this bundle.

    Args:
        key: What the engine was built for.
        folder: Where it lies.
        machine: What would run it.
        bundle: The bundle it lies in.
        record: The graph it should be.

    Raises:
        EngineError: It was built for something else; the message names the first difference.
    """
    files = bundle.manifest.files
    for difference in _differences(key, machine, files[record.file].sha256, files[record.data].sha256):
        raise EngineError(f"{folder}: {difference}")


def _differences(key: EngineKey, here: Machine, onnx_sha256: str, weights_sha256: str) -> Iterator[str]:
    yield from _machine_differences(key, here)
    if key.onnx_sha256 != onnx_sha256:
        yield f"built from another ONNX file (sha256 {key.onnx_sha256[:12]}…, the bundle's is {onnx_sha256[:12]}…)"
    if key.weights_sha256 != weights_sha256:
        yield f"built from other weights (sha256 {key.weights_sha256[:12]}…, the bundle's is {weights_sha256[:12]}…)"


def _machine_differences(key: EngineKey, here: Machine) -> Iterator[str]:
    built = key.machine
    if built.library != here.library:
        yield f"built with {LIBRARY_NAMES[built.library]}, this machine runs {LIBRARY_NAMES[here.library]}"
    library = LIBRARY_NAMES[here.library]
    if built.version != here.version and not (key.version_compatible and _may_run(built.version, here.version)):
        yield f"built with {library} {built.version}, this machine has {here.version}"
    if (built.platform, built.gpu, built.compute_capability) != (here.platform, here.gpu, here.compute_capability):
        yield f"built for {_gpu_text(built)}, not for {_gpu_text(here)}"


def _gpu_text(machine: Machine) -> str:
    name = machine.gpu or "any GPU"
    return f"{name} of compute capability {machine.compute_capability} on {machine.platform}"


def _may_run(built: str, here: str) -> bool:
    """Whether a version-compatible plan runs on a newer version: within a major version, and from 10 on 11."""
    old, new = version_numbers(built), version_numbers(here)
    return old <= new and (old[0] == new[0] or (old[0], new[0]) == (10, 11))


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, ``10.16.2.10`` as (10, 16, 2, 10)."""
    numbers: list[int] = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)
