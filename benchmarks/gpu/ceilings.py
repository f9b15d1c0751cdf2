"""What the device reaches at best, and what a point asks of it."""

from dataclasses import asdict

import torch
from torch import nn

from benchmarks.ceiling import operations
from benchmarks.gpu.plan import Point
from benchmarks.gpu.pytorch import ENCODERS
from benchmarks.record import Record
from vavl_bench.inputs import FPS, graph_inputs
from vavl_bench.turns import take_turns
from vavl_runtime.bundle.manifest import Manifest

ROUNDS, TURN_S = 5, 0.3
BYTES_PER_WEIGHT = 2  # fp16


def measure_ceilings(device: str) -> dict[str, float]:
    """Measure a copy within the device's memory, and a float16 matrix product (float32 on the CPU) of random numbers.

    Args:
        device: Name of the device in PyTorch.

    Returns:
        ``copy_bytes_per_s``, bytes read plus bytes written; ``product_operations_per_s``, two operations for each
        multiplication. Both are the best of the turns.
    """
    gpu = device != "cpu"
    numbers, side = (1 << 29, 8192) if gpu else (1 << 22, 256)
    dtype = torch.float16 if gpu else torch.float32
    source = torch.randn(numbers, device=device)
    target = torch.empty_like(source)
    left, right = torch.randn(2, side, side, device=device).to(dtype)
    product = torch.empty_like(left)

    def finished(result: torch.Tensor) -> None:
        if gpu:
            torch.cuda.synchronize(result.device)

    turns = take_turns(
        {
            "copy": lambda: finished(target.copy_(source)),
            "product": lambda: finished(torch.mm(left, right, out=product)),
        },
        ROUNDS,
        TURN_S,
    )
    return {
        "copy_bytes_per_s": 2 * source.nbytes / min(turns["copy"]),
        "product_operations_per_s": 2 * side**3 / min(turns["product"]),
    }


def count_work(point: Point, modules: dict[str, nn.Module], manifest: Manifest) -> Record:
    """Count what one clip of a point needs: it is computed once, on the CPU.

    Args:
        point: The point; its batch is left out, since work grows with it.
        modules: By graph.
        manifest: Of the bundle.

    Returns:
        The point's fields, ``operations`` of a clip, and ``weight_bytes`` in fp16.
    """
    names = (point.subject,) if point.scope == "graph" else (*ENCODERS[point.subject], point.subject)
    count = 0
    for name in names:
        crops = round(point.seconds * FPS) if name == "face_encoder" and point.scope == "model" else 1
        inputs = graph_inputs(name, manifest.graphs[name], 1, point.seconds)
        count += crops * operations(modules[name], [inputs[tensor.name] for tensor in manifest.graphs[name].inputs])
    weights = {id(weight): weight.numel() for name in names for weight in modules[name].parameters()}
    return {**asdict(point), "operations": count, "weight_bytes": BYTES_PER_WEIGHT * sum(weights.values())}
