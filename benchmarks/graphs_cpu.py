"""Every graph of a bundle on the CPU: this runtime against its peers on the same graph, in one run.

    python -m benchmarks.graphs_cpu light=BUNDLE paper=BUNDLE [--rounds 7] [-o benchmarks/results/graphs_cpu.json]

BUNDLE is what `vavl-export onnx --preset paper --precision fp32,int8` or the like has written, or the packaged bundle;
the name before it is the preset, whose modules are the PyTorch sides. The sides:

    vavl_runtime        the runtime's CPU backend, as `vavl-run` uses it
    onnxruntime         ONNX Runtime with its default options
    onnxruntime fixed   the same, opened again for each shape
    openvino            OpenVINO on the same file, in float32
    openvino fixed      the same, compiled again for each shape
    pytorch             the modules that one would write down first, eager
    torch.compile       the same modules, compiled again for each shape

All have the same number of threads and the same inputs, and take turns (`vavl_bench.turns`) for every length of media
and batch. What bounds them is measured too: the rate of large matrix products, the rate of reading memory, the
operations of each graph, and its bytes of weights. At batch 1 the bundle's int8 and fp16 variants take part, and
OpenVINO in bf16, its own default where the processor has it. Needs the extras `export` and `bench`.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.ceiling import operations, product_rates, read_rate, weight_bytes
from benchmarks.engines import Run, largest_difference, open_default, open_openvino, open_runtime, open_torch
from benchmarks.modules import torch_modules
from benchmarks.record import Record, benchmark_parser, new_record, write_record
from vavl_bench.inputs import graph_inputs
from vavl_bench.turns import advantage, least_and_median, take_turns
from vavl_runtime.bundle import Bundle, open_bundle
from vavl_runtime.bundle.precision import VARIANT_GRAPHS
from vavl_runtime.devices.cpu import usable_cores

OURS = "vavl_runtime"
REDUCED = ("int8", "fp16")  # ONNX Runtime has no bf16 kernels for the CPU
SECONDS = (1.0, 3.0)  # of media; the face encoder has no length
BATCHES = (1, 4, 8)  # clips at once, or faces
TURN_S = 0.2


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
                file, variant = bundle.graph_file(name, precision, "cpu"), self._record.in_precision(precision)
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
        sizes = {
            axis: size
            for tensor in self._record.inputs
            for axis, size in zip(tensor.shape, shapes[tensor.name], strict=True)
            if isinstance(axis, str)
        }
        made = {
            "onnxruntime fixed": open_default(self._file, self._threads, sizes),
            "openvino fixed": open_openvino(self._file, self._threads, shapes=shapes),
            "torch.compile": open_torch(self._module, self._record, compiled=True),
        }
        return {**self._exact, **made, **(self._reduced if batch == 1 else {})}


def measure(bundle: Bundle, preset: str, graph: str, module: nn.Module, rounds: int) -> Iterator[Record]:
    """Measure a graph.

    Args:
        bundle: An opened bundle.
        preset: Its preset.
        graph: Name of the graph.
        module: The same in PyTorch.
        rounds: Turns of each side.

    Yields:
        A row of the record for each case.
    """
    described = bundle.manifest.graphs[graph]
    # A variant that did not pay or drifted too far has the weights of fp32: its precision is not really lower.
    lowered = sorted(name for name, variant in described.variants.items() if variant.data != described.data)
    sides = Sides(bundle, graph, module, torch.get_num_threads())
    lengths = (None,) if graph == "face_encoder" else SECONDS
    for seconds, batch in product(lengths, BATCHES):
        inputs = graph_inputs(graph, described, batch, seconds or 1.0)
        calls = {side: partial(run, inputs) for side, run in sides.of_case(inputs, batch).items()}
        expected = calls[OURS]()
        differences = {side: largest_difference(call(), expected) for side, call in calls.items() if side != OURS}
        turns = take_turns(calls, rounds, TURN_S)
        yield {
            "preset": preset,
            "graph": graph,
            "seconds": seconds,
            "batch": batch,
            "operations": operations(module, [inputs[tensor.name] for tensor in described.inputs]),
            "weight_bytes": weight_bytes(bundle.graph_file(graph)),
            "lowered": lowered,
            "time_s": {side: least_and_median(each) for side, each in turns.items()},
            "advantage": {side: advantage(turns[OURS], each) for side, each in turns.items() if side != OURS},
            "largest_difference": differences,
            "refused": sides.refused if batch == 1 else {},
            "turns_s": turns,
        }


def stays_float32(bundle: Bundle, preset: str) -> dict[str, str]:
    """Why int8 graphs that stay in float32 do, by preset and graph."""
    speeds = {
        name: graph.variants["int8"].speed for name, graph in bundle.manifest.graphs.items() if "int8" in graph.variants
    }
    return {f"{preset} {name}": speed.reason for name, speed in speeds.items() if speed and speed.reason}


def main() -> int:
    """Measure, and write the record after every case, so that an interruption keeps what is done."""
    parser = benchmark_parser("graphs_cpu", __doc__)
    parser.add_argument("bundles", nargs="+", metavar="PRESET=BUNDLE")
    parser.add_argument("--graphs", nargs="+", choices=VARIANT_GRAPHS, default=VARIANT_GRAPHS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=usable_cores())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    places = dict(text.split("=", 1) for text in arguments.bundles)
    names = " ".join(f"{preset}={Path(place).name}" for preset, place in places.items())
    chosen = "" if tuple(arguments.graphs) == VARIANT_GRAPHS else f"--graphs {' '.join(arguments.graphs)} "
    command = f"python -m benchmarks.graphs_cpu {names} {chosen}--threads {arguments.threads} "
    command += f"--rounds {arguments.rounds}"
    record: Record = {
        **new_record("graphs_cpu", command, arguments.threads),
        "bundles": {},
        "stays_float32": {},
        "rounds": arguments.rounds,
        "product_rates": product_rates(arguments.threads, arguments.rounds),
        "read_rate": read_rate(arguments.threads, arguments.rounds),
        "cases": [],
    }
    for preset, place in places.items():
        with open_bundle(place) as bundle:
            record["bundles"][preset] = bundle.sha256
            record["stays_float32"] |= stays_float32(bundle, preset)
            modules = torch_modules(bundle.manifest, preset)
            for graph in arguments.graphs:
                for case in measure(bundle, preset, graph, modules[graph], arguments.rounds):
                    record["cases"].append(case)
                    write_record(record, arguments.output)
                    ratios = {side: round(each["of_medians"], 2) for side, each in case["advantage"].items()}
                    print(preset, graph, case["seconds"], case["batch"], ratios, file=sys.stderr)
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
