"""CREMA-D and MSP-IMPROV by label files as released: places, column names, partitions, disagreements."""

from pathlib import Path

import numpy as np
import pytest

from tests.corpora.made_corpora import ANGRY, HAPPY, SHARES, crema_d, features, film, sound, table
from vavl.corpora import Corpus, open_corpus
from vavl.corpora.crema_d import read_crema_d
from vavl.corpora.msp_improv import read_msp_improv
from vavl.errors import CorpusError

ROWS = (
    f"1001_A.wav,{ANGRY},1001,Train",
    f"1001_B.wav,{HAPPY},1001,Train",
    f"1002_A.wav,{ANGRY},1002,Development",
    f"1003_A.wav,{HAPPY},1003,Test",
)
TURNED = (
    f"1003_A.wav,{HAPPY},1003,Train",
    f"1001_A.wav,{ANGRY},1001,Test",
    f"1001_B.wav,{HAPPY},1001,Test",
    f"1002_A.wav,{ANGRY},1002,Development",
)


def _paths(corpus: Corpus, folder: Path) -> list[tuple[str | None, str | None]]:
    def relative(path: Path | None) -> str | None:
        return path.relative_to(folder).as_posix() if path else None

    return [(relative(clip.audio), relative(clip.visual)) for clip in corpus.clips]


def test_crema_d_is_read_with_all_its_partitions(tmp_path: Path) -> None:
    corpus = open_corpus("crema-d", crema_d(tmp_path, [ROWS, TURNED]))
    assert (corpus.task, ",".join(corpus.labels)) == ("classification", SHARES)
    assert [clip.id for clip in corpus.clips] == ["1001_A", "1001_B", "1002_A", "1003_A"]
    assert corpus.clips[1].target == (0.0, 0.0, 0.0, 0.0, 0.25, 0.75)
    assert corpus.clips[1].source == "partitions/partition_1.csv:3"
    assert [partition.name for partition in corpus.partitions] == ["partition 1", "partition 2"]
    assert corpus.partitions[0].ids("train") == ("1001_A", "1001_B")
    assert corpus.partitions[1].ids("test") == ("1001_A", "1001_B")


def test_a_class_that_is_not_trained_is_a_note(tmp_path: Path) -> None:
    corpus = open_corpus("crema-d", crema_d(tmp_path, [ROWS]))
    assert [note.split(":")[1] for note in corpus.notes] == [
        f" no train clip of class {name}" for name in ("sad", "disgust", "fear", "neutral")
    ]


def test_partition_ten_follows_partition_nine(tmp_path: Path) -> None:
    corpus, _ = read_crema_d(crema_d(tmp_path, [ROWS] * 11))
    assert [partition.name for partition in corpus.partitions] == [f"partition {number}" for number in range(1, 12)]


@pytest.mark.parametrize("place", ["partitions", "labels_consensus_6class_M", "data/label_files", "."])
def test_label_files_are_found_where_people_have_them(tmp_path: Path, place: str) -> None:
    crema_d(tmp_path, [ROWS])
    here = tmp_path / place / "label_consensus_1.csv"
    here.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "partitions" / "partition_1.csv").rename(here)
    (tmp_path / "summaryTable.csv").write_text("no,label,file\n")
    corpus, problems = read_crema_d(tmp_path)
    assert (len(corpus.clips), problems, corpus.partitions[0].name) == (4, [], "label consensus 1")


def test_modalities_come_from_the_folders_and_any_suffix(tmp_path: Path) -> None:
    table(tmp_path / "partitions" / "1.csv", f"File Name,{SHARES},speaker,split", *ROWS)
    sound(tmp_path / "audio" / "1001_A.flac")
    sound(tmp_path / "audio" / "deep" / "er" / "1001_B.wav")
    film(tmp_path / "VideoFlash" / "1001_B.flv")
    film(tmp_path / "VideoFlash" / "1002_A.mkv", silent=True)
    corpus, problems = read_crema_d(tmp_path)
    assert problems == []
    assert _paths(corpus, tmp_path) == [
        ("audio/1001_A.flac", None),
        ("audio/deep/er/1001_B.wav", "VideoFlash/1001_B.flv"),
        (None, "VideoFlash/1002_A.mkv"),
        (None, None),
    ]


def test_two_sounds_of_one_clip_are_told(tmp_path: Path) -> None:
    crema_d(tmp_path, [ROWS])
    sound(tmp_path / "AudioWAV" / "copy" / "1001_A.flac")
    with pytest.raises(CorpusError, match="copy/1001_A.flac: 1001_A: the same clip as AudioWAV/1001_A.wav; keep one"):
        open_corpus("crema-d", tmp_path)
    corpus = open_corpus("crema-d", tmp_path, skip_bad=True)
    assert [clip.id for clip in corpus.clips] == ["1001_B", "1002_A", "1003_A"]


def test_without_sound_files_films_are_heard_but_features_are_not(tmp_path: Path) -> None:
    table(tmp_path / "partitions" / "1.csv", f"FileName,{SHARES},SpkrID,Split_Set", ROWS[0])
    film(tmp_path / "VideoFlash" / "1001_A.flv")
    assert _paths(read_crema_d(tmp_path)[0], tmp_path) == [("VideoFlash/1001_A.flv", "VideoFlash/1001_A.flv")]
    features(tmp_path / "Face_features" / "1001_A.npy")
    assert _paths(read_crema_d(tmp_path)[0], tmp_path) == [(None, "Face_features/1001_A.npy")]


def test_released_features_are_read_as_they_are(tmp_path: Path) -> None:
    crema_d(tmp_path, [ROWS])
    (tmp_path / "AudioWAV").rename(tmp_path / "Audios")
    for row in ROWS:
        features(tmp_path / "Face_features" / row[:6], np.zeros((2, 1408), np.float32))
    corpus = open_corpus("crema-d", tmp_path)
    assert _paths(corpus, tmp_path)[0] == ("Audios/1001_A.wav", "Face_features/1001_A.npy")


def test_clips_without_media_are_problems_or_left_out(tmp_path: Path) -> None:
    crema_d(tmp_path, [ROWS, TURNED])
    (tmp_path / "AudioWAV" / "1001_B.wav").unlink()
    with pytest.raises(
        CorpusError, match=r"1 problem in .*leave the bad clips out\n  partitions/partition_1.csv:3: 1001_B: neither"
    ):
        open_corpus("crema-d", tmp_path)
    corpus = open_corpus("crema-d", tmp_path, skip_bad=True)
    assert [clip.id for clip in corpus.clips] == ["1001_A", "1002_A", "1003_A"]
    assert [partition.ids("train") for partition in corpus.partitions] == [("1001_A",), ("1003_A",)]
    assert len(corpus.left_out) == 1


def test_rows_of_all_files_are_told_together(tmp_path: Path) -> None:
    crema_d(tmp_path, [ROWS, TURNED])
    header = f"FileName,{SHARES},SpkrID,Split_Set"
    table(
        tmp_path / "partitions" / "partition_2.csv",
        header,
        f"1001_A.wav,{HAPPY},1001,Train",
        "1001_B.wav,much,0,0,0,0,1,1001,Train",
        f"1002_A.wav,{ANGRY},1007,Development",
        f"1003_A.wav,{HAPPY},1003,Exam",
        f"1003_A.wav,{HAPPY},1003,Test",
        f"1003_A.wav,{HAPPY},1003,Test",
    )
    table(tmp_path / "partitions" / "partition_3.csv", header, f"1001_A.wav,{HAPPY}")
    with pytest.raises(CorpusError) as caught:
        open_corpus("crema-d", tmp_path)
    listed = [line.strip() for line in str(caught.value).splitlines()[1:]]
    rows = [line.removeprefix("partitions/partition_") for line in listed if line.startswith("partitions/")]
    assert rows == [
        "2.csv:2: 1001_A: labels or speaker differ from partitions/partition_1.csv:2",
        "2.csv:3: 1001_B: column angry: got 'much', expected a number",
        "2.csv:4: 1002_A: labels or speaker differ from partitions/partition_1.csv:4",
        "2.csv:5: 1003_A: column Split_Set: got 'Exam', expected one of train, development, dev, validation, test",
        "3.csv:2: 7 cells, the header has 9",
        "2.csv:7: 1003_A: id already used at partitions/partition_1.csv:5; every clip needs its own",
    ]


def test_labels_beyond_the_range_are_told(tmp_path: Path) -> None:
    crema_d(tmp_path, [(*ROWS, "1003_B.wav,nan,0,0,0,0,1,1003,Test", "1003_C.wav,1,1,0,0,0,0,1003,Test")] * 2)
    with pytest.raises(
        CorpusError,
        match=r"(?s)2 problems.*csv:6: 1003_B: class shares out of range: angry nan.*"
        r"csv:7: 1003_C: class shares sum to 2, expected 1",
    ):
        open_corpus("crema-d", tmp_path)


def test_missing_columns_labels_and_media_are_told_together(tmp_path: Path) -> None:
    table(tmp_path / "partitions" / "partition_1.csv", "FileName,angry,SpkrID", "a.wav,1,1")
    (tmp_path / "partitions" / "partition_2.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(
        CorpusError,
        match=r"(?s)no media;.*partition_1.csv: no column splitset or split, sad, .*"
        r"partition_2.csv: not a readable UTF-8 file",
    ):
        open_corpus("crema-d", tmp_path, skip_bad=True)
    with pytest.raises(CorpusError, match="no label files; expected one of partitions"):
        open_corpus("msp-improv", sound(tmp_path / "other" / "audio" / "a.wav").parents[1])


IMPROV = "FileName,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
IMPROV_ROWS = (
    "MSP-IMPROV-S01A-F02-R-FF01.wav,2.5,2.25,3,2,Female,Train",
    "MSP-IMPROV-S01A-M02-R-MM01.wav,1,5,3,2,Male,Train",
    "MSP-IMPROV-S01A-F05-R-FF01.wav,3.5,1.5,3.5,5,Female,Test",
    "MSP-IMPROV-S01A-M06-R-MM01.wav,2,3,4,6,Male,Development",
)


def test_msp_improv_is_read_in_the_released_order_of_attributes(tmp_path: Path) -> None:
    table(tmp_path / "labels_consensus_EmoP_4class_D" / "labels_consensus_1.csv", IMPROV, *IMPROV_ROWS)
    for row in IMPROV_ROWS:
        sound(tmp_path / "Audio" / "session2" / row.split(",")[0])
    film(tmp_path / "Video" / "session2" / "MSP-IMPROV-S01A-F02-R-FF01.avi")
    corpus = open_corpus("msp-improv", tmp_path)
    assert (corpus.task, corpus.scale) == ("regression", (1.0, 5.0))
    assert corpus.labels == ("arousal", "dominance", "valence")
    assert corpus.clips[0].target == (2.5, 3.0, 2.25)
    assert [clip.modalities for clip in corpus.clips] == [("audio", "visual"), *[("audio",)] * 3]
    assert corpus.speakers == ("F2", "F5", "M2", "M6")


def test_msp_improv_columns_have_other_names_too(tmp_path: Path) -> None:
    path = table(tmp_path / "labels.csv", "valence,file,split,Dominance,speaker_id,AROUSAL,clip", "1,a,test,2,F02,3,b")
    sound(tmp_path / "audio" / "a.wav")
    corpus, problems = read_msp_improv(path.parent)
    assert problems == []
    assert (corpus.clips[0].target, corpus.clips[0].speaker) == ((3.0, 2.0, 1.0), "F02")


def test_scores_beyond_the_scale_are_told(tmp_path: Path) -> None:
    table(tmp_path / "labels.csv", IMPROV, *IMPROV_ROWS, "b.wav,0,6,3,5,Female,Test")
    for row in (*IMPROV_ROWS, "b.wav"):
        sound(tmp_path / "Audio" / row.split(",")[0])
    with pytest.raises(
        CorpusError, match="labels.csv:6: b: scores out of range: arousal 0, dominance 3, valence 6; expected 1 to 5"
    ):
        open_corpus("msp-improv", tmp_path)
