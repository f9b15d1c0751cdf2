"""Every graph of a bundle on the CPU: this runtime against its peers on the same graph, in one run.

    python -m benchmarks.graphs_cpu light=BUNDLE paper=BUNDLE [--rounds 7] [-o benchmarks/results/graphs_cpu.json]

BUNDLE is what `vavl-export onnx --preset paper --precision fp32,int8` or the like has written, or the packaged bundle;
the name before it is the preset, whose modules are the PyTorch sides. The sides:

    vavl_runtime        the runtime's CPU backend, as `vavl-run` uses it
    onnxruntime         ONNX Runtime with its default options
    onnxruntime fixed   the same, opened anew for each shape
    openvino            OpenVINO on the same file, in float32
    openvino fixed      the same, compiled anew for each shape
    pytorch             the modules that one would write down first, eager
    torch.compile       the same modules, compiled anew for each shape

All have the same number of threads and the same inputs. For every length of media and batch they take turns; see
`benchmarks.rounds`. What bounds them is measured too: the rate of large matrix products, the rate of reading memory,
how many operations each graph asks for, and how many bytes of weights. At batch 1 the bundle's int8 and fp16 variants
take part, and OpenVINO in bf16, its own default where the processor has it. Needs the extras `export` and `bench`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.ceiling import form_rates, operations, product_rates, read_rate, weight_bytes
from benchmarks.engines import Run, largest_difference, open_default, open_openvino, open_runtime, open_torch
from benchmarks.environment import environment
from benchmarks.modules import torch_modules
from benchmarks.rounds import advantage, least_and_median, take_turns
from vavl_bench.inputs import graph_inputs
from vavl_runtime.bundle import Bundle, open_bundle
from vavl_runtime.bundle.precision import VARIANT_GRAPHS
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.files import write_atomically

OURS = "vavl_runtime"
REDUCED = ("int8", "fp16")  # ONNX Runtime has no bf16 kernels for the CPU
DISTRIBUTIONS = ("onnxruntime", "openvino", "torch", "timm", "transformers")


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes:
        seconds: Lengths of media; the face encoder has none.
        batches: Clips at once, or faces.
        rounds: Turns of each side.
        turn_s: Length of a turn, seconds.
    """

    seconds: tuple[float, ...] = (1.0, 3.0)
    batches: tuple[int, ...] = (1, 4, 8)
    rounds: int = 7
    turn_s: float = 0.2

    def cases(self, graph: str) -> Iterator[tuple[float | None, int]]:
        """Length and batch of each case of a graph."""
        for seconds in (None,) if graph == "face_encoder" else self.seconds:
            for batch in self.batches:
                yield seconds, batch


QUICK = Extent(seconds=(1.0,), batches=(1, 2), rounds=2, turn_s=0.01)


class Sides:
    """The sides of one graph.

    Args:
        bundle: An opened bundle.
        name: The graph.
        module: The same in PyTorch.
        threads: Of every side.

    Attributes:
        refused: Why a side is missing, by side.
    """

    def __init__(self, bundle: Bundle, name: str, module: nn.Module, threads: int) -> None:
        self._file, self._record = bundle.graph_file(name), bundle.manifest.graphs[name]
        self._module, self._threads = module, threads
        self.refused: dict[str, str] = {}
        self._exact: dict[str, Run] = {
            OURS: open_runtime(self._file, self._record, threads),
            "onnxruntime": open_default(self._file, threads),
            "openvino": open_openvino(self._file, threads),
            "pytorch": open_torch(module, self._record),
        }
        self._reduced: dict[str, Run] = {}
        self._try("openvino bf16", partial(open_openvino, self._file, threads, "bf16"))
        for precision in REDUCED:
            if precision in self._record.variants:
                file, variant = bundle.graph_file(name, precision, cpu=True), self._record.in_precision(precision)
                self._try(f"{OURS} {precision}", partial(open_runtime, file, variant, threads))
                self._try(f"onnxruntime {precision}", partial(open_default, file, threads))
                self._try(f"openvino {precision}", partial(open_openvino, file, threads))

    def _try(self, side: str, opened: Callable[[], Run]) -> None:
        try:
            self._reduced[side] = opened()
        except Exception as error:  # a peer without a kernel for a variant is a result
            self.refused[side] = str(error).strip().splitlines()[-1]

    def of_case(self, inputs: dict[str, Any], batch: int) -> dict[str, Run]:
        """The sides for inputs of these shapes."""
        shapes = {name: value.shape for name, value in inputs.items()}
        made = {
            "onnxruntime fixed": open_default(self._file, self._threads, self._sizes(shapes)),
            "openvino fixed": open_openvino(self._file, self._threads, shapes=shapes),
            "torch.compile": open_torch(self._module, self._record, compiled=True),
        }
        return {**self._exact, **made, **(self._reduced if batch == 1 else {})}

    def _sizes(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, int]:
        """Sizes of the graph's free axes, by name."""
        return {
            axis: size
            for tensor in self._record.inputs
            for axis, size in zip(tensor.shape, shapes[tensor.name], strict=True)
            if isinstance(axis, str)
        }


def measure(bundle: Bundle, preset: str, graph: str, module: nn.Module, extent: Extent) -> Iterator[dict[str, Any]]:
    """Measure a graph.

    Args:
        bundle: An opened bundle.
        preset: Its preset.
        graph: Name of the graph.
        module: The same in PyTorch.
        extent: How much.

    Yields:
        A row of the record for each case, ready for JSON.
    """
    threads = torch.get_num_threads()
    sides = Sides(bundle, graph, module, threads)
    for seconds, batch in extent.cases(graph):
        inputs = graph_inputs(graph, bundle.manifest.graphs[graph], batch, seconds or 1.0)
        calls = {side: partial(run, inputs) for side, run in sides.of_case(inputs, batch).items()}
        expected = calls[OURS]()
        differences = {side: largest_difference(call(), expected) for side, call in calls.items() if side != OURS}
        turns = take_turns(calls, extent.rounds, extent.turn_s)
        yield {
            "preset": preset,
            "graph": graph,
            "seconds": seconds,
            "batch": batch,
            "operations": operations(module, [inputs[tensor.name] for tensor in bundle.manifest.graphs[graph].inputs]),
            "weight_bytes": weight_bytes(bundle.graph_file(graph)),
            "lowered": sorted(_lowered(bundle, graph)),
            "time_s": {side: least_and_median(each) for side, each in turns.items()},
            "advantage": {side: advantage(turns[OURS], each) for side, each in turns.items() if side != OURS},
            "largest_difference": differences,
            "refused": sides.refused if batch == 1 else {},
            "turns_s": turns,
        }


def _lowered(bundle: Bundle, graph: str) -> Iterator[str]:
    """The precisions that are really lower: a variant that did not pay or drifted too far has the weights of fp32."""
    record = bundle.manifest.graphs[graph]
    for precision, variant in record.variants.items():
        if variant.data != record.data:
            yield precision


def interrupted(output: Path, head: dict[str, Any]) -> dict[str, Any] | None:
    """Read what an interrupted run of the same command on the same machine has left.

    Args:
        output: Its record.
        head: What must be the same.

    Returns:
        The record, or None if there is none.
    """
    record: dict[str, Any] = json.loads(output.read_text("utf-8")) if output.is_file() else {}
    return record if record and {key: record.get(key) for key in head} == head else None


def _describe(places: dict[str, str]) -> dict[str, dict[str, str]]:
    """Hashes of the bundles, and why their int8 graphs that stay in float32 do."""
    bundles, reasons = {}, {}
    for preset, place in places.items():
        with open_bundle(place) as bundle:
            bundles[preset] = bundle.sha256
            for name, graph in bundle.manifest.graphs.items():
                speed = graph.variants["int8"].speed if "int8" in graph.variants else None
                if speed is not None and speed.reason is not None:
                    reasons[f"{preset} {name}"] = speed.reason
    return {"bundles": bundles, "stays_float32": reasons}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", metavar="PRESET=BUNDLE")
    parser.add_argument("--graphs", nargs="+", choices=VARIANT_GRAPHS, default=VARIANT_GRAPHS)
    parser.add_argument("--rounds", type=int, default=Extent.rounds)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--quick", action="store_true", help="see that everything runs; the figures mean nothing")
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run has stopped")
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/graphs_cpu.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    extent = QUICK if arguments.quick else Extent(rounds=arguments.rounds)
    places = dict(text.split("=", 1) for text in arguments.bundles)
    names = " ".join(f"{preset}={Path(place).name}" for preset, place in places.items())
    chosen = "" if tuple(arguments.graphs) == VARIANT_GRAPHS else f"--graphs {' '.join(arguments.graphs)} "
    head = {
        "benchmark": "graphs_cpu",
        "command": f"python -m benchmarks.graphs_cpu {names} {chosen}--threads {arguments.threads} "
        + ("--quick" if arguments.quick else f"--rounds {extent.rounds}"),
        "environment": environment(arguments.threads, DISTRIBUTIONS),
        **_describe(places),
        "rounds": extent.rounds,
    }
    record = interrupted(arguments.output, head) if arguments.resume else None
    if record is None:
        rates = {
            "product_rates": product_rates(arguments.threads, extent.rounds),
            "form_rates": form_rates(arguments.threads, extent.rounds),
            "read_rate": read_rate(arguments.threads, extent.rounds),
        }
        record = {**head, **rates, "cases": []}
    done = {(case["preset"], case["graph"], case["seconds"], case["batch"]) for case in record["cases"]}
    for preset, place in places.items():
        with open_bundle(place) as bundle:
            modules = torch_modules(bundle.manifest, preset)
            for graph in arguments.graphs:
                if all((preset, graph, *case) in done for case in extent.cases(graph)):
                    continue
                record["cases"] = [
                    case for case in record["cases"] if (case["preset"], case["graph"]) != (preset, graph)
                ]
                for case in measure(bundle, preset, graph, modules[graph], extent):
                    record["cases"].append(case)
                    # Written after every case: what an interrupted run has measured is kept.
                    write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
                    ratios = {side: round(each["of_medians"], 2) for side, each in case["advantage"].items()}
                    print(preset, graph, case["seconds"], case["batch"], ratios, file=sys.stderr)
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
