"""Copies of the packaged bundle for tests to damage, and a made-up ONNX Runtime with a GPU."""

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.runtime.damaged_bundles import copy_bundle, zip_folder
from tests.runtime.fake_onnxruntime import FakeOnnxRuntime
from tests.runtime.gpu_graph import RECORD, compute, install


@pytest.fixture(scope="session")
def original(light_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the bundle beside the tests' own folders, so that theirs can be made of hard links."""
    folder = tmp_path_factory.mktemp("original") / "light"
    shutil.copytree(light_bundle, folder)
    return folder


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    """A bundle to damage with ``damaged_bundles``, which never writes into a file that is there."""
    return copy_bundle(original, tmp_path / "bundle")


@pytest.fixture(scope="session")
def archive(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as a compressed archive."""
    return zip_folder(original, tmp_path_factory.mktemp("archive") / "light.vavl", zipfile.ZIP_DEFLATED)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeOnnxRuntime:
    """An ONNX Runtime with a GPU, made up, that knows one graph."""
    fake = FakeOnnxRuntime(compute)
    fake.records["graph"] = RECORD
    install(monkeypatch, fake)
    return fake
