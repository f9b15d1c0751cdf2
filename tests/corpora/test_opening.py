"""Opening a corpus: refused with a list of everything wrong, or opened without the bad clips on request."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.corpora.made_corpora import ANGRY, HAPPY, crema_d, in_memory, sound, table
from vavl.corpora import Partition, make_partitions, open_corpus
from vavl.corpora.checks import Problem
from vavl.corpora.opening import READERS, leave_out
from vavl.errors import ConfigError, CorpusError
from vavl_runtime.errors import InputError, NotAFileError, NotFoundError


def test_an_unknown_kind_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="corpus 'iemocap': expected one of crema-d, msp-improv, .*, mead, manifest"):
        open_corpus("iemocap", tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_a_missing_folder_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError, match="no such folder"):
        open_corpus(name, tmp_path / "nowhere")


@pytest.mark.parametrize("name", [name for name in READERS if name != "manifest"])
def test_a_file_is_no_corpus(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotAFileError, match="not a folder"):
        open_corpus(name, sound(tmp_path / "a.wav"))


@pytest.mark.parametrize("name", READERS)
def test_an_empty_folder_is_no_corpus(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match="mend at least the layout"):
        open_corpus(name, tmp_path, skip_bad=True)


def test_the_error_belongs_to_bad_input() -> None:
    assert issubclass(CorpusError, InputError)
    assert (CorpusError.kind, CorpusError.exit_code) == ("corpus", 3)


def _bad_manifest(folder: Path) -> Path:
    for name in ("a", "b", "c", "d"):
        sound(folder / f"{name}.wav")
    (folder / "text.wav").write_text("no sound at all")
    return table(
        folder / "manifest.csv",
        "# labels: calm, tense",
        "id,speaker,audio,visual,label,split",
        "a,ann,a.wav,,calm,train",
        "a2,ann,a.wav,,tense,train",
        "a3,ann,a.wav,,tense,test",
        "b,ben,b.wav,,calm,development",
        "c,cam,c.wav,,tense,test",
        "e,ann,missing.wav,,calm,train",
        "f,ann,,,calm,train",
        "g,ann,text.wav,,calm,train",
        "h,ann,a.wav,,clam,train",
        "i,ann,a.wav,,calm,train",
        "i,ann,a.wav,,calm,train",
    )


BAD = [f"manifest.csv:{line}" for line in ("5: a3", "8: e", "9: f", "10: g", "11: h", "13: i")]


def test_problems_of_all_kinds_are_listed_at_once_each_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as caught:
        open_corpus("manifest", _bad_manifest(tmp_path))
    first, *listed = str(caught.value).splitlines()
    assert f"{len(BAD)} problems" in first
    assert sorted(":".join(line.split(":")[:3]).strip() for line in listed) == sorted(BAD)


def test_on_request_only_good_clips_are_left_and_all_others_are_told(tmp_path: Path) -> None:
    corpus = open_corpus("manifest", _bad_manifest(tmp_path), skip_bad=True)
    assert [clip.id for clip in corpus.clips] == ["a", "a2", "b", "c"]
    assert dict(corpus.partitions[0].split_of) == {"a": "train", "a2": "train", "b": "development", "c": "test"}
    assert sorted(":".join(line.split(":")[:3]) for line in corpus.left_out) == sorted(BAD)
    assert corpus.notes == ()


def test_a_partition_with_an_empty_split_is_left_out_too(tmp_path: Path) -> None:
    rows = [f"1_A.wav,{ANGRY},1,Train", f"2_A.wav,{ANGRY},2,Development", f"3_A.wav,{HAPPY},3,Test"]
    more = [f"3_A.wav,{HAPPY},3,Development", f"4_A.wav,{HAPPY},4,Test"]
    crema_d(tmp_path, [rows, [rows[0], *more]])
    (tmp_path / "AudioWAV" / "4_A.wav").unlink()
    corpus = open_corpus("crema-d", tmp_path, skip_bad=True)
    assert [partition.name for partition in corpus.partitions] == ["partition 1"]
    assert [line.split(":")[0] for line in corpus.left_out] == ["partitions/partition_2.csv", "partition 2"]
    assert len(make_partitions(corpus)) == 5


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    path = table(tmp_path / "m.csv", "id,speaker,audio,visual,label", "a,ann,a.wav,,x", "b,ann,b.wav,,y")
    with pytest.raises(CorpusError, match="2 problems .* none would be left"):
        open_corpus("manifest", path, skip_bad=True)


def test_leaving_out_nothing_changes_nothing() -> None:
    corpus = in_memory({"ann": 2, "ben": 2, "cam": 2})
    assert leave_out(corpus, []) == corpus


def test_leaving_out_adds_to_what_was_left_out() -> None:
    corpus = in_memory({"ann": 2, "ben": 2})
    once = leave_out(corpus, [Problem("x", "ann-0", "label", "bad")])
    twice = leave_out(once, [Problem("y", "ben-0", "label", "bad")])
    assert [clip.id for clip in twice.clips] == ["ann-1", "ben-1"]
    assert twice.left_out == ("x: ann-0: bad", "y: ben-0: bad")


def test_a_clip_that_partitions_alone_know_is_left_out_of_them() -> None:
    corpus = in_memory({"ann": 2, "ben": 2, "cam": 2})
    (partition,) = make_partitions(corpus, 1)
    wider = Partition("wider", {**partition.split_of, "who": "test"})
    (only,) = leave_out(replace(corpus, partitions=(wider,)), []).partitions
    assert only.split_of == partition.split_of
