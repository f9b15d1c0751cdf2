"""Every kind of problem is found, all at once, and a sane corpus has none."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora.made_corpora import features, film, in_memory, sound
from vavl.corpora import Clip, Corpus, Partition, check_corpus, make_partitions
from vavl.corpora.checks import Problem, check_partitions

NAN = float("nan")


def _corpus(*clips: Clip, task: str = "classification", labels: tuple[str, ...] = ("calm", "tense")) -> Corpus:
    return Corpus("made", task, labels, clips)  # type: ignore[arg-type]


def _clip(
    id_: str, audio: Path | None = None, visual: Path | None = None, target: tuple[float, ...] = (1.0, 0.0)
) -> Clip:
    return Clip(id_, "ann", target, audio, visual, f"labels.csv:{id_}")


def _found(corpus: Corpus) -> list[tuple[str, str]]:
    return [(problem.clip, problem.kind) for problem in check_corpus(corpus)]


def test_sound_film_and_features_in_any_combination_are_sane(tmp_path: Path) -> None:
    heard, seen, silent = sound(tmp_path / "a.wav"), film(tmp_path / "b.mkv"), film(tmp_path / "c.mkv", silent=True)
    read = features(tmp_path / "d.npy")
    corpus = _corpus(
        _clip("1", heard),
        _clip("2", None, silent),
        _clip("3", heard, silent),
        _clip("4", seen, seen),
        _clip("5", read, silent),
        _clip("6", heard, read),
    )
    assert check_corpus(corpus) == []


def test_everything_wrong_is_found_at_once(tmp_path: Path) -> None:
    heard, silent = sound(tmp_path / "a.wav"), film(tmp_path / "c.mkv", silent=True)
    empty, text = tmp_path / "empty.wav", tmp_path / "text.mp4"
    empty.touch()
    text.write_text("This is not a film.\n" * 100)
    corpus = _corpus(
        _clip("1", heard),
        _clip("missing", tmp_path / "missing.wav", tmp_path / "missing.npy"),
        _clip("neither"),
        _clip("empty", empty),
        _clip("text", None, text),
        _clip("dumb", silent, silent),
        _clip("blind", heard, heard),
        _clip("sum", heard, None, (0.5, 0.2)),
        _clip("range", heard, None, (1.5, -0.5)),
        _clip("nan", heard, None, (NAN, 1.0)),
        _clip("short", heard, None, (1.0,)),
        _clip("1", heard),
    )
    assert sorted(_found(corpus)) == [
        ("1", "duplicate_id"),
        ("blind", "media"),
        ("dumb", "media"),
        ("empty", "media"),
        ("missing", "missing_file"),
        ("missing", "missing_file"),
        ("nan", "label"),
        ("neither", "no_modality"),
        ("range", "label"),
        ("short", "label"),
        ("sum", "label"),
        ("text", "media"),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, NAN], [np.inf, 0.0]], "2 of 4 values are NaN or infinite"),
        (np.zeros((0, 8), np.float32), r"float32 of shape \(0, 8\), expected floats of shape \(T, F\)"),
        (np.zeros(8, np.float32), r"float32 of shape \(8,\), expected floats of shape \(T, F\)"),
        (np.zeros((3, 8), np.int64), r"int64 of shape \(3, 8\), expected floats"),
    ],
)
def test_bad_feature_files_are_found(tmp_path: Path, values: object, message: str) -> None:
    corpus = _corpus(_clip("1", features(tmp_path / "a.npy", values)))
    (problem,) = check_corpus(corpus)
    assert (problem.clip, problem.kind, problem.source) == ("1", "features", "labels.csv:1")
    assert re.search(message, problem.message)


@pytest.mark.parametrize("content", [b"", b"no numpy file", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'"])
def test_what_is_no_feature_file_is_found(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    assert _found(_corpus(_clip("1", path))) == [("1", "features")]


def test_a_feature_file_with_pickled_objects_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"not": "features"}], object), allow_pickle=True)
    assert _found(_corpus(_clip("1", path))) == [("1", "features")]


def test_the_odd_width_is_the_wrong_one_and_modalities_may_differ(tmp_path: Path) -> None:
    visual = [features(tmp_path / f"{number}.npy") for number in range(3)]
    odd, audio = features(tmp_path / "odd.npy", np.zeros((3, 9))), features(tmp_path / "audio.npy", np.zeros((5, 4)))
    corpus = _corpus(_clip("odd", audio, odd), *(_clip(path.stem, None, path) for path in visual))
    (problem,) = check_corpus(corpus)
    assert (problem.clip, problem.kind) == ("odd", "features")
    assert "features of width 9, expected 8 as in 3 other files" in problem.message


@given(target=st.lists(st.floats(), min_size=2, max_size=2).map(tuple))
def test_scores_must_lie_on_the_scale(target: tuple[float, ...]) -> None:
    corpus = replace(in_memory({"ann": 1}), task="regression", scale=(1.0, 5.0))
    corpus = replace(corpus, clips=(replace(corpus.clips[0], target=target),))
    kinds = {problem.kind for problem in check_corpus(corpus)}
    assert ("label" in kinds) == (not all(1.0 <= score <= 5.0 for score in target))


@given(votes=st.lists(st.integers(0, 12), min_size=6, max_size=6).filter(any), digits=st.integers(2, 9))
def test_rounded_vote_shares_are_in_order(votes: list[int], digits: int) -> None:
    target = tuple(round(vote / sum(votes), digits) for vote in votes)
    corpus = in_memory({"ann": 1}, tuple("abcdef"))
    corpus = replace(corpus, clips=(replace(corpus.clips[0], target=target),))
    assert "label" not in {problem.kind for problem in check_corpus(corpus)}


def test_of_a_speaker_in_two_sets_the_fewer_clips_are_the_problem() -> None:
    corpus = in_memory({"ann": 5, "ben": 3, "cam": 3, "dee": 3})
    (partition,) = make_partitions(corpus, 1)
    moved = corpus.clips[0]
    other = "test" if partition.split_of[moved.id] != "test" else "development"
    mixed = Partition("mixed", {**partition.split_of, moved.id: other})  # type: ignore[dict-item]
    (problem,) = (found for found in check_partitions(corpus, [mixed]) if not found.is_note)
    assert (problem.source, problem.clip, problem.kind) == ("memory", moved.id, "speaker_in_two_splits")
    home = partition.split_of[moved.id]
    assert problem.message.startswith(f"in {other} of mixed, but speaker ann is in {home} with 4 clips")


def test_unknown_clips_empty_splits_and_untrained_classes_are_found() -> None:
    corpus = in_memory({"ann": 1, "ben": 2})
    partition = Partition("odd", {"ann-0": "train", "ben-0": "test", "who": "test"})
    assert [(problem.clip, problem.kind, problem.is_note) for problem in check_partitions(corpus, [partition])] == [
        ("who", "unknown_clip", False),
        ("", "empty_split", False),
        ("", "untrained_class", True),
    ]


def test_partitions_can_be_given() -> None:
    corpus = in_memory({"ann": 1, "ben": 2})
    found = check_corpus(corpus, [Partition("odd", {"ann-0": "train"})])
    assert {"no development clip", "no test clip"} <= {problem.message.split(";")[0] for problem in found}


def test_a_problem_reads_as_one_line() -> None:
    assert str(Problem("labels.csv:17", "1001", "label", "wrong")) == "labels.csv:17: 1001: wrong"
    assert str(Problem("labels.csv", "", "layout", "no column id")) == "labels.csv: no column id"
