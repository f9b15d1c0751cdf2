"""The table of the graphs takes each side at its best, and the program runs."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from benchmarks import graphs_cpu, graphs_table
from benchmarks.ceiling import operations, product_rates, read_rate, weight_bytes
from vavl_bench.turns import advantage, least_and_median
from vavl_runtime.bundle import PACKAGED_BUNDLE

SIDES = (graphs_table.OURS, *graphs_table.PEERS)


def _case(batch: int, **seconds: float) -> dict[str, Any]:
    turns = {side: [seconds.get(side.replace(" ", "_"), 9.0)] * 2 for side in SIDES}
    return {
        "preset": "light",
        "graph": "audio",
        "seconds": 3.0,
        "batch": batch,
        "operations": 10**10,
        "weight_bytes": 10**9,
        "lowered": ["fp16"],
        "time_s": {side: least_and_median(each) for side, each in turns.items()},
        "advantage": {side: advantage(turns[graphs_table.OURS], each) for side, each in turns.items()},
        "largest_difference": {},
        "refused": {},
    }


def test_each_side_stands_at_its_own_best_batch() -> None:
    cases = [_case(1, vavl_runtime=1.0, openvino=2.0, onnxruntime=1.5), _case(4, vavl_runtime=2.0, openvino=9.0)]
    machine = {"processor": "a processor", "threads": 2, "onnxruntime": "1", "openvino": "2", "torch": "3"}
    rates = {"numpy": 4e10, "torch": 2e10, "onnxruntime": 1e10}
    record = {"command": "c", "environment": machine, "rounds": 2, "cases": cases, "product_rates": rates}
    record["read_rate"] = 1e10
    table = graphs_table.table(record)
    alone, bound, best = (line for line in table.splitlines() if line.startswith("| light"))
    assert alone.startswith(
        "| light | audio | 3 s | 1000.00 | 1500.00 (1.50 x) | 9000.00 (9.00 x) | 2000.00 (2.00 x) |"
    )
    assert alone.endswith("| **1.50 x** (1.50 to 1.50) |")
    assert bound == "| light | audio | 3 s | 10.00 | 1000.0 | 250.00 | arithmetic | 10 | 25% |"
    assert "40 in NumPy's OpenBLAS, 20 in PyTorch, 10 in ONNX Runtime" in table
    assert best.startswith("| light | audio | 3 s | 500.00 at 4 | 1500.00 at 1 (3.00 x) | 2250.00 at 4 (4.50 x) |")
    assert best.endswith("| **3.00 x** |")


def test_a_side_that_loses_is_shown_to_lose() -> None:
    (row,) = graphs_table._exact("", graphs_table.single([_case(1, vavl_runtime=2.0, openvino_fixed=1.0)]))[4:]
    assert "1000.00 (0.50 x)" in row
    assert row.endswith("| **0.50 x** (0.50 to 0.50) |")


def test_reading_the_weights_bounds_what_has_few_operations() -> None:
    case = _case(1, vavl_runtime=1.0) | {"operations": 10**9, "weight_bytes": 5 * 10**9}
    record = {"cases": [case], "product_rates": {"numpy": 1e10}, "read_rate": 1e10}
    assert graphs_table._bounds(record)[-1] == "| light | audio | 3 s | 1.00 | 5000.0 | 500.00 | memory | 1 | 50% |"


def test_a_variant_that_kept_float32_has_no_speed_of_its_own() -> None:
    case = _case(1)
    case["time_s"] |= {"vavl_runtime int8": {"median": 1.0}, "vavl_runtime fp16": {"median": 3.0}}
    case["largest_difference"] = {"vavl_runtime fp16": 0.01}
    assert graphs_table._reduced([case])[-1] == (
        "| light | audio | 3 s | 9000.00 | stays float32 | 3000.00 (3.00 x, 1e-02) |  |  |  |"
    )


@pytest.mark.slow
def test_record_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="needs the extra `bench`")
    output = tmp_path / "graphs_cpu.json"
    options = (
        f"light={PACKAGED_BUNDLE}",
        "--rounds",
        "2",
        "--graphs",
        "face_encoder",
        "--threads",
        "1",
        "-o",
        str(output),
    )
    monkeypatch.setattr(sys, "argv", ["graphs_cpu", *options])
    monkeypatch.setattr(graphs_cpu, "BATCHES", (1, 2))
    monkeypatch.setattr(graphs_cpu, "TURN_S", 0.01)
    assert graphs_cpu.main() == 0
    record = json.loads(output.read_text("utf-8"))
    assert [case["batch"] for case in record["cases"]] == [1, 2]
    for case in record["cases"]:
        assert case["operations"] > 0
        assert set(SIDES) <= case["time_s"].keys()
        assert max(case["largest_difference"][side] for side in graphs_table.PEERS) < 1e-3
    table = graphs_table.table(record)
    assert table.count("| light | face_encoder | a face |") == 4


def test_operations_of_a_product_are_counted() -> None:
    layer = torch.nn.Linear(5, 7, bias=False)
    assert operations(layer, [np.ones((3, 5), np.float32)]) == 2 * 3 * 5 * 7


def test_every_library_has_a_rate() -> None:
    rates = product_rates(1, 1)
    assert rates.keys() <= graphs_table.LIBRARIES.keys()
    assert min(rates.values()) > 0


def test_memory_is_read_faster_than_a_file() -> None:
    assert read_rate(2, 1) > 1e8


def test_weights_are_counted_without_reading_them(tmp_path: Path) -> None:
    weights = [
        onnx.numpy_helper.from_array(np.ones((3, 5), np.float32), "a"),
        onnx.numpy_helper.from_array(np.ones(7, np.float16), "b"),
    ]
    graph = onnx.helper.make_graph([], "weights", [], [], weights)
    onnx.save(onnx.helper.make_model(graph), tmp_path / "graph.onnx")
    assert weight_bytes(tmp_path / "graph.onnx") == 3 * 5 * 4 + 7 * 2
