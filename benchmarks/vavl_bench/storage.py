"""Reports on disk, as JSON."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vavl_bench.errors import BenchRecordError
from vavl_bench.schema import SCHEMA_VERSION, Report
from vavl_runtime.files import write_atomically


def write_report(report: Report, path: Path) -> None:
    """Write a report so that an older one survives any failure.

    Raises:
        OutputError: The place cannot be written.
    """
    write_atomically(path, (report.model_dump_json() + "\n").encode())


def read_report(path: Path) -> Report:
    """Read a report.

    Args:
        path: A JSON file of ``vavl-bench``.

    Returns:
        The report.

    Raises:
        BenchRecordError: Not there, not JSON, another schema, or a field that is wrong.
    """
    try:
        content = path.read_bytes()
        values: Any = json.loads(content)
    except OSError as error:
        raise BenchRecordError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BenchRecordError(f"{path}: not JSON ({error}); expected a file that vavl-bench -o wrote") from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, bool) or version not in (1, SCHEMA_VERSION):
        raise BenchRecordError(
            f"{path}: got schema_version {version!r}, this vavl-bench reads 1 to {SCHEMA_VERSION}; measure again"
        )
    try:
        return Report.model_validate_json(json.dumps(_upgraded(values)) if version == 1 else content)
    except ValidationError as error:
        listed = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:6])
        raise BenchRecordError(f"{path}: {listed}; measure again") from error


def _upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """Bring a report of schema 1 to schema 2, which has other names for the same fields."""

    def renamed(record: Any, names: dict[str, str]) -> Any:
        return {names.get(key, key): value for key, value in record.items()} if isinstance(record, dict) else record

    report: dict[str, Any] = renamed(values, {"cells": "measurements"}) | {"schema_version": SCHEMA_VERSION}
    if not isinstance(report.get("measurements"), list):
        return report
    measurements = [renamed(measurement, {"figures": "metrics"}) for measurement in report["measurements"]]
    for measurement in measurements:
        if isinstance(measurement, dict) and "metrics" in measurement:
            measurement["metrics"] = renamed(measurement["metrics"], {"steadiness": "stability"})
    return report | {"measurements": measurements}
