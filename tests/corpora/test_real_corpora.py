"""The corpora at hand, as they are."""

from collections import Counter
from pathlib import Path

import pytest

from vavl.corpora import Corpus, make_partitions, open_corpus
from vavl.corpora.checks import check_partitions
from vavl.corpora.crema_d import read_crema_d
from vavl.errors import CorpusError


@pytest.fixture(scope="module")
def javanese(shared: Path) -> Corpus:
    return open_corpus("javanese", shared / "corpora" / "javanese")


def test_javanese_has_paired_clips_and_more_sound(javanese: Corpus) -> None:
    modalities = Counter(clip.modalities for clip in javanese.clips)
    assert modalities == {("audio", "visual"): 192, ("audio",): 768}
    assert len(javanese.speakers) == 8
    assert all(clip.audio and clip.audio.suffix == ".flac" for clip in javanese.clips)
    per_class = Counter(clip.target.index(1.0) for clip in javanese.clips)
    assert set(per_class.values()) == {160}


def test_javanese_partitions_test_five_different_speakers(javanese: Corpus) -> None:
    partitions = make_partitions(javanese)
    assert check_partitions(javanese, partitions) == []
    tested = [{id_[:2] for id_ in partition.ids("test")} for partition in partitions]
    assert len(set.union(*tested)) == 5


def test_crema_d_partitions_are_speaker_independent(shared: Path) -> None:
    corpus, problems = read_crema_d(shared / "crema-d")
    assert problems == []
    assert (len(corpus.clips), len(corpus.speakers), len(corpus.partitions)) == (5820, 91, 5)
    assert check_partitions(corpus, corpus.partitions) == []
    for partition in corpus.partitions:
        assert len(partition.split_of) == 5820
        assert 0.66 < len(partition.ids("train")) / 5820 < 0.74


def test_crema_d_is_usable_with_the_few_sounds_at_hand(shared: Path) -> None:
    labelled, _ = read_crema_d(shared / "crema-d")
    with_sound = [clip.id for clip in labelled.clips if clip.modalities]
    with pytest.raises(CorpusError, match=f"{5820 - len(with_sound)} problems"):
        open_corpus("crema-d", shared / "crema-d")
    corpus = open_corpus("crema-d", shared / "crema-d", skip_bad=True)
    assert [clip.id for clip in corpus.clips] == with_sound
    assert len(corpus.left_out) == 5820 - len(with_sound)
    assert with_sound
