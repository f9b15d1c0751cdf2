"""Routes to fp16 graphs, by what they cost in accuracy: the choice behind `vavl_export.precision.half_conversion`.

    python -m benchmarks.studies.half_routes [--presets light paper] [-o benchmarks/results/half_routes.json]

    our pass                the fp32 ONNX graph lowered by `convert_to_half`, as `vavl-export` does
    onnxruntime, kept fp32  `onnxruntime.transformers.float16` with norms, softmax and sums in its block list
    onnxruntime, defaults   the same with its own block list
    module.half()           the PyTorch module in half precision, exported
    torch.autocast          the PyTorch module under autocast, exported

Each graph is run on its golden inputs with fp32 operators and every tensor of half precision rounded, which is what a
GPU computes up to the order of its sums, and compared with PyTorch in fp32. Random weights. Needs the extra `export`.
"""

import argparse
import copy
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.transformers import float16
from torch import Tensor, nn

from benchmarks.environment import environment
from vavl.encoders import load_audio_encoder
from vavl_export.golden import record_golden, relative_l2
from vavl_export.graph_specs import GraphSpec, encoder_specs, path_specs
from vavl_export.precision.emulate import emulate
from vavl_export.precision.half_conversion import convert_to_half
from vavl_export.precision.sessions import open_session
from vavl_export.request import build_request
from vavl_export.to_onnx import export_graph
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.files import write_atomically

KEPT = ["LayerNormalization", "InstanceNormalization", "Softmax", "ReduceSum", "ReduceMean", "ReduceL2", "Pow", "Exp"]
Route = Callable[[GraphSpec, onnx.ModelProto], onnx.ModelProto]


def in_half(module: nn.Module) -> nn.Module:
    """A copy of a module in half precision between inputs and outputs in float32."""
    copied = copy.deepcopy(module).half()
    # Hooks, and no module around it: the exporter names inputs by the signature.
    copied.register_forward_pre_hook(lambda _, inputs: tuple(_cast(value, torch.half) for value in inputs))
    copied.register_forward_hook(lambda _, __, outputs: tuple(_cast(value, torch.float) for value in outputs))
    return copied


def under_autocast(module: nn.Module) -> nn.Module:
    """A copy of a module whose products PyTorch itself takes to half precision."""
    copied = copy.deepcopy(module)
    copied.forward = torch.autocast("cpu", torch.half)(copied.forward)
    copied.register_forward_hook(lambda _, __, outputs: tuple(_cast(value, torch.float) for value in outputs))
    return copied


def _cast(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype) if value.is_floating_point() else value


def _converted(model: onnx.ModelProto, **options: Any) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)  # the converter changes what it is given
    return float16.convert_float_to_float16(copied, keep_io_types=True, **options)


ROUTES: dict[str, Route] = {
    "our pass": lambda plan, exact: convert_to_half(exact, "fp16"),
    "onnxruntime, kept fp32": lambda plan, exact: _converted(
        exact, op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *KEPT]
    ),
    "onnxruntime, defaults": lambda plan, exact: _converted(exact),
    "module.half()": lambda plan, exact: export_graph(replace(plan, module=in_half(plan.module))),
    "torch.autocast": lambda plan, exact: export_graph(replace(plan, module=under_autocast(plan.module))),
}


def plans(preset: str) -> Iterator[GraphSpec]:
    """The graphs of a preset that are compared."""
    request = build_request(
        None, preset=preset, seed=0, audio_encoder=None, face_encoder=None, name=preset, fused=False
    )
    yield next(plan for plan in path_specs(request.model) if plan.name == "audio_visual")
    audio = load_audio_encoder(request.description.audio_encoder).module
    face = nn.Identity()  # its graph is not compared
    yield encoder_specs(audio, face)[0]  # type: ignore[arg-type]


def compare(plan: GraphSpec) -> dict[str, dict[str, Any]]:
    """Take every route for one graph.

    Args:
        plan: The graph.

    Returns:
        By route the largest relative L2 over the golden inputs, None if something is not finite, and the number of
        casts; or why the route ends.
    """
    exact = export_graph(plan)
    cases = record_golden(plan)
    outcomes: dict[str, dict[str, Any]] = {}
    for name, route in ROUTES.items():
        try:
            lowered = route(plan, exact)
            session = open_session(emulate(lowered, "fp16"), optimize=False)
            errors = [
                relative_l2(got, expected[output])
                for inputs, expected in cases
                for output, got in zip(plan.outputs, session.run(list(plan.outputs), inputs), strict=True)
            ]
        except Exception as error:  # a route that ends is a result
            outcomes[name] = {"ends": first_cause(error)}
        else:
            casts = sum(node.op_type == "Cast" for node in lowered.graph.node)
            worst = max(errors) if np.isfinite(errors).all() else None  # JSON has no infinity
            outcomes[name] = {"relative_l2": worst, "casts": casts}
    return outcomes


def first_cause(error: BaseException) -> str:
    """What an error began with, in a line: the exporter's own messages are pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"


def table(record: dict[str, Any]) -> str:
    """The table of a result."""
    machine = record["environment"]
    lines = [
        "## Routes to fp16 graphs",
        "",
        f"`{record['command']}`: random weights, golden inputs, every tensor of half precision rounded; relative L2 "
        f"from PyTorch in fp32, at most over inputs and outputs. torch {machine['torch']}, onnxruntime "
        f"{machine['onnxruntime']}.",
        "",
        "| size | graph | route | relative L2 | casts |",
        "|---|---|---|---:|---:|",
    ]
    for row in record["graphs"]:
        for route, outcome in row["routes"].items():
            lines.append(f"| {row['preset']} | {row['graph']} | {route} | {_shown(outcome)} |")
    return "\n".join(lines) + "\n"


def _shown(outcome: dict[str, Any]) -> str:
    if "ends" in outcome:
        return f"ends: {outcome['ends']} | "
    worst = outcome["relative_l2"]
    return f"{'not finite' if worst is None else format(worst, '.1e')} | {outcome['casts']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["light", "paper"])
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/half_routes.json"))
    arguments = parser.parse_args()
    record: dict[str, Any] = {
        "benchmark": "half_routes",
        "command": f"python -m benchmarks.studies.half_routes --presets {' '.join(arguments.presets)}",
        "environment": environment(usable_cores(), ("torch", "onnx", "onnxruntime")),
        "graphs": [],
    }
    for preset in arguments.presets:
        for plan in plans(preset):
            record["graphs"].append({"preset": preset, "graph": plan.name, "routes": compare(plan)})
            print(record["graphs"][-1], file=sys.stderr)
            write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
