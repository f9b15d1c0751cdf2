"""Attributes on the annotation's scale: what CCC alone does not show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.made_results import ATTRIBUTES, PROVENANCE, clips_of, speakers
from vavl.evaluation.agreement import agreement
from vavl.evaluation.predictions import CorpusPredictions, PartitionPredictions, PathPredictions, SplitPredictions
from vavl.evaluation.report import EvaluationReport, build_report
from vavl.evaluation.report_page import to_markdown


def report_of(prediction: np.ndarray, target: np.ndarray) -> EvaluationReport:
    path = PathPredictions(clips_of(len(target)), prediction, target)
    return build_report(
        CorpusPredictions.create(
            corpus="made",
            task="regression",
            labels=ATTRIBUTES,
            partitions=(
                PartitionPredictions(
                    name="seed 1",
                    speakers=speakers(),
                    paths={"audio_visual": SplitPredictions(development=path, test=path)},
                ),
            ),
            scale=(1.0, 5.0),
        ),
        PROVENANCE,
    )


@given(st.floats(-3, 3), st.floats(0.1, 4), st.tuples(st.floats(-5, 0), st.floats(1, 9)))
def test_correlation_ignores_what_pulls_the_mean(shift: float, gain: float, scale: tuple[float, float]) -> None:
    target = np.linspace(0, 1, 20)[:, None]
    entry = agreement(shift + gain * target, target, scale)[0]
    low, high = scale
    assert entry.r == pytest.approx(1)
    assert entry.mean - entry.annotated_mean == pytest.approx((high - low) * (shift + (gain - 1) / 2), abs=1e-9)
    assert entry.lowest == pytest.approx(low + (high - low) * shift)
    assert entry.rmse >= abs(entry.mean - entry.annotated_mean) - 1e-9


def test_constant_predictions_have_no_correlation() -> None:
    entry = agreement([[0.5], [0.5]], [[0.0], [1.0]], (1, 5))[0]
    assert (entry.r, entry.rmse, entry.mean) == (None, 2, 3)


def test_an_average_off_the_scale_is_told() -> None:
    """Correlation 1, and every prediction at least six points below the scale."""
    target = np.linspace([0, 1], [1, 0], 20)
    report = report_of(target - [2.5, 0], target)
    (warning,) = report.off_scale()
    assert warning == (
        "seed 1, audio-visual path: 20 of 20 predictions of arousal lie off the scale 1 to 5; they reach from -9 to -5"
    )
    page = to_markdown(report)
    assert "## Attributes on the scale 1 to 5" in page and warning in page
    assert "| seed 1 | audio-visual | arousal | 1.000 | 10.000 | -7.000 | 3.000 | -9.000 | -5.000 | 20 |" in page


def test_predictions_on_the_scale_give_no_warning() -> None:
    target = np.linspace([0, 1], [1, 0], 20)
    assert report_of(target, target).off_scale() == ()
