"""Comparison: stars by the paper's caption, tables from the results alone, distances of embeddings."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.evaluation.made_results import made_comparison, system
from vavl.errors import ConfigError
from vavl.evaluation.comparison import ComparisonResults, average_cosine_distance
from vavl.evaluation.comparison_page import table_1, to_markdown
from vavl_runtime.errors import InvalidArrayError

PAGES = Path(__file__).parent / "pages"


def test_page_of_small_results() -> None:
    assert to_markdown(made_comparison()) == (PAGES / "comparison.md").read_text("utf-8")


@pytest.mark.parametrize("test", ["paired", "independent"])
def test_p_values_are_scipys_over_partitions(test: str) -> None:
    results = made_comparison(test=test)
    uavm = results.those("baseline")[0]
    function = scipy.stats.ttest_rel if test == "paired" else scipy.stats.ttest_ind
    expected = function([0.50, 0.52, 0.54], [0.40, 0.43, 0.44]).pvalue
    assert results.p_value(uavm, ("audio", "macro_f1")) == pytest.approx(expected)
    assert results.p_value(results.those("baseline")[1], ("audio", "macro_f1")) is None


def test_seeds_are_averaged_within_their_partition() -> None:
    assert made_comparison().vavl.per_partition("audio", "macro_f1") == pytest.approx([0.50, 0.52, 0.54])
    assert made_comparison().those("baseline")[1].per_partition("visual", "macro_f1") is None


def test_partitions_are_paired_by_name_not_by_order() -> None:
    made = made_comparison()
    shuffled = made.systems[1].model_copy(update={"runs": made.systems[1].runs[::-1]})
    again = made_comparison(systems=(made.systems[0], shuffled, *made.systems[2:]))
    column = ("visual", "macro_f1")
    assert again.p_value(shuffled, column) == pytest.approx(made.p_value(made.systems[1], column))


@pytest.mark.parametrize(
    ("rivals", "mark"),
    [
        ({}, ""),
        ({"worse": [0.40, 0.43, 0.44]}, "*"),
        ({"better": [0.60, 0.63, 0.64]}, ""),
        ({"unclear": [0.30, 0.54, 0.50]}, ""),
        ({"worse": [0.40, 0.43, 0.44], "unclear": [0.30, 0.54, 0.50]}, ""),
        ({"worse": [0.40, 0.43, 0.44], "worst": [0.10, 0.13, 0.14]}, "*"),
        ({"same": [0.50, 0.52, 0.54]}, ""),
    ],
)
def test_a_star_needs_every_baseline_beaten(rivals: dict[str, list[float]], mark: str) -> None:
    systems = (
        system("VAVL", "vavl", {"audio": [0.50, 0.52, 0.54]}),
        *(system(name, "baseline", {"audio": values}) for name, values in rivals.items()),
        system("Ablation 1", "ablation", {"audio": [0.60, 0.63, 0.64]}),  # has no say in Table 1
    )
    assert made_comparison(systems=systems).star(("audio", "macro_f1")) == mark
    assert made_comparison(systems=systems).star(("visual", "macro_f1")) == ""


def test_one_partition_gives_a_table_without_stars() -> None:
    systems = (system("VAVL", "vavl", {"audio": [0.5]}), system("UAVM", "baseline", {"audio": [0.4]}))
    assert "| **0.500** | **0.500** |" in table_1(made_comparison(systems=systems))


def test_what_prints_the_same_is_equally_bold() -> None:
    systems = (system("VAVL", "vavl", {"audio": [0.5001]}), system("UAVM", "baseline", {"audio": [0.4999]}))
    assert table_1(made_comparison(systems=systems)).count("**0.500**") == 4


def test_the_page_prints_choices_and_says_nothing_unmeasured() -> None:
    page = to_markdown(made_comparison())
    assert "- MulT: 30-D, 5 heads\n" in page
    assert "| UAVM | 0.100 ± 0.000 |" in page
    assert "| MulT | " not in page.split("(Figure 2)")[1].split("## Choices")[0]
    assert not re.search(r"\bnan\b|None", page)
    short = to_markdown(made_comparison(systems=(system("VAVL", "vavl", {"audio": [0.5, 0.6]}),)))
    assert not re.search("Table|Figure 2", short)


def test_attributes_have_a_column_each() -> None:
    systems = (system("VAVL", "vavl", {"audio": [0.5, 0.6]}, task="regression"),)
    results = made_comparison(task="regression", labels=("arousal", "valence"), systems=systems)
    assert "audio-visual CCC arousal | audio-visual CCC valence | audio CCC arousal" in table_1(results)


def test_results_survive_their_file(tmp_path: Path) -> None:
    made = made_comparison()
    made.write(tmp_path / "comparison.json")
    assert ComparisonResults.read(tmp_path / "comparison.json") == made


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ((system("UAVM", "baseline", {"audio": [0.1]}),), "got 0 systems with the role vavl"),
        ((system("VAVL", "vavl", {"audio": [0.1]}),) * 2, "must have distinct names.*got 2 systems"),
        (
            (system("VAVL", "vavl", {"audio": [0.1, 0.2]}), system("UAVM", "baseline", {"audio": [0.1]})),
            r"UAVM: its \(partition, seed\) runs differ from those of VAVL by \[\('partition 2', 0\)\]; finish",
        ),
        ((system("VAVL", "vavl", {"audio": [0.1]}, task="regression"),), r"expected \['macro_f1', 'micro_f1'\]"),
    ],
)
def test_results_that_cannot_be_compared_are_refused(systems: tuple[object, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made_comparison(systems=systems)


def test_runs_must_agree_on_paths_and_be_run_once() -> None:
    vavl = system("VAVL", "vavl", {"audio": [0.1, 0.2]})
    other = vavl.runs[1].model_copy(update={"metrics": {"visual": vavl.runs[1].metrics["audio"]}})
    with pytest.raises(ConfigError, match="partition 2, seed 0 has other paths"):
        made_comparison(systems=(vavl.model_copy(update={"runs": (vavl.runs[0], other)}),))
    with pytest.raises(ConfigError, match="each partition and seed once"):
        made_comparison(systems=(vavl.model_copy(update={"runs": vavl.runs[:1] * 2}),))


@settings(max_examples=100, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-8, 8, width=16))
)
def test_cosine_distance_equals_scipy_pair_by_pair(pair: np.ndarray) -> None:
    distances = [
        scipy.spatial.distance.cosine(a.astype(float), v.astype(float)) if a.any() and v.any() else 1.0
        for a, v in zip(*pair, strict=True)
    ]
    distance = average_cosine_distance(*pair)
    assert distance == pytest.approx(np.mean(distances), abs=1e-6)
    assert 0 <= distance <= 2


def test_cosine_distance_of_known_directions() -> None:
    assert average_cosine_distance([[1, 0], [1, 0]], [[2, 0], [0, 3]]) == pytest.approx(0.5)
    assert average_cosine_distance([[1, 2]], [[-1, -2]]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("audio", "visual", "message"),
    [
        ([[1.0, 2.0]], [[1.0, 2.0, 3.0]], "the same clips and width"),
        ([1.0, 2.0], [[1.0, 2.0]], r"acoustic embeddings: got shape \(2,\)"),
        ([[1.0, 2.0]], [[1.0, np.nan]], "visual embeddings: .*expected finite"),
        (np.empty((0, 2)), np.empty((0, 2)), r"\(0, 2\)"),
    ],
)
def test_embeddings_must_match(audio: object, visual: object, message: str) -> None:
    with pytest.raises(InvalidArrayError, match=message):
        average_cosine_distance(audio, visual)
