"""The whole program on the CPU, from an unpacked package beside a copy of the code and from nothing else of ours."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.plan import POINTS, STEPS

ROOT = Path(__file__).parents[2]
CODE = ("benchmarks", "export", "runtime", "vavl")
# The host lacks these; the environment of the tests has them.
CARRIED = ("pydantic", "pydantic_core", "annotated_types", "typing_inspection", "packaging", "av", "PIL")
MISSING = ("typer", "facenet_pytorch", "threadpoolctl", "sklearn")
BLOCK = f"""
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {MISSING} else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""


@pytest.mark.slow
@pytest.mark.long
def test_the_rehearsal_passes_from_the_package_alone(tmp_path: Path) -> None:
    package, host = tmp_path / "package", tmp_path / "host"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, "-m", "benchmarks.gpu.pack", str(package), "--no-engine", "--presets", "tiny"]
    packed = subprocess.run([*command, "--python", python], cwd=ROOT, capture_output=True, encoding="utf-8")
    if "check the network" in packed.stderr:
        pytest.skip(f"no wheels without a network: {packed.stderr.strip().splitlines()[-1]}")
    assert packed.returncode == 0, packed.stderr
    for name in CODE:
        shutil.copytree(ROOT / name, host / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    (host / "examples").mkdir()
    shutil.copy(ROOT / "examples/astronaut.mp4", host / "examples")
    (host / "block").mkdir()
    (host / "block/sitecustomize.py").write_text(BLOCK, "utf-8")
    subprocess.run([sys.executable, "-m", "benchmarks.gpu.unpack", package, "site"], cwd=host, check=True)

    path = os.pathsep.join(str(host / name) for name in ("block", "site", "", "export", "runtime", "benchmarks"))
    environment = {**os.environ, "PYTHONPATH": path}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = [sys.executable, *arguments]
        return subprocess.run(done, cwd=host, env=environment, capture_output=True, encoding="utf-8")

    names = (*CARRIED, "vavl_runtime", "vavl", "vavl_export", "vavl_bench")
    found = run("-c", f"import {', '.join(names)}; print(*(m.__file__ for m in ({', '.join(names)})), sep='\\n')")
    assert found.returncode == 0, found.stderr
    assert all(line.startswith(str(host)) for line in found.stdout.splitlines()), found.stdout
    assert all(run("-c", f"import {name}").returncode for name in MISSING)

    rehearsal = ("-m", "benchmarks.gpu", "--rehearsal", "--device", "cpu", "--package", str(package), "-o", "gpu.json")
    done = run(*rehearsal)
    assert done.returncode == 0, done.stderr[-3000:]
    steps = json.loads((host / "gpu.json").read_text("utf-8"))["steps"]
    assert list(steps) == [step.name for step in STEPS]
    wrong = {
        f"{name}, {title}": result["error"]
        for name, entry in steps.items()
        for title, result in entry["results"].items()
        if "error" in result and title not in ("nvidia-smi", "backend")
    }
    assert wrong == {}
    timed = {name for name, entry in steps.items() if any("latency" in result for result in entry["results"].values())}
    assert timed == POINTS.keys() - {"tensorrt fp16"} | {"clips"}
    again = run(*rehearsal, "figures")
    assert "prepare: done" in again.stderr  # and nothing else: all is there
    assert again.stderr.count(": done") == 1
