"""What ONNX Runtime's prepacking costs and gains on the CPU, where three graphs read one memory-mapped weight file.

    python -m benchmarks.studies.prepacking BUNDLE [BUNDLE ...] [--rounds 3] [-o benchmarks/results/prepacking.json]

Prepacking copies weights into the layout of the matrix kernels, once for each session, so what the graphs share on disk
is no longer shared in memory. Each measurement is a process of its own that loads all graphs of a bundle and runs each
of them on 3 s of media; rounds alternate between the two settings, and the least time counts.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import environment
from vavl_runtime.bundle import Bundle, open_bundle
from vavl_runtime.bundle.manifest import GraphRecord
from vavl_runtime.files import write_atomically

SECONDS = 3
RUNS = 5
SETTINGS = ("prepacked", "shared")
THREADS = 2
# Sizes of the free axes for 3 s of media at 25 frames a second.
AXES = {
    "batch": 1,
    "samples_padded": SECONDS * 16_000,
    "audio_tokens": SECONDS * 50,
    "visual_tokens": SECONDS * 25,
    "faces": 4,
}


def measure(place: Path, setting: str) -> dict[str, Any]:
    """Load and run every graph of a bundle in this process."""
    import onnxruntime

    with open_bundle(place) as bundle:
        bundle.verify_all()
        start = time.perf_counter()
        sessions = {name: open_session(onnxruntime, bundle, name, setting) for name in bundle.manifest.graphs}
        load_s = time.perf_counter() - start
        run_ms = {}
        for name, session in sessions.items():
            record = bundle.manifest.graphs[name]
            if all(axis in AXES for tensor in record.inputs for axis in tensor.shape if isinstance(axis, str)):
                run_ms[name] = 1000 * least_seconds(session, inputs(record))
        return {"load_s": load_s, "run_ms": run_ms, **memory_mb()}


def open_session(runtime: Any, bundle: Bundle, name: str, setting: str) -> Any:
    """Open a graph as the runtime does, with or without prepacking."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.disable_prepacking", "1" if setting == "shared" else "0")
    return runtime.InferenceSession(str(bundle.graph_file(name)), options, providers=["CPUExecutionProvider"])


def inputs(record: GraphRecord) -> dict[str, NDArray[Any]]:
    """Noise of the right shapes; lengths are whole."""
    generator = np.random.default_rng(0)
    whole = {"samples": "samples_padded", "audio_lengths": "audio_tokens", "visual_lengths": "visual_tokens"}
    made: dict[str, NDArray[Any]] = {}
    for tensor in record.inputs:
        shape = [AXES[axis] if isinstance(axis, str) else axis for axis in tensor.shape]
        if tensor.dtype == "int64":
            made[tensor.name] = np.full(shape, AXES[whole[tensor.name]], np.int64)
        elif tensor.dtype == "uint8":
            made[tensor.name] = generator.integers(0, 256, shape, np.uint8)
        else:
            made[tensor.name] = 0.1 * generator.standard_normal(shape, np.float32)
    return made


def least_seconds(session: Any, feed: dict[str, NDArray[Any]]) -> float:
    """The least time of a few runs after a first one."""
    session.run(None, feed)
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - start)
    return min(times)


def memory_mb() -> dict[str, float]:
    """Memory of this process: written by it alone, and in all with shared pages counted in parts, MB."""
    text = Path("/proc/self/smaps_rollup").read_text()

    def mb(key: str) -> float:
        found = re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)
        return int(found[1]) * 1024 / 1e6 if found else float("nan")

    return {"private_dirty_mb": mb("Private_Dirty"), "pss_mb": mb("Pss")}


def table(record: dict[str, Any]) -> str:
    """The table of a result."""
    machine = record["environment"]
    lines = [
        "## Prepacking against shared weights on the CPU",
        "",
        f"`{record['command']}`: all graphs of a bundle in one process, each run on {SECONDS} s of media (4 faces); "
        f"{machine['processor']}, {machine['threads']} threads, onnxruntime {machine['onnxruntime']}. Least of "
        f"{record['rounds']} rounds. *Shared* is `session.disable_prepacking=1`: the weights stay in the mapped file.",
        "",
        "| bundle | weights | load, s | own memory, MB | audio encoder, ms | face encoder, ms | audio-visual, ms |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for bundle, settings in record["bundles"].items():
        for setting, values in settings.items():
            ms = [values["run_ms"][name] for name in ("audio_encoder", "face_encoder", "audio_visual")]
            figures = " | ".join(f"{value:.1f}" for value in (values["private_dirty_mb"], *ms))
            lines.append(f"| {bundle} | {setting} | {values['load_s']:.2f} | {figures} |")
    return "\n".join(lines) + "\n"


def _least(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    names = rounds[0]["run_ms"]
    return {
        "load_s": min(r["load_s"] for r in rounds),
        "private_dirty_mb": min(r["private_dirty_mb"] for r in rounds),
        "pss_mb": min(r["pss_mb"] for r in rounds),
        "run_ms": {name: min(r["run_ms"][name] for r in rounds) for name in names},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=SETTINGS, help="measure in this process and print JSON")
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/prepacking.json"))
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.bundles[0], arguments.one)))
        return 0
    bundles = {}
    for place in arguments.bundles:
        rounds: dict[str, list[dict[str, Any]]] = {setting: [] for setting in SETTINGS}
        for number in range(arguments.rounds):
            for setting in SETTINGS:
                command = [sys.executable, "-m", "benchmarks.studies.prepacking", str(place), "--one", setting]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rounds[setting].append(json.loads(done.stdout))
                print(f"{place.name}, {setting}, round {number + 1}: {done.stdout.strip()}", file=sys.stderr)
        bundles[place.name] = {setting: _least(each) for setting, each in rounds.items()}
    record = {
        "benchmark": "prepacking",
        "command": "python -m benchmarks.studies.prepacking " + " ".join(place.name for place in arguments.bundles),
        "environment": environment(THREADS, ("onnxruntime",)),
        "rounds": arguments.rounds,
        "bundles": bundles,
    }
    write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
