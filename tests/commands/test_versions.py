"""``--version``: on every command, before and after everything else, of the bundle that is named."""

import shutil
from pathlib import Path

import pytest

from tests.commands.programs import MODULES, all_commands, run
from vavl_runtime import __version__
from vavl_runtime.bundle import open_bundle
from vavl_runtime.errors import BackendUnavailableError


def expected(bundle: Path) -> str:
    import onnxruntime

    with open_bundle(bundle) as opened:
        last = f"bundle {opened.name}, sha256 {opened.sha256}, {opened.manifest.weights} ({bundle})"
    return f"vavl-edge {__version__}\nonnxruntime {onnxruntime.__version__}\n{last}\n"


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_every_command_tells_its_versions(command: tuple[str, ...], light_bundle: Path) -> None:
    """Although arguments that the command needs are missing."""
    result = run(*command, "--version")
    assert (result.exit_code, result.stdout, result.stderr) == (0, expected(light_bundle), "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("vavl-run", "--version", "--bundle", "{}"),
        ("vavl-run", "--bundle", "{}", "--version"),
        ("vavl-run", "clip.mp4", "--bundle", "{}", "--version"),
        ("vavl-bench", "{}", "--version"),
        ("vavl-bench", "--version", "{}"),
        ("vavl-bench", "run", "--bundle", "{}", "--version"),
        ("vavl-bench", "will-it-run", "--version", "{}"),
        ("vavl-export", "verify", "{}", "--version"),
        ("vavl-export", "inspect", "--version", "--bundle", "{}"),
    ],
    ids=" ".join,
)
def test_the_named_bundle_is_told(arguments: tuple[str, ...], light_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(light_bundle, copy)
    result = run(*(argument.format(copy) for argument in arguments))
    assert (result.exit_code, result.stdout) == (0, expected(copy))


def test_the_default_bundle_follows_the_environment(
    light_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(light_bundle, copy)
    monkeypatch.setenv("VAVL_BUNDLE", str(copy))
    assert run("vavl-run", "--version").stdout == expected(copy)


@pytest.mark.parametrize("program", ["vavl-run", "vavl-bench"])
def test_a_bundle_that_is_not_there_is_an_error_after_the_versions(program: str, tmp_path: Path) -> None:
    result = run(program, "--version", "--bundle", tmp_path / "nothing")
    assert result.exit_code == 3
    assert result.stdout.startswith(f"vavl-edge {__version__}\n")
    assert result.stderr.startswith(f"error: {tmp_path / 'nothing'}: no bundle there")


def test_a_missing_onnxruntime_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise BackendUnavailableError("onnxruntime is not installed; …")

    monkeypatch.setattr("vavl_runtime.backends.ort.session.import_onnxruntime", missing)
    result = run("vavl-run", "--version")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == "onnxruntime is not installed; …"


@pytest.mark.parametrize("program", MODULES)
def test_help_lists_it(program: str) -> None:
    assert "--version" in run(program, "--help").stdout
