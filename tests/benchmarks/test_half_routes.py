"""The benchmark of routes to fp16."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.studies import half_routes
from vavl_export.graph_specs import GraphSpec


class TwoProducts(nn.Module):
    """What every route can lower."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.last = nn.Linear(8, 4)

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.last(self.layer(features)), lengths


@pytest.mark.slow
def test_every_route_has_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def example(batch: int, length: float) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.ones(batch, 8), torch.ones(batch, dtype=torch.int64)

    plan = GraphSpec(
        "made",
        "made.onnx",
        "made.bin",
        TwoProducts(),
        ("features", "lengths"),
        ("prediction", "out_lengths"),
        {"features": {0: "batch"}, "lengths": {0: "batch"}},
        example,
    )
    outcomes = half_routes.compare(plan)
    assert outcomes.keys() == half_routes.ROUTES.keys()
    for outcome in outcomes.values():
        assert 0 <= outcome["relative_l2"] < 1e-2
    record = {
        "command": "command",
        "environment": {"torch": "1", "onnxruntime": "2"},
        "graphs": [{"preset": "light", "graph": "made", "routes": outcomes}],
    }
    assert half_routes.table(record).count("| light | made |") == len(outcomes)
    monkeypatch.setitem(half_routes.ROUTES, "module.half()", lambda plan, exact: plan.no_such_thing)
    assert half_routes.compare(plan)["module.half()"]["ends"].startswith("AttributeError: ")


def test_what_is_not_finite_says_so() -> None:
    assert half_routes._shown({"relative_l2": None, "casts": 3}) == "not finite | 3"
    assert half_routes._shown({"relative_l2": 0.00123, "casts": 3}) == "1.2e-03 | 3"


def test_the_first_cause_is_named() -> None:
    try:
        try:
            np.zeros(2) @ np.zeros(3)
        except ValueError as error:
            raise RuntimeError("pages of advice") from error
    except RuntimeError as error:
        assert half_routes.first_cause(error).startswith("ValueError: matmul")
