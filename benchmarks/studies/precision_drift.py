"""What lower precision costs: the packaged bundle's labels on a labelled corpus, compared with those in fp32.

    python -m benchmarks.studies.precision_drift javanese CORPUS --calibration CLIPS [-o JSON]

Adds fp16, bf16 and int8 to a copy of the bundle as `vavl-export onnx --precision` does, and predicts the corpus as
`vavl-export verify --corpus` does. The packaged weights were trained on the Javanese corpus: F1 on it says nothing
about accuracy, it is only there to be compared. Needs the extra `export`.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.record import Record, benchmark_parser, new_record, write_record
from vavl.corpora import open_corpus
from vavl_export import golden
from vavl_export.precision.corpus import corpus_drift
from vavl_export.precision.variants import VariantRequest, add_variants
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.bundle.precision import VARIANT_GRAPHS
from vavl_runtime.devices.cpu import usable_cores

WAYS = {"run": "as it is", "emulated": "rounding emulated"}


def measure(bundle: Path, kind: str, corpus: Path, calibration: Path, folder: Path) -> Record:
    """Add variants to a copy of a bundle and predict a corpus.

    Args:
        bundle: An fp32 bundle folder.
        kind: Kind of the corpus.
        corpus: Its folder.
        calibration: Folder of clips with speech and faces.
        folder: Where the copy goes.

    Returns:
        Drift by path, precision and way of running; and what became of each graph in int8.
    """
    place = shutil.copytree(bundle, folder / "bundle")
    add_variants(place, VariantRequest(("fp16", "bf16", "int8"), calibration), _say)
    with open_bundle(place) as opened:
        drift = [found for found in corpus_drift(opened, open_corpus(kind, corpus), _say) if found.overall]
        quantised = {name: opened.manifest.graphs[name].variants["int8"] for name in VARIANT_GRAPHS}
    return {
        "corpus": kind,
        "drift": [found.model_dump(mode="json", exclude={"from_s", "up_to_s"}) for found in drift],
        "passed": [found.passed for found in drift],
        "int8": {name: variant.speed.model_dump() for name, variant in quantised.items() if variant.speed},
        "allowed": {"flips": golden.FLIPS, "loss": golden.METRIC_LOSS},
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def table(record: Record) -> str:
    """The section of a record."""
    allowed = record["allowed"]
    lines = [
        "## What lower precision costs: the packaged bundle",
        "",
        f"`{record['command']}`: onnxruntime {record['environment']['onnxruntime']}, CPU. The weights were trained on "
        "these clips, so F1 can be compared between rows but is no accuracy. *Rounding emulated*: every tensor is "
        "rounded, as a GPU computes. Margin: by how much the first label led the second in fp32 where the label "
        "changed, at most.",
        "",
        "| path | precision | clips | changed labels | margin | macro F1, fp32 | macro F1 | within limits |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for row, passed in zip(record["drift"], record["passed"], strict=True):
        precision, flips = row["precision"], row["flips"]
        limits = f"flips {100 * allowed['flips'][precision]:g} %, loss {100 * allowed['loss'][precision]:g} points"
        margin = f"{row['flip_margin']:.1e}" if flips else ""
        lines.append(
            f"| {row['path']} | {precision}, {WAYS[row['how']]} | {row['clips']} | {flips} "
            f"({100 * flips / row['clips']:.2f} %) | {margin} | {row['fp32']['macro_f1']:.4f} "
            f"| {row['variant']['macro_f1']:.4f} | {'yes' if passed else '**no**'} ({limits}) |"
        )
    lines += ["", "| graph in int8 | speed, x that of fp32 | why `--precision auto` keeps fp32 |", "|---|---:|---|"]
    lines += [f"| {name} | {int8['speedup']:.2f} | {int8['reason'] or ''} |" for name, int8 in record["int8"].items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure and write the record."""
    parser = benchmark_parser("precision_drift", __doc__)
    parser.add_argument("kind")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--calibration", type=Path, required=True)
    arguments = parser.parse_args()
    command = f"python -m benchmarks.studies.precision_drift {arguments.kind} CORPUS --calibration CLIPS"
    record = new_record("precision_drift", command, usable_cores())
    with tempfile.TemporaryDirectory() as folder:
        record |= measure(PACKAGED_BUNDLE, arguments.kind, arguments.corpus, arguments.calibration, Path(folder))
    write_record(record, arguments.output)
    print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
