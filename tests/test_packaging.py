"""What the wheel says about itself: extras, licences, systems."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.licenses import canonicalize_license_expression
from packaging.requirements import Requirement

from benchmarks.compatibility import COMBINATIONS, TOLERANCE, Combination, differences, find_python, run
from benchmarks.platforms import RESULTS, read_rows
from vavl_runtime import Recognizer

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
# onnxruntime and onnxruntime-gpu install into the same folder.
ENGINES = {"onnxruntime", "onnxruntime-gpu"}
MACHINES = [
    {"python_version": "3.10", "platform_machine": "aarch64", "sys_platform": "linux"},
    {"python_version": "3.10", "platform_machine": "x86_64", "sys_platform": "linux"},
    {"python_version": "3.13", "platform_machine": "x86_64", "sys_platform": "linux"},
    {"python_version": "3.12", "platform_machine": "arm64", "sys_platform": "darwin"},
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=600, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as content:
        (name,) = (name for name in content.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(content.read(name).decode())


def _required(metadata: Message, extra: str, machine: dict[str, str]) -> Iterator[str]:
    for text in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({**machine, "extra": extra}):
            yield requirement.name


def test_the_base_install_has_no_engine_and_no_pytorch(metadata: Message) -> None:
    for machine in MACHINES:
        assert not {*ENGINES, "torch", "tensorrt", "onnx"} & set(_required(metadata, "", machine))


def test_each_engine_comes_by_its_own_extra_alone(metadata: Message) -> None:
    """So that somebody with the GPU's onnxruntime can take any tool without getting the CPU's, too."""
    extras = metadata.get_all("Provides-Extra", [])
    for machine in MACHINES:
        engines = {extra: ENGINES & set(_required(metadata, extra, machine)) for extra in extras}
        assert {extra: found for extra, found in engines.items() if found} == {
            "cpu": {"onnxruntime"},
            "dev": {"onnxruntime"},
            "gpu": {"onnxruntime-gpu"},
            "gpu-cuda12": {"onnxruntime-gpu"},
        }


def test_jetsons_keep_the_tensorrt_of_the_system(metadata: Message) -> None:
    jetson, server = MACHINES[:2]
    for extra, package in (("tensorrt", "tensorrt"), ("tensorrt-cuda12", "tensorrt-cu12")):
        assert {"cuda-python"} <= set(_required(metadata, extra, jetson))
        assert package not in set(_required(metadata, extra, jetson))
        assert {"cuda-python", package} <= set(_required(metadata, extra, server))


def test_the_licence_covers_the_weights_too(metadata: Message, wheel: Path) -> None:
    expression = metadata["License-Expression"]
    assert canonicalize_license_expression(expression) == expression
    licences = expression.split(" AND ")
    files = metadata.get_all("License-File", [])
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        texts = [content.read(name).decode() for name in names if name.partition("/licenses/")[2] in files]
        assert len(texts) == len(files)
        weights = next(text for text in texts if "MTCNN" in text)
    for licence in licences:
        assert f"`{licence}`" in weights  # in the table of files
    assert [line for line in licences if line.startswith("LicenseRef-") and f"## {line}\n" in weights]
    listed = {name for name in names if "/bundles/" in name and name.endswith((".bin", ".onnx"))}
    assert {name.split("/")[0] for name in listed} == {"vavl_runtime"}


def test_systems_are_those_that_it_ran_on(metadata: Message) -> None:
    classifiers = metadata.get_all("Classifier", [])
    named = {line.split(" :: ")[-1] for line in classifiers if line.startswith("Operating System")}
    assert named == {row.system for row in read_rows(RESULTS) if row.how == "run"}


def test_a_fresh_environment_says_which_extra_it_needs(wheel: Path, tmp_path: Path) -> None:
    """The base install is small and refuses in one line; the command of that line is enough to answer."""
    environment = tmp_path / "venv"
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VAVL_BUNDLE")}

    def call(name: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [str(environment / "bin" / name), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=tmp_path, env=outside)

    def install(requirement: object) -> set[str]:
        done = call("pip", "install", "--quiet", requirement)
        assert done.returncode == 0, done.stderr
        return {package["name"] for package in json.loads(call("pip", "list", "--format", "json").stdout)}

    def size_mb() -> float:
        return sum(path.lstat().st_size for path in environment.rglob("*") if not path.is_dir()) / 1e6

    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    clip = ROOT / "examples" / "astronaut.mp4"
    assert not {*ENGINES, "torch"} & install(wheel)
    assert size_mb() < 280
    refused = call("vavl-run", clip, "--device", "cpu", "--format", "csv")
    assert refused.returncode == 4
    assert refused.stderr.startswith("error: onnxruntime is not installed; pip install 'vavl-edge[cpu]'")
    assert len(refused.stderr.splitlines()) == 1

    assert ENGINES & install("vavl-edge[cpu]") == {"onnxruntime"}
    assert size_mb() < 380
    done = call("vavl-run", clip, "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert "audio_visual" in done.stdout


@pytest.mark.parametrize("combination", [COMBINATIONS[0], COMBINATIONS[-1]], ids=["oldest", "newest"])
def test_the_example_is_answered_alike_under_other_pythons(
    combination: Combination, wheel: Path, tmp_path: Path, recognizer: Recognizer, example_clip: Path
) -> None:
    """Other Pythons bring other versions of PyAV and ONNX Runtime."""
    python = find_python(combination.python)
    if python is None:
        pytest.skip(f"Python {combination.python} is not installed")
    found = run(python, combination, wheel, tmp_path)
    here = recognizer.predict(example_clip, all_paths=True).to_dict()
    assert "error" not in found, found["error"]
    assert max(differences(found, here).values()) <= TOLERANCE
