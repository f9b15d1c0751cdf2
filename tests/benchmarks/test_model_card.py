"""The model card is what the evaluations give."""

from benchmarks import model_card
from vavl.evaluation.report import EvaluationReport


def test_the_cards_are_filled_from_the_evaluations() -> None:
    report = EvaluationReport.read(model_card.EVALUATIONS / model_card.REPORTS[0])
    for place in model_card.CARDS:
        text = place.read_text("utf-8")
        assert "{" not in text and "Accuracy on unseen speakers" in text
        assert model_card.path_table(report) in text
        assert model_card.partition_table(report) in text
        assert model_card.recall_table(report) in text
