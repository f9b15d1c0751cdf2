"""Every graph builds for every kind of GPU, with the shipped profiles, and every attention block becomes one kernel.

An error of the parser or the builder raises.
"""

import shutil
from pathlib import Path

import pytest

from benchmarks.studies.tensorrt_build import PRECISIONS, TARGETS, attention_blocks, fused_attention
from tests.tensorrt.engine_folder import build
from vavl.config import light_config, paper_config
from vavl.encoders.wav2vec2 import LARGE_ROBUST_LAYERS
from vavl_export.tensorrt.profiles import GRAPHS
from vavl_runtime.backends.trt.engine_store import FOLDER, Engine
from vavl_runtime.bundle.manifest import FILE_NAME, Manifest, parse_manifest
from vavl_runtime.bundle.precision import VARIANT_GRAPHS

pytestmark = pytest.mark.trt_rtx


def read_manifest(bundle: Path) -> Manifest:
    return parse_manifest((bundle / FILE_NAME).read_bytes())


def check(engines: list[Engine], blocks: dict[str, int], precision: str) -> None:
    assert [engine.record.key.graph for engine in engines] == list(GRAPHS)
    for engine in engines:
        key = engine.record.key
        assert key.precision == (precision if key.graph in VARIANT_GRAPHS else "fp32")
        assert fused_attention(engine) == blocks[key.graph]
        assert engine.record.activation_bytes


# The packaged bundle is built for every kind of GPU, one of them in the fast tier; the paper-sized one, which takes a
# minute, for the oldest and the newest, in the other precision each.
EACH_KIND = [(PRECISIONS[number % 2], target) for number, target in enumerate(TARGETS)]
OLDEST_AND_NEWEST = [(PRECISIONS[1], TARGETS[0]), (PRECISIONS[0], TARGETS[-1])]
FAST = EACH_KIND[2]
PACKAGED = [pytest.param(*build, marks=() if build == FAST else pytest.mark.slow) for build in EACH_KIND]


@pytest.mark.parametrize(("precision", "target"), PACKAGED)
def test_the_packaged_bundle(packaged_variants: Path, precision: str, target: str) -> None:
    engines = build(packaged_variants, precision=precision, compute_capability=target)
    check(engines, attention_blocks(light_config(), 0), precision)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "target"), EACH_KIND)
def test_the_audio_encoder_of_the_light_preset(light_variants: Path, precision: str, target: str) -> None:
    """The packaged bundle has another one; the other graphs have the same layers."""
    (engine,) = build(light_variants, precision=precision, compute_capability=target, graphs=("audio_encoder",))
    assert engine.record.key.precision == precision
    assert engine.record.activation_bytes


@pytest.mark.slow
def test_int8_graphs_are_written_as_tensorrt_reads_them(packaged_int8: Path) -> None:
    paths = ("audio", "visual", "audio_visual")
    graphs = read_manifest(packaged_int8).graphs
    engines = build(packaged_int8, precision="int8", compute_capability="SM86", graphs=paths)
    assert [engine.record.key.graph for engine in engines] == list(paths)
    for engine in engines:
        assert engine.record.key.precision == "int8"
        graph = graphs[engine.record.key.graph]
        assert graph.variants["int8"].file != graph.file  # or fp32 would have been built once more


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("precision", "target"), OLDEST_AND_NEWEST)
def test_the_paper_bundle(paper_variants: Path, precision: str, target: str) -> None:
    blocks = attention_blocks(paper_config(), LARGE_ROBUST_LAYERS)
    assert (blocks["audio_encoder"], blocks["audio_visual"]) == (12, 10)
    try:
        check(build(paper_variants, precision=precision, compute_capability=target), blocks, precision)
    finally:  # all of them together would fill a small disk
        for folder in (paper_variants / FOLDER).glob(f"*-{precision}-*"):
            shutil.rmtree(folder)
