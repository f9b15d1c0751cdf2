"""Builds the engines of a bundle, one graph at a time, and keeps those that still fit."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vavl_export.tensorrt.adapter import BuildOptions, BuiltPlan
from vavl_export.tensorrt.process import Job, build_in_process
from vavl_export.tensorrt.profiles import GRAPHS, Buckets, plan_profiles
from vavl_export.tensorrt.watch import Watch
from vavl_runtime.backends.trt.engine_store import (
    FOLDER,
    PLAN,
    RECORD,
    Engine,
    EngineKey,
    EngineRecord,
    Machine,
    engine_folders,
    read_engine,
    require_fit,
)
from vavl_runtime.backends.trt.library import TensorRt
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.bundle.precision import PrecisionChoice, choose_precisions
from vavl_runtime.errors import EngineError
from vavl_runtime.files import folder_beside, write_atomically

Print = Callable[[str], None]
_LEAST_COST = 4_000_000  # a graph of few weights takes time too


@dataclass(frozen=True)
class _Wanted:
    """An engine that should be there."""

    key: EngineKey
    record: GraphRecord
    onnx: Path
    cost: int  # grows with the time it takes: bytes of weights for each profile

    @property
    def title(self) -> str:
        largest = next(iter(self.key.profiles[-1].inputs.values())).max
        return f"{self.key.graph} {self.key.precision} up to {' x '.join(map(str, largest))}"


def build_engines(
    bundle: Bundle,
    library: TensorRt,
    machine: Machine,
    buckets: Buckets,
    options: BuildOptions,
    *,
    precision: PrecisionChoice,
    graphs: tuple[str, ...] = GRAPHS,
    progress: Print,
) -> list[Engine]:
    """Build what is missing; what is there and fits is kept, what does not is named and replaced.

    Args:
        bundle: An opened bundle folder.
        library: TensorRT.
        machine: What the engines are for.
        buckets: Length buckets.
        options: How to build.
        precision: Precision of the encoders and paths; the face detector stays as it is.
        graphs: Which graphs.
        progress: Called with a line of text at each step.

    Returns:
        All engines wanted.

    Raises:
        VariantMissingError: The bundle lacks graphs of this precision.
        ExportError: A build fails; engines built before it stay.
    """
    wanted = list(_plan(bundle, library, machine, buckets, options, precision, graphs))
    missing: list[_Wanted] = []
    names = {item.key.folder for item in wanted}
    for item in wanted:
        if reason := _why_build(bundle, item, machine, names):
            progress(f"{item.title}: {reason}")
            missing.append(item)
        else:
            progress(f"{item.title}: up to date")
    watch = Watch(sum(item.cost for item in missing), len(missing), progress)
    timings = bundle.root / FOLDER / _timings_name(machine)
    for item in missing:
        known = timings.read_bytes() if timings.is_file() else b""
        job = Job(library.name, item.onnx, item.key.profiles, replace(options, timing_cache=known))
        built = build_in_process(job, watch.start(item.title, item.cost))
        _store(bundle, item.key, built)
        watch.finish(f"{len(built.plan) / 1e6:.1f} MB in {built.build_seconds:.0f} s")
        if built.timing_cache:
            write_atomically(timings, built.timing_cache)
    _remove_replaced(bundle, wanted, machine)
    return [read_engine(bundle.root / FOLDER / item.key.folder) for item in wanted]


def _plan(
    bundle: Bundle,
    library: TensorRt,
    machine: Machine,
    buckets: Buckets,
    options: BuildOptions,
    precision: PrecisionChoice,
    graphs: tuple[str, ...],
) -> Iterator[_Wanted]:
    manifest = bundle.manifest
    precisions = choose_precisions(manifest, precision, gpu=True)
    for name in graphs:
        record = manifest.graphs[name].in_precision(precisions[name])
        profiles = plan_profiles(name, record, manifest, buckets)
        onnx = bundle.graph_file(name, precisions[name])
        for served in [(profile,) for profile in profiles] if library.one_profile_only else [profiles]:
            key = EngineKey(
                machine=machine,
                graph=name,
                precision=record.precision,
                onnx_sha256=manifest.files[record.file].sha256,
                weights_sha256=manifest.files[record.data].sha256,
                profiles=served,
                stripped=options.stripped,
                version_compatible=options.version_compatible,
            )
            yield _Wanted(key, record, onnx, len(served) * (manifest.files[record.data].bytes + _LEAST_COST))


def _why_build(bundle: Bundle, item: _Wanted, machine: Machine, names: set[str]) -> str | None:
    """Why an engine must be built, in one sentence; None if it is there and in order.

    ``names`` are the folders of everything wanted: engines for the graph's other buckets give no reason.
    """
    reasons = []
    for folder in engine_folders(bundle.root, item.key.graph, item.key.precision):
        try:
            engine = read_engine(folder)
            require_fit(engine.record.key, folder, machine, bundle, item.record)
        except EngineError as error:
            reasons.append(str(error))
            continue
        if engine.record.key == item.key:
            return None
        if folder.name not in names:
            same = all(profile in item.key.profiles for profile in engine.record.key.profiles)
            reasons.append(f"{folder}: built {'with other options' if same else 'for other lengths'}")
    return f"to be built, {reasons[-1]}" if reasons else "to be built"


def _store(bundle: Bundle, key: EngineKey, built: BuiltPlan) -> None:
    record = EngineRecord(
        key=key,
        plan_bytes=len(built.plan),
        plan_sha256=hashlib.sha256(built.plan).hexdigest(),
        build_seconds=round(built.build_seconds, 3),
        activation_bytes=built.activation_bytes,
    )
    with folder_beside(bundle.root / FOLDER / key.folder, overwrite=True) as folder:
        (folder / PLAN).write_bytes(built.plan)
        (folder / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _remove_replaced(bundle: Bundle, wanted: list[_Wanted], machine: Machine) -> None:
    """Remove engines that nothing can load anymore, or that new ones stand for; other GPUs keep theirs."""
    kept = {item.key.folder for item in wanted}
    for name, precision in {(item.key.graph, item.key.precision) for item in wanted}:
        for folder in engine_folders(bundle.root, name, precision):
            if folder.name not in kept and _is_of(folder, machine):
                shutil.rmtree(folder)


def _is_of(folder: Path, machine: Machine) -> bool:
    try:
        built = read_engine(folder).record.key.machine
    except EngineError:
        return True
    return built.model_copy(update={"version": machine.version}) == machine


def _timings_name(machine: Machine) -> str:
    gpu = "".join(character if character.isalnum() else "-" for character in machine.gpu.lower())
    return f"timings-{machine.version}-{gpu}.cache"
