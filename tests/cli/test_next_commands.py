"""``fit`` names the commands that go on with its run, and only those that can."""

from pathlib import Path

from tests.cli.commands import TINY, succeed
from tests.cli.made_corpus import fill_cache, write_corpus


def test_a_run_is_evaluated_and_exported(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus", partitions=1)
    cache = fill_cache(tmp_path / "features", manifest)
    fit = ("fit", "manifest", manifest, "--features", cache, "--partition", 1, *TINY)
    stderr = succeed(*fit, "-o", tmp_path / "run").stderr
    assert f"next: vavl-train evaluate {tmp_path / 'run'} -o report" in stderr
    assert f"next: vavl-export onnx {tmp_path / 'run'} -o my-bundle" in stderr


def test_what_cannot_be_done_next_is_not_named(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus")
    cache = fill_cache(tmp_path / "features", manifest)
    fit = ("fit", "manifest", manifest, "--features", cache, "--partition", "all", *TINY)
    stderr = succeed(*fit, "--uavm-width", 64, "--system", "uavm", "-o", tmp_path / "run").stderr
    assert "next:" not in stderr
