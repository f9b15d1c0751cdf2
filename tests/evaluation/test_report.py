"""Reports: every figure can be derived again from the predictions, and the page says what the record says."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from tests.evaluation.made_results import (
    ATTRIBUTES,
    CLASSES,
    PROVENANCE,
    class_predictions,
    made_predictions,
    speakers,
)
from vavl.errors import ConfigError
from vavl.evaluation.calibration import apply_temperature, expected_calibration_error, fit_temperature
from vavl.evaluation.metrics import concordance, macro_f1
from vavl.evaluation.predictions import CorpusPredictions, PartitionPredictions, SplitPredictions
from vavl.evaluation.provenance import provenance
from vavl.evaluation.report import EvaluationReport, build_report
from vavl.evaluation.report_page import to_markdown

PAGES = Path(__file__).parent / "pages"  # worked out by hand


def test_partitions_report_their_test_sets() -> None:
    predictions = made_predictions()
    report = build_report(predictions, PROVENANCE)
    for partition, made in zip(report.partitions, predictions.partitions, strict=True):
        assert partition.speakers == made.speakers
        for path, figures in partition.paths.items():
            development, test = made.paths[path].development, made.paths[path].test
            assert figures.metrics["macro_f1"] == macro_f1(test.prediction, test.target)
            assert np.sum(figures.confusion) == figures.clips == len(test.clips)
            temperature = fit_temperature(development.prediction, development.target)
            assert figures.calibration.temperature == temperature
            assert figures.calibration.ece_before == expected_calibration_error(test.prediction, test.target)
            scaled = apply_temperature(test.prediction, temperature)
            assert figures.calibration.ece_after == expected_calibration_error(scaled, test.target)
            assert figures.calibration.ece_after < figures.calibration.ece_before  # the made ones are too sure


def test_the_summary_is_over_the_partitions_that_have_a_path() -> None:
    report = build_report(made_predictions(), PROVENANCE)
    values = [partition.paths["audio"].metrics["macro_f1"] for partition in report.partitions]
    summary = report.summary["audio"]["macro_f1"]
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.deviation == pytest.approx(np.std(values, ddof=1))
    assert (summary.partitions, summary.chance) == (2, pytest.approx(1 / 3))
    assert summary.p == pytest.approx(scipy.stats.ttest_1samp(values, 1 / 3).pvalue)
    alone = report.summary["visual"]["macro_f1"]
    assert (alone.partitions, alone.deviation, alone.p) == (1, None, None)
    assert report.summary["audio"]["micro_f1"].chance is None


def test_confusion_is_summed_over_partitions() -> None:
    report = build_report(made_predictions(), PROVENANCE)
    expected = np.add(*(partition.paths["audio"].confusion for partition in report.partitions))
    np.testing.assert_array_equal(report.confusion("audio"), expected)


def test_attributes_report_concordance() -> None:
    predictions = made_predictions("regression")
    report = build_report(predictions, PROVENANCE)
    figures = report.partitions[0].paths["audio"]
    test = predictions.partitions[0].paths["audio"].test
    assert list(figures.metrics.values()) == concordance(test.prediction, test.target).tolist()
    assert (figures.confusion, figures.recall, figures.calibration) == (None, None, None)
    assert report.confusion("audio") is None
    assert report.summary["audio"]["ccc_arousal"].chance == 0.0


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_report_survives_its_file(tmp_path: Path, task: str) -> None:
    report = build_report(made_predictions(task), PROVENANCE)
    report.write(tmp_path / "report.json")
    assert EvaluationReport.read(tmp_path / "report.json") == report


def test_a_report_of_another_schema_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    build_report(made_predictions(), PROVENANCE).write(file)
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "schema_version": 2}), "utf-8")
    with pytest.raises(ConfigError, match=r"report.json: not a valid EvaluationReport: schema_version"):
        EvaluationReport.read(file)


def test_provenance_names_what_computed() -> None:
    made = provenance("vavl-train evaluate", {"training": 0})
    assert made.versions["numpy"] == np.__version__
    assert {"python", "vavl-edge", "scikit-learn"} <= made.versions.keys()


def test_page_of_a_small_report() -> None:
    development = class_predictions([0, 1, 2, 2], [0, 1, 2, 0])
    tests = (class_predictions([0, 0, 0, 0], [0, 0, 0, 1]), class_predictions([0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1]))
    predictions = CorpusPredictions.create(
        corpus="made",
        task="classification",
        labels=CLASSES,
        partitions=tuple(
            PartitionPredictions(
                name=f"seed {index + 1}",
                speakers=speakers(f"0{index + 3}"),
                paths={"audio": SplitPredictions(development=development, test=test)},
            )
            for index, test in enumerate(tests)
        ),
    )
    assert to_markdown(build_report(predictions, PROVENANCE)) == (PAGES / "report.md").read_text("utf-8")


def test_page_of_attributes() -> None:
    page = to_markdown(build_report(made_predictions("regression"), PROVENANCE))
    assert "CCC arousal | p against 0.000 | CCC valence | p against 0.000" in page
    assert all(attribute in page for attribute in ATTRIBUTES)
    assert "Recall" not in page and "temperature" not in page


def test_every_row_of_a_page_has_the_columns_of_its_table() -> None:
    widths = None
    for line in to_markdown(build_report(made_predictions(), PROVENANCE)).splitlines():
        if not line.startswith("|"):
            widths = None
            continue
        widths = widths or line.count("|")
        assert line.count("|") == widths, line
