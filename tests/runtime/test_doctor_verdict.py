"""What the doctor concludes: CPU, GPU, installed extras; and its command."""

import json
import resource
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.runtime.machines import CPU, CUDA, H100, JETPACK_6, MadeUp, server
from vavl_runtime import doctor as doctor_package
from vavl_runtime.cli.doctor import app
from vavl_runtime.devices.gpu import Driver
from vavl_runtime.doctor import Verdict, examine
from vavl_runtime.doctor.environment import OnnxRuntimeBuild
from vavl_runtime.doctor.extras import installed_extras

REQUIREMENTS = (
    "numpy>=1.26",
    "onnxruntime>=1.19; extra == 'cpu'",
    "onnxruntime-gpu>=1.19; python_version < '3' and extra == 'gpu'",
    "onnxruntime-gpu>=1.27; python_version >= '3' and extra == 'gpu'",
    "torch>=2.11; extra == 'export'",
    "onnx>=1.17; extra == 'export'",
    'vavl-edge[export]; extra == "train"',
    'scipy>=1.11; extra == "train"',
)
BOTH = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}


def _verdict(machine: MadeUp, device: str) -> Verdict:
    verdict: Verdict = getattr(examine(machine.environment()), device)
    return verdict


def test_a_machine_without_a_gpu_runs_on_the_cpu() -> None:
    assert str(_verdict(MadeUp(), "cpu")) == "yes, with onnxruntime 1.32.0"
    no = "no, because there is no NVIDIA driver (libcuda.so.1: cannot open shared object file)"
    assert str(_verdict(MadeUp(), "gpu")) == no


def test_a_server_runs_on_both() -> None:
    machine = server(13, "1.31.1")
    assert _verdict(machine, "cpu").works
    assert str(_verdict(machine, "gpu")).startswith("yes, with onnxruntime or TensorRT, once 'vavl-export tensorrt'")
    assert str(_verdict(replace(machine, modules=()), "gpu")) == "yes, with onnxruntime"


def test_a_gpu_that_nothing_can_use_has_every_reason() -> None:
    broken = server(13, "1.31.1", broken={CUDA: "libcublasLt.so.13: cannot open"}, modules=())
    assert str(_verdict(broken, "gpu")) == (
        f"no, because onnxruntime does not start {CUDA} (libcublasLt.so.13: cannot open); Python has no module tensorrt"
    )
    for_cpu = replace(broken, build=OnnxRuntimeBuild("1.32.0", None, (CPU,)))
    assert "onnxruntime 1.32.0 is built for the CPU" in _verdict(for_cpu, "gpu").reason
    old = server(12, "1.26.0", libraries={"libnvinfer.so.8": (8, 6, 1)}, build="onnxruntime cannot be imported")
    assert _verdict(old, "gpu").reason == "onnxruntime cannot be imported; TensorRT 8.6.1 is too old"
    without_bindings = replace(old, libraries={"libnvinfer.so.10": (10, 13, 3)}, distributions={})
    assert "needs cuda-python, which is not installed" in _verdict(without_bindings, "gpu").reason
    hidden = MadeUp(driver=Driver((12, 2), (), "the NVIDIA driver shows no GPU; is CUDA_VISIBLE_DEVICES empty?"))
    assert str(_verdict(hidden, "gpu")).startswith("no, because the NVIDIA driver shows no GPU")


def test_no_onnxruntime_names_the_extra() -> None:
    machine = MadeUp(build="onnxruntime is not installed", distributions={})
    report = examine(machine.environment())
    assert (report.runs, report.cpu) == (False, Verdict(False, "onnxruntime cannot be imported"))
    (advice,) = report.advice
    assert advice.command == "python -m pip install 'vavl-edge[cpu]'"
    (advice,) = examine(replace(machine, driver=Driver((13, 2), (H100,), None)).environment()).advice
    assert advice.command == "python -m pip install 'onnxruntime-gpu[cuda,cudnn]' nvidia-cublas"
    (advice,) = examine(replace(JETPACK_6, build="onnxruntime is broken", modules=("tensorrt",)).environment()).advice
    assert '--index-url "$JETSON_AI_LAB_INDEX" onnxruntime-gpu' in advice.command


def test_an_onnxruntime_that_is_broken_is_installed_again() -> None:
    machine = MadeUp(build="onnxruntime cannot be imported (libstdc++.so.6)")
    assert "cannot be imported" in dict(examine(machine.environment()).to_json()["facts"])["onnxruntime"]
    (advice,) = examine(machine.environment()).advice
    assert advice.command == "python -m pip install --force-reinstall onnxruntime"


def test_product_processor_and_extras_are_facts() -> None:
    facts = examine(MadeUp().environment()).to_json()["facts"]
    assert facts["vavl-edge"] == "1.2.3; extras: cpu"
    assert facts["processor"] == "8 cores; instruction sets: avx2, avx512_vnni"
    facts = examine(MadeUp(requirements=None, instructions=None).environment()).to_json()["facts"]
    assert "source folder" in facts["vavl-edge"]
    assert "does not tell" in facts["processor"]


@pytest.mark.parametrize(
    ("installed", "extras"),
    [
        ({}, ()),
        ({"onnxruntime": "1.23.2"}, ("cpu",)),
        ({"onnxruntime": "1.18.0"}, ()),
        ({"onnxruntime-gpu": "1.26.0"}, ()),
        ({"onnxruntime-gpu": "1.31.1"}, ("gpu",)),
        ({"torch": "2.11.0+cpu", "onnx": "1.17.0"}, ("export",)),
        ({"torch": "2.12.0", "onnx": "1.17.0", "scipy": "1.12"}, ("export", "train")),
        ({"torch": "2.12.0", "scipy": "1.12"}, ()),
    ],
)
def test_an_extra_is_installed_if_all_of_it_is(installed: dict[str, str], extras: tuple[str, ...]) -> None:
    assert installed_extras(REQUIREMENTS, installed.get) == extras


@given(st.dictionaries(st.sampled_from(["onnxruntime", "onnxruntime-gpu", "torch", "onnx", "scipy"]), st.just("9.0")))
def test_more_packages_never_take_an_extra_away(installed: dict[str, str]) -> None:
    everything = installed | {"torch": "9.0", "onnx": "9.0"}
    assert set(installed_extras(REQUIREMENTS, installed.get)) <= set(installed_extras(REQUIREMENTS, everything.get))


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("conflict", [False, True])
def test_the_command(as_json: bool, conflict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = MadeUp(distributions=BOTH) if conflict else MadeUp()
    monkeypatch.setattr(doctor_package, "this_machine", machine.environment)
    result = CliRunner().invoke(app, ["--json"] if as_json else [])
    assert result.exit_code == int(conflict)
    if as_json:
        values: dict[str, Any] = json.loads(result.stdout)
        assert len(values["conflicts"]) == int(conflict)
    else:
        assert ("conflict: " in result.stdout) == conflict


def test_nothing_that_runs_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = MadeUp(build="onnxruntime is not installed", distributions={})
    monkeypatch.setattr(doctor_package, "this_machine", machine.environment)
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-2] == "CPU: no, because onnxruntime cannot be imported"


def test_this_machine() -> None:
    """Whatever it is, it is described in full and without a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "vavl_runtime.cli.doctor", "--json"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode in (0, 1), done.stderr
    assert {
        "vavl-edge",
        "machine",
        "processor",
        "memory",
        "disk",
        "driver",
        "CUDA",
        "TensorRT",
        "TensorRT-RTX",
        "onnxruntime",
    } <= json.loads(done.stdout)["facts"].keys()


def test_help_is_quick() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "vavl_runtime.cli.doctor", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Example: vavl-doctor --json" in done.stdout
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 0.5
