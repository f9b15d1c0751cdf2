"""The SBOM of a wheel: valid CycloneDX, with every weight's licence and hash, the same bytes each time."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cyclonedx", reason="comes with the extra dev")

from release.sbom import REQUIREMENT, bill_of_materials, path_of

METADATA = """Metadata-Version: 2.4
Name: vavl-edge
Version: 9.8.7
Summary: made up
License-Expression: Apache-2.0 AND MIT
Requires-Dist: numpy<3,>=1.26
Requires-Dist: matplotlib<4; extra == "report"
Requires-Dist: matplotlib<4,>=3.7; extra == "train"
"""
TABLE = "| made up: `vavl_runtime/bundles/light/*` | `MIT` | us |\n"
WEIGHTS = "vavl_runtime/bundles/light/weights.bin"


def make_wheel(folder: Path, files: dict[str, str]) -> Path:
    wheel = folder / "vavl_edge-9.8.7-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        for name, text in files.items():
            content.writestr(zipfile.ZipInfo(name, (2026, 5, 4, 3, 2, 2)), text)
    return wheel


@pytest.fixture
def files() -> dict[str, str]:
    info = "vavl_edge-9.8.7.dist-info"
    return {
        "vavl_runtime/recognizer.py": "",
        WEIGHTS: "weights",
        f"{info}/METADATA": METADATA,
        f"{info}/licenses/WEIGHTS-LICENSES.md": TABLE,
    }


def components(wheel: Path) -> dict[str, Any]:
    return {component["name"]: component for component in json.loads(bill_of_materials(wheel))["components"]}


@pytest.mark.slow  # importing the validator takes 3 s
def test_it_is_valid(tmp_path: Path, files: dict[str, str]) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = bill_of_materials(make_wheel(tmp_path, files))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_it_describes_the_wheel(tmp_path: Path, files: dict[str, str]) -> None:
    wheel = make_wheel(tmp_path, files)
    metadata = json.loads(bill_of_materials(wheel))["metadata"]
    assert metadata["timestamp"] == "2026-05-04T03:02:02+00:00"
    assert metadata["component"]["version"] == "9.8.7"
    assert metadata["component"]["licenses"] == [{"expression": "Apache-2.0 AND MIT"}]
    assert metadata["component"]["hashes"][0]["content"] == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_weights_have_licence_and_hash(tmp_path: Path, files: dict[str, str]) -> None:
    found = {name: one for name, one in components(make_wheel(tmp_path, files)).items() if one["type"] == "file"}
    assert list(found) == [WEIGHTS]
    assert found[WEIGHTS]["licenses"] == [{"expression": "MIT"}]
    assert found[WEIGHTS]["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"weights").hexdigest()}]


def test_packages_have_the_versions_that_are_allowed(tmp_path: Path, files: dict[str, str]) -> None:
    found = components(make_wheel(tmp_path, files))
    assert found["numpy"]["scope"] == "required"
    assert found["matplotlib"]["scope"] == "optional"
    assert [one["value"] for one in found["numpy"]["properties"] if one["name"] == REQUIREMENT] == ["numpy<3,>=1.26"]
    assert len(found["matplotlib"]["properties"]) == 2


def test_the_same_wheel_gives_the_same_bytes(tmp_path: Path, files: dict[str, str]) -> None:
    wheel = make_wheel(tmp_path, files)
    assert bill_of_materials(wheel) == bill_of_materials(wheel)


def test_weights_without_a_licence_are_refused(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"other/weights\.onnx: 0 rows of WEIGHTS-LICENSES\.md"):
        bill_of_materials(make_wheel(tmp_path, files | {"other/weights.onnx": ""}))


def test_a_wheel_without_the_table_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    kept = {name: text for name, text in files.items() if not name.endswith("WEIGHTS-LICENSES.md")}
    with pytest.raises(ValueError, match=r"got 0 files WEIGHTS-LICENSES\.md in \.dist-info, expected one"):
        bill_of_materials(make_wheel(tmp_path, kept))


def test_it_lies_beside_the_wheel() -> None:
    assert path_of(Path("dist/vavl_edge-9.8.7-py3-none-any.whl")) == Path("dist/vavl_edge-9.8.7.cdx.json")
