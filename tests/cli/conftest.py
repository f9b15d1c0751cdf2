"""Fixtures of the command-line tests: a made corpus, its features and a finished run."""

from pathlib import Path

import pytest

from tests.cli.commands import TINY, succeed
from tests.cli.made_corpus import fill_cache, write_corpus


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made corpus."""
    return write_corpus(tmp_path_factory.mktemp("made") / "corpus")


@pytest.fixture(scope="session")
def cache(manifest: Path) -> Path:
    """Its features."""
    return fill_cache(manifest.parent.parent / "cache", manifest)


@pytest.fixture(scope="session")
def run(manifest: Path, cache: Path) -> Path:
    """A finished run of one epoch on partition 1; do not write to it."""
    place = manifest.parent.parent / "run"
    succeed("fit", "manifest", manifest, "--features", cache, *TINY, "-o", place)
    return place
