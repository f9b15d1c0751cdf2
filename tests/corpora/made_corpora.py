"""Small corpora written by hand: media, label tables, and corpora in memory without any file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.runtime.made_media import jpeg, pcm16, tone, write_matroska, write_wav
from vavl.corpora import Clip, Corpus

SHARES = "angry,sad,disgust,fear,neutral,happy"
ANGRY = "0.9,0.1,0,0,0,0"
HAPPY = "0,0,0,0,0.25,0.75"


def sound(path: Path) -> Path:
    """A tone of a tenth of a second, whatever the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_wav(path, pcm16(tone(0.1)))


def film(path: Path, *, silent: bool = False) -> Path:
    """Two grey pictures and, unless silent, a tone; Matroska, whatever the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = jpeg(np.full((64, 64, 3), 128, np.uint8))
    return write_matroska(path, [picture, picture], None if silent else tone(0.1))


def features(path: Path, values: object = None) -> Path:
    """A feature file; three frames of width 8 by default."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.zeros((3, 8), np.float32) if values is None else np.asarray(values))
    return path


def table(path: Path, header: str, *rows: str) -> Path:
    """A CSV of the given lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return path


def crema_d(folder: Path, partitions: Sequence[Sequence[str]]) -> Path:
    """CREMA-D's label files from rows ``NAME,shares,SPEAKER,SPLIT``, and a sound for every clip named."""
    for number, rows in enumerate(partitions, 1):
        header = f"FileName,{SHARES},SpkrID,Split_Set"
        table(folder / "partitions" / f"partition_{number}.csv", header, *rows)
        for row in rows:
            sound(folder / "AudioWAV" / row.split(",")[0])
    return folder


def in_memory(clips_of: Mapping[str, int], labels: tuple[str, ...] = ("calm", "tense")) -> Corpus:
    """A corpus whose speakers have so many clips each, classes in turn, and no files."""
    clips = [
        Clip(f"{speaker}-{number}", speaker, _one_hot(number % len(labels), len(labels)), None, None, "memory")
        for speaker, count in clips_of.items()
        for number in range(count)
    ]
    return Corpus("made", "classification", labels, tuple(clips))


def _one_hot(number: int, count: int) -> tuple[float, ...]:
    return tuple(float(other == number) for other in range(count))
