"""Weights from a seed: the same bits everywhere, and random wherever a mistake could hide."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.gpu.networks import Networks, build_networks, calibrate, fill, plan_weights
from benchmarks.gpu.structures import _find, _sources
from benchmarks.gpu.weights import Drawn, _content, draw, joined_bytes, split_bytes
from vavl_bench.inputs import noise_faces

PLANNED = {name: Drawn((24, 16), 0.0, 0.25) for name in ("query", "key", "value")} | {"bias": Drawn((512,), 1.0, 0.2)}


@pytest.fixture(scope="module")
def networks() -> Networks:
    return build_networks("tiny")


def test_a_parameter_depends_on_its_name_alone() -> None:
    drawn = Drawn((300, 4), 0.5, 0.25)
    first = draw("a", drawn)
    assert first.dtype == np.float32
    assert (first == draw("a", drawn)).all()
    assert (first != draw("b", drawn)).any()
    assert first.min() >= 0.25
    assert first.max() <= 0.75
    assert (draw("a", Drawn((300, 4), 0.0, 0.5)) == 2 * draw("a", Drawn((300, 4), 0.0, 0.25))).all()  # as `calibrate`


def stored(kind: str) -> NDArray[Any]:
    values = {name: draw(name, drawn) for name, drawn in PLANNED.items()}
    packed = np.concatenate([values[name].T for name in ("query", "key", "value")], 1)
    return {
        "as it is": values["query"],
        "transposed": np.ascontiguousarray(values["key"].T),
        "fp16": values["bias"].astype(np.float16),
        "packed": packed,
        "packed fp16": packed.astype(np.float16),
    }[kind]


@pytest.mark.parametrize("kind", ["as it is", "transposed", "fp16", "packed", "packed fp16"])
def test_stored_tensors_are_made_again(kind: str) -> None:
    tensor = stored(kind)
    found = _find(tensor, _sources(PLANNED))
    assert found is not None
    assert _content({"dtype": tensor.dtype.name, **found}, PLANNED, b"") == tensor.tobytes()


def test_what_is_no_parameter_is_kept() -> None:
    other = np.sin(np.arange(384, dtype=np.float32)).reshape(24, 16)
    assert _find(other, _sources(PLANNED)) is None
    kept = split_bytes(other)
    assert (joined_bytes(kept, "float32") == other.reshape(-1)).all()
    piece = {"literal": [0, len(kept), "float32"], "dtype": "float16"}
    assert _content(piece, PLANNED, kept) == other.astype(np.float16).tobytes()


def test_only_batch_norm_is_constant(networks: Networks) -> None:
    planned = plan_weights(networks)
    constant = {name for name, drawn in planned.items() if drawn.spread == 0}
    norms = {
        f"{name}.weight"
        for prefix, part in networks.parts().items()
        for name, module in part.named_modules(prefix=prefix)
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    }
    assert constant == norms


def test_folding_batch_norm_changes_no_bit(networks: Networks) -> None:
    fill(networks, plan_weights(networks))
    for part in networks.parts().values():
        for module in part.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                assert bool((torch.rsqrt(module.running_var + module.eps) * module.weight == 1).all())


def test_calibrated_activations_stay_in_range_and_depend_on_the_picture(networks: Networks) -> None:
    planned = plan_weights(networks)
    fill(networks, planned)
    faces = torch.from_numpy(noise_faces(4))
    scaled = calibrate(networks, planned, faces)
    with torch.no_grad():
        calibrated = networks.face(faces)
        fill(networks, scaled)
        features = networks.face(faces)
        others = networks.face(255 - faces)
    assert torch.equal(features, calibrated)
    assert 0.005 < float(features.std()) < 5
    assert float((features - others).norm() / features.norm()) > 0.05


def test_a_recipe_of_other_networks_is_refused(networks: Networks) -> None:
    planned = plan_weights(networks)
    with pytest.raises(ValueError, match="recipe and networks differ"):
        fill(networks, planned | {"model.more": Drawn((1,), 0.0, 1.0)})
