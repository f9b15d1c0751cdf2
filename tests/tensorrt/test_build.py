"""Engines are built once, kept while they fit, and replaced with a reason when they do not."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.tensorrt.conftest import Machine
from tests.tensorrt.engine_folder import build
from tests.tensorrt.fake_tensorrt import VERSIONS
from vavl_export.cli import app
from vavl_export.errors import ExportError
from vavl_export.tensorrt.watch import Watch
from vavl_runtime.devices.gpu import Gpu
from vavl_runtime.errors import BundleNotFoundError, InputError, VariantMissingError

MakeMachine = Callable[..., Machine]


@pytest.mark.parametrize("version", VERSIONS)
def test_engines_of_all_graphs_one_for_each_bucket_before_10_8(
    version: str, folder: Path, machine: MakeMachine
) -> None:
    machine(version)
    keys = [engine.record.key for engine in build(folder)]
    profiles = {"audio_encoder": 2, "face_encoder": 2, "audio_visual": 3, "audio": 2, "visual": 3}
    for name, count in {**profiles, "pnet": 1, "rnet": 1, "onet": 1}.items():
        served = [len(key.profiles) for key in keys if key.graph == name]
        assert served == ([1] * count if version == "10.3.0" else [count])
    assert {key.machine.gpu for key in keys} == {"Orin"}
    assert (folder / "engines" / f"timings-{version}-orin.cache").read_bytes().startswith(version.encode())


def test_a_second_build_builds_nothing(folder: Path, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    first = build(folder)
    lines: list[str] = []
    assert build(folder, lines) == first
    assert [line for line in lines[1:] if not line.endswith(": up to date")] == []


def test_an_upgrade_of_tensorrt_is_explained_and_replaces_the_engines(folder: Path, machine: MakeMachine) -> None:
    machine("10.3.0")
    old = build(folder, graphs=("audio",))
    machine("10.16.2.10")
    lines: list[str] = []
    (new,) = build(folder, lines, graphs=("audio",))
    assert any("built with TensorRT 10.3.0, this machine has 10.16.2.10" in line for line in lines)
    assert new.plan.is_file()
    assert not any(engine.plan.exists() for engine in old)


def test_engines_of_another_gpu_stay(folder: Path, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    (orin,) = build(folder, graphs=("audio",))
    machine("10.16.2.10", Gpu(0, "NVIDIA L4", (8, 9), 24 << 30))
    lines: list[str] = []
    build(folder, lines, graphs=("audio",))
    assert any("built for Orin of compute capability 8.7" in line and "not for NVIDIA L4" in line for line in lines)
    assert orin.plan.is_file()


def test_other_lengths_are_explained_and_replace_the_engines(folder: Path, machine: MakeMachine) -> None:
    machine("11.4.1")
    (old,) = build(folder, graphs=("audio_encoder",))
    lines: list[str] = []
    build(folder, lines, graphs=("audio_encoder",), buckets=(2.0, 12.0))
    assert any("built for other lengths" in line for line in lines)
    assert not old.plan.exists()


def test_damage_is_explained_and_mended(folder: Path, machine: MakeMachine) -> None:
    machine("11.4.1")
    (engine,) = build(folder, graphs=("audio",))
    content = engine.plan.read_bytes()
    engine.plan.write_bytes(content[:-1])
    lines: list[str] = []
    build(folder, lines, graphs=("audio",))
    assert any("engine.plan: damaged, its sha256 is" in line for line in lines)
    assert engine.plan.read_bytes() == content


def test_a_failed_build_leaves_what_was_there(
    folder: Path, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("11.4.1")
    (engine,) = build(folder, graphs=("audio",))
    fake = machine("10.16.2.10").tensorrt
    monkeypatch.setattr(fake.Builder, "_problem", lambda *_: "out of memory")
    with pytest.raises(ExportError, match="builds no engine: out of memory"):
        build(folder, graphs=("audio",))
    assert engine.plan.is_file()
    assert [path.name for path in (folder / "engines").iterdir() if path.is_dir()] == [engine.plan.parent.name]


def test_memory_is_bounded_on_small_boards(folder: Path, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = machine("10.3.0").tensorrt
    limits: list[dict[str, int]] = []

    def remember(self: object, network: object, config: object) -> str:
        limits.append({pool.name: size for pool, size in config._limits.items()})  # type: ignore[attr-defined]
        assert config.max_aux_streams == 0  # type: ignore[attr-defined]
        return ""

    monkeypatch.setattr(fake.Builder, "_problem", remember)
    build(folder, graphs=("audio",))
    assert limits[0] == {"WORKSPACE": 1 << 30, "TACTIC_DRAM": 4 << 30}  # of 8 GiB


def test_options_are_checked(folder: Path, tmp_path: Path, machine: MakeMachine) -> None:
    machine("10.3.0")
    with pytest.raises(VariantMissingError, match="precision bf16: bundle"):
        build(folder, precision="bf16")
    with pytest.raises(InputError, match="graphs: got ear, expected some of audio_encoder"):
        build(folder, graphs=("ear",))
    with pytest.raises(InputError, match="compute_capability: got 'ampere', expected a name such as SM86"):
        build(folder, compute_capability="ampere")
    archive = tmp_path / "bundle.vavl"
    archive.touch()
    with pytest.raises(BundleNotFoundError, match="unzip a .vavl archive first"):
        build(archive)


def test_the_command_prints_the_engines(folder: Path, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    result = CliRunner().invoke(app, ["tensorrt", str(folder), "--precision", "fp32", "--graph", "audio"])
    assert result.exit_code == 0, result.output
    assert Path(result.stdout.splitlines()[-1]).parent == folder / "engines"


def test_without_a_gpu_the_command_ends_with_4(folder: Path) -> None:
    result = CliRunner().invoke(app, ["tensorrt", str(folder)])
    assert result.exit_code == 4


def test_building_needs_neither_pytorch_nor_onnx(folder: Path) -> None:
    code = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "transformers", "timm", "vavl", "onnx", "onnxscript"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
from vavl_export.cli import main
main()
"""
    command = [sys.executable, "-c", code, "tensorrt", str(folder), "--compute-capability", "ampere"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 3
    assert done.stderr.startswith("error: --compute-capability: got 'ampere'")


def test_malformed_buckets_are_a_usage_error(folder: Path) -> None:
    assert CliRunner().invoke(app, ["tensorrt", str(folder), "--buckets", "4;12"]).exit_code == 2


def test_time_left_is_estimated_from_what_is_done() -> None:
    clock = [0.0]
    lines: list[str] = []
    watch = Watch(400, 2, lines.append, lambda: clock[0])
    report = watch.start("first", 100)
    clock[0] = 5.0
    report(0.5)  # too soon for a line
    clock[0] = 30.0
    report(0.5)
    clock[0] = 60.0
    watch.finish("done")
    assert lines == [
        "[1/2] first: building",
        "[1/2] first: 50%, about 4 min left",
        "[1/2] first: done, about 3 min left",
    ]


def test_unfinished_engines_of_killed_builds_are_named(
    folder: Path, machine: MakeMachine, caplog: pytest.LogCaptureFixture
) -> None:
    machine("10.16.2.10")
    (folder / "engines" / ".visual-fp32-0123.abcd_123").mkdir(parents=True)
    build(folder, graphs=("audio",))
    assert [".visual-fp32-0123.abcd_123: unfinished; remove it" in said for said in caplog.messages] == [True]


def test_an_engine_that_is_removed_is_never_half_there(
    folder: Path, machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the build were killed when it begins to remove the files."""
    machine("10.3.0")
    build(folder, graphs=("audio",))
    machine("10.16.2.10")
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    (new,) = build(folder, graphs=("audio",))
    assert list((folder / "engines").glob("audio-*")) == [new.plan.parent]
