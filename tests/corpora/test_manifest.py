"""Corpora by manifest: what header and comments mean, and that every bad row is told with its line."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora.made_corpora import features, film, sound, table
from vavl.corpora import Corpus, open_corpus
from vavl.corpora.checks import check_partitions
from vavl.corpora.manifest import read_manifest, read_table
from vavl.errors import CorpusError


def _read(path: Path) -> Corpus:
    corpus, problems = read_manifest(path)
    assert problems == []
    return corpus


def test_classes_by_name(tmp_path: Path) -> None:
    sound(tmp_path / "sound" / "a.wav")
    film(tmp_path / "film" / "b.mkv")
    features(tmp_path / "c.npy")
    path = table(
        tmp_path / "manifest.csv",
        "# name: tiny",
        "# labels: tense, calm",
        "id,speaker,audio,visual,label,age",
        "a,ann,sound/a.wav,,calm,31",
        "",
        "b,ben,film/b.mkv,film/b.mkv,tense,32",
        "c,cam,,c.npy,calm,33",
    )
    corpus = open_corpus("manifest", path)
    assert corpus == open_corpus("manifest", tmp_path)
    assert (corpus.name, corpus.task, corpus.labels, corpus.partitions) == (
        "tiny",
        "classification",
        ("tense", "calm"),
        (),
    )
    assert [clip.target for clip in corpus.clips] == [(0.0, 1.0), (1.0, 0.0), (0.0, 1.0)]
    assert [clip.modalities for clip in corpus.clips] == [("audio",), ("audio", "visual"), ("visual",)]
    assert [clip.source for clip in corpus.clips] == ["manifest.csv:4", "manifest.csv:6", "manifest.csv:7"]
    assert corpus.clips[0].audio == tmp_path / "sound" / "a.wav"


def test_classes_that_are_not_announced_come_in_order_of_name(tmp_path: Path) -> None:
    path = table(tmp_path / "m.csv", "id,speaker,audio,visual,label", "a,ann,a.wav,,sad", "b,ben,b.wav,,happy")
    assert _read(path).labels == ("happy", "sad")


def test_a_column_a_class_holds_shares(tmp_path: Path) -> None:
    header = "id,speaker,audio,visual,target:calm,target:tense"
    corpus = _read(table(tmp_path / "m.csv", header, "a,ann,a.wav,,0.25,0.75"))
    assert (corpus.task, corpus.labels, corpus.clips[0].target) == ("classification", ("calm", "tense"), (0.25, 0.75))


def test_a_scale_makes_columns_attributes(tmp_path: Path) -> None:
    header = "id,speaker,audio,visual,target:valence"
    corpus = _read(table(tmp_path / "m.csv", "# scale: -1, 1", header, "a,ann,a.wav,,-0.5"))
    assert (corpus.task, corpus.labels, corpus.scale) == ("regression", ("valence",), (-1.0, 1.0))
    assert corpus.clips[0].target == (-0.5,)


def test_split_columns_are_partitions_and_an_empty_cell_leaves_out(tmp_path: Path) -> None:
    path = table(
        tmp_path / "m.csv",
        "id,speaker,audio,visual,label,split,split:other",
        "a,ann,a.wav,,x,Train,test",
        "b,ben,b.wav,,y,DEV,",
        "c,cam,c.wav,,x,test,validation",
    )
    first, second = _read(path).partitions
    assert (first.name, dict(first.split_of)) == ("split", {"a": "train", "b": "development", "c": "test"})
    assert (second.name, dict(second.split_of)) == ("other", {"a": "test", "c": "development"})


def test_the_documented_example_is_a_manifest(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "corpora.md").read_text("utf-8")
    (example,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    (tmp_path / "manifest.csv").write_text(example, "utf-8")
    corpus = _read(tmp_path)
    assert (corpus.name, corpus.labels, len(corpus.clips)) == ("two moods", ("calm", "tense"), 5)
    assert [partition.name for partition in corpus.partitions] == ["first", "second"]
    assert not [problem for problem in check_partitions(corpus, corpus.partitions) if not problem.is_note]


def test_every_bad_row_is_told_with_all_its_faults(tmp_path: Path) -> None:
    path = table(
        tmp_path / "m.csv",
        "# labels: calm, tense",
        "id,speaker,audio,visual,label,split",
        ",ann,a.wav,,calm,train",
        "b,,b.wav,,tence,training",
        "c,cam,c.wav,calm",
        "d,dee,d.wav,,calm,test",
    )
    corpus, problems = read_manifest(path)
    assert [clip.id for clip in corpus.clips] == ["d"]
    assert sorted(map(str, problems)) == [
        "m.csv:3: column id is empty",
        "m.csv:4: b: column speaker is empty; column label: got 'tence', expected one of calm, tense; column split: "
        "got 'training', expected one of train, development, dev, validation, test",
        "m.csv:5: 4 cells, the header has 6",
    ]


def test_numbers_that_are_none_are_told(tmp_path: Path) -> None:
    header = "id,speaker,audio,visual,target:x,target:y"
    _, problems = read_manifest(table(tmp_path / "m.csv", header, "a,ann,a.wav,,much,"))
    assert [problem.message for problem in problems] == [
        "column target:x: got 'much', expected a number; column target:y: got '', expected a number"
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,speaker,label", "a,ann,x"], "no column audio\n.*no column visual"),
        (["id,speaker,audio,visual", "a,ann,a.wav,"], "either a column label or a column target:NAME"),
        (["id,speaker,audio,visual,label,target:x", "a,ann,a.wav,,x,1"], "either a column label or"),
        (["id,speaker,audio,visual,label", "a,ann,a.wav,,x"], "only one class, x"),
        (["id,speaker,audio,visual,label"], "no row below the header"),
        (["# scale: 5 1", "id,speaker,audio,visual,target:x", "a,ann,a.wav,,1"], "scale '5 1': expected the lowest"),
        (["# scale: 1", "id,speaker,audio,visual,target:x", "a,ann,a.wav,,1"], "scale '1': expected the lowest"),
        (["# scale: 1 5", "id,speaker,audio,visual,label", "a,ann,a.wav,,x"], "scale has no meaning for classes"),
        (["id,id,speaker,audio,visual,label", "a,a,ann,a.wav,,x"], "columns named twice: id"),
        (["id,speaker,audio,visual,label", 'a,"ann,a.wav,,x'], "not CSV from here on"),
        ([""], "m.csv: no header"),
    ],
)
def test_what_leaving_clips_out_cannot_mend_is_refused_all_the_same(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(CorpusError, match=rf"(?s)mend at least the layout.*{message}"):
        open_corpus("manifest", table(tmp_path / "m.csv", *lines), skip_bad=True)


def test_a_folder_without_manifest_and_another_encoding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"manifest.csv: not a readable UTF-8 file .*No such file"):
        open_corpus("manifest", tmp_path)
    (tmp_path / "manifest.csv").write_bytes("id,speaker,audio,visual,label\nä,ann,a.wav,,x".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"manifest.csv: not a readable UTF-8 file .*decode"):
        open_corpus("manifest", tmp_path)


def test_a_byte_order_mark_and_carriage_returns_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes("id,speaker,audio,visual,label\r\na,ann,a.wav,,x\r\nb,ben,b.wav,,y\r\n".encode("utf-8-sig"))
    assert [(clip.id, clip.source) for clip in _read(path).clips] == [("a", "m.csv:2"), ("b", "m.csv:3")]


@given(text=st.text(max_size=200))
def test_no_text_breaks_the_reading(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    read = read_table(path, "any.csv")
    assert all(len(row.cells) == len(read.columns) for row in read.rows)
    assert read.columns or read.problems
