"""Bundles with fp16 and bf16 graphs, for builds with TensorRT-RTX, which needs no GPU for them."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vavl_export.cli import app
from vavl_export.precision.variants import VariantRequest, add_variants


@pytest.fixture(scope="session", autouse=True)
def tensorrt_rtx() -> None:
    """The library, not imported here: builds run in processes of their own."""
    if find_spec("tensorrt_rtx") is None:
        pytest.skip("needs pip install 'vavl-edge[tensorrt-rtx]'")


def export(preset: str, folder: Path, precision: str = "fp32,fp16,bf16", *options: str) -> Path:
    arguments = ["onnx", "--preset", preset, "--precision", precision, *options, "-o", str(folder / preset)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return folder / preset


@pytest.fixture(scope="session")
def light_variants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light bundle with random weights."""
    return export("light", tmp_path_factory.mktemp("light"))


@pytest.fixture(scope="session")
def packaged_variants(light_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged bundle, whose encoders and trained model are others than the preset's."""
    folder = Path(shutil.copytree(light_bundle, tmp_path_factory.mktemp("packaged") / "light"))
    add_variants(folder, VariantRequest(("fp16", "bf16")), lambda line: None)
    return folder


@pytest.fixture(scope="session")
def light_int8(example_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with int8 graphs, calibrated on one clip."""
    clips = tmp_path_factory.mktemp("clips")
    shutil.copy(example_clip, clips)
    options = ("--calibration", str(clips), "--allow-drift")
    return export("light", tmp_path_factory.mktemp("int8"), "fp32,int8", *options)


@pytest.fixture(scope="session")
def paper_variants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A paper-sized bundle with random weights."""
    return export("paper", tmp_path_factory.mktemp("paper"))
