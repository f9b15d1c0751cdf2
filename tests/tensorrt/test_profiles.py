"""Length buckets cover every size that the runtime can hand over."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vavl_export.tensorrt.profiles import GRAPHS, Buckets, choose_buckets, plan_profiles
from vavl_runtime.backends.trt.shapes import padded_shapes, round_up
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.bundle.manifest import GraphRecord, Manifest
from vavl_runtime.errors import InputError

MANIFEST = open_bundle(PACKAGED_BUNDLE).manifest
DEFAULT = choose_buckets(MANIFEST)


def inputs_of(record: GraphRecord, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    return {
        tensor.name: np.broadcast_to(
            np.zeros((), tensor.dtype), [sizes[axis] if isinstance(axis, str) else axis for axis in tensor.shape]
        )
        for tensor in record.inputs
    }


@pytest.mark.parametrize("name", GRAPHS)
def test_profiles_are_ordered_triples_of_the_signature(name: str) -> None:
    record = MANIFEST.graphs[name]
    for profile in plan_profiles(name, record, MANIFEST, DEFAULT):
        assert list(profile.inputs) == [tensor.name for tensor in record.inputs]
        for tensor in record.inputs:
            bounds = profile.inputs[tensor.name]
            assert len(bounds.min) == len(tensor.shape)
            assert all(low <= opt <= high for low, opt, high in zip(bounds.min, bounds.opt, bounds.max, strict=True))


def sizes(manifest: Manifest) -> st.SearchStrategy[dict[str, int]]:
    """Everything that a window can hold."""
    window = manifest.limits.window_s
    return st.fixed_dictionaries(
        {
            "batch": st.just(1),
            "samples_padded": st.integers(manifest.limits.minimum_samples, round(window * 16000)),
            "audio_tokens": st.integers(1, round(window * 50)),
            "visual_tokens": st.integers(1, manifest.limits.max_tokens),
            "faces": st.integers(1, 16),
            "boxes": st.integers(1, 256),
            "images": st.just(1),
            "height": st.integers(12, 385),
            "width": st.integers(12, 385),
        }
    )


@pytest.mark.parametrize("name", GRAPHS)
@settings(deadline=None)  # machines are shared
@given(data=st.data())
def test_every_size_fits_a_profile_and_padding_only_grows(name: str, data: st.DataObject) -> None:
    record = MANIFEST.graphs[name]
    inputs = inputs_of(record, data.draw(sizes(MANIFEST)))
    profiles = plan_profiles(name, record, MANIFEST, DEFAULT)
    fits = [(profile, padded_shapes(record, profile, inputs)) for profile in profiles]
    served = [(profile, shapes) for profile, shapes in fits if shapes is not None]
    assert served
    for profile, shapes in served:
        for key, shape in shapes.items():
            bounds = profile.inputs[key]
            assert all(came <= size for came, size in zip(inputs[key].shape, shape, strict=True))
            assert all(a <= b <= c for a, b, c in zip(bounds.min, shape, bounds.max, strict=True))


@settings(deadline=None)
@given(st.integers(1, 1500), st.integers(1, 1500))
def test_rounding_is_monotone_and_makes_few_sizes(first: int, second: int) -> None:
    low, high = 32, 1500
    one, other = (round_up("visual_tokens", size, low, high) for size in sorted((first, second)))
    assert first <= 1500 and one <= other
    assert len({round_up("visual_tokens", size, low, high) for size in range(1, 1501)}) == 47


def test_a_larger_batch_is_for_throughput() -> None:
    buckets = choose_buckets(MANIFEST, (3.0, 12.0), batch=8)
    (_, long) = plan_profiles("audio_encoder", MANIFEST.graphs["audio_encoder"], MANIFEST, buckets)
    assert long.inputs["waveform"].min == (1, 48000)
    assert long.inputs["waveform"].max == (8, 192000)


@pytest.mark.parametrize(
    ("seconds", "batch", "words"),
    [
        ((12.0, 4.0), 1, "expected ascending lengths"),
        ((4.0,), 1, "expected the bundle's window of 12 s"),
        ((0.1, 12.0), 1, "expected at least 0.5 s"),
        ((4.0, 12.0), 0, "max_batch: got 0"),
    ],
)
def test_wrong_buckets_are_refused(seconds: tuple[float, ...], batch: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose_buckets(MANIFEST, seconds, batch)


def test_the_released_layout_takes_one_clip() -> None:
    released = MANIFEST.model_copy(update={"layout": "released"})
    with pytest.raises(InputError, match="max_batch: got 2, expected 1"):
        choose_buckets(released, batch=2)


def test_an_unknown_axis_is_refused() -> None:
    record = MANIFEST.graphs["audio"]
    odd = record.model_copy(
        update={"inputs": (record.inputs[0].model_copy(update={"shape": ("beats", 4)}), *record.inputs[1:])}
    )
    with pytest.raises(InputError, match="no range is known for axis beats"):
        plan_profiles("audio", odd, MANIFEST, Buckets((12.0,)))
