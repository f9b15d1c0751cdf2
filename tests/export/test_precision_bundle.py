"""Variants in a bundle: made, listed, shared, judged, verified, run."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner, Result

from vavl.corpora import Clip, Corpus
from vavl.errors import ConfigError
from vavl_export.checks import bundle_checks, corpus_checks, weight_bytes
from vavl_export.cli import app
from vavl_export.errors import ParityError
from vavl_export.precision.calibration import calibration_inputs
from vavl_export.precision.corpus import CorpusDrift, corpus_drift
from vavl_export.precision.drift import GPU_EMULATED
from vavl_export.precision.report import read_report
from vavl_export.precision.variants import VariantRequest, add_variants
from vavl_runtime import Recognizer, open_bundle
from vavl_runtime.bundle.golden import TOLERANCE
from vavl_runtime.bundle.precision import VARIANT_GRAPHS
from vavl_runtime.devices.cpu import int8_instructions

PRECISIONS = ("fp16", "bf16", "int8")
PATHS = ("audio", "visual", "audio_visual")


def _cli(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _quietly(line: str) -> None:
    pass


def _failed_with(model: onnx.ModelProto, folder: Path, name: str) -> dict[str, str]:
    """Put another graph into a bundle, and return the checks that fail then, with their details."""
    file = folder / name
    file.write_bytes(model.SerializeToString())
    content = json.loads((folder / "manifest.json").read_text())
    content["files"][name]["bytes"] = file.stat().st_size
    (folder / "manifest.json").write_text(json.dumps(content))
    with open_bundle(folder) as bundle:
        bundle._verified.add(name)  # the hash would object first
        return {check.name: check.detail for check in bundle_checks(bundle) if not check.passed}


def test_every_graph_has_every_variant_with_the_signature_of_fp32(lowered_bundle: Path) -> None:
    with open_bundle(lowered_bundle) as bundle:
        bundle.verify_all()
        for name in VARIANT_GRAPHS:
            graph = bundle.manifest.graphs[name]
            assert graph.variants.keys() == set(PRECISIONS)
            for precision in PRECISIONS:
                model = onnx.load(bundle.graph_file(name, precision), load_external_data=False)
                assert [value.name for value in model.graph.input] == [tensor.name for tensor in graph.inputs]
                assert [value.name for value in model.graph.output] == [tensor.name for tensor in graph.outputs]
        assert not any(bundle.manifest.graphs[name].variants for name in ("pnet", "rnet", "onet"))


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_the_paths_share_their_weights_in_each_precision(lowered_bundle: Path, precision: str) -> None:
    with open_bundle(lowered_bundle) as bundle:
        assert {bundle.manifest.graphs[path].variants[precision].data for path in PATHS} == {  # type: ignore[index]
            f"weights.{precision}.bin"
        }
        alone = weight_bytes(onnx.load(bundle.graph_file("audio_visual", precision)))  # type: ignore[arg-type]
        shared = bundle.manifest.files[f"weights.{precision}.bin"].bytes
        assert shared <= 1.05 * alone
        assert shared <= 0.7 * bundle.manifest.files["weights.bin"].bytes


def test_fp16_graphs_that_gain_have_a_file_for_onnx_runtime_on_gpus(lowered_bundle: Path) -> None:
    with open_bundle(lowered_bundle) as bundle:
        report = read_report(bundle)
        assert report is not None
        for found in report.launches:
            record = bundle.manifest.graphs[found.graph].variants["fp16"]
            assert (record.onnxruntime_gpu_file is not None) == (found.own_launches < found.launches)
            if record.onnxruntime_gpu_file is not None:
                own = bundle.graph_file(found.graph, "fp16", "onnxruntime_gpu")
                assert own.name == record.file.split("/")[-1].replace(".fp16.onnx", ".fp16.ort.onnx")
                model = onnx.load(own, load_external_data=False)
                stored = {item.value for tensor in model.graph.initializer for item in tensor.external_data[:1]}
                assert stored == {Path(record.data).name}  # the weight file of the graph beside it
        assert {found.graph for found in report.launches if found.own_launches < found.launches} >= set(PATHS)
        assert not any(graph.variants.get("bf16", record).own_files for graph in bundle.manifest.graphs.values())


def test_verify_finds_a_file_for_gpus_that_computes_something_else(lowered_bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(lowered_bundle, tmp_path / "light")
    model = onnx.load(folder / "audio.fp16.ort.onnx", load_external_data=False)
    node = next(node for node in model.graph.node if node.op_type == "Attention")
    next(item for item in node.attribute if item.name == "scale").f = 1.0
    failed = _failed_with(model, folder, "audio.fp16.ort.onnx")
    assert f"audio fp16 ({GPU_EMULATED}, golden inputs): relative L2" in failed["drift audio fp16"]
    assert "drift audio bf16" not in failed


def test_int8_that_gains_nothing_says_so_with_a_figure(lowered_bundle: Path) -> None:
    with open_bundle(lowered_bundle) as bundle:
        for name in VARIANT_GRAPHS:
            variant = bundle.manifest.graphs[name].variants["int8"]
            assert variant.speed is not None
            assert variant.speed.instructions == int8_instructions()
            assert variant.speed.speedup > 0 and "CPUExecutionProvider" in variant.speed.target
            if variant.file == bundle.manifest.graphs[name].file:
                assert variant.speed.reason is not None and variant.speed.reason.startswith("stays fp32")


def test_the_report_is_in_the_bundle_and_says_how_each_figure_came_about(lowered_bundle: Path) -> None:
    with open_bundle(lowered_bundle) as bundle:
        report = read_report(bundle)
    assert report is not None
    ways = {(found.precision, found.how) for found in report.graphs}
    assert ways == {
        ("fp16", "run"),
        ("fp16", "emulated"),
        ("fp16", GPU_EMULATED),
        ("bf16", "emulated"),
        ("int8", "run"),
    }
    assert {found.inputs for found in report.graphs} == {"golden", "calibration"}
    assert {(half.graph, half.precision) for half in report.half} == {
        (name, precision) for name in VARIANT_GRAPHS for precision in ("fp16", "bf16")
    }
    assert all(half.worst is None or half.worst.peak <= half.limit for half in report.half)
    # An activation, not the padding mask, which is -1e4 in every clip.
    assert all(half.worst is None or half.worst.peak != 1e4 for half in report.half)
    assert {half.graph for half in report.half if half.worst is not None} >= {"audio", "visual", "audio_visual"}
    assert any(found.worst_tensor is not None and found.worst_tensor.relative_l2 > 0 for found in report.graphs)


@pytest.mark.parametrize("precision", ["fp16", "int8", "auto"])
def test_the_runtime_answers_in_a_precision(lowered_bundle: Path, example_clip: Path, precision: str) -> None:
    with Recognizer(lowered_bundle, device="cpu", threads=1) as recognizer:
        expected = recognizer.predict(example_clip)
    with Recognizer(lowered_bundle, device="cpu", threads=1, precision=precision) as recognizer:  # type: ignore[arg-type]
        got = recognizer.predict(example_clip)
    assert got.label == expected.label
    scores = [np.array(list(result.scores.values())) for result in (got, expected)]
    assert np.abs(scores[0] - scores[1]).max() <= TOLERANCE["fp16" if precision == "fp16" else "int8"]


def test_verify_passes_and_covers_every_variant(lowered_bundle: Path) -> None:
    with open_bundle(lowered_bundle) as bundle:
        checks = {check.name: check for check in bundle_checks(bundle)}
    assert [check for check in checks.values() if not check.passed] == []
    assert {f"drift {name} {precision}" for name in VARIANT_GRAPHS for precision in PRECISIONS} <= checks.keys()
    assert {f"weights stored once {precision}" for precision in PRECISIONS} <= checks.keys()


def test_verify_finds_a_variant_that_computes_something_else(lowered_bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(lowered_bundle, tmp_path / "light")
    model = onnx.load(folder / "audio.fp16.onnx", load_external_data=False)
    next(node for node in model.graph.node if node.op_type == "Softmax").op_type = "LogSoftmax"
    failed = _failed_with(model, folder, "audio.fp16.onnx")
    assert "audio fp16 (run, golden inputs): relative L2" in failed["drift audio fp16"]
    assert "drift audio bf16" not in failed


def test_drift_beyond_the_tolerance_fails_unless_it_is_allowed(
    exact_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOLERANCE, "fp16", 1e-7)
    folder = shutil.copytree(exact_bundle, tmp_path / "light")
    with pytest.raises(ParityError, match="relative L2 .*, at most 1e-07.*allow_drift=True"):
        add_variants(folder, VariantRequest(("fp16",)), _quietly)
    said: list[str] = []
    report = add_variants(folder, VariantRequest(("fp16",), allow_drift=True), said.append)
    assert any("drifts too far: audio fp16" in line for line in said)
    assert not report.clips


def test_calibration_needs_clips_that_reach_every_graph(light_bundle: Path, tmp_path: Path) -> None:
    import wave

    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 16_000, "NONE", ""))
        file.writeframes((8000 * np.sin(np.arange(16_000) / 5)).astype("<i2").tobytes())
    with (
        open_bundle(light_bundle) as bundle,
        pytest.raises(ConfigError, match=r"none of the 1 clips in .* reaches visual, audio_visual, face_encoder"),
    ):
        calibration_inputs(bundle, tmp_path, _quietly)


def test_a_corpus_is_answered_in_every_precision(lowered_bundle: Path, example_clip: Path) -> None:
    with open_bundle(lowered_bundle) as bundle:
        labels = bundle.manifest.labels
        target = tuple(float(number == 0) for number in range(len(labels)))
        clip = Clip("astronaut", "her", target, example_clip, example_clip, "a test")
        found = corpus_drift(bundle, Corpus("tiny", "classification", labels, (clip,)), _quietly)
        with Recognizer(lowered_bundle, device="cpu", threads=1) as recognizer:
            expected = recognizer.predict(example_clip, all_paths=True)
    everything = [drift for drift in found if drift.overall]
    assert {(drift.path, drift.precision, drift.how) for drift in everything} == {
        (path, *way)
        for path in PATHS
        for way in (
            ("fp16", "run"),
            ("fp16", "emulated"),
            ("bf16", "emulated"),
            ("int8", "run"),
        )
    }
    assert all(drift.clips == 1 for drift in found)
    for drift in everything:
        right = float(expected.paths[drift.path].label == labels[0])  # as the runtime itself answers
        assert drift.fp32["micro_f1"] == right
        assert 0 < drift.distance < 0.05
    assert len(found) == 2 * len(everything)  # over all lengths, and in the one bin that the clip is in


def test_a_corpus_of_something_else_is_refused(lowered_bundle: Path, example_clip: Path) -> None:
    clip = Clip("x", "s", (1.0, 0.0), example_clip, None, "a test")
    with (
        open_bundle(lowered_bundle) as bundle,
        pytest.raises(ConfigError, match="classification of joy, grief; the bundle"),
    ):
        corpus_drift(bundle, Corpus("tiny", "classification", ("joy", "grief"), (clip,)), _quietly)


@pytest.mark.parametrize(
    ("precision", "flips", "loss", "passed"),
    [
        ("fp16", 0, 0.0, True),
        ("fp16", 1, 0.0, False),
        ("int8", 2, 0.009, True),
        ("int8", 3, 0.0, False),
        ("int8", 0, 0.011, False),
        ("int8", 0, -0.5, True),
    ],
)
def test_goals_on_a_corpus(precision: str, flips: int, loss: float, passed: bool) -> None:
    metrics = {"macro_f1": 0.6, "micro_f1": 0.6}
    drift = CorpusDrift(
        corpus="tiny",
        path="audio",
        precision=precision,  # type: ignore[arg-type]
        how="run",
        from_s=0.0,
        up_to_s=float("inf"),
        clips=100,
        flips=flips,
        flip_margin=0.0,
        distance=0.0,
        fp32=metrics,
        variant={"macro_f1": 0.6 - loss, "micro_f1": 0.0},
    )
    assert [check.passed for check in corpus_checks([drift])] == [passed]
    assert [check.passed for check in corpus_checks([drift.model_copy(update={"up_to_s": 4.0})])] == [True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "fp8"], "--precision: got fp8, expected any of fp32"),
        (["--precision", "int8"], "pass --calibration FOLDER"),
    ],
)
def test_bad_command_lines(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = _cli("onnx", "--preset", "light", "-o", tmp_path / "x", *arguments)
    assert result.exit_code == 3
    assert message in " ".join(result.output.split())


@pytest.mark.slow
def test_the_command_line_exports_and_verifies_variants(tmp_path: Path) -> None:
    result = _cli("onnx", "--preset", "light", "-o", tmp_path / "light", "--precision", "fp32,fp16,bf16")
    assert result.exit_code == 0, result.output
    result = _cli("verify", tmp_path / "light")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("ok      drift ") == 2 * len(VARIANT_GRAPHS)
