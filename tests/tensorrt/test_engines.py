"""Only the engine that was built here, for this, is loaded; every other one is refused with its reason."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tensorrt.conftest import ORIN, Machine
from tests.tensorrt.engine_folder import build
from vavl_runtime.backends.trt.engine_store import Engine, find_engines, this_machine, version_numbers
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import FILE_NAME
from vavl_runtime.devices.gpu import Gpu
from vavl_runtime.errors import EngineError
from vavl_runtime.files import write_atomically

MakeMachine = Callable[..., Machine]


@pytest.fixture
def engine(folder: Path, machine: MakeMachine) -> Engine:
    machine("10.16.2.10")
    (built,) = build(folder, graphs=("audio",))
    return built


def find(folder: Path, version: str = "10.16.2.10", gpu: Gpu = ORIN, library: str = "tensorrt") -> list[Engine]:
    with open_bundle(folder) as bundle:
        return find_engines(bundle, this_machine(library, version, gpu), "audio", bundle.manifest.graphs["audio"])


def test_the_engine_is_found(folder: Path, engine: Engine) -> None:
    assert find(folder) == [engine]


def test_none_was_built(folder: Path) -> None:
    with pytest.raises(EngineError, match=r"graph audio \(fp32\): .*none was built; build it: vavl-export tensorrt"):
        find(folder)


def test_another_version(folder: Path, engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"built with TensorRT 10\.16\.2\.10, this machine has 10\.3\.0"):
        find(folder, version="10.3.0")


def test_another_library(folder: Path, engine: Engine) -> None:
    with pytest.raises(EngineError, match="built with TensorRT, this machine runs TensorRT-RTX"):
        find(folder, library="tensorrt_rtx")


def test_another_gpu(folder: Path, engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"built for Orin of compute capability 8\.7 .* not for Thor of .* 11\.0"):
        find(folder, gpu=Gpu(0, "Thor", (11, 0), 128 << 30))


def test_another_onnx_file(folder: Path, engine: Engine) -> None:
    alter(folder, "audio.onnx", b"")
    with pytest.raises(EngineError, match=r"built from another ONNX file \(sha256 .*…, the bundle's is .*…\)"):
        find(folder)


def test_other_weights(folder: Path, engine: Engine) -> None:
    alter(folder, "weights.bin", b"\0")
    with pytest.raises(EngineError, match="built from other weights"):
        find(folder)


def alter(folder: Path, file: str, more: bytes) -> None:
    """Put a changed file into the bundle, with a manifest that fits."""
    path = folder / file
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    # An empty protobuf field of a number that ONNX does not use keeps the graph what it was.
    content = path.read_bytes() + (more or b"\xfa\x7f\x00")
    path.write_bytes(content)
    manifest = (folder / FILE_NAME).read_text().replace(before, hashlib.sha256(content).hexdigest())
    old_size = f'"bytes": {len(content) - len(more or b"xxx")}'
    assert old_size in manifest
    write_atomically(folder / FILE_NAME, manifest.replace(old_size, f'"bytes": {len(content)}').encode())


def test_a_corrupted_plan(folder: Path, engine: Engine) -> None:
    content = bytearray(engine.plan.read_bytes())
    content[len(content) // 2] ^= 1
    engine.plan.write_bytes(content)
    with pytest.raises(EngineError, match=r"engine\.plan: damaged, its sha256 is .*…, engine\.json says .*…"):
        find(folder)


def test_one_corrupted_plan_of_several(folder: Path, machine: MakeMachine) -> None:
    """Before 10.8 each bucket of lengths has an engine: passed over, long clips would fail later and otherwise."""
    machine("10.3.0")
    first, second = build(folder, graphs=("audio",))
    second.plan.write_bytes(second.plan.read_bytes()[:-1])
    with pytest.raises(EngineError, match=r"graph audio \(fp32\): .*damaged.*; build it: vavl-export tensorrt"):
        find(folder, version="10.3.0")
    again = build(folder, graphs=("audio",))
    assert [engine.record.key for engine in again] == [first.record.key, second.record.key]
    assert find(folder, version="10.3.0") == sorted(again, key=lambda engine: engine.plan)


def test_a_corrupted_plan_of_another_machine_is_passed_over(folder: Path, engine: Engine) -> None:
    other = engine.plan.parent.with_name(engine.plan.parent.name.replace("audio-fp32-", "audio-fp32-0"))
    shutil.copytree(engine.plan.parent, other)  # under another name, so of nobody
    (other / engine.plan.name).write_bytes(b"")
    assert find(folder) == [engine]


def test_a_planted_engine_of_another_graph(folder: Path, engine: Engine, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    (other,) = build(folder, graphs=("visual",))
    shutil.rmtree(engine.plan.parent)
    shutil.copytree(other.plan.parent, engine.plan.parent)
    with pytest.raises(EngineError, match=r"engine\.json describes engine visual-fp32-\w+, so it was moved or edited"):
        find(folder)


def test_an_edited_record(folder: Path, engine: Engine) -> None:
    record = engine.plan.parent / "engine.json"
    record.write_text(record.read_text().replace("10.16.2.10", "10.3.0"))
    with pytest.raises(EngineError, match="so it was moved or edited"):
        find(folder, version="10.3.0")


def test_a_broken_record(folder: Path, engine: Engine) -> None:
    (engine.plan.parent / "engine.json").write_text("{")
    with pytest.raises(EngineError, match=r"engine\.json: damaged or of another version"):
        find(folder)


def test_half_an_engine(folder: Path, engine: Engine) -> None:
    engine.plan.unlink()
    with pytest.raises(EngineError, match="the engine is incomplete"):
        find(folder)


@pytest.mark.parametrize(
    ("built", "here", "runs"),
    [
        ("10.3.0", "10.16.2.10", True),
        ("10.16.2.10", "11.4.1", True),
        ("10.16.2.10", "10.3.0", False),
        ("11.4.1", "10.16.2.10", False),
        ("11.4.1", "12.0.0", False),
    ],
)
def test_version_compatible_engines_run_on_newer_versions(
    built: str, here: str, runs: bool, folder: Path, machine: MakeMachine
) -> None:
    machine(built)
    engines = build(folder, graphs=("audio",), version_compatible=True)
    if runs:
        assert {engine.plan for engine in find(folder, version=here)} == {engine.plan for engine in engines}
    else:
        with pytest.raises(EngineError, match=f"built with TensorRT {built}, this machine has {here}"):
            find(folder, version=here)


def test_the_leading_numbers_of_a_version_count() -> None:
    assert version_numbers("10.16.2.10") == (10, 16, 2, 10)
    assert version_numbers("11.0.0rc1") == (11, 0)
