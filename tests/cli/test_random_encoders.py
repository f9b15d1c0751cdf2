"""Encoders with random weights are told at every step; without a choice, both encoders come trained."""

from pathlib import Path

import pytest

from tests.cli.commands import TINY, succeed
from tests.cli.made_corpus import fill_cache, write_corpus
from vavl.cli.features import FeatureOptions
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.encoders.reference import is_random

WARNING = "warning: the audio encoder 'light' has random weights"


@pytest.mark.parametrize("reference", ["prosody", "light", "random:light@3"])
def test_an_audio_encoder_is_random_or_trained(reference: str) -> None:
    assert load_audio_encoder(reference).trained is not is_random(reference, "audio")


@pytest.mark.parametrize("reference", ["light", "landmarks", "random:light@3"])
def test_a_face_encoder_is_random_or_trained(reference: str) -> None:
    assert load_face_encoder(reference).trained is not is_random(reference, "visual")


def test_the_encoders_of_features_come_trained() -> None:
    defaults = FeatureOptions.model_fields
    assert load_audio_encoder(defaults["audio_encoder"].default).trained
    assert load_face_encoder(defaults["face_encoder"].default).trained


def test_fit_warns(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus", partitions=1)
    cache = fill_cache(tmp_path / "features", manifest, audio_encoder="light")
    fit = ("fit", "manifest", manifest, "--features", cache, "--partition", 1, *TINY)
    assert WARNING in succeed(*fit, "-o", tmp_path / "run").stderr


@pytest.mark.slow
def test_features_fit_and_evaluate_warn(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus", {"audio": 284, "visual": 275}, partitions=1)
    features = ("features", "manifest", manifest, "--workers", 1, "--audio-encoder", "light")
    assert WARNING in succeed(*features, "-o", tmp_path / "features").stderr
    fit = ("fit", "manifest", manifest, "--features", tmp_path / "features", "--partition", 1, *TINY)
    assert WARNING in succeed(*fit, "-o", tmp_path / "run").stderr
    assert WARNING in succeed("evaluate", tmp_path / "run", "-o", tmp_path / "report").stderr


def test_trained_encoders_need_no_warning(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus", partitions=1)
    cache = fill_cache(tmp_path / "features", manifest)
    fit = ("fit", "manifest", manifest, "--features", cache, "--partition", 1, *TINY)
    stderr = succeed(*fit, "-o", tmp_path / "run").stderr
    assert "random" not in stderr
