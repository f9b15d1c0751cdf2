"""Ordinary recordings whose pictures go wrong elsewhere: each gives what ``expected.json`` of the cases says."""

import json
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import SHARED
from vavl_runtime import ArrayClip, ClipResult, Recognizer
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.errors import InputError
from vavl_runtime.media import open_source
from vavl_runtime.media.find import list_clips

CASES = SHARED / "cases"
KINDS = {"geometry", "colour", "what is media"}
# Of the kind "stream choice", which is about sound, too.
OF_PICTURES = {"second_picture_is_default.mkv", "thumbnail_first.mkv"}
# Hold the first second of the original's pictures, strongly compressed, and no sound, which expected.json does not
# tell: their pictures are compared, in levels, and their label.
SILENT_SECOND = {"sar_2_1.mp4", "hdr_pq.mp4", "hdr_hlg.mp4"}
MOST_LEVELS = 5.0


def read_cases(folder: Path) -> dict[str, dict[str, Any]]:
    file = folder / "expected.json"
    cases = json.loads(file.read_text()) if file.is_file() else {}
    return {name: case for name, case in cases.items() if case["kind"] in KINDS or name in OF_PICTURES}


READ = read_cases(CASES)


@pytest.mark.skipif(not READ, reason="the cases are not here")
@pytest.mark.parametrize("name", READ)
def test_case_gives_what_is_expected(name: str, recognizer: Recognizer) -> None:
    case, path = READ[name], CASES / name
    if case.get("in_folder") == "left out":
        assert path not in [listed.path for listed in list_clips([CASES]).clips]
        return
    if "error" in case:
        with pytest.raises(InputError) as caught:
            recognizer.predict(path)
        assert caught.value.kind == case["error"]
        return
    result = recognizer.predict(path)
    if name in SILENT_SECOND:
        check_pictures(recognizer, path, CASES / case["same_as"])
        return
    assert result.path == case["path"]
    for modality in ("audio", "visual"):
        if modality in case:
            assert getattr(result.reasons, modality) == case[modality]
    if "faces" in case:
        assert [result.faces.with_face, result.faces.frames] == case["faces"]
    if "same_as" in case:
        check_same(result, answer(recognizer, CASES / case["same_as"]), case.get("tolerance", 0.05))


@cache
def answer(recognizer: Recognizer, path: Path) -> ClipResult:
    return recognizer.predict(path)


def check_pictures(recognizer: Recognizer, path: Path, original: Path) -> None:
    found = np.stack([frame.pixels for frame in open_source(path, Limits()).frames()])
    frames = [frame.pixels for frame in islice(open_source(original, Limits()).frames(), len(found))]
    assert np.abs(found.astype(np.float32) - np.stack(frames)).mean() < MOST_LEVELS
    result, same = recognizer.predict(path), recognizer.predict(ArrayClip(frames=np.stack(frames)))
    assert (result.path, result.label) == (same.path, same.label)
    assert replace(result.faces, taken=None) == replace(same.faces, taken=None)


def check_same(result: ClipResult, original: ClipResult, tolerance: float) -> None:
    assert (result.path, result.label) == (original.path, original.label)
    assert dict(result.scores) == pytest.approx(dict(original.scores), abs=tolerance)
