"""Bundles with fp16 and bf16 graphs, for builds with TensorRT-RTX, which needs no GPU for them."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vavl_export.cli import app


@pytest.fixture(scope="session", autouse=True)
def tensorrt_rtx() -> None:
    """The library, not imported here: builds run in processes of their own."""
    if find_spec("tensorrt_rtx") is None:
        pytest.skip("needs pip install 'vavl-edge[tensorrt-rtx]'")


def export(preset: str, folder: Path) -> Path:
    arguments = ["onnx", "--preset", preset, "--precision", "fp32,fp16,bf16", "-o", str(folder / preset)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return folder / preset


@pytest.fixture(scope="session")
def light_variants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light bundle with random weights."""
    return export("light", tmp_path_factory.mktemp("light"))


@pytest.fixture(scope="session")
def paper_variants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A paper-sized bundle with random weights."""
    return export("paper", tmp_path_factory.mktemp("paper"))
