"""Whatever a target does to its process, it is one counted fault, and the other inputs are tried."""

import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.__main__ import notes_of, rows_of
from tests.fuzz.child import MEMORY, Attempt
from tests.fuzz.harness import Run, Tally, fuzz
from tests.fuzz.made_targets import BEHAVES, KINDS, REFUSES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux tells it")
LIMIT_S = 8.0  # several times what filling a gigabyte takes on a busy machine


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def tallies(kept: Path) -> dict[str, Tally]:
    return fuzz(BEHAVES, Run(seed=3, inputs=len(KINDS), input_s=LIMIT_S), kept)


def test_each_fault_is_counted(tallies: dict[str, Tally]) -> None:
    assert {kind: (tally.tried, tally.held) for kind, tally in tallies.items()} == {
        kind: (1, int(kind in ("accepts", "refuses"))) for kind in KINDS
    }
    assert tallies["refuses"].outcomes == Counter({"no_streams": 1})
    messages = {kind: next(iter(tally.faults.values()), "") for kind, tally in tallies.items()}
    assert messages["says nothing"] == "NoStreamsError without a message"
    assert messages["outside"].endswith("KeyError: 'lost'\n")
    assert "MB in memory, at most 1074 MB allowed" in messages["takes memory"]
    assert messages["crashes"].startswith("the process ended with exit code -6") and "Aborted" in messages["crashes"]
    assert messages["hangs"] == f"hangs: no answer within {LIMIT_S:g} s"


def test_inputs_that_are_faults_are_kept(tallies: dict[str, Tally], kept: Path) -> None:
    faults = {number for tally in tallies.values() for number in tally.faults}
    assert {path.name for path in kept.glob("*.bin")} == {f"behaves-3-{number}.bin" for number in faults}
    for number in faults:
        assert (kept / f"behaves-3-{number}.bin").read_bytes() == BEHAVES.damaged(number, 3)[1]
        assert (kept / f"behaves-3-{number}.txt").read_text() in [t.faults.get(number) for t in tallies.values()]


def test_what_was_measured_is_in_the_table(tallies: dict[str, Tally]) -> None:
    rows = {row["what"]: row for row in rows_of(BEHAVES, tallies)}
    assert {what: (row["tried"], row["held"]) for what, row in rows.items()} == {
        f"behaviour: {kind}": (tally.tried, tally.held) for kind, tally in tallies.items()
    }
    assert int(rows["behaviour: takes memory"]["worst"].split()[2]) > MEMORY / 1e6
    assert sum("failed: " in note for note in notes_of(BEHAVES, tallies)) == len(KINDS) - 2


def test_kinds_of_one_container_share_a_row() -> None:
    tallies = {"mp4": Tally(), "mp4, HEVC": Tally(), "wav": Tally()}
    for number, (kind, outcome) in enumerate((("mp4", "accepted"), ("mp4, HEVC", "fault"), ("wav", "accepted"))):
        tallies[kind].add(Attempt(number, outcome, "broken", 0.5 + number, 10_000_000))
    first, second = rows_of(BEHAVES, tallies)
    assert (first["what"], first["tried"], first["held"], first["worst"]) == ("behaviour: mp4", 2, 1, "1.5 s, 10 MB")
    assert (second["what"], second["tried"], second["held"]) == ("behaviour: wav", 1, 1)


def test_a_target_that_refuses_good_files_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)target refuses: its process .* refuses a good file:.*even good files"):
        fuzz(REFUSES, Run(seed=0, inputs=1), tmp_path)


def test_no_input_is_begun_after_the_end(tmp_path: Path) -> None:
    tallies = fuzz(BEHAVES, Run(seed=0, inputs=5, ends_at=time.monotonic()), tmp_path)
    assert sum(tally.tried for tally in tallies.values()) == 0
