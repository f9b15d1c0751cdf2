"""The doctor on made-up machines: what fits is left alone, every conflict is found with the command that mends it."""

import json
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime.machines import CPU, CUDA, H100, JETPACK_6, JETPACK_6_0, JETPACK_7, TENSORRT, MadeUp, jetson, server
from vavl_runtime import doctor as doctor_package
from vavl_runtime.devices.gpu import Driver
from vavl_runtime.doctor import examine
from vavl_runtime.doctor.environment import OnnxRuntimeBuild, decode_version
from vavl_runtime.doctor.jetson import parse_power_mode, parse_release

GOOD = {
    "cpu": MadeUp(),
    "server cu12": server(12, "1.26.0"),
    "server cu13": server(13, "1.31.1"),
    "jetpack 6": JETPACK_6,
    "jetpack 7": JETPACK_7,
}


def _facts(machine: MadeUp) -> dict[str, str]:
    facts: dict[str, str] = examine(machine.environment()).to_json()["facts"]
    return facts


def _one(machine: MadeUp, kind: str = "conflicts") -> tuple[str, str]:
    """The only conflict, or the only advice."""
    (remedy,) = getattr(examine(machine.environment()), kind)
    return remedy.problem, remedy.command


@pytest.mark.parametrize("name", GOOD)
def test_what_fits_is_left_alone(name: str) -> None:
    report = examine(GOOD[name].environment())
    assert (report.conflicts, report.advice) == ((), ())
    assert list(report.lines())[-3] == "no conflict found"


def test_a_server_is_described() -> None:
    facts = _facts(server(13, "1.31.1"))
    assert facts["driver"] == "CUDA up to 13.2"
    assert facts["cuda:0"] == ("NVIDIA H100 80GB HBM3, compute capability 9.0, 85.0 GB, 83.9 GB free, driver 580.65.06")
    assert (facts["CUDA"], facts["cuDNN"]) == ("13.2.0", "9.12.0")
    assert facts["TensorRT"] == "10.13.3; Python module tensorrt: found; cuda-python: 13.2.0"
    assert facts["onnxruntime"] == "1.31.1, built for CUDA 13"
    assert (facts[CUDA], facts[TENSORRT]) == ("starts", "starts")
    assert "JetPack" not in facts


def test_a_jetson_is_described() -> None:
    facts = _facts(JETPACK_6)
    assert facts["JetPack"] == "6.1 or 6.2 (L4T 36.4.3)"
    assert facts["power mode"] == "MAXN_SUPER"
    assert facts["memory"] == "5.1 of 8.2 GB free"
    assert "shared with the machine" in facts["cuda:0"] and "N/A" not in facts["cuda:0"]
    assert _facts(JETPACK_7)["JetPack"] == "7.2 (L4T 39.2.0)"


def test_both_onnxruntimes() -> None:
    both = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}
    problem, command = _one(server(13, "1.31.1", distributions=both))
    assert "onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1 are both installed" in problem
    assert command == (
        "python -m pip uninstall -y onnxruntime onnxruntime-gpu && "
        "python -m pip install --no-deps onnxruntime-gpu==1.31.1"
    )
    assert _one(MadeUp(distributions=both))[1].endswith(" onnxruntime==1.32.0")  # no GPU to keep the other one for


def test_a_jetson_loses_nothing_while_its_index_is_not_set() -> None:
    """No wheel for Jetsons is on the usual index: what is taken away must come back."""
    index = 'python -m pip install --no-deps --index-url "$JETSON_AI_LAB_INDEX" onnxruntime-gpu'
    both = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.23.0", "cuda-bindings": "12.6.0"}
    problem, command = _one(replace(JETPACK_6, distributions=both))
    assert "docs/jetson.md says what to set JETSON_AI_LAB_INDEX to" in problem
    assert command.startswith('test -n "$JETSON_AI_LAB_INDEX" && python -m pip uninstall -y ')
    assert command.endswith(f" && {index}==1.23.0")
    built_for_cpu = replace(JETPACK_6, build=OnnxRuntimeBuild("1.32.0", None, (CPU,)))
    problem, command = _one(built_for_cpu, "advice")
    assert command.startswith('test -n "$JETSON_AI_LAB_INDEX" && ') and command.endswith(f" && {index}")


def test_a_build_for_a_newer_cuda_than_the_driver() -> None:
    machine = server(
        13,
        "1.31.1",
        driver=Driver((12, 6), (H100,), None),
        distributions={"onnxruntime-gpu": "1.31.1", "cuda-bindings": "12.9.0"},
        broken={CUDA: "libcublasLt.so.13: cannot"},
    )
    problem, command = _one(machine)
    assert problem == "onnxruntime 1.31.1 is built for CUDA 13, the driver serves CUDA 12.6 at most"
    assert command == "python -m pip install 'onnxruntime-gpu[cuda,cudnn]<1.27' nvidia-cublas-cu12"


def test_a_build_for_an_older_cuda_than_the_libraries() -> None:
    machine = server(13, "1.26.0", build=OnnxRuntimeBuild("1.26.0", 12, (CUDA, CPU)), broken={CUDA: "libcudart.so.12"})
    problem, command = _one(machine)
    assert problem == "onnxruntime 1.26.0 is built for CUDA 12, the libraries here are of CUDA 13"
    assert command == "python -m pip install 'onnxruntime-gpu[cuda,cudnn]==1.26.0' nvidia-cublas-cu12"


def test_cuda_python_of_another_cuda() -> None:
    installed = {"onnxruntime-gpu": "1.26.0", "cuda-bindings": "13.0.1"}
    problem, command = _one(server(12, "1.26.0", distributions=installed))
    assert problem == "cuda-python 13.0.1 is for CUDA 13, the driver serves CUDA 12.2 at most"
    assert command == "python -m pip install 'cuda-python>=12,<13'"
    problem, command = _one(server(13, "1.31.1", distributions={"onnxruntime-gpu": "1.31.1"}), "advice")
    assert "--backend tensorrt needs cuda-python too" in problem
    assert command == "python -m pip install 'cuda-python>=13,<14'"


def test_both_cudas_are_no_conflict() -> None:
    both = {"libcudart.so.12": (12, 6, 0), "libcudart.so.13": (13, 0, 0), "libcudnn.so.9": (9, 1, 0)}
    assert examine(server(13, "1.31.1", libraries=both).environment()).conflicts == ()


def test_a_tensorrt_that_the_provider_cannot_load() -> None:
    libraries = {"libcudart.so.13": (13, 2, 0), "libnvinfer.so.11": (11, 4, 1)}
    broken = {TENSORRT: "libnvinfer.so.10: cannot open shared object file"}
    problem, command = _one(server(13, "1.31.1", libraries=libraries, broken=broken))
    assert "links libnvinfer.so.10, here is TensorRT 11" in problem
    assert command == "python -m pip install 'tensorrt-cu13>=10.13,<11'"
    board = replace(JETPACK_7, libraries=libraries, broken=broken)
    problem, command = _one(board)
    assert "--backend tensorrt does not need the provider" in problem
    assert command == 'vavl-export tensorrt "$VAVL_BUNDLE"'
    with_both = libraries | {"libnvinfer.so.10": (10, 16, 2)}
    assert examine(server(13, "1.31.1", libraries=with_both).environment()).conflicts == ()


def test_tensorrt_11_on_jetpack_6() -> None:
    problem, command = _one(replace(JETPACK_6, distributions={"onnxruntime-gpu": "1.23.0", "tensorrt": "11.4.1"}))
    assert "does not run on JetPack 6" in problem
    assert command.startswith("python -m pip uninstall -y tensorrt && sudo apt-get install")


def test_tensorrt_8_on_jetpack_6_0() -> None:
    problem, command = _one(JETPACK_6_0)
    assert problem.startswith("TensorRT 8.6.2 is too old for --backend tensorrt, which needs 10.3 or newer and comes")
    assert command == (
        "sudo sed -i 's/r36[.]3/r36.4/' /etc/apt/sources.list.d/nvidia-l4t-apt-source.list && sudo apt-get update && "
        "sudo apt-get dist-upgrade && sudo apt-get install -y nvidia-jetpack python3-libnvinfer"
    )
    assert _facts(JETPACK_6_0)["TensorRT"].startswith("8.6.2; ")


def test_the_sources_of_jetpack_6_0_become_those_of_6_1(tmp_path: Path) -> None:
    sources = tmp_path / "sources.list"
    sources.write_text("deb https://repo.download.nvidia.com/jetson/common r36.3 main\n")
    _, *sed = shlex.split(_one(JETPACK_6_0)[1].split(" && ")[0])
    subprocess.run([*sed[:-1], sources], check=True)
    assert sources.read_text() == "deb https://repo.download.nvidia.com/jetson/common r36.4 main\n"


def test_an_old_tensorrt_on_a_server() -> None:
    old = server(12, "1.26.0", libraries={"libnvinfer.so.8": (8, 6, 1)})
    problem, command = _one(old)
    assert problem.startswith("TensorRT 8.6.1 is too old for --backend tensorrt, which needs 10.3 or newer")
    assert command == "python -m pip install 'tensorrt-cu12>=10.3'"
    assert examine(_with_wheels(old, "10.13.3.9", "tensorrt-cu12").environment()).conflicts == ()


def _with_wheels(machine: MadeUp, version: str, *names: str) -> MadeUp:
    return replace(machine, distributions={**machine.distributions, **dict.fromkeys(names, version)})


@pytest.mark.parametrize("version", ["10.16.1.11", "10.3.0", "11.4.1"])
def test_a_wheel_beside_another_tensorrt(version: str) -> None:
    names = ("tensorrt", "tensorrt-cu13", "tensorrt-cu13-bindings")
    problem, command = _one(_with_wheels(server(13, "1.31.1"), version, *names))
    assert problem.startswith(
        f"tensorrt {version} is installed beside the system's TensorRT 10.13: engines of one do not run"
    )
    assert command == (
        "python -m pip uninstall -y tensorrt tensorrt-cu13 tensorrt-cu13-bindings && "
        "python -m pip install 'tensorrt==10.13.*'"
    )


def test_a_wheel_of_the_same_tensorrt_or_of_the_only_one() -> None:
    same = _with_wheels(server(13, "1.31.1"), "10.13.3.9", "tensorrt")
    only = replace(_with_wheels(server(13, "1.31.1"), "11.4.1", "tensorrt"), libraries={"libcudart.so.13": (13, 2, 0)})
    packaged = replace(only, packaged={"libnvinfer.so.11": (11, 4, 1)})
    for machine in (same, only, packaged):
        assert examine(machine.environment()).conflicts == ()


def test_a_wheel_beside_the_tensorrt_of_a_jetson() -> None:
    problem, command = _one(_with_wheels(JETPACK_7, "10.13.3.9", "tensorrt-cu13", "tensorrt-cu13-libs"))
    assert problem.startswith("tensorrt-cu13 10.13.3.9 is installed beside the system's TensorRT 10.16")
    uninstall = "python -m pip uninstall -y tensorrt-cu13 tensorrt-cu13-libs"
    assert command == f"{uninstall} && sudo apt-get install -y tensorrt python3-libnvinfer"
    # What apt installs is seen as a distribution, too.
    assert examine(_with_wheels(JETPACK_6, "10.3.0", "tensorrt").environment()).conflicts == ()
    both = _with_wheels(JETPACK_6, "10.3.0", "tensorrt")
    problem, command = _one(_with_wheels(both, "10.13.3.9", "tensorrt-cu12"))
    assert problem == "tensorrt-cu12 10.13.3.9 does not run on JetPack 6, whose TensorRT is 10.3"
    assert command.startswith("python -m pip uninstall -y tensorrt-cu12 && sudo apt-get")


def test_tensorrt_rtx_is_described() -> None:
    machine = _with_wheels(replace(server(13, "1.31.1"), modules=("tensorrt", "tensorrt_rtx")), "1.7.1", "tensorrt-rtx")
    assert _facts(server(13, "1.31.1"))["TensorRT-RTX"] == "none"
    assert _facts(machine)["TensorRT-RTX"] == "1.7.1, can be imported"
    broken = replace(machine, broken={"tensorrt_rtx": "ImportError: libcudart.so.13"})
    assert _facts(broken)["TensorRT-RTX"] == "1.7.1, cannot be imported: ImportError: libcudart.so.13"
    assert examine(broken.environment()).conflicts == ()


def test_modules_are_really_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_one.py").write_text("import sys; sys.exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    environment = doctor_package.this_machine()
    assert environment.imports("json") is None
    assert environment.imports("no_such_module") == "ModuleNotFoundError: No module named 'no_such_module'"
    assert environment.imports("broken_one") == "the process ended with code 3"


@pytest.mark.parametrize(
    ("cuda", "wanted"), [(12, "[cuda,cudnn]<1.27' nvidia-cublas-cu12"), (13, "[cuda,cudnn]' nvidia-cublas")]
)
def test_an_idle_gpu_is_no_conflict(cuda: int, wanted: str) -> None:
    machine = MadeUp(driver=Driver((cuda, 2), (H100,), None))
    assert examine(machine.environment()).conflicts == ()
    problem, command = _one(machine, "advice")
    assert "there is a GPU, but onnxruntime 1.32.0 is built for the CPU" in problem
    assert command.startswith("python -m pip uninstall -y onnxruntime && ") and command.endswith(wanted)


def test_a_provider_that_does_not_start_is_shown_with_its_reason() -> None:
    machine = server(13, "1.31.1", libraries={}, broken={CUDA: "libcublasLt.so.13: cannot open", TENSORRT: "the same"})
    assert _facts(machine)[CUDA] == "does not start: libcublasLt.so.13: cannot open"
    problem, command = _one(machine, "advice")
    assert "does not start its CUDA provider: libcublasLt.so.13: cannot open" in problem
    assert command == "python -m pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1' nvidia-cublas"


def test_a_virtual_environment_that_hides_tensorrt() -> None:
    problem, command = _one(replace(JETPACK_6, modules=()), "advice")
    assert "this Python does not find its module" in problem
    assert command == "python3 -m venv --system-site-packages .venv"


@pytest.mark.parametrize(
    ("release", "jetpack", "major", "cuda"),
    [
        ("36 (release), REVISION: 3.0", "6.0", 6, 12),
        ("36 (release), REVISION: 5.0", "6.2", 6, 12),
        ("38 (release), REVISION: 2.0", "7.0", 7, 13),
        ("38 (release), REVISION: 4.0", "7.1", 7, 13),
        ("99 (release), REVISION: 1", "not known to this version", None, None),
    ],
)
def test_releases(release: str, jetpack: str, major: int | None, cuda: int | None) -> None:
    board = parse_release(f"# R{release}, GCID: 1\n")
    assert board is not None
    assert (board.jetpack, board.major, board.cuda) == (jetpack, major, cuda)
    assert _facts(jetson(release, H100, (13, 0), (10, 13, 0)))["JetPack"].startswith(jetpack)


@pytest.mark.parametrize(
    ("value", "version"),
    [(8904, (8, 9, 4)), (91200, (9, 12, 0)), (8602, (8, 6, 2)), (100300, (10, 3, 0)), (101602, (10, 16, 2))],
)
def test_version_numbers(value: int, version: tuple[int, int, int]) -> None:
    assert decode_version(value) == version


@given(st.one_of(st.none(), st.text()))
def test_any_text_is_a_release_or_none(text: str | None) -> None:
    assert parse_release(text) is None or str(text).startswith("#")
    assert parse_power_mode(text) is None or "NV Power Mode:" in str(text)


def operators(command: str) -> set[str]:
    """What a shell would not take as words."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    return {token for token in lexer if not token.strip("();<>|&")}


@given(
    st.builds(
        MadeUp,
        driver=st.sampled_from([MadeUp().driver, Driver((12, 6), (H100,), None), Driver((13, 0), (H100,), None)]),
        distributions=st.dictionaries(
            st.sampled_from(["onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-cu12", "cuda-bindings"]),
            st.sampled_from(["1.23.0", "11.4.1"]),
        ),
        libraries=st.dictionaries(
            st.sampled_from(["libcudart.so.12", "libcudart.so.13", "libnvinfer.so.10", "libnvinfer.so.11"]),
            st.just((1, 2, 3)),
        ),
        build=st.builds(
            OnnxRuntimeBuild,
            st.just("1.26.0"),
            st.sampled_from([None, 12, 13]),
            st.sampled_from([(CPU,), (CUDA, CPU), (TENSORRT, CUDA, CPU)]),
        )
        | st.just("onnxruntime cannot be imported"),
        broken=st.dictionaries(st.sampled_from([CUDA, TENSORRT]), st.just("reason")),
        files=st.sampled_from([{}, JETPACK_6.files, JETPACK_6_0.files, JETPACK_7.files]),
    )
)
def test_every_finding_has_a_command(machine: MadeUp) -> None:
    report = examine(machine.environment())
    values = json.loads(json.dumps(report.to_json()))
    assert set(values) == {"facts", "conflicts", "advice", "verdict"}
    assert list(report.lines())[-2:] == [f"CPU: {report.cpu}", f"GPU: {report.gpu}"]
    for remedy in (*report.conflicts, *report.advice):
        assert remedy.problem and shlex.split(remedy.command)[0] in ("python", "python3", "test", "sudo", "vavl-export")
        assert operators(remedy.command) <= {"&&"}
    assert len({fact.name for fact in report.facts}) == len(report.facts)
