"""Predictions: refused when wrong, and the same after a stay in a file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.evaluation.made_results import clips_of, made_predictions, shares, speakers
from vavl.errors import ConfigError
from vavl.evaluation.predictions import CorpusPredictions, PartitionPredictions, PathPredictions, SplitPredictions
from vavl_runtime.errors import InvalidArrayError

ONE_HOT = shares([0, 1])


@pytest.mark.parametrize(
    ("clips", "prediction", "target", "message"),
    [
        (("a", "b"), ONE_HOT[:, :2], ONE_HOT, r"got shapes \(2, 2\) and \(2, 3\)"),
        ((), np.empty((0, 3)), np.empty((0, 3)), r"\(0, 3\)"),
        (("a", "b"), ONE_HOT[0], ONE_HOT[0], r"got shapes \(3,\)"),
        (("a", "b"), [[0.0], [np.nan]], [[0.0], [0.0]], "prediction: got NaN or infinity in 1 of 2 rows, first in row"),
        (("a", "b"), [[0.0], [0.0]], [[np.inf], [0.0]], "target: got NaN"),
        (("a", "b"), [[0.0], [0.0, 1.0]], ONE_HOT, "not a rectangular array"),
        (("a",), ONE_HOT, ONE_HOT, "1 clip ids for 2 rows"),
        (("a", "a"), ONE_HOT, ONE_HOT, "'a'; predict each clip once"),
    ],
)
def test_wrong_predictions_are_refused(
    clips: tuple[str, ...], prediction: object, target: object, message: str
) -> None:
    with pytest.raises(InvalidArrayError, match=message):
        PathPredictions(clips, prediction, target)


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("classification", [[2.0, -1.0, 0.0]], "clip 'clip0'.*expected shares"),
        ("classification", [[0.5, 0.2, 0.2]], "pass probabilities, not logits"),
        ("regression", [[0.5, 0.2]], "got 2 columns, the corpus has 3"),
    ],
)
def test_predictions_must_fit_the_task(task: str, rows: list[list[float]], message: str) -> None:
    with pytest.raises(InvalidArrayError, match=message):
        PathPredictions(("clip0",), rows, rows).check(task, 3)


def test_attributes_need_not_be_shares() -> None:
    PathPredictions(("clip0",), [[2.0, -1.0, 0.0]], [[0.1, 0.2, 0.3]]).check("regression", 3)


def test_a_speaker_in_two_splits_is_refused() -> None:
    record = {**made_predictions().partitions[0].model_dump(), "speakers": {**speakers().model_dump(), "test": ["01"]}}
    with pytest.raises(ConfigError, match=r"\['01'\] are in more than one split"):
        CorpusPredictions.create(corpus="x", task="classification", labels=("a", "b", "c"), partitions=(record,))


def test_partitions_need_names_of_their_own() -> None:
    made = made_predictions()
    with pytest.raises(ConfigError, match="each once"):
        CorpusPredictions.create(
            corpus="x", task="classification", labels=made.labels, partitions=(made.partitions[0],) * 2
        )


numbers = st.floats(-1e30, 1e30, allow_nan=False)


@settings(max_examples=25, deadline=None)
@given(values=arrays(np.float64, st.tuples(st.just(2), st.integers(1, 5), st.just(2)), elements=numbers))
def test_a_file_gives_back_every_bit(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> None:
    path = PathPredictions(clips_of(values.shape[1]), values[0], values[1])
    splits = SplitPredictions(development=path, test=path)
    written = CorpusPredictions.create(
        corpus="made",
        task="regression",
        labels=("arousal", "valence"),
        partitions=(PartitionPredictions(name="p", speakers=speakers(), paths={"audio": splits}),),
    )
    file = tmp_path_factory.mktemp("predictions") / "predictions.json"
    written.write(file)
    read = CorpusPredictions.read(file)
    assert read.model_dump_json() == written.model_dump_json()
    test = read.partitions[0].paths["audio"].test
    assert test.clips == path.clips
    np.testing.assert_array_equal(test.prediction, values[0])
    np.testing.assert_array_equal(test.target, values[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "Invalid JSON"),
        (lambda text: text.replace('"corpus"', '"korpus"'), "korpus: Extra inputs"),
        (lambda text: text.replace("0.98", "7.0", 1), "expected shares"),
        (lambda text: text.replace("0.98", "null", 1), "NaN or infinity"),
        (lambda text: text.replace("0.98", '"much"', 1), "not a rectangular array"),
    ],
)
def test_a_damaged_file_is_refused_by_its_name(tmp_path: Path, change: object, message: str) -> None:
    file = tmp_path / "predictions.json"
    made_predictions().write(file)
    file.write_text(change(file.read_text("utf-8")), "utf-8")
    with pytest.raises(ConfigError, match=f"predictions.json.*{message}"):
        CorpusPredictions.read(file)


def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.json: cannot be read"):
        CorpusPredictions.read(tmp_path / "nowhere.json")
