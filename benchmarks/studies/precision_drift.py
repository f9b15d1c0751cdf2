"""What lower precision costs: the packaged bundle's answers on a labelled corpus, beside those in fp32.

    python -m benchmarks.studies.precision_drift javanese CORPUS --calibration CLIPS [-o JSON]

Adds fp16, bf16 and int8 to a copy of the bundle as `vavl-export onnx --precision` does, and answers the corpus as
`vavl-export verify --corpus` does. The packaged weights were trained on the Javanese corpus: F1 on it is no accuracy,
it is there to be compared. Needs the extra `export`.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from vavl.corpora import open_corpus
from vavl_export import golden
from vavl_export.precision.corpus import corpus_drift
from vavl_export.precision.variants import VariantRequest, add_variants
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.bundle.precision import VARIANT_GRAPHS
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.files import write_atomically

PRECISIONS = ("fp16", "bf16", "int8")
DISTRIBUTIONS = ("onnxruntime", "onnx")


def measure(bundle: Path, kind: str, corpus: Path, calibration: Path, folder: Path) -> dict[str, Any]:
    """Add variants to a copy of a bundle and answer a corpus.

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
    add_variants(place, VariantRequest(PRECISIONS, calibration), _say)
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


def main() -> int:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/precision_drift.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(PACKAGED_BUNDLE, arguments.kind, arguments.corpus, arguments.calibration, Path(folder))
    record = {
        "benchmark": "precision_drift",
        "command": f"python -m benchmarks.studies.precision_drift {arguments.kind} CORPUS --calibration CLIPS",
        "environment": environment(usable_cores(), DISTRIBUTIONS),
        **found,
    }
    write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
