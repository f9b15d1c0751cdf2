"""A tiny corpus of feature files under a manifest, in which the class is plain to hear and to see."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SPEAKERS = ("ann", "ben", "cam", "dan", "eve", "fay")
LABELS = ("calm", "tense")
AUDIO_DIM, VISUAL_DIM = 284, 275  # of the light encoders: `vavl-train features` fills a cache of their widths
HEADER = "id,speaker,audio,visual,label"


def write_corpus(folder: Path, *, tokens: int = 6) -> Path:
    """Write six speakers with two clips of each class: one paired, one heard or seen only.

    Args:
        folder: Gets ``manifest.csv`` and one ``.npy`` a clip and modality.
        tokens: Shortest clip.

    Returns:
        The manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.csv").write_text("\n".join(("# name: made", HEADER, *_rows(folder, tokens))) + "\n", "utf-8")
    return folder / "manifest.csv"


def _rows(folder: Path, tokens: int) -> Iterator[str]:
    random = np.random.default_rng(0)
    for at, speaker in enumerate(SPEAKERS):
        for label, sign in zip(LABELS, (-1.0, 1.0), strict=True):
            for take, modalities in enumerate((("audio", "visual"), ("audio",) if at % 2 else ("visual",))):
                clip = f"{speaker}-{label}-{take}"
                cells = {"audio": "", "visual": ""}
                for modality in modalities:
                    cells[modality] = f"{clip}-{modality}.npy"
                    length = tokens + int(random.integers(tokens))
                    np.save(folder / cells[modality], _features(random, modality, length, sign))
                yield f"{clip},{speaker},{cells['audio']},{cells['visual']},{label}"


def _features(random: np.random.Generator, modality: str, length: int, sign: float) -> NDArray[np.float32]:
    width = AUDIO_DIM if modality == "audio" else VISUAL_DIM
    features = random.standard_normal((length, width)).astype(np.float32)
    features[:, :8] += 2.0 * sign
    return features
