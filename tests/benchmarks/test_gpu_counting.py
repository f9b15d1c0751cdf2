"""Operations, bytes and the times that follow from them, against what can be worked out by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmarks.gpu.counting import Ceilings, Counts, count, roofline
from benchmarks.gpu.models import Subject, make_inputs, make_networks

CEILINGS = Ceilings(copy_bytes_per_s=1e12, matmul_flops_per_s=1e14)


class Small(nn.Module):
    """A convolution and a linear layer; one more layer takes no part."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(3, 4, 5, bias=False)
        self.linear = nn.Linear(4, 7)
        self.idle = nn.Linear(100, 100)

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"y": self.linear(self.convolution(inputs["x"]).mean(2))}


def test_counts_of_a_small_network() -> None:
    counts = count(Small(), {"x": torch.zeros(2, 3, 20)})
    assert counts.operations == 2 * (2 * 16 * 4 * 3 * 5) + 2 * (2 * 4 * 7)
    assert counts.weight_bytes == 2 * (4 * 3 * 5 + 4 * 7 + 7)
    assert counts.io_bytes == 4 * (2 * 3 * 20 + 2 * 7)
    assert counts.products[0] == (2 * 2 * 16 * 4 * 3 * 5, 2 * (2 * 3 * 20 + 4 * 3 * 5 + 2 * 4 * 16))
    assert sum(operations for operations, _ in counts.products) == counts.operations


def test_counting_changes_nothing() -> None:
    module, inputs = Small(), {"x": torch.ones(1, 3, 9)}
    before = module(inputs)["y"]
    count(module, inputs)
    assert torch.equal(module(inputs)["y"], before)


@given(st.lists(st.tuples(st.integers(1, 10**12), st.integers(1, 10**10)), min_size=1))
def test_the_floor_is_below_the_layered_roofline(products: list[tuple[int, int]]) -> None:
    operations, traffic = (sum(values) for values in zip(*products, strict=True))
    counts = Counts(operations, traffic // 2, traffic // 4, products)
    times = roofline(counts, CEILINGS)
    assert 0 < times.floor_ms <= times.layered_ms
    assert times.layered_ms == pytest.approx(sum(1000 * max(o / 1e14, b / 1e12) for o, b in products))


def test_a_clip_twice_as_long_is_twice_the_work() -> None:
    networks = make_networks(tiny=True)
    subject = Subject(networks, "encoder", "visual").eval()
    one, two = (count(subject, make_inputs(networks, "encoder", "visual", 1.0, batch)) for batch in (1, 2))
    assert two.operations == 2 * one.operations
    assert two.weight_bytes == one.weight_bytes
    path = count(Subject(networks, "path", "audio").eval(), make_inputs(networks, "path", "audio", 1.0, 1))
    used = sum(value.numel() for value in Subject(networks, "path", "audio").parameters())
    assert 0.9 * 2 * used < path.weight_bytes <= 2 * used + 2 * 2 * 1500 * 32
