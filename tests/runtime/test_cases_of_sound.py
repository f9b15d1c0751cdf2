"""Ordinary recordings whose sound goes wrong elsewhere: each gives what its folder says."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED
from vavl_runtime import ClipResult, Recognizer

CASES = SHARED / "cases"
KINDS = {"announced length", "level", "one event", "reference", "silence"}
OF_SOUND = {"first_track_silent.mp4"}  # of a kind that pictures have, too
TOLERANCE = 0.05
NOTES = {
    "chained_mono_then_stereo.opus": {"truncated"},
    "one_bad_frame.mp3": {"packets_lost"},
    "trailing_html.mp3": {"packets_lost"},
    "two_mp3_concatenated.mp3": {"packets_lost"},
    "first_track_silent.mp4": {"stream_chosen"},
}


def expected() -> dict[str, dict[str, Any]]:
    file = CASES / "expected.json"
    cases = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return {name: case for name, case in cases.items() if case["kind"] in KINDS or name in OF_SOUND}


@pytest.fixture(scope="module")
def answers() -> dict[Path, ClipResult]:
    return {}


@pytest.mark.skipif(not CASES.is_dir(), reason="no folder of ordinary recordings beside the checkout")
@pytest.mark.parametrize("name", expected())
def test_case(name: str, recognizer: Recognizer, answers: dict[Path, ClipResult]) -> None:
    def answer(file: str) -> ClipResult:
        path = (CASES / file).resolve()
        if path not in answers:
            answers[path] = recognizer.predict(path)
        return answers[path]

    case, result = expected()[name], answer(name)
    assert result.path == case["path"]
    for modality in ("audio", "visual"):
        if modality in case:
            assert getattr(result.reasons, modality) == case[modality]
    if "duration_s" in case:
        assert result.duration_s == pytest.approx(case["duration_s"], abs=0.1)
    if "same_as" in case:
        same = answer(case["same_as"])
        assert (result.path, result.label) == (same.path, same.label)
        assert result.scores == pytest.approx(dict(same.scores), abs=case.get("tolerance", TOLERANCE))
    assert {note.kind for note in result.notes} == NOTES.get(name, set())
