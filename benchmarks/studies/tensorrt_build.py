"""What building TensorRT engines takes, by TensorRT-RTX on a machine that needs no GPU for it.

    python -m benchmarks.studies.tensorrt_build [--work FOLDER] [-o benchmarks/results/tensorrt_build.json]

Exports bundles with random weights, builds every graph in fp16 and bf16 with the shipped profiles for four kinds of
GPU, and records time, size, activation memory and how much of the attention became fused kernels. With ``--work``
bundles and engines stay there, so that a run that was cut off goes on.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from vavl.config import VavlConfig, light_config, paper_config
from vavl.encoders.wav2vec2 import LARGE_ROBUST_LAYERS
from vavl_export import build_engines
from vavl_export.tensorrt.profiles import GRAPHS
from vavl_runtime.backends.trt.engine_store import Engine
from vavl_runtime.files import write_atomically

TARGETS = ("SM80", "SM86", "SM89", "SM120")  # A100, most of Ampere, Ada and L4, Blackwell
PRECISIONS = ("fp16", "bf16")
PRESETS = {"paper": (paper_config, LARGE_ROBUST_LAYERS), "light": (light_config, 0)}

# TensorRT-RTX writes the name of its fused kernel three times into the plan for each attention it replaced.
_KERNEL = b"_gemm_mha_v2_0x"
_NAMES_PER_BLOCK = 3


def attention_blocks(config: VavlConfig, audio_encoder_layers: int) -> dict[str, int]:
    """Attention blocks by graph.

    Args:
        config: Of the model.
        audio_encoder_layers: Transformer layers of the audio encoder.
    """
    audio, visual = (layers + config.shared_layers for layers in (config.audio_layers, config.visual_layers))
    blocks = dict.fromkeys(GRAPHS, 0)
    blocks |= {"audio": audio, "visual": visual, "audio_visual": audio + visual}
    return blocks | {"audio_encoder": audio_encoder_layers}


def fused_attention(engine: Engine) -> float:
    """Attention blocks that became fused kernels, in each profile of an engine."""
    count = engine.plan.read_bytes().count(_KERNEL)
    return count / _NAMES_PER_BLOCK / len(engine.record.key.profiles)


def measure(preset: str, bundle: Path) -> list[dict[str, Any]]:
    """Build a bundle for all targets and precisions.

    Args:
        preset: ``paper`` or ``light``.
        bundle: The bundle.

    Returns:
        One row for each engine.
    """
    configure, layers = PRESETS[preset]
    blocks = attention_blocks(configure(), layers)
    rows: dict[Path, dict[str, Any]] = {}  # by plan: the detector is fp32 in every precision
    for target in TARGETS:
        for precision in PRECISIONS:
            for engine in build_engines(
                bundle,
                precision=precision,  # type: ignore[arg-type]
                compute_capability=target,
                progress=lambda line: print(line, file=sys.stderr),
            ):
                record, key = engine.record, engine.record.key
                rows[engine.plan] = {
                    "preset": preset,
                    "graph": key.graph,
                    "precision": key.precision,
                    "target": target,
                    "profiles": len(key.profiles),
                    "build_seconds": record.build_seconds,
                    "plan_bytes": record.plan_bytes,
                    "activation_bytes": record.activation_bytes,
                    "attention_blocks": blocks[key.graph],
                    "fused_blocks": fused_attention(engine),
                }
    return list(rows.values())


def export(preset: str, folder: Path) -> Path:
    """Export a bundle of a preset with random weights, in fp32, fp16 and bf16, if it is not there."""
    from typer.testing import CliRunner

    from vavl_export.cli import app

    place = folder / preset
    if place.is_dir():
        return place
    arguments = ["onnx", "--preset", preset, "--precision", ",".join(("fp32", *PRECISIONS)), "-o", str(place)]
    result = CliRunner().invoke(app, arguments)
    if result.exit_code:
        raise SystemExit(result.output)
    return place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="where bundles and engines stay; they are removed by default")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).parents[1] / "results" / "tensorrt_build.json"
    )
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for preset in PRESETS:
            rows += measure(preset, export(preset, arguments.work or Path(folder)))
    record = {
        "benchmark": "tensorrt_build",
        "command": "python -m benchmarks.studies.tensorrt_build",
        "environment": environment(1, ("tensorrt-rtx-cu13", "torch", "onnx")),
        "engines": rows,
    }
    write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
