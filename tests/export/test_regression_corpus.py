"""Attributes on a labelled corpus: CCC beside fp32, and a change of it that fails."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.export.made_bundles import manifest, write_manifest
from tests.runtime.made_media import pcm16, write_wav
from vavl.corpora import Clip, Corpus
from vavl.errors import ConfigError
from vavl_export import golden
from vavl_export.checks import corpus_checks
from vavl_export.errors import ParityError
from vavl_export.precision.corpus import CorpusDrift, corpus_drift
from vavl_export.precision.variants import VariantRequest, add_variants
from vavl_runtime import Recognizer, open_bundle

CLIPS = 6

pytestmark = pytest.mark.slow  # exporting the tiny regression bundle takes a minute


def _quietly(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny regression bundle with fp16."""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("lowered") / "attributes"))
    add_variants(folder, VariantRequest(("fp16",)), _quietly)
    return folder


@pytest.fixture(scope="module")
def corpus(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Sounds that are labelled with what fp32 says of them, so that its CCC is 1; attributes in another order."""
    folder = tmp_path_factory.mktemp("sounds")
    clips = []
    with Recognizer(bundle, device="cpu", threads=1) as recognizer:
        labels, scale = recognizer.manifest.labels[::-1], recognizer.manifest.scale
        assert scale is not None
        for number in range(CLIPS):
            time = np.arange(8000 + 2000 * number) / 16_000
            sound = 0.5 * np.sin(2 * np.pi * (300 + 60 * number) * time + 5 * np.sin(2 * np.pi * 3 * time))
            file = write_wav(folder / f"{number}.wav", pcm16(sound.astype(np.float32)))
            scores = recognizer.predict(file).scores
            target = tuple(scores[label] for label in labels)
            clips.append(Clip(str(number), "her", target, file, None, "a test"))
    return Corpus("sounds", "regression", labels, tuple(clips), scale=scale)


def _overall(folder: Path, corpus: Corpus) -> dict[str, CorpusDrift]:
    with open_bundle(folder) as bundle:
        found = corpus_drift(bundle, corpus, _quietly)
    assert {(drift.path, drift.precision) for drift in found} == {("audio", "fp16")}
    return {drift.how: drift for drift in found if drift.overall}


def test_ccc_beside_fp32(bundle: Path, corpus: Corpus) -> None:
    found = _overall(bundle, corpus)
    assert found.keys() == {"run", "emulated"}
    for drift in found.values():
        assert list(drift.fp32) == ["ccc_arousal", "ccc_dominance", "ccc_valence"]
        assert drift.fp32 == pytest.approx(dict.fromkeys(drift.fp32, 1.0), abs=1e-6)
        assert (drift.clips, drift.flips, drift.passed) == (CLIPS, 0, True)
        assert 0 < drift.distance < 0.01
        assert drift.describe().startswith(f"{CLIPS} clips, ccc_arousal 1.0000 -> ")


@pytest.fixture
def planted(bundle: Path, tmp_path: Path) -> Path:
    """The bundle, whose fp16 answers to sound have lost half a point of valence's scale."""
    folder = Path(shutil.copytree(bundle, tmp_path / "planted"))
    content = manifest(folder)
    file = folder / content["graphs"]["audio"]["variants"]["fp16"]["file"]
    model = onnx.load(file, load_external_data=False)
    node = next(node for node in model.graph.node if "prediction" in node.output)
    where = list(model.graph.node).index(node)
    node.output[list(node.output).index("prediction")] = "right"
    shift = np.array([0.5 * (label == "valence") for label in content["labels"]], np.float32)
    model.graph.initializer.append(numpy_helper.from_array(shift, "shift"))
    model.graph.node.insert(where + 1, helper.make_node("Add", ["right", "shift"], ["prediction"]))
    file.write_bytes(model.SerializeToString())
    write_manifest(folder, content)
    return folder


def test_a_planted_change_of_one_attribute_fails(planted: Path, corpus: Corpus) -> None:
    found = _overall(planted, corpus)
    for drift in found.values():
        assert drift.variant["ccc_arousal"] > 0.999 and drift.variant["ccc_dominance"] > 0.999
        assert drift.variant["ccc_valence"] < 0.99
        assert drift.loss == pytest.approx(1 - drift.variant["ccc_valence"], abs=1e-6)
        assert drift.flips == 0 and not drift.passed
    assert [check.passed for check in corpus_checks(list(found.values()))] == [False, False]


def test_another_scale_is_refused(bundle: Path, corpus: Corpus) -> None:
    with (
        open_bundle(bundle) as opened,
        pytest.raises(ConfigError, match="from 0 to 1, those of the bundle from 1 to 5"),
    ):
        corpus_drift(opened, replace(corpus, scale=(0.0, 1.0)), _quietly)
    fewer = replace(corpus, labels=corpus.labels[:2])
    with (
        open_bundle(bundle) as opened,
        pytest.raises(ConfigError, match="regression of valence, dominance; the bundle"),
    ):
        corpus_drift(opened, fewer, _quietly)


def test_a_loss_of_ccc_fails_the_export(
    tiny_bundle: Path, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels that fp32 hits exactly leave nothing to gain: a bound just below 0 is overstepped."""
    folder = shutil.copytree(tiny_bundle, tmp_path / "attributes")
    monkeypatch.setitem(golden.METRIC_LOSS, "fp16", -1e-9)
    with pytest.raises(ParityError, match=r"sounds audio fp16 \(run\): 6 clips, ccc_arousal 1\.0000"):
        add_variants(folder, VariantRequest(("fp16",), corpus=corpus), _quietly)
