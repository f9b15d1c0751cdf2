"""A tiny corpus of feature files under a manifest, in which the class is plain to hear and to see."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vavl.config import WaveformNormalization
from vavl.corpora import open_corpus
from vavl.features import CacheIdentity, ClipFeatures, FeatureCache, WindowFeatures
from vavl.features.extract import fingerprint

SPEAKERS = ("ann", "ben", "cam", "dan", "eve", "fay")
LABELS = ("calm", "tense")
CLIPS = 24
HEADER = "id,speaker,audio,visual,label"
SPLITS = ("train", "train", "train", "train", "development", "test")  # of the speakers in turn
DEFAULT = {"audio": 28, "visual": 275}  # `vavl-train features` fills a cache of these widths
SMALL = {"audio": 12, "visual": 10}


def write_corpus(folder: Path, dims: Mapping[str, int] = SMALL, *, partitions: int = 0) -> Path:
    """Write six speakers with two clips of each class: one paired, one heard or seen only.

    Args:
        folder: Gets ``manifest.csv`` and one ``.npy`` a clip and modality.
        dims: Width of the features by modality.
        partitions: How many the corpus ships.

    Returns:
        The manifest: a comment, the header, and from line 3 on the clips.
    """
    folder.mkdir(parents=True)
    manifest = folder / "manifest.csv"
    header = ",".join((HEADER, *(f"split:{number}" for number in range(1, partitions + 1))))
    manifest.write_text("\n".join(("# name: made", header, *_rows(folder, dims, partitions))) + "\n", "utf-8")
    return manifest


def _rows(folder: Path, dims: Mapping[str, int], partitions: int) -> Iterator[str]:
    random = np.random.default_rng(0)
    for number, speaker in enumerate(SPEAKERS):
        splits = [SPLITS[(number + shift) % len(SPLITS)] for shift in range(partitions)]
        for label, sign in zip(LABELS, (-1.0, 1.0), strict=True):
            for take, modalities in enumerate((("audio", "visual"), ("audio",) if number % 2 else ("visual",))):
                clip = f"{speaker}-{label}-{take}"
                cells = {"audio": "", "visual": ""}
                for modality in modalities:
                    cells[modality] = f"{clip}-{modality}.npy"
                    np.save(folder / cells[modality], _features(random, dims[modality], sign))
                yield ",".join((clip, speaker, *cells.values(), label, *splits))


def _features(random: np.random.Generator, width: int, sign: float) -> NDArray[np.float32]:
    features = random.standard_normal((int(random.integers(6, 12)), width)).astype(np.float32)
    features[:, : width // 2] += sign
    return features


def fill_cache(folder: Path, manifest: Path, *, without: tuple[str, ...] = (), audio_encoder: str = "prosody") -> Path:
    """Fill a feature cache with the files of a made corpus, as ``vavl-train features`` would.

    Args:
        folder: The cache.
        manifest: The corpus, with `SMALL` features.
        without: Clips to leave out, as if they had been unreadable.
        audio_encoder: Reference of the encoder that is said to have made the audio features.

    Returns:
        The folder.
    """
    identity = CacheIdentity(
        dims=dict(SMALL),
        encoders={"audio": "a" * 64, "visual": "b" * 64},
        recipe={"waveform_normalization": WaveformNormalization().model_dump()},
        references={"audio": audio_encoder, "visual": "light"},
    )
    with FeatureCache(folder, identity, writable=True) as cache:
        for clip in open_corpus("manifest", manifest).clips:
            if clip.id not in without:
                audio, visual = (None if path is None else np.load(path) for path in (clip.audio, clip.visual))
                cache.add(clip.id, fingerprint(clip), ClipFeatures((WindowFeatures(audio, visual, 1.0, 1.0),)))
    return folder
