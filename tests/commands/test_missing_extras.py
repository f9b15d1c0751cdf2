"""A package that an extra brings and that is not installed: one line with the command that installs it."""

from pathlib import Path

import pytest

from tests.commands.programs import MODULES, run_apart
from vavl_runtime.cli.app import new_app

# Runs before everything else in a process, and makes modules look as if they were not installed.
BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
"""
ENGINES = ("onnxruntime",)
TRAINING = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "onnx",
    "lightning_fabric",
    "sklearn",
    "scipy",
    "matplotlib",
)


@pytest.fixture
def without(tmp_path: Path) -> Path:
    """A folder for the module search path, to be filled by `block`."""
    folder = tmp_path / "blocker"
    folder.mkdir()
    return folder


def block(folder: Path, names: tuple[str, ...]) -> Path:
    (folder / "sitecustomize.py").write_text(BLOCKER.format(names=names))
    return folder


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("vavl-train", "features", "manifest", "nowhere.csv", "-o", "out"), "train"),
        (("vavl-train", "fit", "manifest", "nowhere.csv", "--features", "none", "-o", "out"), "train"),
        (("vavl-train", "evaluate", "run", "-o", "out"), "train"),
        (("vavl-export", "onnx", "-o", "out"), "export"),
        (("vavl-export", "verify"), "export"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)
def test_one_line_names_the_extra(
    arguments: tuple[str, ...], extra: str, without: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_apart(*arguments, path=block(without, TRAINING))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 4
    assert line.startswith("error: ")
    assert line.endswith(f" is not installed; pip install 'vavl-edge[{extra}]'")
    assert line.split()[1] in TRAINING
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_tools_leave_the_choice_of_onnxruntime(without: Path) -> None:
    """Their extras name neither the CPU's nor the GPU's, which must not be installed together."""
    done = run_apart("vavl-export", "verify", path=block(without, ENGINES))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 4
    assert line.startswith("error: onnxruntime is not installed; pip install 'vavl-edge[cpu]', or 'vavl-edge[gpu]'")


def test_verbose_adds_the_traceback(without: Path) -> None:
    done = run_apart("vavl-train", "evaluate", "run", "-o", "out", "-v", path=block(without, TRAINING))
    assert done.stderr.startswith("error: ")
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("program", MODULES)
def test_help_needs_no_extra(program: str, without: Path) -> None:
    done = run_apart(program, "--help", path=block(without, (*ENGINES, *TRAINING)))
    assert (done.returncode, done.stderr) == (0, "")


def test_html_without_matplotlib(without: Path, tmp_path: Path) -> None:
    done = run_apart("vavl-bench", "-o", tmp_path / "a.html", path=block(without, ("matplotlib",)))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 3
    assert "pip install 'vavl-edge[report]'" in line


@pytest.mark.parametrize("program", ["vavl-run", "vavl-bench"])
def test_without_onnxruntime(program: str, without: Path, example_clip: Path) -> None:
    arguments = [example_clip] if program == "vavl-run" else ["will-it-run", "--seconds", "0"]
    done = run_apart(program, *arguments, path=block(without, ENGINES))
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (4, "")
    assert line.startswith("error: onnxruntime is not installed; pip install 'vavl-edge[cpu]'")


def test_a_defect_of_ours_is_no_missing_extra() -> None:
    """A module of our own or of Python that is not there keeps its traceback."""
    app = new_app("Fails.", extra="train")

    @app.command()
    def fail(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    from typer.testing import CliRunner

    for name in ("vavl.no_such_module", "json.no_such_module"):
        result = CliRunner().invoke(app, [name])
        assert isinstance(result.exception, ModuleNotFoundError)
    result = CliRunner().invoke(app, ["lightning_fabric.plugins"])
    assert result.stderr == "error: lightning_fabric is not installed; pip install 'vavl-edge[train]'\n"


def test_versions_are_told_without_an_engine(without: Path) -> None:
    done = run_apart("vavl-run", "--version", path=block(without, ENGINES))
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("onnxruntime is not installed; pip install 'vavl-edge[cpu]'")


def test_the_doctor_names_the_extra(without: Path) -> None:
    done = run_apart("vavl-doctor", path=block(without, ENGINES))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-2] == "CPU: no, because onnxruntime cannot be imported"
    assert "onnxruntime is not installed; pip install 'vavl-edge[cpu]'" in done.stdout
