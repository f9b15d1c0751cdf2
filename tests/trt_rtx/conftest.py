"""Bundles with fp16 and bf16 graphs, for builds with TensorRT-RTX, which needs no GPU for them."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from vavl_export.precision.variants import VariantRequest, add_variants


@pytest.fixture(scope="session", autouse=True)
def tensorrt_rtx() -> None:
    """The library, not imported here: builds run in processes of their own."""
    if find_spec("tensorrt_rtx") is None:
        pytest.skip("needs pip install 'vavl-edge[tensorrt-rtx]'")


@pytest.fixture(scope="session")
def light_variants(random_light_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light bundle with random weights."""
    return lower(random_light_bundle, tmp_path_factory.mktemp("light"))


@pytest.fixture(scope="session")
def packaged_variants(half_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged bundle, whose encoders and trained model are others than the preset's."""
    return Path(shutil.copytree(half_bundle, tmp_path_factory.mktemp("packaged") / "light"))


@pytest.fixture(scope="session")
def packaged_int8(lowered_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with int8 graphs."""
    return Path(shutil.copytree(lowered_bundle, tmp_path_factory.mktemp("int8") / "light"))


@pytest.fixture(scope="session")
def paper_variants(paper_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A paper-sized bundle with random weights."""
    return lower(paper_bundle, tmp_path_factory.mktemp("paper"))


def lower(bundle: Path, folder: Path) -> Path:
    """Copy a bundle into a folder and add fp16 and bf16 graphs; engines may be written there."""
    place = Path(shutil.copytree(bundle, folder / bundle.name))
    add_variants(place, VariantRequest(("fp16", "bf16")), lambda line: None)
    return place
