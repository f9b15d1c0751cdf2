"""Damaged files that training reads: feature caches, corpora by manifest, folders of the released code."""

import shutil
from pathlib import Path

import numpy as np

from tests.features.made_features import CLIPS, content, expected, identity
from tests.fuzz.mutations import Seed
from tests.fuzz.target import Check, Target
from tests.fuzz.training_seeds import cache_seeds, corpus_seeds, released_seeds
from tests.released.released_folder import import_folder
from tests.runtime.made_media import pcm16, tone, write_wav
from vavl.corpora import open_corpus
from vavl.features import FeatureCache


def _cache(folder: Path) -> Check:
    place = folder / "cache"
    whole = expected(CLIPS)

    def check(seed: Seed, damaged: bytes) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for file in cache_seeds():
            (place / file.kind).write_bytes(damaged if file.kind == seed.kind else file.content)
        with FeatureCache(place) as cache:
            got = content(cache)
            finite = all(
                np.isfinite(rows).all()
                for clip in cache
                for window in cache.windows(clip)
                for rows in (window.audio, window.visual)
                if rows is not None
            )
        assert finite, "NaN or infinity among the features"
        assert seed.kind in ("cache.json", "clips.jsonl") or got == whole, "other features than were written"
        with FeatureCache(place, identity(), writable=True) as cache:
            assert content(cache) == got, "opening for writing changes what is there"

    return check


def _corpus(folder: Path) -> Check:
    write_wav(folder / "a.wav", pcm16(tone(0.05)))

    def check(seed: Seed, damaged: bytes) -> None:
        for file in reversed(corpus_seeds()):  # so that the first manifest is the one that features go with
            (folder / file.kind).write_bytes(file.content)
        (folder / seed.kind).write_bytes(damaged)
        corpus = open_corpus("manifest", folder, skip_bad=True)
        assert corpus.clips and all(np.isfinite(clip.target).all() for clip in corpus.clips)

    return check


def _released(folder: Path) -> Check:
    def check(seed: Seed, damaged: bytes) -> None:
        for file in released_seeds():
            (folder / file.kind).write_bytes(damaged if file.kind == seed.kind else file.content)
        model = import_folder(folder, "classification").model
        assert all(bool(value.isfinite().all()) for value in model.state_dict().values()), "weights that are not finite"

    return check


CACHE = Target("cache", "feature cache", 4_000, cache_seeds, _cache)
CORPUS = Target("corpus", "corpus: manifest and features", 3_000, corpus_seeds, _corpus)
RELEASED = Target("released", "checkpoint of the released code", 2_000, released_seeds, _released)
