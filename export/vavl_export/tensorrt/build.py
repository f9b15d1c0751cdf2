"""Builds the TensorRT engines of a bundle, one after the other, and keeps those that still fit."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vavl_export.progress import Progress, silent
from vavl_export.tensorrt.adapter import BuiltPlan
from vavl_export.tensorrt.process import Job, build_in_process
from vavl_export.tensorrt.profiles import GRAPHS, Buckets, choose_buckets, plan_profiles
from vavl_export.tensorrt.target import BuildTarget, find_target
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
from vavl_runtime.bundle import Bundle, open_bundle
from vavl_runtime.bundle.manifest import GraphRecord, Precision
from vavl_runtime.bundle.precision import PrecisionChoice, choose_precisions
from vavl_runtime.errors import BundleNotFoundError, EngineError, InputError
from vavl_runtime.files import folder_beside, name_leftovers_in, remove_folder, write_atomically

_LEAST_COST = 4_000_000  # small graphs take time too


@dataclass(frozen=True)
class _Wanted:
    """An engine that should exist."""

    key: EngineKey
    record: GraphRecord
    onnx: Path
    cost: int  # bytes of weights for each profile: grows with the time that the build takes

    @property
    def title(self) -> str:
        largest = next(iter(self.key.profiles[-1].inputs.values())).max
        return f"{self.key.graph} {self.key.precision} up to {' x '.join(map(str, largest))}"


def build_engines(
    bundle: str | Path,
    *,
    precision: PrecisionChoice = "fp16",
    buckets: Sequence[float] | None = None,
    max_batch: int = 1,
    graphs: Sequence[str] | None = None,
    workspace_mib: int | None = None,
    strip_weights: bool = False,
    version_compatible: bool = False,
    compute_capability: str | None = None,
    progress: Progress | None = None,
) -> list[Engine]:
    """Build the TensorRT engines of a bundle, for the first GPU or for a compute capability.

    Engines that exist and fit are kept. For each one that does not fit, the reason is reported, and it is replaced.

    Args:
        bundle: A bundle folder; the engines go into its subfolder ``engines``.
        precision: ``fp32``, a precision that the bundle has variants in, or ``auto``: fp16 where it exists. The face
            detector is always fp32.
        buckets: Upper bounds of the length buckets, seconds, ascending; the last one is the bundle's window. By default
            a third of the window, and the window.
        max_batch: Largest number of clips at once; the runtime needs 1.
        graphs: Names of the graphs to build; all by default.
        workspace_mib: Largest scratch memory of a layer, MiB; by default an eighth of the GPU's memory, within limits.
        strip_weights: Build plans without weights; the runtime reads the weights from the ONNX file.
        version_compatible: Build plans that newer versions of TensorRT run; they may be slower.
        compute_capability: Such as ``SM86``: build for this kind of GPU with TensorRT-RTX, which needs no GPU.
        progress: Called with a line of text at each step.

    Returns:
        The engines, old and new.

    Raises:
        InputError: An argument is wrong.
        BundleError: The bundle cannot be trusted, is an archive, or lacks the precision.
        BackendUnavailableError: TensorRT or the GPU is missing.
        ExportError: A build fails; engines built before it stay.

    Examples:
        On the machine that will run the engines:

        >>> from vavl_export import build_engines
        >>> engines = build_engines("my-bundle", precision="fp16")  # doctest: +SKIP
        >>> engines[0].record.key.graph  # doctest: +SKIP
        'audio_encoder'
    """
    place = Path(bundle)
    if not place.is_dir():
        raise BundleNotFoundError(f"{place}: no bundle folder; engines are stored in it: unzip a .vavl archive first")
    if unknown := sorted(set(graphs or ()) - set(GRAPHS)):
        raise InputError(f"graphs: got {', '.join(unknown)}, expected some of {', '.join(GRAPHS)}")
    tell = progress or silent
    target = find_target(
        workspace_mib=workspace_mib,
        strip_weights=strip_weights,
        version_compatible=version_compatible,
        compute_capability=compute_capability,
    )
    with open_bundle(place) as opened:
        lengths = choose_buckets(opened.manifest, tuple(buckets) if buckets is not None else None, max_batch)
        name_leftovers_in(opened.root / FOLDER)
        tell(f"{target.library} for {target.gpu_name} (compute capability {target.machine.compute_capability})")
        wanted = list(_plan(opened, target, lengths, choose_precisions(opened.manifest, precision, gpu=True), graphs))
        _build(opened, target, _missing(opened, wanted, target.machine, tell), tell)
        _remove_replaced(opened, wanted, target.machine)
        return [read_engine(opened.root / FOLDER / item.key.folder) for item in wanted]


def _plan(
    bundle: Bundle,
    target: BuildTarget,
    buckets: Buckets,
    precisions: Mapping[str, Precision],
    graphs: Sequence[str] | None,
) -> Iterator[_Wanted]:
    manifest = bundle.manifest
    for name in graphs or GRAPHS:
        record = manifest.graphs[name].in_precision(precisions[name])
        profiles = plan_profiles(name, record, manifest, buckets)
        onnx = bundle.graph_file(name, precisions[name])
        for served in [(profile,) for profile in profiles] if target.library.one_profile_only else [profiles]:
            key = EngineKey(
                machine=target.machine,
                graph=name,
                precision=record.precision,
                onnx_sha256=manifest.files[record.file].sha256,
                weights_sha256=manifest.files[record.data].sha256,
                profiles=served,
                stripped=target.options.stripped,
                version_compatible=target.options.version_compatible,
            )
            yield _Wanted(key, record, onnx, len(served) * (manifest.files[record.data].bytes + _LEAST_COST))


def _missing(bundle: Bundle, wanted: list[_Wanted], machine: Machine, progress: Progress) -> list[_Wanted]:
    """The engines that do not exist, or do not fit; says why."""
    names = {item.key.folder for item in wanted}
    missing = []
    for item in wanted:
        reason = _why_build(bundle, item, machine, names)
        progress(f"{item.title}: {reason or 'up to date'}")
        if reason:
            missing.append(item)
    return missing


def _build(bundle: Bundle, target: BuildTarget, missing: list[_Wanted], progress: Progress) -> None:
    watch = Watch(sum(item.cost for item in missing), len(missing), progress)
    timings = bundle.root / FOLDER / _timings_name(target.machine)
    for item in missing:
        known = timings.read_bytes() if timings.is_file() else b""
        job = Job(target.library.name, item.onnx, item.key.profiles, replace(target.options, timing_cache=known))
        built = build_in_process(job, watch.start(item.title, item.cost))
        _store(bundle, item.key, built)
        watch.finish(f"{len(built.plan) / 1e6:.1f} MB in {built.build_seconds:.0f} s")
        if built.timing_cache:
            write_atomically(timings, built.timing_cache)


def _why_build(bundle: Bundle, item: _Wanted, machine: Machine, names: set[str]) -> str | None:
    """Say in one sentence why an engine must be built; None if it exists and fits.

    ``names`` are the folders of all wanted engines: those for the graph's other buckets are no reason to build.
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
    """Remove engines of this GPU that cannot be loaded any more, or that new ones replace."""
    kept = {item.key.folder for item in wanted}
    for name, precision in {(item.key.graph, item.key.precision) for item in wanted}:
        for folder in engine_folders(bundle.root, name, precision):
            if folder.name not in kept and _is_of(folder, machine):
                remove_folder(folder)


def _is_of(folder: Path, machine: Machine) -> bool:
    try:
        built = read_engine(folder).record.key.machine
    except EngineError:
        return True
    return built.model_copy(update={"version": machine.version}) == machine


def _timings_name(machine: Machine) -> str:
    gpu = "".join(character if character.isalnum() else "-" for character in machine.gpu.lower())
    return f"timings-{machine.version}-{gpu}.cache"
