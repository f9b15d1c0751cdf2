"""From a checkpoint to a bundle through the command line, and what a bundle proves about itself."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

from vavl_export.checks import bundle_checks, weight_bytes
from vavl_export.cli import app
from vavl_export.describe import describe_bundle
from vavl_export.errors import ExportError, ParityError
from vavl_export.golden import check_parity, golden_bytes
from vavl_export.graph_lint import lint_graph
from vavl_runtime import Recognizer, open_bundle
from vavl_runtime.bundle.golden import read_golden, relative_l2
from vavl_runtime.bundle.manifest import CropRecipe


def _cli(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.slow
def test_a_bundle_passes_its_own_checks(tiny_bundle: Path) -> None:
    result = _cli("verify", tiny_bundle)
    assert result.exit_code == 0, result.output
    assert "all checks passed" in result.stdout
    assert result.stdout.count("golden") == 8 + 3


@pytest.mark.slow
def test_a_bundle_says_what_it_is(tiny_bundle: Path) -> None:
    text = _cli("inspect", tiny_bundle).stdout
    assert "tiny: regression of arousal, dominance, valence, each on a scale from 1 to 5" in text
    assert "UNTRAINED" in text  # the face encoder is random
    assert "waveform [batch, samples_padded] float32" in text
    manifest = json.loads(_cli("inspect", tiny_bundle, "--json").stdout)
    assert manifest["schema_version"] == 1
    assert manifest["encoders"]["audio"]["reference"] == "audio"  # no path of the exporting machine
    assert not any(
        str(tiny_bundle.parent) in path.read_text(errors="ignore") for path in tiny_bundle.rglob("*") if path.is_file()
    )


@pytest.mark.slow
def test_the_runtime_answers_with_attribute_scores(tiny_bundle: Path, example_clip: Path) -> None:
    with Recognizer(tiny_bundle) as recognizer:
        result = recognizer.predict(example_clip, all_paths=True)
    assert result.path == "audio_visual"
    assert result.label is None
    assert list(result.scores) == ["arousal", "dominance", "valence"]
    assert result.to_dict()["bundle"]["weights"] == "untrained"
    assert result.paths.keys() == {"audio", "visual", "audio_visual"}


def _sharing_ratio(folder: Path) -> float:
    """All files of the three paths over the distinct weights of the audio-visual path."""
    files = ["weights.bin", "audio.onnx", "visual.onnx", "audio_visual.onnx"]
    return sum((folder / file).stat().st_size for file in files) / weight_bytes(onnx.load(folder / files[3]))


def test_the_three_paths_store_each_weight_once(light_bundle: Path) -> None:
    assert _sharing_ratio(light_bundle) <= 1.1  # so small a model that the graphs' own structure shows


@pytest.mark.slow
@pytest.mark.long
def test_the_three_paths_of_a_paper_sized_bundle_store_each_weight_once(paper_bundle: Path) -> None:
    assert _sharing_ratio(paper_bundle) <= 1.05


@pytest.mark.slow
def test_a_unimodal_graph_holds_nothing_of_the_other_modality(tiny_bundle: Path) -> None:
    names = {
        tensor.name for tensor in onnx.load(tiny_bundle / "audio.onnx", load_external_data=False).graph.initializer
    }
    assert any(".audio." in name for name in names)
    assert not any(".visual." in name for name in names)


@pytest.mark.slow
def test_fused_graphs_equal_encoder_then_path(tiny_bundle: Path) -> None:
    sessions = {
        name: ort.InferenceSession(tiny_bundle / graph.file)
        for name, graph in open_bundle(tiny_bundle).manifest.graphs.items()
    }
    generator = np.random.default_rng(0)
    waveform = 0.1 * generator.standard_normal((1, 9000), np.float32)
    faces = generator.integers(0, 256, (3, 224, 224, 3), np.uint8)
    samples = np.array([9000])
    audio, audio_lengths = sessions["audio_encoder"].run(None, {"waveform": waveform, "samples": samples})
    visual = sessions["face_encoder"].run(None, {"faces": faces})[0][None]
    inputs = {
        "audio": {"audio_features": audio, "audio_lengths": audio_lengths},
        "visual": {"visual_features": visual, "visual_lengths": np.array([3])},
    }
    inputs["audio_visual"] = inputs["audio"] | inputs["visual"]
    raw = {"audio": {"waveform": waveform, "samples": samples}, "visual": {"faces": faces}}
    raw["audio_visual"] = raw["audio"] | raw["visual"]
    for path, fed in inputs.items():
        for got, expected in zip(
            sessions[f"{path}_fused"].run(None, raw[path]), sessions[path].run(None, fed), strict=True
        ):
            assert relative_l2(got, expected) <= 1e-5, path


@pytest.mark.slow
def test_an_archive_is_the_same_bundle(
    tiny_checkpoint: Path, tiny_bundle: Path, tmp_path: Path, example_clip: Path
) -> None:
    archive = tmp_path / "tiny.vavl"
    with zipfile.ZipFile(archive, "w") as pack:
        for path in tiny_bundle.rglob("*"):
            pack.write(path, path.relative_to(tiny_bundle))
    with Recognizer(archive) as packed, Recognizer(tiny_bundle) as folder:
        assert packed.identity == folder.identity
        answers = [opened.predict(example_clip, use="audio").scores for opened in (packed, folder)]
    assert answers[0] == answers[1]


@pytest.mark.slow
def test_an_existing_output_is_kept_without_force(tiny_bundle: Path, tiny_checkpoint: Path) -> None:
    before = (tiny_bundle / "manifest.json").read_bytes()
    result = _cli("onnx", tiny_checkpoint, "-o", tiny_bundle)
    assert result.exit_code == 3
    assert "already exists" in result.output
    assert (tiny_bundle / "manifest.json").read_bytes() == before


@pytest.mark.slow
def test_a_failing_export_leaves_nothing_and_loses_nothing(
    tiny_bundle: Path, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vavl_export.graph_export

    def fail(*_: object) -> None:
        raise ExportError("planted")

    monkeypatch.setattr(vavl_export.graph_export, "export_graph", fail)
    before = (tiny_bundle / "manifest.json").read_bytes()
    result = _cli("onnx", tiny_checkpoint, "-o", tiny_bundle, "--force")
    assert (result.exit_code, "planted" in result.output) == (1, True)
    assert (tiny_bundle / "manifest.json").read_bytes() == before
    assert [path.name for path in tiny_bundle.parent.iterdir()] == [tiny_bundle.name]
    assert _cli("onnx", tiny_checkpoint, "-o", tmp_path / "new").exit_code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["onnx", "nowhere", "-o", "x"], 3, "no config.json"),
        (["onnx", "-o", "x", "--preset", "huge"], 3, "expected one of paper, light"),
        (["onnx", "-o", "x", "--preset", "light", "--audio-encoder", "nowhere"], 3, "no such file or folder"),
        (["onnx", "-o", "x", "--preset", "light", "--face-encoder", "random:timm:resnet18"], 3, "gives 512-D features"),
        (["onnx", "-o", "/proc/x/y", "--preset", "light"], 3, "cannot be written"),
        (["verify", "nowhere"], 3, "no bundle there"),
        (["onnx"], 2, "--output"),
    ],
)
def test_bad_command_lines(arguments: list[str], code: int, message: str) -> None:
    result = _cli(*arguments)
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_verify_finds_a_graph_that_computes_something_else(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bundle, tmp_path / "tiny")
    opened = open_bundle(folder)
    opened._verified.update(opened.manifest.files)  # pretend the hashes are fine: golden vectors must still object
    file = folder / "visual.onnx"
    model = onnx.load(file, load_external_data=False)
    next(node for node in model.graph.node if node.op_type == "Softmax").op_type = "LogSoftmax"
    file.write_bytes(model.SerializeToString())
    failed = {check.name: check.detail for check in bundle_checks(opened) if not check.passed}
    assert "relative L2 error" in failed["golden visual"]


@pytest.mark.parametrize(
    ("operator", "opset", "dtype", "message"),
    [
        ("NonZero", 18, TensorProto.FLOAT, "operator NonZero"),
        ("Identity", 21, TensorProto.FLOAT, "opset ai.onnx 21"),
        ("Identity", 18, TensorProto.DOUBLE, "float64 weight w"),
    ],
)
def test_rules_refuse(operator: str, opset: int, dtype: int, message: str) -> None:
    weight = helper.make_tensor("w", dtype, [1], [1.0])
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight],
    )
    with pytest.raises(ExportError, match=message):
        lint_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]), "g")


def test_golden_vectors_survive_a_round_trip_and_parity_can_fail(tmp_path: Path) -> None:
    inputs = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([1, 2])}
    outputs = {"y": np.ones((2, 2), np.float32)}
    (tmp_path / "g.npz").write_bytes(golden_bytes(inputs, outputs))
    read_inputs, read_outputs = read_golden(tmp_path / "g.npz")
    assert all(np.array_equal(read_inputs[name], value) for name, value in inputs.items())
    assert check_parity("g", read_outputs, outputs, 1e-4) == 0.0
    for wrong in (outputs["y"] * 1.001, outputs["y"][:1], outputs["y"] * np.nan):
        with pytest.raises(ParityError, match=r"g\.y: relative L2 error"):
            check_parity("g", {"y": wrong}, outputs, 1e-4)


@pytest.mark.slow
def test_verify_misses_golden_vectors_that_are_gone(tiny_bundle: Path, tmp_path: Path) -> None:

    copy = shutil.copytree(tiny_bundle, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"] = {path: record for path, record in manifest["files"].items() if not path.startswith("golden/")}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    shutil.rmtree(copy / "golden")
    result = _cli("verify", copy)
    assert result.exit_code == 1
    assert "no golden vectors" in result.stdout


@pytest.mark.parametrize("kind", ["audio", "face"])
def test_another_encoder_than_in_training_is_refused(tiny_checkpoint: Path, tmp_path: Path, kind: str) -> None:
    copy = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, copy)
    description = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(description | {f"{kind}_encoder_sha256": "0" * 64}))
    result = _cli("onnx", copy, "-o", tmp_path / "bundle")
    assert result.exit_code == 3, result.output
    assert f"{kind} encoder" in result.stderr
    assert "are not those that the model was trained with (000000000000)" in " ".join(result.stderr.split())
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
def test_tokens_of_faces_keep_the_rate_of_training(tiny_bundle: Path) -> None:
    with open_bundle(tiny_bundle) as bundle:
        assert bundle.manifest.crop.token_rate == 25.0
        assert "tokens    of faces: 25 a second" in describe_bundle(bundle)
        bundle.manifest = bundle.manifest.model_copy(update={"crop": CropRecipe()})  # as of an older bundle
        assert "tokens    of faces: one a frame: answers depend on the frame rate" in describe_bundle(bundle)


def test_a_window_longer_than_the_position_table_makes_no_bundle(tmp_path: Path) -> None:
    from dataclasses import replace

    from vavl.errors import ConfigError
    from vavl_export.encoders import load_encoders
    from vavl_export.graph_export import ExportedGraph
    from vavl_export.graph_specs import path_specs
    from vavl_export.manifest import make_manifest
    from vavl_export.request import build_request
    from vavl_runtime.bundle.manifest import Limits

    request = build_request(None, preset="light", seed=0, audio_encoder=None, face_encoder=None, name="x", fused=False)
    spec, *_ = path_specs(request.model)
    graphs = [
        ExportedGraph(replace(spec, name=name), onnx.ModelProto(), record)
        for name, record in open_bundle().manifest.graphs.items()
    ]
    with pytest.raises(ConfigError, match="a window of 60 s has more than max_tokens 1500"):
        make_manifest(
            replace(request, limits=Limits(window_s=60)), load_encoders(request.description), graphs, tmp_path
        )
