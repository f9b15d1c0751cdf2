"""``vavl-export verify --backend tensorrt``: engines are measured, and those that nobody built are named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.tensorrt.conftest import ORIN, Machine
from tests.tensorrt.engine_folder import build
from vavl_export.cli import app
from vavl_runtime.backends import choice
from vavl_runtime.bundle.precision import VARIANT_GRAPHS
from vavl_runtime.devices.gpu import Driver

MakeMachine = Callable[..., Machine]


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch, machine: MakeMachine) -> None:
    machine("10.16.2.10")
    monkeypatch.setattr(choice, "probe_driver", lambda load: Driver((12, 6), (ORIN,), None))


def _verify(folder: Path) -> Result:
    return CliRunner().invoke(app, ["verify", str(folder), "--device", "cuda:0", "--backend", "tensorrt"])


def test_engines_are_measured_and_missing_ones_are_named(half_bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(half_bundle, tmp_path / "half"))
    build(folder, precision="fp16")
    result = _verify(folder)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if " on cuda:0 tensorrt: " in line]
    measured = [line for line in lines if line.startswith("ok      drift")]
    # The detector is always fp32; engines of the others were built in fp16 alone, and the bundle has bf16, too.
    assert [line.split()[2:4] for line in measured] == [[name, "fp32"] for name in ("pnet", "rnet", "onet")] + [
        [name, "fp16"] for name in ("audio", "visual", "audio_visual", "audio_encoder", "face_encoder")
    ]
    assert all("(TensorRT 10.16.2.10 cuda:0 (Orin), CUDA graphs, golden inputs): relative L2" in m for m in measured)
    audio = next(line for line in measured if " audio fp16 " in line)
    assert "input skipped: graph audio: got inputs" in audio and "its engines serve" in audio  # a batch of two
    skipped = [line for line in lines if line.startswith("skipped")]
    assert [line.split()[2:4] for line in skipped] == [
        [name, precision] for precision in ("fp32", "bf16") for name in VARIANT_GRAPHS
    ]
    assert all("not built: " in line and "vavl-export tensorrt" in line for line in skipped)
    assert result.stdout.endswith(f"all checks passed, {len(skipped)} skipped\n")


def test_a_damaged_engine_is_no_missing_one(folder: Path) -> None:
    engines = build(folder, graphs=("audio", "visual"))
    engines[0].plan.write_bytes(b"something else")
    result = _verify(folder)
    assert result.exit_code == 1
    (failed,) = [line for line in result.stdout.splitlines() if line.startswith("FAILED")]
    assert failed.startswith("FAILED  drift audio fp32 on cuda:0 tensorrt: ") and "damaged" in failed


def test_without_engines_there_is_no_backend(folder: Path) -> None:
    result = _verify(folder)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "the bundle has no engines" in result.stderr


def test_nothing_checked_is_a_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vavl_runtime.backends.trt.backend.require_any", lambda *arguments: None)
    result = _verify(folder)
    assert result.exit_code == 1
    assert "FAILED  anything on cuda:0 tensorrt: no graph could be run" in result.stdout
