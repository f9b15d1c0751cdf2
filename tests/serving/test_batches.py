"""A window's answer does not depend on what it is batched with, nor on its place in the batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.bundle.manifest import PathName
from vavl_runtime.pipeline.feature_reader import Features
from vavl_runtime.pipeline.path_runs import path_runs
from vavl_runtime.pipeline.together import Stretch
from vavl_runtime.serving.batches import Outputs, encode_faces, encode_sounds, run_path

TOLERANCE = 1e-5
MANIFEST = open_bundle(PACKAGED_BUNDLE).manifest
few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 99)


@pytest.fixture(scope="module")
def backend() -> Iterator[OnnxRuntimeBackend]:
    opened = OnnxRuntimeBackend(threads=1)
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        for name in ("audio", "visual", "audio_visual", "audio_encoder", "face_encoder"):
            opened.load(name, bundle.graph_file(name), bundle.manifest.graphs[name])
        yield opened
    opened.close()


def assert_same(together: Outputs, alone: Outputs) -> None:
    assert len(together) == len(alone)
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert ours[name].shape == value.shape
            scale = max(1.0, float(np.abs(value).max()))
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=TOLERANCE * scale)


@few
@given(samples=st.lists(st.integers(MANIFEST.limits.minimum_samples, 20_000), min_size=1, max_size=4), seed=seeds)
def test_sounds(backend: OnnxRuntimeBackend, samples: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    sounds = [0.2 * random.standard_normal(count, np.float32) for count in samples]
    together = encode_sounds(backend.run, sounds)
    assert_same(together, [encode_sounds(backend.run, [sound])[0] for sound in sounds])
    assert_same(encode_sounds(backend.run, sounds[::-1]), together[::-1])


@few
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=4), rows=st.integers(1, 8), seed=seeds)
def test_faces(backend: OnnxRuntimeBackend, counts: list[int], rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    crops: list[NDArray[np.uint8]] = [random.integers(0, 256, (count, 224, 224, 3), np.uint8) for count in counts]
    together = encode_faces(backend.run, crops, rows)
    assert [len(each["face_features"]) for each in together] == counts
    assert_same(together, [encode_faces(backend.run, [each], 4)[0] for each in crops])


@pytest.mark.parametrize("path", ["audio", "visual", "audio_visual"])
@few
@given(tokens=st.lists(st.tuples(st.integers(1, 80), st.integers(1, 60)), min_size=1, max_size=4), seed=seeds)
def test_paths(backend: OnnxRuntimeBackend, path: PathName, tokens: list[tuple[int, int]], seed: int) -> None:
    random = np.random.default_rng(seed)
    widths = MANIFEST.encoders["audio"].dim, MANIFEST.encoders["face"].dim
    inputs: list[dict[str, NDArray[Any]]] = []
    for lengths in tokens:
        audio, visual = (
            Features(random.standard_normal((1, length, width), np.float32), 1.0, Stretch(0.0, 1.0, 1.0))
            for length, width in zip(lengths, widths, strict=True)
        )
        inputs += [run.inputs for run in path_runs(audio, visual, all_paths=True) if run.path == path]
    together = run_path(backend.run, path, inputs)
    assert_same(together, [run_path(backend.run, path, [each])[0] for each in inputs])
    assert_same(run_path(backend.run, path, inputs[::-1]), together[::-1])
