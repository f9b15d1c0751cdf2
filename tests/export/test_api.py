"""The Python API of the exporter: its names, results and messages, and that the command only translates to it."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import vavl.corpora
import vavl_export
import vavl_runtime
from tests.exported_names import guarded_imports, mentioned_classes
from vavl.errors import ConfigError
from vavl_export import Check, export_bundle, verify_bundle
from vavl_export.cli import OPTIONS, app
from vavl_runtime import open_bundle
from vavl_runtime.bundle.precision import VARIANT_GRAPHS
from vavl_runtime.errors import OutputError

NAMES = [name for name in vavl_export.__all__ if not name.startswith("_")]
PACKAGE = Path(str(vavl_export.__file__)).parent


def test_type_checkers_see_the_same_names() -> None:
    assert guarded_imports(vavl_export) == vavl_export._HOMES
    assert sorted(NAMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_class_in_a_signature_is_public(name: str) -> None:
    if name in vavl.corpora.__all__:
        return  # described there
    public = {
        getattr(module, other) for module in (vavl_export, vavl_runtime, vavl.corpora) for other in module.__all__
    }
    mentioned = mentioned_classes(getattr(vavl_export, name))
    assert {leaf.__qualname__ for leaf in mentioned if leaf not in public} == set()


def test_importing_the_package_imports_no_large_library() -> None:
    code = "import sys, vavl_export; print(sorted({'torch', 'onnx', 'onnxruntime', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout == "[]\n"


def test_the_package_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "vavl_export", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("onnx", "verify", "tensorrt", "inspect"))


def _texts(file: Path) -> list[str]:
    """Every string in a file but its docstrings, f-strings in one piece."""
    tree = ast.parse(file.read_text("utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [text for text in constants if isinstance(text, str) and text not in docstrings]


LIBRARY = [file for file in PACKAGE.rglob("*.py") if file.name != "cli.py"]


@pytest.mark.parametrize("file", LIBRARY, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_the_library_names_no_options_of_a_command(file: Path) -> None:
    assert [text for text in _texts(file) if re.search(r"(^|[\s('\"])--[a-z]", text)] == []


@pytest.mark.parametrize("parameter", OPTIONS)
def test_every_translated_parameter_occurs_in_a_message(parameter: str) -> None:
    files = [*LIBRARY, Path(str(vavl_runtime.__file__)).parent / "files.py"]
    assert any(parameter in text for file in files for text in _texts(file))


@pytest.mark.parametrize(
    ("arguments", "options", "parameter", "option"),
    [
        ({"preset": "huge"}, ["--preset", "huge"], "preset: got 'huge'", "--preset: got 'huge'"),
        (
            {"precisions": ["fp8"]},
            ["--precision", "fp8"],
            "precisions: got fp8, expected any of fp32, fp16, bf16, int8",
            "--precision: got fp8, expected any of fp32, fp16, bf16, int8",
        ),
        (
            {"precisions": ["int8"]},
            ["--precision", "fp32,int8"],
            "pass calibration=FOLDER",
            "pass --calibration FOLDER",
        ),
    ],
)
def test_the_command_names_its_options_where_the_library_names_its_parameters(
    tmp_path: Path, arguments: dict[str, object], options: list[str], parameter: str, option: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(parameter)):
        export_bundle(tmp_path / "bundle", **{"preset": "light", **arguments})  # type: ignore[arg-type]
    result = CliRunner().invoke(app, ["onnx", "-o", str(tmp_path / "bundle"), "--preset", "light", *options])
    assert result.exit_code == 3
    assert option in " ".join(result.output.split())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_replaced_only_on_request(tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    place.mkdir()
    with pytest.raises(OutputError, match="already exists; choose another place, or pass overwrite=True"):
        export_bundle(place, preset="light")
    result = CliRunner().invoke(app, ["onnx", "-o", str(place), "--preset", "light"])
    assert "or pass --force to replace it" in " ".join(result.output.split())
    assert list(place.iterdir()) == []


def test_a_verification_has_every_check_in_order(light_bundle: Path) -> None:
    seen: list[Check] = []
    result = verify_bundle(light_bundle, on_check=seen.append)
    assert result.passed and result.failed == () and list(result.checks) == seen
    assert result.report.graphs == () and result.report.corpus == ()
    names = [check.name for check in seen]
    assert names[0] == "hashes of all files"
    assert {f"golden {name}" for name in VARIANT_GRAPHS} <= set(names)


def test_a_verification_of_an_opened_bundle_leaves_it_open(light_bundle: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "light"), "zip", light_bundle)
    with open_bundle(Path(archive).rename(tmp_path / "light.vavl")) as bundle:
        assert verify_bundle(bundle).passed
        assert bundle.verified_file("audio.onnx").is_file()


def test_a_damaged_bundle_fails_the_checks_of_its_damage(light_bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(light_bundle, tmp_path / "light"))
    file = folder / "visual.onnx"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    result = verify_bundle(str(folder))
    assert not result.passed
    failed = {check.name for check in result.failed}
    assert {"hashes of all files", "rules visual", "golden visual"} <= failed
    assert "golden audio" not in failed
