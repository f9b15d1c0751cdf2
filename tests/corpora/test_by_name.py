"""RAVDESS and the Javanese corpus: what file names say, and which files make one clip."""

from pathlib import Path

import pytest

from tests.corpora.made_corpora import features, film, sound
from vavl.config import CREMA_D_CLASSES
from vavl.corpora import Corpus, open_corpus
from vavl.corpora.javanese import CLASSES as JAVANESE
from vavl.corpora.javanese import read_javanese
from vavl.corpora.ravdess import CLASSES as RAVDESS
from vavl.corpora.ravdess import read_ravdess
from vavl.errors import CorpusError


def _names(corpus: Corpus) -> list[tuple[str, str | None, str | None]]:
    return [(clip.id, clip.audio and clip.audio.name, clip.visual and clip.visual.name) for clip in corpus.clips]


def _label(corpus: Corpus, number: int) -> str:
    return corpus.labels[corpus.clips[number].target.index(1.0)]


def test_a_name_means_the_same_emotion_in_every_corpus() -> None:
    assert set(JAVANESE) - set(CREMA_D_CLASSES) == {"surprise"}
    assert set(RAVDESS) - set(CREMA_D_CLASSES) == {"surprise", "calm"}


def test_a_javanese_film_and_its_sound_are_one_clip(tmp_path: Path) -> None:
    film(tmp_path / "video" / "11-02-06_01.mp4")
    sound(tmp_path / "audio" / "11-02-06_01.flac")
    sound(tmp_path / "audio" / "11-02-01_02.wav")
    film(tmp_path / "video" / "12-02-04_01.mkv")
    features(tmp_path / "video" / "12-02-04_02.npy")
    corpus = open_corpus("javanese", tmp_path)
    assert _names(corpus) == [
        ("11-02-01_02", "11-02-01_02.wav", None),
        ("11-02-06_01", "11-02-06_01.flac", "11-02-06_01.mp4"),
        ("12-02-04_01", "12-02-04_01.mkv", "12-02-04_01.mkv"),
        ("12-02-04_02", None, "12-02-04_02.npy"),
    ]
    assert [_label(corpus, number) for number in range(4)] == ["neutral", "angry", "surprise", "surprise"]
    assert corpus.speakers == ("11", "12")
    assert corpus.partitions == ()


def test_javanese_names_that_follow_no_pattern_are_told_or_left_out(tmp_path: Path) -> None:
    sound(tmp_path / "audio" / "01-01-01_01.flac")
    sound(tmp_path / "audio" / "01-01-07_01.flac")
    sound(tmp_path / "audio" / "take 2.wav")
    sound(tmp_path / "audio" / "01-01-01_01.wav")
    sound(tmp_path / "audio" / "01-01-02_01.wav")
    sound(tmp_path / "audio" / ".01-01-02_01.wav")
    (tmp_path / "audio" / "notes.txt").write_text("not a clip")
    with pytest.raises(
        CorpusError,
        match=r"(?s)3 problems.*audio/01-01-01_01.wav: 01-01-01_01: the same clip as "
        r"audio/01-01-01_01.flac.*audio/01-01-07_01.flac: file name.*audio/take 2.wav: file name",
    ):
        open_corpus("javanese", tmp_path)
    corpus = open_corpus("javanese", tmp_path, skip_bad=True)
    assert [clip.id for clip in corpus.clips] == ["01-01-02_01"]
    assert len(corpus.left_out) == 3


def test_the_three_files_of_a_ravdess_performance_are_one_clip(tmp_path: Path) -> None:
    film(tmp_path / "Actor_12" / "01-01-06-01-02-01-12.mp4")
    film(tmp_path / "Actor_12" / "02-01-06-01-02-01-12.mp4", silent=True)
    sound(tmp_path / "Audio" / "Actor_12" / "03-01-06-01-02-01-12.wav")
    sound(tmp_path / "03-01-08-02-02-01-12.wav")
    film(tmp_path / "02-01-02-02-02-01-03.mp4", silent=True)
    film(tmp_path / "01-01-01-01-02-01-03.mp4")
    film(tmp_path / "01-02-05-01-02-01-03.mp4")
    corpus = open_corpus("ravdess", tmp_path)
    assert _names(corpus) == [
        ("01-01-01-02-01-03", "01-01-01-01-02-01-03.mp4", "01-01-01-01-02-01-03.mp4"),
        ("01-02-02-02-01-03", None, "02-01-02-02-02-01-03.mp4"),
        ("01-06-01-02-01-12", "03-01-06-01-02-01-12.wav", "01-01-06-01-02-01-12.mp4"),
        ("01-08-02-02-01-12", "03-01-08-02-02-01-12.wav", None),
    ]
    assert [_label(corpus, number) for number in range(4)] == ["neutral", "calm", "fear", "surprise"]
    assert corpus.speakers == ("03", "12")


def test_ravdess_song_is_read_on_request(tmp_path: Path) -> None:
    sound(tmp_path / "03-02-05-01-02-01-03.wav")
    corpus, problems = read_ravdess(tmp_path, ("speech", "song"))
    assert ([clip.id for clip in corpus.clips], problems) == (["02-05-01-02-01-03"], [])
    with pytest.raises(CorpusError, match="no clips of speech"):
        open_corpus("ravdess", tmp_path)


def test_ravdess_names_that_follow_no_pattern_are_told(tmp_path: Path) -> None:
    sound(tmp_path / "Actor_01" / "03-01-05-01-02-01-01.wav")
    sound(tmp_path / "03-01-05-01-02-01-01.wav")
    sound(tmp_path / "03-01-09-01-02-01-01.wav")
    features(tmp_path / "01-01-05-01-02-01-01.npy")
    _, problems = read_ravdess(tmp_path)
    assert [(problem.source, problem.kind) for problem in problems] == [
        ("01-01-05-01-02-01-01.npy", "name"),
        ("03-01-09-01-02-01-01.wav", "name"),
        ("Actor_01/03-01-05-01-02-01-01.wav", "duplicate_id"),
    ]


@pytest.mark.parametrize("read", [read_javanese, read_ravdess])
def test_a_folder_without_clips_tells_what_it_should_hold(tmp_path: Path, read: object) -> None:
    (problem,) = read(tmp_path)[1]  # type: ignore[operator]
    assert problem.kind == "layout"
    assert "; expected " in problem.message
