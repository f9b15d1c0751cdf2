"""Drift through the backend that a device and an engine stand for: measured, named, skipped by name, failed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.export.made_clips import write_corpus
from vavl.corpora import Clip, Corpus
from vavl_export.checks import corpus_checks, target_checks
from vavl_export.cli import app
from vavl_export.precision import target_device as module
from vavl_export.precision.corpus import corpus_drift
from vavl_export.precision.target_device import TargetDevice
from vavl_runtime import open_bundle
from vavl_runtime.backends import choice
from vavl_runtime.backends.base import Arrays, BackendInfo
from vavl_runtime.backends.choice import Chosen
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle.manifest import GraphRecord, Precision
from vavl_runtime.bundle.precision import VARIANT_GRAPHS
from vavl_runtime.devices.gpu import Driver
from vavl_runtime.errors import BackendUnavailableError

DETECTOR = ("pnet", "rnet", "onet")


class Gpu(OnnxRuntimeBackend):
    """Computes right, but for one graph in one precision; says that it is a GPU."""

    def __init__(
        self, wrong: tuple[str, Precision] | None = None, refused: Precision | None = None, gpu: bool = True
    ) -> None:
        super().__init__(1)
        self._device = "cuda:0 (Made-up GPU)" if gpu else "cpu"
        self.wrong, self.refused = wrong, refused
        self.precisions: dict[str, Precision] = {}

    def load(self, name: str, file: Path, record: GraphRecord) -> None:
        if record.precision == self.refused:
            raise BackendUnavailableError(f"graph {name}: refused")
        self.precisions[name] = record.precision
        super().load(name, file, record)

    def run(self, name: str, inputs: Arrays) -> dict[str, Any]:
        outputs = super().run(name, inputs)
        if (name, self.precisions[name]) == self.wrong:
            # The most probable class becomes the least probable one.
            return {key: -value if value.dtype == np.float32 else value for key, value in outputs.items()}
        return outputs

    @property
    def info(self) -> BackendInfo:
        return BackendInfo("made-up", device=self._device)


@pytest.fixture
def bundle(half_bundle: Path) -> Path:
    """The packaged bundle with fp16 and bf16."""
    return half_bundle


def _take(monkeypatch: pytest.MonkeyPatch, **planted: Any) -> list[Precision]:
    """Every device is a made-up GPU, without kernels for bf16 as ONNX Runtime's CPU; gives the precisions asked for."""
    asked: list[Precision] = []

    def choose(device: str, backend: str, *, bundle: object, precision: Precision) -> Chosen:
        asked.append(precision)
        return Chosen(Gpu(**planted), ("tensorrt: no engines",))

    monkeypatch.setattr(module, "choose_backend", choose)
    return asked


def _verify(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


def test_the_processor_is_measured_through_the_runtimes_own_backend(bundle: Path, tmp_path: Path) -> None:
    report = tmp_path / "drift.json"
    result = _verify(bundle, "--device", "cpu", "--report", report)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if " on cpu: " in line]
    measured = [line for line in lines if line.startswith("ok      drift ")]
    # fp32 of everything, fp16 of what has it; bf16 is not run by any processor, and named.
    assert len(measured) == len(VARIANT_GRAPHS) * 2 + len(DETECTOR)
    assert all("CPUExecutionProvider" in line and "relative L2" in line for line in measured)
    skipped = [line for line in lines if line.startswith("skipped drift ")]
    assert len(skipped) == len(VARIANT_GRAPHS)
    assert all("bf16" in line and "no kernels for bf16" in line for line in skipped)
    assert result.stdout.endswith(f"all checks passed, {len(skipped)} skipped\n")
    written = json.loads(report.read_text())
    assert written["corpus"] == []
    assert len(written["graphs"]) == len(measured)
    audio = next(found for found in written["graphs"] if (found["graph"], found["precision"]) == ("audio", "fp16"))
    assert audio["outputs"].keys() == {"prediction", "embedding"}
    assert [part["sizes"] for part in audio["lengths"]] == [
        {"audio_tokens": 16, "batch": 2},
        {"audio_tokens": 32, "batch": 1},
    ]
    assert audio["answers"] == 3 and "CPUExecutionProvider" in audio["how"]


def test_without_the_options_nothing_else_is_run(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _take(monkeypatch)
    result = _verify(bundle)
    assert (result.exit_code, asked) == (0, []), result.output
    assert " on " not in "".join(line.split(":")[0] for line in result.stdout.splitlines())


@pytest.mark.parametrize("wrong", [("audio_visual", "fp32"), ("visual", "fp16"), ("face_encoder", "fp32")])
def test_a_backend_that_computes_something_else_fails_the_graph(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, Precision]
) -> None:
    _take(monkeypatch, wrong=wrong, gpu=False)
    result = _verify(bundle, "--device", "cpu")
    assert result.exit_code == 1
    (failed,) = [line for line in result.stdout.splitlines() if line.startswith("FAILED")]
    assert failed.startswith(f"FAILED  drift {wrong[0]} {wrong[1]} on cpu: {wrong[0]} {wrong[1]} (made-up, golden")
    assert "relative L2 2.0e+00" in failed
    if wrong[0] != "face_encoder":
        assert "3 of 3 labels flip" in failed


def test_a_backend_that_computes_nothing_fails_every_graph(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "choose_backend", lambda device, backend, bundle, precision: Chosen(FakeBackend(device="cuda:0"), ())
    )
    with open_bundle(bundle) as opened, TargetDevice(opened, "cuda:0", "auto", print) as graphs:
        checks = list(target_checks(opened, graphs, lambda drift: None))
    assert len(checks) == 3 * len(VARIANT_GRAPHS) + len(DETECTOR)
    assert not any(check.passed for check in checks)


def test_a_graph_that_the_backend_refuses_fails_by_name(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _take(monkeypatch, refused="bf16")
    result = _verify(bundle, "--device", "cuda:0", "--backend", "onnxruntime")
    assert result.exit_code == 1
    failed = [line for line in result.stdout.splitlines() if line.startswith("FAILED")]
    assert failed == [
        f"FAILED  drift {name} bf16 on cuda:0 onnxruntime: graph {name}: refused"
        for name in json.loads((bundle / "manifest.json").read_text())["graphs"]
        if name in VARIANT_GRAPHS
    ]


def test_every_precision_has_the_backend_that_the_runtime_takes_for_it(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _take(monkeypatch, refused="bf16")
    result = _verify(bundle, "--device", "auto")
    assert asked == ["fp32", "fp16", "bf16"]
    for precision in asked:
        assert f"auto, {precision}: made-up cuda:0 (Made-up GPU) (tensorrt: no engines)" in result.stderr


def test_a_missing_device_ends_with_code_4_before_anything_is_checked(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "probe_driver", lambda load: Driver(None, (), "no NVIDIA driver"))
    for arguments in (["--device", "cuda:0"], ["--backend", "tensorrt"], ["--device", "cpu", "--backend", "tensorrt"]):
        result = _verify(bundle, *arguments)
        assert (result.exit_code, result.stdout) == (4, ""), result.output
        assert "device" in result.stderr and "Traceback" not in result.output


def test_a_report_of_nothing_is_refused(bundle: Path, tmp_path: Path) -> None:
    result = _verify(bundle, "--report", tmp_path / "drift.json")
    assert result.exit_code == 2
    assert "there is nothing to report" in result.output
    assert _verify(bundle, "--device", "tpu").exit_code == 2


@pytest.fixture
def corpus(bundle: Path, example_clip: Path) -> Corpus:
    with open_bundle(bundle) as opened:
        labels = opened.manifest.labels
    clip = Clip("one", "her", tuple(float(not index) for index in range(len(labels))), example_clip, example_clip, "a")
    return Corpus("tiny", "classification", labels, (clip,))


@pytest.mark.parametrize("wrong", [None, ("audio", "fp32"), ("visual", "fp16")])
def test_a_corpus_is_answered_by_the_target(
    bundle: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, Precision] | None
) -> None:
    _take(monkeypatch, wrong=wrong, refused="bf16")
    said: list[str] = []
    with open_bundle(bundle) as opened, TargetDevice(opened, "cuda:0", "auto", said.append) as graphs:
        found = [drift for drift in corpus_drift(opened, corpus, said.append, graphs) if drift.overall]
    assert {(drift.path, drift.precision) for drift in found} == {
        (path, precision) for path in ("audio", "visual", "audio_visual") for precision in ("fp32", "fp16")
    }
    assert {drift.how for drift in found} == {"made-up cuda:0 (Made-up GPU)"}
    flipped = [(drift.path, drift.precision) for drift in found if drift.flips]
    assert flipped == ([] if wrong is None else [wrong])
    assert [check.passed for check in corpus_checks(found)].count(False) == len(flipped)
    assert "skipping a precision on cuda:0: bf16: graph audio_encoder: refused" in said


@pytest.mark.slow
def test_a_corpus_is_answered_by_the_target_through_the_command_line(
    bundle: Path, example_clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A wrong backend is found by the corpus too, and the report holds both."""
    _take(monkeypatch, wrong=("visual", "fp16"), refused="bf16")
    corpus, report = write_corpus(tmp_path / "corpus", example_clip), tmp_path / "drift.json"
    result = _verify(bundle, "--device", "cuda:0", "--corpus", "manifest", corpus, "--report", report)
    assert result.exit_code == 1, result.output
    assert "FAILED  tiny visual fp16 (made-up cuda:0 (Made-up GPU)): 2 of 2 labels flip" in result.stdout
    written = json.loads(report.read_text())
    assert {found["how"] for found in [*written["graphs"], *written["corpus"]]} == {"made-up cuda:0 (Made-up GPU)"}
