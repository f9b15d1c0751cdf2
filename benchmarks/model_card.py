"""Fills `model_card.md` with the figures of the packaged bundle's evaluation; every figure comes from a JSON file.

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

TEMPLATE = Path(__file__).with_name("model_card.md")
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
        paired_only: The same partitions as ``report``, trained without the audio-only clips.
        manifest: Of the bundle.
    """
    everyone = {s for p in report.partitions for s in (*p.speakers.train, *p.speakers.development, *p.speakers.test)}
    with_all, without = (
        [part.paths["audio"].metrics["macro_f1"] for part in which.partitions] for which in (report, paired_only)
    )
    return TEMPLATE.read_text("utf-8").format(
        bundle=manifest.name,
        labels=", ".join(report.labels),
        actors=len(everyone),
        partitions=len(report.partitions),
        seed=report.provenance.seeds["partitions"],
        speakers=", ".join(sorted({speaker for part in report.partitions for speaker in part.speakers.test})),
        scores=path_table(report),
        other_seed=other_seed.provenance.seeds["partitions"],
        other_scores=path_table(other_seed),
        chance=report.summary["audio"]["macro_f1"].chance,
        with_all=sum(with_all) / len(with_all),
        without=sum(without) / len(without),
        p=paired_t_test(with_all, without),
        command=report.provenance.command,
        by_partition=partition_table(report),
        recalls=recall_table(report),
    )


def path_table(report: EvaluationReport) -> str:
    """A table with the scores of each path."""
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
    return "\n".join(lines)


def partition_table(report: EvaluationReport) -> str:
    """A table with the macro F1 of each partition."""
    lines = [
        f"| partition | test speaker | {' | '.join(f'macro F1, {title}' for title in TITLES.values())} |",
        "|---|---|" + "---:|" * len(TITLES),
    ]
    for part in report.partitions:
        scores = " | ".join(f"{part.paths[path].metrics['macro_f1']:.3f}" for path in TITLES)
        lines.append(f"| {part.name} | {', '.join(part.speakers.test)} | {scores} |")
    return "\n".join(lines)


def recall_table(report: EvaluationReport) -> str:
    """A table with the recall of each label.

    Raises:
        TypeError: The report is about attributes, which have no recall.
    """
    lines = [f"| recall | {' | '.join(report.labels)} |", "|---|" + "---:|" * len(report.labels)]
    for path, title in TITLES.items():
        confusion = report.confusion(path)
        if confusion is None:
            raise TypeError("the model card is for classes")
        lines.append(f"| {title} | {' | '.join(f'{row[i] / row.sum():.2f}' for i, row in enumerate(confusion))} |")
    return "\n".join(lines)


def main() -> int:
    """Write the cards, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a card is not what the JSON files give")
    check = parser.parse_args().check
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        text = card(*(EvaluationReport.read(EVALUATIONS / name) for name in REPORTS), bundle.manifest)
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
