"""The arithmetic of the clip's record, its table, and its memory."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import clip_table
from benchmarks.clip_cpu import PARTS, best_parts, peak_mb, summary
from benchmarks.clip_table import EVERY_FRAME, INT8, OURS
from benchmarks.pipelines import STAGES
from vavl_runtime.bundle import PACKAGED_BUNDLE

stages = st.fixed_dictionaries({stage: st.floats(1e-3, 1e2) for stage in STAGES})


def _round(seconds: dict[str, float]) -> dict[str, float]:
    return {**seconds, "whole": sum(seconds.values())}


@settings(deadline=None)
@given(st.lists(st.tuples(stages, stages), min_size=1, max_size=3))
def test_best_parts_are_never_slower_than_either_engine(pairs: list[tuple[dict[str, float], dict[str, float]]]) -> None:
    rounds = {name: [_round(pair[place]) for pair in pairs] for place, name in enumerate(PARTS)}
    for number, best in enumerate(best_parts(rounds)):
        for name in PARTS:
            assert all(best[key] <= rounds[name][number][key] * (1 + 1e-12) for key in (*STAGES, "whole"))
        assert best["whole"] == pytest.approx(sum(best[stage] for stage in STAGES))


def _even(seconds: float) -> dict[str, float]:
    return dict.fromkeys(STAGES, seconds) | {"alongside": 0.0}


@pytest.mark.parametrize("quantised", [False, True])
def test_summary_and_table(quantised: bool) -> None:
    names = ("pytorch", "torch.compile", "best parts", OURS, EVERY_FRAME)
    each = {name: _round(_even(0.5 * (len(names) - place))) for place, name in enumerate(names)}
    slow = {stage: 10 * seconds for stage, seconds in each[OURS].items()}
    rounds = {name: [each[name]] * 3 for name in names} | {OURS: [each[OURS], slow, each[OURS]]}
    if quantised:
        rounds[INT8] = [_round(_even(0.25))] * 3
    found = summary(rounds)
    assert found["whole"][OURS] == {"least": 6.0, "median": 6.0}
    assert found["advantage"][OURS]["pytorch"]["of_medians"] == pytest.approx(15.0 / 6.0)
    assert found["advantage"][OURS]["pytorch"]["least"] == pytest.approx(1.5 / 6.0)
    record = {
        **found,
        "command": "the command",
        "environment": {"processor": "a processor", "threads": 2, "torch": "2", "onnxruntime": "1", "openvino": "3-x"},
        "clip": {"seconds": 3.2, "frames": 80},
        "largest_prediction_difference": dict.fromkeys(rounds, 0.0),
        "int8_graphs": ["audio", "audio_encoder"],
        "resident_mb": {name: {"peak": 1.0} for name in ("paper", "packaged")},
        "rounds": rounds,
    }
    table = clip_table.table(record)
    assert "| detect | 2500 | 2000 | 1500 | 1000 | 500 |" + (" 250 |" if quantised else "") in table
    assert "| **whole clip**, least | 15000 | 12000 | 9000 | 6000 | 3000 |" + (" 1500 |" if quantised else "") in table
    assert ("int8 for audio, audio_encoder" in table) == quantised
    assert ("| vavl-run --precision auto is faster than this" in table) == quantised
    assert "2.50 x (0.25 to 2.50)" in table
    figure = clip_table.figure(record)
    assert "| 15.0 s | 2.5 x |" + (" 10.0 x |" if quantised else "") in figure
    assert "| the same with `torch.compile` | 12.0 s | 2.0 x |" in figure
    assert ("| **VAVL Edge, `--precision auto`** | 1.5 s |" in figure) == quantised


def test_memory_is_that_of_a_process_that_only_predicts(example_clip: Path) -> None:
    assert 50 < peak_mb(PACKAGED_BUNDLE, example_clip, 1) < 1000
