"""What lower precision costs: measured on a clip, and shown."""

import csv
import shutil
from pathlib import Path

import pytest

from benchmarks.studies.precision_drift import measure, table
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.bundle.precision import VARIANT_GRAPHS

ENVIRONMENT = {"command": "the command", "environment": {"onnxruntime": "1.32.0"}}


@pytest.mark.parametrize(("flips", "passed"), [(0, True), (7, False)])
def test_the_table_says_what_flips_and_whether_that_may_be(flips: int, passed: bool) -> None:
    row = {"path": "visual", "precision": "int8", "how": "run", "clips": 192, "flips": flips, "flip_margin": 0.0123}
    row |= {"fp32": {"macro_f1": 0.75, "micro_f1": 0.7}, "variant": {"macro_f1": 0.7456, "micro_f1": 0.7}}
    int8 = {"visual": {"target": "a machine", "speedup": 2.0, "reason": None}}
    int8["audio"] = {"target": "a machine", "speedup": 1.0, "reason": "stays fp32"}
    allowed = {"flips": {"int8": 0.02}, "loss": {"int8": 0.01}}
    shown = table({**ENVIRONMENT, "drift": [row], "passed": [passed], "int8": int8, "allowed": allowed})
    cells = f"| visual | int8, as it is | 192 | {flips} ({100 * flips / 192:.2f} %) | "
    assert cells + ("1.2e-02 |" if flips else " |") in shown
    assert f"| 0.7500 | 0.7456 | {'yes' if passed else '**no**'} (flips 2 %, loss 1 points) |" in shown
    assert "| visual | 2.00 |  |" in shown and "| audio | 1.00 | stays fp32 |" in shown


@pytest.mark.slow
def test_a_corpus_of_one_clip_is_measured_and_shown(example_clip: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    shutil.copy(example_clip, clips / "astronaut.mp4")
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        labels = bundle.manifest.labels
    with (clips / "manifest.csv").open("w", newline="") as file:
        file.write(f"# labels: {', '.join(labels)}\n")
        header = ("id", "speaker", "audio", "visual", "label")
        csv.writer(file).writerows([header, ("a", "her", "astronaut.mp4", "astronaut.mp4", labels[0])])
    found = measure(PACKAGED_BUNDLE, "manifest", clips / "manifest.csv", clips, tmp_path)
    assert len(found["drift"]) == len(found["passed"]) == 3 * 4  # paths; fp16 in two ways, bf16, int8
    assert found["int8"].keys() == set(VARIANT_GRAPHS)
    assert table({**ENVIRONMENT, **found}).count("| audio_visual | ") == 4 + 1  # ways, and the graph in int8
