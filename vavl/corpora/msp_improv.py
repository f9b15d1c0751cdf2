"""Reads MSP-IMPROV from the label files released with VAVL: arousal, dominance and valence from 1 to 5."""

from pathlib import Path

from vavl.corpora.checks import Problem
from vavl.corpora.corpus import Corpus
from vavl.corpora.crema_d import Columns, read_released
from vavl.corpora.manifest import Row

# The released order of attributes (D18), independent of the order of the columns. Arousal is read as annotated; the
# released code inverts it in every other epoch (D3).
ATTRIBUTES = {
    "arousal": ("emoact", "arousal", "activation"),
    "dominance": ("emodom", "dominance"),
    "valence": ("emoval", "valence"),
}


def read_msp_improv(folder: Path) -> tuple[Corpus, list[Problem]]:
    """Read MSP-IMPROV.

    Args:
        folder: Holds label files and media, see ``docs/corpora.md``.

    Returns:
        The corpus of all labelled clips, with or without media, and the problems of the label files.
    """
    return read_released(folder, "msp-improv", "regression", ATTRIBUTES, _speaker)


def _speaker(row: Row, columns: Columns) -> str:
    """Name a speaker, such as ``F2``: the released ``SpkrID`` is the number of a session with a woman and a man."""
    speaker = row.text(columns["speaker"])
    return row.text(columns["gender"])[:1].upper() + speaker if "gender" in columns else speaker
