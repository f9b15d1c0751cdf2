"""Which graphs run for a precision that is asked for, and what is said when there are none."""

import dataclasses
import json
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.runtime.made_media import tone
from vavl_runtime import ArrayClip, Recognizer
from vavl_runtime.backends.base import BackendInfo
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.backends.ort.session import CUDA, TENSORRT
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import GraphRecord, Manifest, SpeedRecord, VariantRecord, parse_manifest
from vavl_runtime.bundle.precision import VARIANT_GRAPHS, choose_precisions
from vavl_runtime.cli.run import app
from vavl_runtime.errors import InputError, ManifestError, VariantMissingError
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.timing import StageTimer

SECOND = ArrayClip(audio=tone())
SPEED = {"int8": SpeedRecord(target="a test", machine=platform.machine(), speedup=2.0)}
SLOW = {"int8": SPEED["int8"].model_copy(update={"speedup": 0.9, "reason": "slower than fp32"})}
ELSEWHERE = {"int8": SpeedRecord(target="a test", machine="pdp11", speedup=2.0)}


class LoadingBackend(FakeBackend):
    """Remembers which files it was given."""

    def __init__(self, device: str = "cpu", provider: str = "") -> None:
        super().__init__(device=device)
        self._provider = provider
        self.loaded: dict[str, tuple[Path, GraphRecord]] = {}

    def load(self, name: str, file: Path, record: GraphRecord) -> None:
        self.loaded[name] = (file, record)
        super().load(name, file, record)

    @property
    def info(self) -> BackendInfo:
        return dataclasses.replace(super().info, provider=self._provider)


def _manifest(light_bundle: Path) -> Manifest:
    """The packaged manifest as it would be without variants."""
    manifest = open_bundle(light_bundle).manifest
    graphs = {name: graph.model_copy(update={"variants": {}}) for name, graph in manifest.graphs.items()}
    return manifest.model_copy(update={"graphs": graphs})


def _with_variants(manifest: Manifest, *precisions: str, speed: dict[str, SpeedRecord] | None = None) -> Manifest:
    """Variants that are the fp32 files under another name."""
    graphs = dict(manifest.graphs)
    for name in VARIANT_GRAPHS:
        variants = {
            low: VariantRecord(file=graphs[name].file, data=graphs[name].data, speed=(speed or {}).get(low))
            for low in precisions
        }
        graphs[name] = graphs[name].model_copy(update={"variants": variants})
    return manifest.model_copy(update={"graphs": graphs})


def _edited(bundle: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    content = json.loads((bundle / "manifest.json").read_text())
    edit(content)
    (bundle / "manifest.json").unlink()  # a hard link to the original
    (bundle / "manifest.json").write_text(json.dumps(content))
    return bundle


def test_the_command_line_says_what_auto_took(light_bundle: Path, example_clip: Path) -> None:
    arguments = [str(example_clip), "--bundle", str(light_bundle), "--audio-only", "--device", "cpu"]
    result = CliRunner().invoke(app, [*arguments, "--precision", "auto"])
    assert result.exit_code == 0, result.output
    assert "precision auto: " in result.stderr
    assert "pnet fp32" in result.stderr
    assert "precision auto" not in CliRunner().invoke(app, arguments).stderr


def test_a_manifest_without_variants_is_read_and_runs_in_fp32(bundle: Path) -> None:
    def without_variants(content: dict[str, Any]) -> None:
        for graph in content["graphs"].values():
            graph.pop("variants", None)

    backend = LoadingBackend()
    with Recognizer(_edited(bundle, without_variants), backend=backend) as recognizer:
        recognizer.predict(SECOND)
    assert {record.precision for _, record in backend.loaded.values()} == {"fp32"}


def test_a_variant_is_loaded_with_its_own_file_and_the_signature_of_fp32(bundle: Path) -> None:
    def lower_audio(content: dict[str, Any]) -> None:
        for name in VARIANT_GRAPHS:
            graph = content["graphs"][name]
            for key in ("file", "data"):
                other = graph[key].replace(".", ".fp16.")
                if not (bundle / other).exists():
                    shutil.copy(bundle / graph[key], bundle / other)
                content["files"][other] = content["files"][graph[key]]
            graph["variants"] = {"fp16": {key: graph[key].replace(".", ".fp16.") for key in ("file", "data")}}

    backend = LoadingBackend()
    with Recognizer(_edited(bundle, lower_audio), backend=backend, precision="fp16") as recognizer:
        recognizer.predict(SECOND)
        exact = recognizer.manifest.graphs["audio"]
    file, record = backend.loaded["audio"]
    assert (file.name, record.precision, record.data) == ("audio.fp16.onnx", "fp16", "weights.fp16.bin")
    assert (record.inputs, record.outputs) == (exact.inputs, exact.outputs)


@pytest.mark.parametrize("gpu", [False, True])
def test_processors_get_the_file_written_for_them(bundle: Path, gpu: bool) -> None:
    def quantised_audio(content: dict[str, Any]) -> None:
        graph = content["graphs"]["audio"]
        for other in ("audio.int8.onnx", "audio.int8.cpu.onnx"):
            shutil.copy(bundle / graph["file"], bundle / other)
            content["files"][other] = content["files"][graph["file"]]
        files = {"file": "audio.int8.onnx", "cpu_file": "audio.int8.cpu.onnx", "data": graph["data"]}
        graph["variants"] = {"int8": files}
        for name in set(VARIANT_GRAPHS) - {"audio"}:
            other = content["graphs"][name]
            other["variants"] = {"int8": {"file": other["file"], "data": other["data"]}}

    backend = LoadingBackend(device="cuda:0" if gpu else "cpu")
    graphs = GraphRunner(open_bundle(_edited(bundle, quantised_audio)), backend, "int8")
    for name in ("audio", "visual"):
        graphs.load(name, StageTimer())
    loaded = {name: file.name for name, (file, _) in backend.loaded.items()}
    assert loaded == {"audio": "audio.int8.onnx" if gpu else "audio.int8.cpu.onnx", "visual": "visual.onnx"}


@pytest.mark.parametrize(
    ("provider", "expected"),
    [(CUDA, "audio.fp16.ort.onnx"), (TENSORRT, "audio.fp16.onnx"), ("", "audio.fp16.onnx"), (None, "audio.fp16.onnx")],
)
def test_only_the_cuda_provider_gets_the_file_written_for_it(bundle: Path, provider: str | None, expected: str) -> None:
    def lowered(content: dict[str, Any]) -> None:
        for name in VARIANT_GRAPHS:
            graph = content["graphs"][name]
            graph["variants"] = {"fp16": {"file": graph["file"], "data": graph["data"]}}
        graph = content["graphs"]["audio"]
        for other in ("audio.fp16.onnx", "audio.fp16.ort.onnx"):
            shutil.copy(bundle / graph["file"], bundle / other)
            content["files"][other] = content["files"][graph["file"]]
        files = {"file": "audio.fp16.onnx", "onnxruntime_gpu_file": "audio.fp16.ort.onnx", "data": graph["data"]}
        graph["variants"] = {"fp16": files}

    backend = LoadingBackend(device="cpu" if provider is None else "cuda:0", provider=provider or "")
    graphs = GraphRunner(open_bundle(_edited(bundle, lowered)), backend, "fp16")
    for name in ("audio", "visual"):
        graphs.load(name, StageTimer())
    assert {name: file.name for name, (file, _) in backend.loaded.items()} == {
        "audio": expected,
        "visual": "visual.onnx",
    }


@pytest.mark.parametrize(
    ("value", "expected"), [("1", None), ("true", None), ("0", "onnxruntime_gpu"), ("", "onnxruntime_gpu")]
)
def test_files_for_gpus_need_memory_efficient_attention(
    value: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, ONNX Runtime would read their masks otherwise, and answer wrongly from the second clip on."""
    monkeypatch.setenv("ORT_DISABLE_MEMORY_EFFICIENT_ATTENTION", value)
    assert BackendInfo("onnxruntime", provider="CUDAExecutionProvider", device="cuda:0").runs_on == expected


def test_end_to_end_graphs_follow_a_precision_that_they_have(light_bundle: Path) -> None:
    manifest = _with_variants(_manifest(light_bundle), "fp16")
    fused = manifest.graphs["audio"]  # has fp16
    graphs = manifest.graphs | {"audio_fused": fused, "visual_fused": fused.model_copy(update={"variants": {}})}
    chosen = choose_precisions(manifest.model_copy(update={"graphs": graphs}), "fp16")
    assert (chosen["audio_fused"], chosen["visual_fused"], chosen["pnet"]) == ("fp16", "fp32", "fp32")


def test_a_missing_variant_says_what_is_there_and_how_to_make_it(light_bundle: Path) -> None:
    manifest = _with_variants(_manifest(light_bundle), "fp16")
    message = r"precision bf16: bundle light has no bf16 of audio, .*; it has fp16, fp32; export .* precision bf16"
    with pytest.raises(VariantMissingError, match=message):
        choose_precisions(manifest, "bf16")


def test_a_variant_that_some_graphs_lack_is_missing(light_bundle: Path) -> None:
    manifest = _with_variants(_manifest(light_bundle), "fp16")
    graphs = manifest.graphs | {"audio": manifest.graphs["audio"].model_copy(update={"variants": {}})}
    with pytest.raises(VariantMissingError, match="has no fp16 of audio; it has fp32;"):
        choose_precisions(manifest.model_copy(update={"graphs": graphs}), "fp16")


def test_an_unknown_precision_is_refused(light_bundle: Path) -> None:
    with pytest.raises(InputError, match="precision: got 'fp8', expected one of fp32, fp16"):
        choose_precisions(_manifest(light_bundle), "fp8")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("there", "speed", "gpu", "expected"),
    [
        ((), None, False, "fp32"),
        ((), None, True, "fp32"),
        (("fp16", "int8"), None, True, "fp16"),
        (("fp16", "bf16"), None, False, "fp32"),
        (("fp16", "int8"), SPEED, False, "int8"),
        (("fp16", "int8"), SLOW, False, "fp32"),
        (("fp16", "int8"), ELSEWHERE, False, "fp32"),
        (("int8",), None, False, "fp32"),  # never timed
        (("int8",), SPEED, True, "fp32"),  # timed on a CPU
    ],
)
def test_auto_takes_what_was_measured_to_be_worth_it(
    light_bundle: Path, there: tuple[str, ...], speed: dict[str, SpeedRecord] | None, gpu: bool, expected: str
) -> None:
    manifest = _with_variants(_manifest(light_bundle), *there, speed=speed)
    chosen = choose_precisions(manifest, "auto", gpu=gpu)
    assert {chosen[name] for name in VARIANT_GRAPHS} == {expected}
    assert {chosen[name] for name in ("pnet", "rnet", "onet")} == {"fp32"}
    assert chosen.keys() == manifest.graphs.keys()


@pytest.mark.parametrize(
    ("measured", "here", "expected"),
    [
        (("avx2", "avx512_vnni"), ("avx2", "avx512f", "avx512_vnni"), "int8"),
        (("avx2", "avx512_vnni"), ("avx2",), "fp32"),
        ((), None, "int8"),
        (("avx2",), None, "fp32"),  # a processor that does not tell
        (None, ("avx2",), "int8"),  # a manifest from before instructions were noted
    ],
)
def test_auto_asks_for_the_instructions_that_int8_gained_by(
    light_bundle: Path,
    measured: tuple[str, ...] | None,
    here: tuple[str, ...] | None,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vavl_runtime.bundle.precision.int8_instructions", lambda: here)
    speed = {"int8": SPEED["int8"].model_copy(update={"instructions": measured})}
    chosen = choose_precisions(_with_variants(_manifest(light_bundle), "int8", speed=speed), "auto")
    assert {chosen[name] for name in VARIANT_GRAPHS} == {expected}


def test_auto_decides_graph_by_graph(light_bundle: Path) -> None:
    manifest = _with_variants(_manifest(light_bundle), "int8", speed=SPEED)
    slow = VariantRecord(file="a", data="b", speed=SLOW["int8"])
    graphs = manifest.graphs | {"audio": manifest.graphs["audio"].model_copy(update={"variants": {"int8": slow}})}
    chosen = choose_precisions(manifest.model_copy(update={"graphs": graphs}), "auto")
    assert (chosen["audio"], chosen["visual"]) == ("fp32", "int8")


@pytest.mark.parametrize("key", ["file", "data", "cpu_file", "onnxruntime_gpu_file"])
def test_a_variant_whose_file_is_not_listed_makes_no_manifest(light_bundle: Path, key: str) -> None:
    content = json.loads((light_bundle / "manifest.json").read_text())
    files = {"file": "audio.onnx", "data": "weights.bin"} | {key: "nowhere.onnx"}
    content["graphs"]["audio"]["variants"] = {"int8": files}
    with pytest.raises(ManifestError, match="graph audio needs nowhere.onnx, which files does not list"):
        parse_manifest(json.dumps(content).encode())


def test_the_command_line_ends_with_3_where_a_variant_is_missing(bundle: Path, example_clip: Path) -> None:
    def without_variants(content: dict[str, Any]) -> None:
        for graph in content["graphs"].values():
            graph.pop("variants", None)

    arguments = [str(example_clip), "--bundle", str(_edited(bundle, without_variants)), "--precision", "int8"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 3, result.output
    assert "export it again with precision int8" in " ".join(result.stderr.split())
