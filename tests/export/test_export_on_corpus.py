"""``vavl-export onnx --corpus``: what variants cost on labelled clips stands in the bundle, and may fail the export."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.export.made_bundles import without_variants
from tests.export.made_clips import write_corpus
from vavl.corpora import open_corpus
from vavl.errors import ConfigError
from vavl_export import golden
from vavl_export.cli import app
from vavl_export.errors import ParityError
from vavl_export.precision import corpus as module
from vavl_export.precision.report import read_report
from vavl_export.precision.sessions import CheckedGraph
from vavl_export.precision.variants import VariantRequest, add_variants
from vavl_runtime import open_bundle
from vavl_runtime.bundle.golden import Arrays

PATHS = ("audio", "visual", "audio_visual")


class _Flipping(CheckedGraph):
    """Gives another answer by the picture in fp16, on the corpus alone: golden inputs see nothing of it."""

    def run(self, inputs: Arrays) -> Arrays:
        outputs = super().run(inputs)
        if (self.name, self.precision) == ("visual", "fp16"):
            outputs["prediction"] = np.eye(outputs["prediction"].shape[-1])[outputs["prediction"].argmax(-1) - 2]
        return outputs


@pytest.fixture(scope="module")
def corpus(example_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), example_clip)


@pytest.fixture
def bundle(light_bundle: Path, tmp_path: Path) -> Path:
    return without_variants(light_bundle, tmp_path / "light")


def _request(corpus: Path, *, allow_drift: bool = False) -> VariantRequest:
    return VariantRequest(("fp16",), allow_drift=allow_drift, corpus=open_corpus("manifest", corpus))


def _quietly(line: str) -> None:
    pass


def _export(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["onnx", "--preset", "light", *map(str, arguments)])


def test_the_cost_on_the_corpus_stands_in_the_bundle(bundle: Path, corpus: Path) -> None:
    made = add_variants(bundle, _request(corpus), _quietly)
    with open_bundle(bundle) as opened:
        assert read_report(opened) == made
    overall = [drift for drift in made.corpus if drift.overall]
    assert {(drift.path, drift.how) for drift in overall} == {
        (path, how) for path in PATHS for how in ("run", "emulated")
    }
    assert all((drift.corpus, drift.clips, drift.flips, drift.passed) == ("tiny", 2, 0, True) for drift in overall)
    assert len(made.corpus) == 2 * len(overall)  # and in the one bin of length that the clips are in
    written = json.loads((bundle / "parity.json").read_text())
    assert (written["flips"], written["loss"]) == (golden.FLIPS, golden.METRIC_LOSS)


@pytest.mark.slow
def test_labels_that_flip_fail_the_export_unless_it_is_allowed(
    bundle: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CheckedGraph", _Flipping)
    with pytest.raises(
        ParityError, match=r"^tiny visual fp16 \(run\): 2 of 2 labels flip .*allow_drift=True"
    ) as caught:
        add_variants(bundle, _request(corpus), _quietly)
    assert "audio" not in str(caught.value) and " s)" not in str(caught.value)
    said: list[str] = []
    report = add_variants(bundle, _request(corpus, allow_drift=True), said.append)
    assert sum(line.startswith("drifts too far: tiny visual fp16 (") for line in said) == 2  # as it is, and emulated
    assert [drift.passed for drift in report.corpus if drift.overall].count(False) == 2


@pytest.mark.slow
def test_a_metric_that_falls_fails_the_export(bundle: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CheckedGraph", _Flipping)
    monkeypatch.setitem(golden.FLIPS, "fp16", 1.0)  # flips are fine, so F1 alone decides
    with pytest.raises(ParityError, match=r"^tiny visual fp16 \(run\).* macro_f1 0\.1111 -> 0\.0000"):
        add_variants(bundle, _request(corpus), _quietly)
    monkeypatch.setitem(golden.METRIC_LOSS, "fp16", 0.12)
    add_variants(bundle, _request(corpus), _quietly)


def test_a_corpus_that_does_not_fit_is_refused_before_variants_are_made(bundle: Path, corpus: Path) -> None:
    manifest = (corpus / "manifest.csv").read_text().replace("happy", "hungry")
    other = bundle.parent / "other"
    shutil.copytree(corpus, other)
    (other / "manifest.csv").write_text(manifest)
    said: list[str] = []
    with pytest.raises(ConfigError, match="corpus tiny: classification of hungry, sad; the bundle does"):
        add_variants(bundle, _request(other), said.append)
    assert said == []


def test_bad_command_lines(corpus: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (["--corpus", "manifest", corpus], "--corpus: it tests lower precisions only"),
        (["--precision", "fp16", "--corpus", "tv", corpus], "corpus 'tv': expected one of"),
        (["--precision", "fp16", "--corpus", "manifest", tmp_path / "nowhere"], "no such folder"),
    ):
        result = _export("-o", tmp_path / "light", *arguments)
        assert result.exit_code == 3
        assert message in " ".join(result.stderr.split())
        assert not (tmp_path / "light").exists()


@pytest.mark.slow
def test_nothing_half_written_is_left(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CheckedGraph", _Flipping)
    place = tmp_path / "out" / "light"
    place.parent.mkdir()
    result = _export("-o", place, "--precision", "fp16", "--corpus", "manifest", corpus)
    assert result.exit_code == 1, result.output
    assert "tiny visual fp16 (run): 2 of 2 labels flip" in " ".join(result.stderr.split())
    assert list(place.parent.iterdir()) == []
