"""EmoDB, SAVEE, TESS and MEAD: what file names say, and which files make one clip."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora.made_corpora import features, film, sound
from vavl.config import CREMA_D_CLASSES
from vavl.corpora import Corpus, make_partitions, open_corpus
from vavl.corpora.checks import check_partitions
from vavl.corpora.opening import READERS
from vavl.errors import ConfigError, CorpusError

NAMED = ("emodb", "savee", "tess", "mead")
OWN = {"boredom", "contempt", "surprise"}  # emotions that CREMA-D does not have


def named(corpus: Corpus) -> dict[str, tuple[str, str, str | None, str | None]]:
    """Speaker, emotion, sound and film of each clip."""
    return {
        clip.id: (
            clip.speaker,
            corpus.labels[clip.target.index(1.0)],
            clip.audio and clip.audio.name,
            clip.visual and clip.visual.name,
        )
        for clip in corpus.clips
    }


def test_emodb_letters_are_german(tmp_path: Path) -> None:
    for name in ("03a01Fa.wav", "03a01Wa.wav", "16b10Tb.wav", "wav/16b10Lb.wav", "08a02Nc.wav"):
        sound(tmp_path / name)
    features(tmp_path / "08a02Ac.npy")
    assert named(open_corpus("emodb", tmp_path)) == {
        "03a01Fa": ("03", "happy", "03a01Fa.wav", None),
        "03a01Wa": ("03", "angry", "03a01Wa.wav", None),
        "08a02Ac": ("08", "fear", "08a02Ac.npy", None),
        "08a02Nc": ("08", "neutral", "08a02Nc.wav", None),
        "16b10Lb": ("16", "boredom", "16b10Lb.wav", None),
        "16b10Tb": ("16", "sad", "16b10Tb.wav", None),
    }


def test_a_film_and_its_sound_in_savee_are_one_clip(tmp_path: Path) -> None:
    sound(tmp_path / "AudioData" / "DC" / "sa01.wav")
    film(tmp_path / "AudioVisualClip" / "DC" / "sa01.avi")
    film(tmp_path / "AudioVisualClip" / "JE" / "su02.avi")
    sound(tmp_path / "KL_a03.wav")
    features(tmp_path / "VisualData" / "KL" / "a03.npy")
    assert named(open_corpus("savee", tmp_path)) == {
        "DC_sa01": ("DC", "sad", "sa01.wav", "sa01.avi"),
        "JE_su02": ("JE", "surprise", "su02.avi", "su02.avi"),
        "KL_a03": ("KL", "angry", "KL_a03.wav", "a03.npy"),
    }


def test_tess_has_two_speakers_even_where_a_letter_is_missing(tmp_path: Path) -> None:
    sound(tmp_path / "OAF_Pleasant_surprise" / "OAF_back_ps.wav")
    sound(tmp_path / "OA_bite_neutral.wav")
    sound(tmp_path / "YAF_dog_disgust.wav")
    corpus = open_corpus("tess", tmp_path)
    assert named(corpus) == {
        "OAF_back_ps": ("OAF", "surprise", "OAF_back_ps.wav", None),
        "OAF_bite_neutral": ("OAF", "neutral", "OA_bite_neutral.wav", None),
        "YAF_dog_disgust": ("YAF", "disgust", "YAF_dog_disgust.wav", None),
    }
    with pytest.raises(ConfigError, match="tess has 2 speakers"):
        make_partitions(corpus)


def test_mead_films_come_from_the_front_and_are_silent(tmp_path: Path) -> None:
    sound(tmp_path / "M003" / "audio" / "sad" / "level_2" / "001.m4a")
    film(tmp_path / "M003" / "video" / "front" / "sad" / "level_2" / "001.mp4")
    film(tmp_path / "M003" / "video" / "left_30" / "sad" / "level_2" / "001.mp4")
    film(tmp_path / "part0" / "W009" / "video" / "front" / "disgusted" / "level_1" / "004.mp4")
    assert named(open_corpus("mead", tmp_path)) == {
        "M003_sad_level_2_001": ("M003", "sad", "001.m4a", "001.mp4"),
        "W009_disgusted_level_1_004": ("W009", "disgust", None, "004.mp4"),
    }


@pytest.mark.parametrize("name", NAMED)
def test_a_name_means_the_same_emotion_in_every_corpus(name: str, tmp_path: Path) -> None:
    labels = READERS[name](tmp_path)[0].labels
    assert set(labels) - set(CREMA_D_CLASSES) <= OWN
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("name", NAMED)
@given(stem=st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=20))
def test_any_name_is_read_or_told(name: str, stem: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    stem = re.sub(r"[/.]", "", stem) or "x"
    (folder / f"{stem}.wav").touch()
    corpus, problems = READERS[name](folder)
    assert len(corpus.clips) + sum(problem.kind == "name" for problem in problems) == 1


@pytest.mark.parametrize("name", NAMED)
def test_what_follows_no_pattern_is_told_with_an_example(name: str, tmp_path: Path) -> None:
    (problem,) = READERS[name](tmp_path)[1]
    assert problem.kind == "layout" and "; expected files such as " in problem.message
    sound(tmp_path / "take 2.wav")
    with pytest.raises(CorpusError, match="take 2.wav: file name 'take 2.wav', expected names such as"):
        open_corpus(name, tmp_path)


def test_two_files_of_one_clip_are_told(tmp_path: Path) -> None:
    sound(tmp_path / "03a01Fa.flac")
    sound(tmp_path / "wav" / "03a01Fa.wav")
    with pytest.raises(CorpusError, match=r"wav/03a01Fa.wav: 03a01Fa: the same clip as 03a01Fa.flac; keep one"):
        open_corpus("emodb", tmp_path)


def test_the_real_emodb(shared: Path) -> None:
    corpus = open_corpus("emodb", shared / "corpora" / "emodb")
    assert len(corpus.speakers) == 10
    assert {clip.modalities for clip in corpus.clips} == {("audio",)}
    assert len({clip.target for clip in corpus.clips}) == 7
    assert check_partitions(corpus, make_partitions(corpus)) == []
