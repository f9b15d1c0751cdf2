"""The JSON of a run: it survives a round trip, and nothing else passes for it."""

import json
from pathlib import Path

import pytest

from tests.vavl_bench.fakes import always
from tests.vavl_bench.reports import made_measurement, made_report
from vavl_bench.errors import BenchRecordError
from vavl_bench.schema import Failure, Measurement, Quantity
from vavl_bench.storage import read_report, write_report


def test_a_report_survives_a_round_trip(tmp_path: Path) -> None:
    whole = made_measurement(always(0.01))
    report = made_report(
        whole,
        made_measurement(always(0.01), scenario="server"),
        Measurement(key=whole.key, error=Failure(kind="input", message="broken")),
        finished=False,
    )
    write_report(report, tmp_path / "a.json")
    assert read_report(tmp_path / "a.json") == report


def test_a_quantity_is_a_value_or_a_reason() -> None:
    assert Quantity(value=0.0).value == 0.0
    for fields in ({}, {"value": 1.0, "reason": "both"}):
        with pytest.raises(ValueError, match="needs a value or the reason"):
            Quantity(**fields)
    with pytest.raises(ValueError, match="finite"):
        Quantity(value=float("nan"))


def test_a_cell_has_figures_or_an_error() -> None:
    with pytest.raises(ValueError, match="needs figures or an error"):
        Measurement(key=made_measurement(always(0.01)).key)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda values: values | {"schema_version": 3}, "got schema_version 3, this vavl-bench reads 1 to 2"),
        (lambda values: values | {"schema_version": True}, "got schema_version True"),
        (lambda values: values | {"extra": 1}, "extra: Extra inputs are not permitted"),
        (lambda values: {k: v for k, v in values.items() if k != "measurements"}, "measurements: Field required"),
        (lambda values: [values], "got schema_version None"),
    ],
)
def test_other_json_is_refused(change: object, text: str, tmp_path: Path) -> None:
    write_report(made_report(made_measurement(always(0.01))), tmp_path / "a.json")
    values = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "b.json").write_text(json.dumps(change(values)))  # type: ignore[operator]
    with pytest.raises(BenchRecordError, match=text):
        read_report(tmp_path / "b.json")


def test_files_that_are_no_json_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\x00")
    with pytest.raises(BenchRecordError, match="not JSON"):
        read_report(tmp_path / "a.json")
    with pytest.raises(BenchRecordError, match="cannot be read"):
        read_report(tmp_path / "missing.json")


def test_a_report_of_schema_1_is_still_read(tmp_path: Path) -> None:
    report = made_report(made_measurement(always(0.01)))
    values = json.loads(report.model_dump_json()) | {"schema_version": 1}
    for measurement in values["measurements"]:
        measurement["figures"] = measurement.pop("metrics")
        measurement["figures"]["steadiness"] = measurement["figures"].pop("stability")
    values["cells"] = values.pop("measurements")
    (tmp_path / "old.json").write_text(json.dumps(values))
    assert read_report(tmp_path / "old.json") == report
