"""An onnxruntime that is missing or broken is one sentence with the command that installs it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from vavl_runtime import Recognizer
from vavl_runtime.backends.ort.session import import_onnxruntime
from vavl_runtime.errors import BackendUnavailableError

INSTALL = r"pip install 'vavl-edge\[cpu\]', or 'vavl-edge\[gpu\]' for an NVIDIA GPU"


def _take_modules() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "onnxruntime"}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder that Python searches instead of the installed packages."""
    real = _take_modules()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    yield tmp_path
    _take_modules()
    sys.modules.update(real)


def test_one_that_is_not_installed(elsewhere: Path) -> None:
    with pytest.raises(BackendUnavailableError, match=f"^onnxruntime is not installed; {INSTALL}$"):
        import_onnxruntime()


def test_the_recogniser_says_so_too(elsewhere: Path, light_bundle: Path) -> None:
    with pytest.raises(BackendUnavailableError, match="onnxruntime is not installed"):
        Recognizer(light_bundle, device="cpu")


def test_one_that_breaks_while_it_is_imported(elsewhere: Path) -> None:
    (elsewhere / "onnxruntime").mkdir()
    (elsewhere / "onnxruntime" / "__init__.py").write_text("import a_library_that_is_not_there\n")
    with pytest.raises(BackendUnavailableError, match=f"a_library_that_is_not_there.*pip uninstall .*, then {INSTALL}"):
        import_onnxruntime()


def test_what_uninstalling_one_of_two_leaves_behind(elsewhere: Path) -> None:
    (elsewhere / "onnxruntime" / "capi").mkdir(parents=True)
    with pytest.raises(BackendUnavailableError, match=f"installed in part only; pip uninstall .*, then {INSTALL}"):
        import_onnxruntime()
