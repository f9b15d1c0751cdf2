"""The page of attacks: counts come from the files, failures are shown and explained, named tests exist."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.promises import PROMISES, Promise
from benchmarks.reliability import page, read_attacks

ROOT = Path(__file__).parent.parent.parent
ROW = {"what": "mp4 | mutated", "tried": 2000, "held": 2000, "limit": "30 s", "worst": "1.2 s"}
ATTACK = {"title": "Media", "command": "make fuzz", "date": "2026-11-28", "rows": [ROW], "notes": []}


def written(folder: Path, attack: dict[str, Any], name: str = "media") -> Path:
    (folder / f"{name}.json").write_text(json.dumps(attack), "utf-8")
    return folder


def test_the_page_shows_what_was_counted(tmp_path: Path) -> None:
    text = page(read_attacks(written(tmp_path, ATTACK)))
    assert "## Media\n\n`make fuzz`, 2026-11-28: 2,000 of 2,000 held.\n" in text
    assert "| mp4 \\| mutated | 2,000 | 2,000 | 30 s | 1.2 s |" in text


def test_what_failed_is_bold_and_explained(tmp_path: Path) -> None:
    attack = ATTACK | {"rows": [ROW | {"held": 1999, "worst": ""}], "notes": ["One hung."]}
    text = page(read_attacks(written(tmp_path, attack)))
    assert "1,999 of 2,000 held" in text
    assert "| **mp4 \\| mutated** | 2,000 | **1,999** | 30 s | - |\n\n- One hung.\n" in text


def test_attacks_come_by_name_of_the_file(tmp_path: Path) -> None:
    written(tmp_path, ATTACK | {"title": "Second"}, "b")
    written(tmp_path, ATTACK | {"title": "First"}, "a")
    assert [attack.title for attack in read_attacks(tmp_path)] == ["First", "Second"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [ROW | {"held": 1999}]}, "held 1999 of 2000; say in `notes` what failed"),
        ({"rows": [ROW | {"held": 2001}]}, "held 2001 of 2000; count again"),
        ({"rows": [ROW | {"held": 1999.5}]}, "rows.0.held"),
        ({"rows": [ROW | {"tried": 0, "held": 0}]}, "rows.0.tried"),
        ({"rows": []}, "rows"),
        ({"command": ""}, "command"),
        ({"date": "yesterday"}, "date"),
        ({"results": 1}, "results"),
    ],
)
def test_files_of_another_form_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^media\.json: ") as caught:
        read_attacks(written(tmp_path, ATTACK | change))
    assert message in str(caught.value)


def test_every_named_test_exists() -> None:
    named = [test for promise in PROMISES for test in promise.tests]
    assert all(promise.tests for promise in PROMISES)
    assert [test for test in named if not (ROOT / test).is_file()] == []


def test_promises_stand_under_their_area() -> None:
    text = page([], [Promise("Media", "Holds.", ("a.py", "b.py")), Promise("Media", "Holds, too.", ("c.py",))])
    assert "| **Media** | |\n| Holds. | `a.py`, `b.py` |\n| Holds, too. | `c.py` |\n" in text
