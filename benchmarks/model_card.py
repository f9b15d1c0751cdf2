"""Writes the model card of the bundle in the package from its evaluation; every figure comes from a JSON file.

python -m benchmarks.model_card [--check]
"""

import argparse
import sys
from pathlib import Path

from vavl.evaluation.report import EvaluationReport
from vavl.evaluation.statistics import paired_t_test
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.bundle.manifest import Manifest, PathName
from vavl_runtime.files import write_atomically

EVALUATIONS = Path(__file__).parent / "evaluations"
CARDS = (Path(__file__).parent.parent / "docs" / "model-card.md", PACKAGED_BUNDLE.parent / "MODEL_CARD.md")
REPORTS = ("javanese.json", "javanese_seed1.json", "javanese_paired_only.json")
TITLES: dict[PathName, str] = {"audio_visual": "audio-visual", "audio": "audio", "visual": "visual"}


def card(
    report: EvaluationReport, other_seed: EvaluationReport, paired_only: EvaluationReport, manifest: Manifest
) -> str:
    """The text of the card.

    Args:
        report: Five partitions, trained by the recipe of the bundle.
        other_seed: Five other partitions of the same speakers.
        paired_only: The same partitions, trained without the audio-only clips.
        manifest: Of the bundle.
    """
    speakers = sorted({speaker for part in report.partitions for speaker in part.speakers.test})
    everyone = {s for p in report.partitions for s in (*p.speakers.train, *p.speakers.development, *p.speakers.test)}
    lines = [
        "# Model card of the bundle in the package",
        "",
        "Made by `python -m benchmarks.model_card` from `benchmarks/evaluations/javanese*.json`; do not edit.",
        "",
        f"The bundle `{manifest.name}` tells {', '.join(report.labels)} in acted studio recordings, by sound, by face "
        "or by both. It is small, trained, and for demonstration and research: enough to see a whole system work, not "
        "enough to tell what anyone feels.",
        "",
        "## What it was trained on",
        "",
        f"- VAVL and its statistics: the Javanese audio-visual emotion corpus by 2black0, {len(everyone)} actors, four "
        "sentences, six acted emotions: 192 clips with sound and face, and 768 repetitions with sound alone. The audio "
        "recordings are under the MIT licence; **the video recordings state no licence**, so these weights are for "
        "demonstration and research only. No recording is part of the package.",
        "- The audio encoder: nothing is learned in it. It measures pitch, periodicity and loudness, and how these are "
        "distributed over the clip.",
        "- The face encoder: the landmarks of MTCNN's O-Net, as `facenet-pytorch` ships it (MIT); not trained further.",
        "",
        "The recipe, command by command: `examples/train_demo.sh` (`make train-demo`).",
        "",
        "## What it is worth on people it has never met",
        "",
        f"{len(report.partitions)} speaker-independent partitions (seed {report.provenance.seeds['partitions']}), the "
        f"same recipe in each; tested on speakers {', '.join(speakers)}. The bundle itself is trained on all "
        f"{len(everyone)} speakers, so nobody here is left to measure it by.",
        "",
        "The recipe was chosen by the development speakers, but results of earlier recipes on these test sets had been "
        "seen by then, and with eight speakers everyone is a development speaker somewhere: take the figures for "
        "somewhat too good. Every one is a small test, of one speaker a partition.",
        "",
        *path_table(report),
        "",
        f"The same with other partitions of the same speakers (seed {other_seed.provenance.seeds['partitions']}):",
        "",
        *path_table(other_seed),
    ]
    chance = report.summary["audio"]["macro_f1"].chance
    with_all, without = (
        [part.paths["audio"].metrics["macro_f1"] for part in which.partitions] for which in (report, paired_only)
    )
    lines += [
        "",
        f"Chance is {chance:.3f}; p is a two-tailed t-test over the partitions. Trained without the audio-only "
        f"repetitions, the audio path has {sum(without) / len(without):.3f} (paired two-tailed "
        f"p = {paired_t_test(with_all, without):.3f} against {sum(with_all) / len(with_all):.3f} with them). "
        f"`{report.provenance.command}`",
        "",
        "| partition | test speaker | " + " | ".join(TITLES.values()) + " |",
        "|---|---|" + "---:|" * len(TITLES),
    ]
    for part in report.partitions:
        scores = " | ".join(f"{part.paths[path].metrics['macro_f1']:.3f}" for path in TITLES)
        lines.append(f"| {part.name} | {', '.join(part.speakers.test)} | {scores} |")
    lines += [
        "",
        "| recall | " + " | ".join(report.labels) + " |",
        "|---|" + "---:|" * len(report.labels),
    ]
    for path, title in TITLES.items():
        confusion = report.confusion(path)
        if confusion is None:
            raise TypeError("the model card is for classes")
        lines.append(
            f"| {title} | " + " | ".join(f"{row[i] / row.sum():.2f}" for i, row in enumerate(confusion)) + " |"
        )
    lines += [
        "",
        "## What it is not good for",
        "",
        "- Decisions about people. Acted emotions of a few people are not what others feel, and some speakers fare far "
        "worse than the mean.",
        "- Other recordings than these: it measures loudness as recorded, at one distance from one microphone, and "
        "has seen frontal faces in studio light, one language, one culture.",
        "- Disgust, contempt, mixed or weak emotions: it has no name for them, and its probabilities are no better "
        "calibrated than the table says.",
        "",
    ]
    return "\n".join(lines)


def path_table(report: EvaluationReport) -> list[str]:
    """Lines of a table with the scores of each path."""
    lines = [
        "| path | macro F1, mean ± deviation | lowest | highest | p against chance | accuracy | calibration error |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for path, title in TITLES.items():
        summary = report.summary[path]
        f1 = summary["macro_f1"]
        values = [part.paths[path].metrics["macro_f1"] for part in report.partitions]
        lines.append(
            f"| {title} | {f1.mean:.3f} ± {f1.deviation or 0:.3f} | {min(values):.3f} | {max(values):.3f} "
            f"| {f1.p:.4f} | {summary['micro_f1'].mean:.3f} | {summary['ece_before'].mean:.3f} |"
        )
    return lines


def main() -> int:
    """Write the cards, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a card is not what the JSON files give")
    check = parser.parse_args().check
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        reports = [EvaluationReport.read(EVALUATIONS / name) for name in REPORTS]
        text = card(*reports, bundle.manifest)
    for path in CARDS:
        if not check:
            write_atomically(path, text.encode())
        elif not path.is_file() or path.read_text("utf-8") != text:
            print(
                f"{path.name} is not what benchmarks/evaluations gives; run python -m benchmarks.model_card",
                file=sys.stderr,
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
