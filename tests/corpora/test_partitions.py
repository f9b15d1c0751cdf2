"""Made partitions: nobody in two sets, everybody tested in turn, the same everywhere."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora.made_corpora import in_memory
from vavl.corpora import Corpus, Partition, make_partitions
from vavl.corpora.checks import check_partitions
from vavl.corpora.corpus import SPLITS, Split
from vavl.corpora.partitions import leave_one_speaker_out
from vavl.errors import ConfigError

CORPORA = st.dictionaries(st.text("abc019", min_size=1), st.integers(1, 4), min_size=3, max_size=20).map(in_memory)
SEEDS = st.integers(0, 2**32)


def _speakers(corpus: Corpus, partition: Partition, split: Split) -> set[str]:
    speaker_of = {clip.id: clip.speaker for clip in corpus.clips}
    return {speaker_of[id_] for id_ in partition.ids(split)}


@st.composite
def shares(draw: st.DrawFn) -> tuple[float, float, float]:
    parts = [draw(st.integers(1, 100)) for _ in SPLITS]
    train, development, test = (part / sum(parts) for part in parts)
    return train, development, test


@given(corpus=CORPORA, seed=SEEDS, count=st.integers(1, 12), shares=shares())
def test_splits_share_out_all_clips_and_no_speaker_is_in_two(
    corpus: Corpus, seed: int, count: int, shares: tuple[float, float, float]
) -> None:
    partitions = make_partitions(corpus, count, seed, shares)
    assert len({partition.name for partition in partitions}) == count
    for partition in partitions:
        assert set(partition.split_of) == {clip.id for clip in corpus.clips}
        by_split = [_speakers(corpus, partition, split) for split in SPLITS]
        assert all(by_split), "every split has a speaker"
        assert sum(map(len, by_split)) == len(corpus.speakers)


@given(corpus=CORPORA, seed=SEEDS, count=st.integers(1, 25))
def test_speakers_are_tested_equally_often(corpus: Corpus, seed: int, count: int) -> None:
    tested = Counter(dict.fromkeys(corpus.speakers, 0))
    for partition in make_partitions(corpus, count, seed):
        tested.update(_speakers(corpus, partition, "test"))
    assert max(tested.values()) - min(tested.values()) <= 1


@given(corpus=CORPORA, seed=SEEDS, order=st.randoms(use_true_random=False))
def test_order_of_clips_does_not_matter(corpus: Corpus, seed: int, order: random.Random) -> None:
    shuffled = replace(corpus, clips=tuple(order.sample(corpus.clips, len(corpus.clips))))
    for one, other in zip(make_partitions(corpus, seed=seed), make_partitions(shuffled, seed=seed), strict=True):
        assert list(one.split_of.items()) == list(other.split_of.items())


def test_partitions_are_the_same_on_every_platform_and_version() -> None:
    corpus = in_memory(dict.fromkeys(("ann", "ben", "cam", "dee", "eve", "fay", "gus", "hal"), 1))
    drawn = make_partitions(corpus, seed=7)
    # Drawn once with Python 3.11; 3.10, 3.12 and 3.13 agree.
    tested = [_speakers(corpus, partition, "test") for partition in drawn]
    assert tested == [{"gus"}, {"ann"}, {"eve"}, {"hal"}, {"ben"}]
    developed = [_speakers(corpus, partition, "development") for partition in drawn]
    assert developed == [{"ann"}, {"dee"}, {"hal"}, {"ben"}, {"fay"}]


def test_another_seed_makes_other_partitions() -> None:
    corpus = in_memory({f"speaker {number}": 1 for number in range(20)})
    drawn = {frozenset(make_partitions(corpus, 1, seed)[0].ids("test")) for seed in range(10)}
    assert len(drawn) > 5


def test_shares_are_shares_of_the_speakers() -> None:
    corpus = in_memory({f"speaker {number}": 1 + number % 3 for number in range(100)})
    for partition in make_partitions(corpus):
        assert [len(_speakers(corpus, partition, split)) for split in SPLITS] == [70, 15, 15]


@given(corpus=CORPORA)
def test_leave_one_speaker_out_tests_each_speaker_once(corpus: Corpus) -> None:
    partitions = leave_one_speaker_out(corpus)
    assert [_speakers(corpus, partition, "test") for partition in partitions] == [{name} for name in corpus.speakers]
    developed = Counter(name for partition in partitions for name in _speakers(corpus, partition, "development"))
    assert set(developed.values()) == {1}
    faults = [problem for problem in check_partitions(corpus, partitions) if not problem.is_note]
    assert not faults


@pytest.mark.parametrize("make", [make_partitions, leave_one_speaker_out])
def test_two_speakers_are_too_few(make: object) -> None:
    with pytest.raises(ConfigError, match=r"made has 2 speakers \(ann, ben\), expected at least 3"):
        make(in_memory({"ann": 5, "ben": 5}))  # type: ignore[operator]


@pytest.mark.parametrize("shares", [(1.0, 0.0, 0.0), (0.7, 0.2, 0.2), (0.7, float("nan"), 0.15)])
def test_shares_that_make_no_sense_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="three positive numbers that sum to 1"):
        make_partitions(in_memory({"ann": 1, "ben": 1, "cam": 1}), shares=shares)


def test_no_partition_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="count 0, expected at least 1"):
        make_partitions(in_memory({"ann": 1, "ben": 1, "cam": 1}), count=0)
