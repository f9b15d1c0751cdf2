"""What building TensorRT engines takes, with TensorRT-RTX on a machine that needs no GPU for it.

    python -m benchmarks.studies.tensorrt_build [--work FOLDER] [-o benchmarks/results/tensorrt_build.json]

Exports bundles with random weights, builds every graph in fp16 and bf16 with the shipped profiles for four kinds of
GPU, and records time, size, activation memory and how much of the attention became fused kernels. With ``--work``,
bundles and engines stay in that folder, and an interrupted run continues.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.bundles import export_preset
from benchmarks.record import Record, benchmark_parser, new_record, write_record
from vavl.config import VavlConfig, light_config, paper_config
from vavl.encoders.wav2vec2 import LARGE_ROBUST_LAYERS
from vavl_export import build_engines
from vavl_export.tensorrt.profiles import GRAPHS
from vavl_runtime.backends.trt.engine_store import Engine

TARGETS = ("SM80", "SM86", "SM89", "SM120")  # A100, most of Ampere, Ada and L4, Blackwell
PRECISIONS = ("fp16", "bf16")
PRESETS = {"paper": (paper_config, LARGE_ROBUST_LAYERS), "light": (light_config, 0)}
SHOWN = ("audio_encoder", "face_encoder", "audio_visual", "audio", "visual")

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


def measure(preset: str, bundle: Path) -> list[Record]:
    """Build a bundle for all targets and precisions; one row for each engine."""
    configure, layers = PRESETS[preset]
    blocks = attention_blocks(configure(), layers)
    rows: dict[Path, Record] = {}  # by plan: the detector is fp32 in every precision
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


def table(record: Record) -> str:
    """The section of a record."""
    rows = [row for row in record["engines"] if row["graph"] in SHOWN]
    environment = record["environment"]
    attention = [row for row in rows if row["attention_blocks"]]
    fused = [row for row in attention if row["fused_blocks"] == row["attention_blocks"]]
    lines = [
        "## TensorRT engines, built without a GPU",
        "",
        f"`{record['command']}`: TensorRT-RTX {environment['tensorrt-rtx-cu13']} on {environment['processor']}, random "
        f"weights, the shipped profiles, for {', '.join(dict.fromkeys(row['target'] for row in rows))}. "
        f"{len(record['engines'])} engines without a parser error; all attention is fused in {len(fused)} of the "
        f"{len(attention)} engines that have any. No engine was run: time, size and memory are the builder's, smallest "
        "and largest over the targets.",
        "",
        "| size | graph | precision | profiles | attention blocks fused | build, s | plan, MB | activations, MB |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for key in dict.fromkeys((row["preset"], row["graph"], row["precision"]) for row in rows):
        same = [row for row in rows if (row["preset"], row["graph"], row["precision"]) == key]
        blocks = {f"{row['fused_blocks']:g} of {row['attention_blocks']}" for row in same}
        lines.append(
            f"| {' | '.join(key)} | {same[0]['profiles']} | {', '.join(sorted(blocks))} "
            f"| {_range([row['build_seconds'] for row in same], 1, 1)} "
            f"| {_range([row['plan_bytes'] for row in same], 1e6, 1)} "
            f"| {_range([row['activation_bytes'] for row in same], 1e6, 0)} |"
        )
    return "\n".join(lines) + "\n"


def _range(values: list[float], unit: float, digits: int) -> str:
    low, high = (f"{value / unit:.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def main() -> int:
    """Build and write the record."""
    parser = benchmark_parser("tensorrt_build", __doc__)
    parser.add_argument("--work", type=Path, help="where bundles and engines stay; removed at the end by default")
    arguments = parser.parse_args()
    record: Record = {**new_record("tensorrt_build", "python -m benchmarks.studies.tensorrt_build", 1), "engines": []}
    with tempfile.TemporaryDirectory() as folder:
        for preset in PRESETS:
            place = (arguments.work or Path(folder)) / preset
            record["engines"] += measure(preset, export_preset(preset, place, PRECISIONS))
    write_record(record, arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
