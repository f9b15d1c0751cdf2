"""int8 graphs that flip labels are taken back, the guilty ones only."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from vavl_export import golden
from vavl_export.precision.int8_selection import INT8, restore_fp32, select_fp32_graphs
from vavl_export.precision.mixed_precision import ENCODERS, FP32, PATHS, MixedPredictions, PrecisionMix
from vavl_runtime import open_bundle

GRAPHS = (*PATHS, *ENCODERS)
MIXES = tuple(PrecisionMix(*ways) for ways in itertools.product((FP32, INT8), repeat=3))
NEEDS = {"audio": {"audio_encoder"}, "visual": {"face_encoder"}, "audio_visual": set(ENCODERS)}


def _answers(flipping: dict[str, int], clips: int = 100) -> list[MixedPredictions]:
    """Clips of which each graph in int8 flips as many, always the first ones."""

    def label(clip: int, path: str, mix: PrecisionMix) -> tuple[float, float]:
        lowered = {name for name in (*ENCODERS, "path") if getattr(mix, name) == INT8}
        graphs = {path if name == "path" else name for name in lowered if name == "path" or name in NEEDS[path]}
        return (0.0, 1.0) if any(clip < flipping.get(name, 0) for name in graphs) else (1.0, 0.0)

    return [
        MixedPredictions(1.0, {(path, mix): label(clip, path, mix) for path in PATHS for mix in MIXES})
        for clip in range(clips)
    ]


@pytest.mark.parametrize(
    ("flipping", "held"),
    [
        ({}, set()),
        ({"face_encoder": 2, "audio": 2}, set()),
        ({"face_encoder": 7}, {"face_encoder"}),
        ({"audio_visual": 3}, {"audio_visual"}),
        ({"face_encoder": 7, "audio": 50}, {"face_encoder", "audio"}),
        ({"face_encoder": 7, "visual": 1}, {"face_encoder"}),
        (dict.fromkeys(GRAPHS, 3), set(GRAPHS)),
    ],
)
def test_the_guilty_graphs_are_taken_back(flipping: dict[str, int], held: set[str]) -> None:
    assert restore_fp32(_answers(flipping), GRAPHS).keys() == held


def test_the_reason_names_path_and_figures() -> None:
    reasons = restore_fp32(_answers({"face_encoder": 7}), GRAPHS)
    assert reasons["face_encoder"] == "int8 changes 7 of 100 labels by the visual path, at most 2 expected"


@given(st.data())
def test_whatever_flips_few_labels_flip_in_the_end(data: st.DataObject) -> None:
    clips, quantized = data.draw(st.integers(0, 8)), data.draw(st.sets(st.sampled_from(GRAPHS)))
    score = st.sampled_from([(1.0, 0.0), (0.0, 1.0)])
    answers = [
        MixedPredictions(1.0, {(path, mix): data.draw(score) for path in PATHS for mix in MIXES}) for _ in range(clips)
    ]
    held = restore_fp32(answers, quantized)
    assert held.keys() <= quantized
    for path in PATHS:
        mix = PrecisionMix(*(INT8 if name in quantized - held.keys() else FP32 for name in (*ENCODERS, path)))
        flips = sum(np.argmax(a.scores[path, mix]) != np.argmax(a.scores[path, PrecisionMix()]) for a in answers)
        assert flips <= golden.FLIPS["int8"] * clips


def test_a_planted_wrong_graph_is_found_on_a_real_clip(light_bundle: Path, example_clip: Path, tmp_path: Path) -> None:
    shutil.copy(example_clip, tmp_path)
    with open_bundle(light_bundle) as bundle:
        models = {name: onnx.load(bundle.graph_file(name)) for name in ("audio", "visual", "audio_encoder")}
        last = next(node for node in models["visual"].graph.node if "prediction" in node.output)
        where = list(models["visual"].graph.node).index(last)
        last.output[0] = "right"
        models["visual"].graph.node.insert(where + 1, helper.make_node("Neg", ["right"], ["prediction"]))
        said: list[str] = []
        held = select_fp32_graphs(bundle, models, tmp_path, said.append)
    assert held.keys() == {"visual"}
    assert "int8 changes 0 of 1 labels by the visual path" in said
