"""Small files that training reads: a feature cache, a corpus with a manifest, a folder of the released code."""

import io
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from tests.features.made_features import CLIPS, fill
from tests.fuzz.checksums import mend_zip
from tests.fuzz.mutations import Seed
from tests.released.released_folder import FILES, STATISTICS, released_values, write_folder
from tests.vavl.tiny_released import tiny_config

MANIFEST, FEATURES = "manifest.csv", "features.npy"
_CORPUS = (
    "# name: made\n# labels: calm, tense\nid,speaker,audio,visual,label,split,split:other\n"
    "a,ann,a.wav,,calm,train,test\nb,ben,,features.npy,tense,dev,train\nc,cam,a.wav,features.npy,calm,test,\n"
    'd,"dee, d",a.wav,,tense,train,validation\ne,eva,a.wav,features.npy,tense,train,train\n'
)
_SCORES = (
    "# scale: -1, 1\nid,speaker,audio,visual,target:valence,target:arousal\n"
    "a,ann,a.wav,,-0.5,1\nb,ben,,features.npy,1e-3,0\n"
)
_NUMPY_WORDS = (
    b"'descr'",
    b"'<f4'",
    b"'|O'",
    b"'<U9'",
    b"'<c8'",
    b"'>f8'",
    b"(99",
    b"(-1,",
    b"()",
    b"True",
    b"\x93NUMPY",
)


@cache
def cache_seeds() -> tuple[Seed, ...]:
    """The files of a cache of six clips."""
    words = {
        "cache.json": (
            b'"dims"',
            b'"dtypes"',
            b'"float32"',
            b'"object"',
            b'"audio"',
            b"null",
            b"-1",
            b"0",
            b"1e999",
            b"{}",
        ),
        "clips.jsonl": (
            b'"windows"',
            b'"seconds"',
            b'"audio"',
            b"null",
            b"[0,1]",
            b"[9,99]",
            b"-1",
            b"1e999",
            b"\n",
            b"{}",
        ),
    }
    bad_numbers = (b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"\xff\xff\x7f\x7f")  # NaN, infinity, the largest
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(path for path in fill(Path(folder, "cache"), CLIPS).iterdir() if path.name != ".lock")
        return tuple(
            Seed(path.name, path.read_bytes(), _lines(path.read_bytes()), words.get(path.name, bad_numbers))
            for path in files
        )


@cache
def corpus_seeds() -> tuple[Seed, ...]:
    """Two manifests and the feature file that they name."""
    words = (
        b"label",
        b"target:x",
        b"split",
        b"# scale: ",
        b"# labels: ",
        b"nan",
        b"inf",
        b"1e999",
        b'"',
        b"\x00",
        b"\r",
    )
    features = io.BytesIO()
    np.save(features, np.linspace(0, 1, 24, dtype=np.float32).reshape(3, 8))
    texts = (text.encode() for text in (_CORPUS, _SCORES))
    return (
        *(Seed(MANIFEST, text, _lines(text), words) for text in texts),
        Seed(FEATURES, features.getvalue(), words=_NUMPY_WORDS),
    )


@cache
def released_seeds() -> tuple[Seed, ...]:
    """The ten files of a tiny classifier; those of PyTorch are zip archives with a pickle inside."""
    words = (
        b"ctorch\n",
        b"_rebuild_tensor_v2",
        b"cos\nsystem\n",
        b"FloatStorage",
        b"LongStorage",
        b"cpu",
        b"cuda",
        b"\x80\x02",
    )
    with tempfile.TemporaryDirectory() as folder:
        place = write_folder(Path(folder), released_values(tiny_config("classification")))
        torch.set_num_threads(1)
        return tuple(
            Seed(file, (place / file).read_bytes(), words=words, mend=None if file == STATISTICS else mend_zip)
            for file in (*FILES, STATISTICS, STATISTICS, STATISTICS)  # the small one that is no archive more often
        )


def _lines(text: bytes) -> tuple[tuple[int, int], ...]:
    starts = [0, *(at + 1 for at, byte in enumerate(text) if byte == 10)]
    return tuple((start, end - start) for start, end in pairwise(starts))
