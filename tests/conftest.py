"""Fixtures that all tests share: the packaged bundle, a recogniser on it, and real media where they are at hand."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from vavl_runtime import Recognizer
from vavl_runtime.bundle import PACKAGED_BUNDLE

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> None:
    """Tests run in parallel and their models are tiny: more threads only fight each other."""
    if find_spec("torch"):  # the runtime's own tests run without it, as on a device
        import torch

        torch.set_num_threads(1)


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
def paper_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A paper-sized bundle with random weights, exported by the command line; takes a minute or two."""
    from typer.testing import CliRunner

    from vavl_export.cli import app

    place = tmp_path_factory.mktemp("paper") / "paper"
    result = CliRunner().invoke(app, ["onnx", "--preset", "paper", "-o", str(place)])
    assert result.exit_code == 0, result.output
    return place
