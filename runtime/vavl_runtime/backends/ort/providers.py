"""ONNX Runtime's GPU providers: their options, and whether they really start.

A listed provider may still fail to load; ONNX Runtime then continues on the CPU. Running a graph of one node that is
not allowed on the CPU reveals this. The node is a convolution, because ONNX Runtime opens cuDNN when the first one
runs: another node would run without cuDNN, and then every graph of ours would fail.
"""

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from vavl_runtime.backends.ort.session import CUDA, TENSORRT, Provider, import_onnxruntime
from vavl_runtime.errors import BackendUnavailableError

# y = Conv(x, ones) for floats, x of shape (1, 1, 4, 4), opset 18, IR 9; tests rebuild it with onnx and compare.
_PROBE_SHAPE = (1, 1, 4, 4)
ONE_NODE = (
    b'\x08\t:s\n\x0f\n\x01x\n\x01w\x12\x01y"\x04Conv\x12\x05probe*\x1f\x08\x01\x08'
    b"\x01\x08\x02\x08\x02\x10\x01B\x01wJ\x10\x00\x00\x80?\x00\x00\x80?\x00\x00\x80?\x00\x00\x80?Z\x1b\n\x01x"
    b"\x12\x16\n\x14\x08\x01\x12\x10\n\x02\x08\x01\n\x02\x08\x01\n\x02\x08\x04\n\x02\x08\x04b\x1b\n\x01y\x12\x16\n\x14"
    b"\x08\x01\x12\x10\n\x02\x08\x01\n\x02\x08\x01\n\x02\x08\x03\n\x02\x08\x03B\x04\n\x00\x10\x12"
)
ConvSearch = Literal["HEURISTIC", "EXHAUSTIVE", "DEFAULT"]
RECORD_NODES = "session.record_ep_graph_assignment_info"  # the session option that `nodes_taken` needs
_PROBE_TIMEOUT_S = 120  # making a first CUDA context takes seconds on a Jetson
_REASONS = (
    r"Failed to load library \S+ with error: (.+)",
    r"(cuDNN is unavailable .+)",
    r"(CUDA (?:failure|error) .+)",
)
_FATAL, _ERROR, _WARNING = 4, 3, 2  # ONNX Runtime's log severities; the last is its default


def cuda_options(
    index: int, *, graphs: bool, conv_search: ConvSearch = "HEURISTIC", prefer_nhwc: bool = False
) -> Provider:
    """Options of the CUDA provider.

    Args:
        index: The GPU.
        graphs: Capture CUDA graphs; ONNX Runtime then refuses graphs whose arithmetic would partly run on the CPU.
        conv_search: How cuDNN's algorithm for a convolution is found. EXHAUSTIVE, ONNX Runtime's own default, searches
            again for every new clip length, which takes seconds each time.
        prefer_nhwc: Let ONNX Runtime compute convolutions with the channels last.

    Returns:
        Name and options.
    """
    return CUDA, {
        "device_id": str(index),
        "enable_cuda_graph": "1" if graphs else "0",
        "cudnn_conv_algo_search": conv_search,
        "prefer_nhwc": "1" if prefer_nhwc else "0",
        "cudnn_conv1d_pad_to_nc1d": "1",
        # fp32 means fp32. For speed there are the bundle's fp16 graphs, whose drift is measured.
        "use_tf32": "0",
        # The default doubles the arena, which three graphs on a board of 8 GB cannot afford.
        "arena_extend_strategy": "kSameAsRequested",
        # By default, norms that are joined with a residual sum in half precision. The drift that export measures holds
        # for sums in fp32.
        "enable_skip_layer_norm_strict_mode": "1",
    }


def tensorrt_options(index: int, cache: Path, precision: str, profile: dict[str, str]) -> Provider:
    """Options of the TensorRT provider.

    Args:
        index: The GPU.
        cache: Folder for engines of one graph file only: ONNX Runtime's key of an engine leaves the weights out.
        precision: Of the graph.
        profile: ``trt_profile_{min,opt,max}_shapes``; empty to let ONNX Runtime widen the profile as shapes come.

    Returns:
        Name and options.
    """
    return TENSORRT, {
        "device_id": str(index),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(cache),
        "trt_max_workspace_size": str(1 << 30),
        "trt_builder_optimization_level": "3",
        # Before TensorRT 11 these allow what the graph's own types ask for.
        "trt_fp16_enable": "1" if precision == "fp16" else "0",
        "trt_bf16_enable": "1" if precision == "bf16" else "0",
        "trt_int8_enable": "1" if precision == "int8" else "0",
        **profile,
    }


class Nodes(NamedTuple):
    """How many nodes of a graph a provider runs, of how many."""

    taken: int
    total: int


def nodes_taken(session: Any, provider: str) -> Nodes | None:
    """Ask how many nodes of a graph a provider took: one that started may still leave all to the next provider.

    Args:
        session: A session with the option `RECORD_NODES`.
        provider: Name of the provider.

    Returns:
        The counts; None before onnxruntime 1.24, which does not report them.
    """
    assigned = getattr(session, "get_provider_graph_assignment_info", None)
    if assigned is None:
        return None
    counts = [(part.ep_name == provider, len(part.get_nodes())) for part in assigned()]
    return Nodes(sum(count for its, count in counts if its), sum(count for _, count in counts))


def require_provider(runtime: Any, provider: Provider) -> None:
    """Start a provider on a graph of one node.

    Args:
        runtime: The onnxruntime module.
        provider: Name and options.

    Raises:
        BackendUnavailableError: It is not in this build, or does not start; says why and what to do.
    """
    name = provider[0]
    if name not in runtime.get_available_providers():
        raise BackendUnavailableError(
            f"onnxruntime {runtime.__version__} is built without {name}; pip uninstall -y onnxruntime, then pip "
            "install onnxruntime-gpu (on a Jetson see docs/jetson.md), or use device cpu"
        )
    preload_libraries(runtime)
    if not _starts(runtime, provider):
        reason = why_not(name) or "it starts alone, but not in this process, which may have loaded another CUDA"
        raise BackendUnavailableError(
            f"onnxruntime {runtime.__version__} does not start {name}: {reason}; vavl-doctor says what to "
            "install; device cpu needs none of it"
        )


def preload_libraries(runtime: Any) -> None:
    """Load CUDA and cuDNN from their pip packages, where ONNX Runtime knows how (1.21 and later)."""
    preload = getattr(runtime, "preload_dlls", None)
    if preload is not None:
        with contextlib.redirect_stdout(io.StringIO()):  # what it prints, `why_not` says if it matters
            preload()


def why_not(name: str) -> str | None:
    """Say why a provider does not start. ONNX Runtime only logs it, so another process tries once more.

    Args:
        name: The provider.

    Returns:
        The reason, in one line; None if it starts.
    """
    command = [sys.executable, "-m", __name__, name]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_PROBE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_TIMEOUT_S} s"
    if done.returncode == 0:
        return None
    return reason_in_log(done.stderr)


def reason_in_log(log: str) -> str:
    """Find the reason in what ONNX Runtime logged.

    Args:
        log: Its log, possibly coloured.

    Returns:
        What cannot be loaded, cuDNN among it, or else the first line of CUDA's error, or else the last line.
    """
    plain = re.sub(r"\x1b\[[\d;]*m", "", log)
    for pattern in _REASONS:
        if match := re.search(pattern, plain):
            return match[1].strip()
    lines = plain.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")


@contextlib.contextmanager
def without_warnings(runtime: Any, severity: int = _ERROR) -> Iterator[None]:
    """Let ONNX Runtime log only what is at least this severe: since 1.30 it warns at every session on CUDA."""
    runtime.set_default_logger_severity(severity)
    try:
        yield
    finally:
        runtime.set_default_logger_severity(_WARNING)


def _starts(runtime: Any, provider: Provider) -> bool:
    with without_warnings(runtime, _FATAL):  # a failure is reported by us, in one line
        try:
            return _run_one_node(runtime, provider, _FATAL)
        except Exception:  # ONNX Runtime's exception types are private; `why_not` finds the reason
            return False


def _run_one_node(runtime: Any, provider: Provider | str, severity: int) -> bool:
    """Open and run the graph of one node; whether the provider ran it."""
    options = runtime.SessionOptions()
    options.log_severity_level = severity
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = runtime.InferenceSession(ONE_NODE, options, providers=[provider], enable_fallback=0)
    session.run(["y"], {"x": np.ones(_PROBE_SHAPE, np.float32)})
    return (provider if isinstance(provider, str) else provider[0]) in session.get_providers()


def _main() -> int:
    """Try one provider, leaving ONNX Runtime's log on stderr: ``python -m … NAME``."""
    runtime = import_onnxruntime()
    preload_libraries(runtime)
    return 0 if _run_one_node(runtime, sys.argv[1], _WARNING) else 1


if __name__ == "__main__":
    sys.exit(_main())
