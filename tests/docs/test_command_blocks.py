"""Every command block of the README and of the tutorials runs as it stands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.command_blocks import Outcome, commands, run, words

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
INSTALLED = ["README.md", "docs/install.md", "docs/quickstart.md"] + [
    f"docs/tutorials/{name}.md" for name in ("run", "measure", "embed")
]
DEVELOPED = ["docs/tutorials/export.md", "docs/tutorials/train.md"]  # they need PyTorch: the environment of the tests
FRESH = ("PYTHONPATH", "VIRTUAL_ENV", "PIP_REQUIRE_VIRTUALENV", "VAVL_BUNDLE")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout as a clone would be, with the installation that the README asks for."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("needs a Git checkout: the files of a clone are what `git ls-files` names")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    install = next(command for command in commands(ROOT / "README.md") if "pip install" in command.script)
    _must_agree(run([install], folder, fresh_environment(), 600))
    return folder


def fresh_environment() -> dict[str, str]:
    """Variables of a shell in which nothing of ours is installed."""
    kept = {name: value for name, value in os.environ.items() if name not in FRESH}
    return {**kept, "PATH": f"{Path(sys.base_prefix) / 'bin'}:{os.defpath}"}


@pytest.mark.parametrize("page", INSTALLED)
def test_page_runs_in_a_fresh_environment(page: str, checkout: Path) -> None:
    if "curl " in (ROOT / page).read_text("utf-8") and shutil.which("curl") is None:
        pytest.skip("the page sends clips with curl, which is not installed")
    environment = fresh_environment()
    environment["PATH"] = f"{checkout / '.venv' / 'bin'}:{environment['PATH']}"
    _run_page(page, checkout, environment)


@pytest.mark.parametrize("page", DEVELOPED)
def test_page_runs_where_pytorch_is_installed(page: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    _run_page(page, tmp_path, {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})


@pytest.mark.parametrize("page", INSTALLED + DEVELOPED)
def test_blocks_that_are_not_run_say_why(page: str) -> None:
    for command in commands(ROOT / page):
        assert command.not_run is None or len(command.not_run) > 10, command


def test_every_tutorial_is_run() -> None:
    tutorials = {str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "tutorials").glob("*.md")}
    assert tutorials <= {*INSTALLED, *DEVELOPED}


def test_words_of_an_output_are_labels_and_reasons() -> None:
    assert words("a.mp4  audio_visual  neutral 0.61  80/80  visual: user_choice") == {
        "mp4",
        "audio_visual",
        "neutral",
        "visual",
        "user_choice",
    }


def _run_page(page: str, folder: Path, environment: dict[str, str]) -> None:
    found = commands(ROOT / page)
    for command in found:
        if command.not_run is not None:
            print(f"{page}, line {command.line}: not run: {command.not_run}")
    _must_agree(run(found, folder, environment, 1800))


def _must_agree(outcomes: list[Outcome]) -> None:
    problems = [problem for outcome in outcomes if (problem := outcome.problem())]
    assert not problems, "\n".join(problems)
