"""Which execution provider runs a graph, and why one does not start."""

import onnxruntime
import pytest

from tests.runtime.fake_onnxruntime import (
    CPU,
    CUDA,
    TENSORRT,
    FakeOnnxRuntime,
)
from tests.runtime.gpu_graph import H100
from vavl_runtime.backends.ort import providers as ort_providers
from vavl_runtime.backends.ort.gpu import OnnxRuntimeGpuBackend
from vavl_runtime.backends.ort.providers import ONE_NODE, RECORD_NODES, nodes_taken, reason_in_log, why_not
from vavl_runtime.errors import BackendUnavailableError


def test_the_provider_is_proved_on_one_node_that_must_not_run_on_the_cpu(
    runtime: FakeOnnxRuntime, capsys: pytest.CaptureFixture[str]
) -> None:
    OnnxRuntimeGpuBackend(H100)
    (probe,) = runtime.sessions
    assert (probe.name, probe.session_options.entries) == ("probe", {"session.disable_cpu_ep_fallback": "1"})
    assert runtime.severity == [4, 2]
    assert capsys.readouterr().out == ""  # preload_dlls prints, and stdout is for results


@pytest.mark.skipif(
    not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"), reason="before onnxruntime 1.24"
)
def test_the_real_onnxruntime_tells_who_runs_what() -> None:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(RECORD_NODES, "1")
    session = onnxruntime.InferenceSession(ONE_NODE, options, providers=[CPU])
    assert nodes_taken(session, CPU) == (1, 1)
    assert nodes_taken(session, TENSORRT) == (0, 1)


def test_the_graph_of_one_node_is_what_it_says() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(ONE_NODE)
    onnx.checker.check_model(model, full_check=True)
    (node,) = model.graph.node
    assert node.op_type == "Conv", "another operator would not open cuDNN"
    assert (model.ir_version, model.opset_import[0].version) == (9, 18)


def test_a_provider_without_cudnn_does_not_start(runtime: FakeOnnxRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime opens a session without it and fails at the first convolution."""
    runtime.cudnn = False
    monkeypatch.setattr(ort_providers, "why_not", lambda name: "cuDNN is unavailable")
    with pytest.raises(BackendUnavailableError, match=rf"does not start {CUDA}: cuDNN is unavailable; vavl-doctor"):
        OnnxRuntimeGpuBackend(H100)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "\x1b[1;31m2026 [E:onnxruntime:Default] Failed to load library /x/libonnxruntime_providers_cuda.so "
            "with error: libcublasLt.so.13: cannot open shared object file: No such file or directory\n\x1b[m\nother",
            "libcublasLt.so.13: cannot open shared object file: No such file or directory",
        ),
        (
            "2026 [E:onnxruntime:, sequential_executor.cc:671] Non-zero status: cuDNN is unavailable or disabled for "
            "CUDA Execution Provider: dlopen failed for libcudnn.so\n\nTraceback",
            "cuDNN is unavailable or disabled for CUDA Execution Provider: dlopen failed for libcudnn.so",
        ),
        ("[E] CUDA failure 35: CUDA driver version is insufficient ; GPU=-1\nmore", "CUDA failure 35"),
        ("Traceback\nModuleNotFoundError: No module named 'x'\n\n", "ModuleNotFoundError: No module named 'x'"),
        ("", "no reason given"),
    ],
)
def test_the_reason_is_found_in_the_log(log: str, reason: str) -> None:
    assert reason_in_log(log).startswith(reason)


def test_a_process_of_its_own_says_why_not() -> None:
    """With the onnxruntime that is installed here, whichever it is."""
    reason = why_not(CUDA)
    assert reason is not None and "\n" not in reason and len(reason) > 10
