"""Fixtures that all tests share: bundles of each kind, a recogniser, and real media where they are at hand."""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from tests.session_store import SessionStore
from vavl_runtime import Recognizer
from vavl_runtime.bundle import PACKAGED_BUNDLE

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

settings.register_profile("no_deadline", deadline=None)  # machines that run tests are busy
settings.load_profile("no_deadline")


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> None:
    """Tests run in parallel and their models are tiny: more threads only fight each other."""
    if find_spec("torch"):  # the runtime's own tests run without it, as on a device
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Files of tests need not outlive the machine, and making them durable takes most of the time of some tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def light_bundle() -> Path:
    """The bundle inside the package."""
    return PACKAGED_BUNDLE


@pytest.fixture(scope="session")
def recognizer(light_bundle: Path) -> Iterator[Recognizer]:
    """A recogniser on the packaged bundle."""
    with Recognizer(light_bundle, threads=1) as opened:
        yield opened


@pytest.fixture(scope="session")
def example_clip() -> Path:
    """The committed example clip."""
    return ROOT / "examples" / "astronaut.mp4"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real media that are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("no folder of real media beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> SessionStore:
    """What is made once for the whole run, however many processes it has."""
    return SessionStore.of_session(tmp_path_factory)


@pytest.fixture(scope="session")
def random_light_bundle(store: SessionStore) -> Path:
    """An fp32 bundle of the light preset with random weights; read-only."""
    return store.get("random-light", partial(_export_preset, "light")) / "light"


@pytest.fixture(scope="session")
def paper_bundle(store: SessionStore) -> Path:
    """A paper-sized fp32 bundle with random weights; takes a minute or two; read-only."""
    return store.get("paper", partial(_export_preset, "paper")) / "paper"


@pytest.fixture(scope="session")
def exact_bundle(light_bundle: Path, store: SessionStore) -> Path:
    """The packaged bundle in fp32 alone; read-only."""
    from tests.export.made_bundles import without_variants

    return store.get("exact", lambda folder: without_variants(light_bundle, folder / "light")) / "light"


@pytest.fixture(scope="session")
def half_bundle(exact_bundle: Path, store: SessionStore) -> Path:
    """The packaged bundle with fp16 and bf16 graphs; read-only."""
    from vavl_export.precision.variants import VariantRequest, add_variants

    def make(folder: Path) -> None:
        shutil.copytree(exact_bundle, folder / "light")
        add_variants(folder / "light", VariantRequest(("fp16", "bf16")), lambda line: None)

    return store.get("half", make) / "light"


@pytest.fixture(scope="session")
def lowered_bundle(exact_bundle: Path, example_clip: Path, store: SessionStore) -> Path:
    """The packaged bundle in every precision, calibrated on the example clip; read-only."""
    from vavl_export.precision import latency
    from vavl_export.precision.variants import VariantRequest, add_variants

    def make(folder: Path) -> None:
        clips = folder / "clips"
        clips.mkdir()
        shutil.copy(example_clip, clips)
        shutil.copytree(exact_bundle, folder / "light")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(latency, "SECONDS", 0.0)  # as few turns as possible: nothing rests on the figures
            add_variants(folder / "light", VariantRequest(("fp16", "bf16", "int8"), clips), lambda line: None)

    return store.get("lowered", make) / "light"


def _export_preset(preset: str, folder: Path) -> None:
    """Export through the command line, with the preset's name for the bundle."""
    from typer.testing import CliRunner

    from vavl_export.cli import app

    result = CliRunner().invoke(app, ["onnx", "--preset", preset, "-o", str(folder / preset)])
    assert result.exit_code == 0, result.output
