"""Records say on what machine they were measured."""

import json
from pathlib import Path

import onnxruntime

from benchmarks.record import RESULTS, benchmark_parser, new_record, write_record


def test_a_record_names_command_processor_threads_and_versions(tmp_path: Path) -> None:
    record = new_record("made", "python -m benchmarks.made", 3)
    assert (record["benchmark"], record["command"]) == ("made", "python -m benchmarks.made")
    environment = record["environment"]
    assert environment["processor"] and environment["threads"] == 3
    assert environment["onnxruntime"] == onnxruntime.__version__
    write_record(record, tmp_path / "made.json")
    assert json.loads((tmp_path / "made.json").read_text("utf-8")) == record


def test_every_benchmark_writes_to_the_results_by_default(tmp_path: Path) -> None:
    parser = benchmark_parser("made", "What it measures.")
    assert parser.parse_args([]).output == RESULTS / "made.json"
    assert parser.parse_args(["-o", str(tmp_path)]).output == tmp_path
