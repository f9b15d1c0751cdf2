"""Reports on disk, as JSON."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vavl_runtime.bench.record import SCHEMA_VERSION, Report
from vavl_runtime.errors import BenchRecordError
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
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise BenchRecordError(
            f"{path}: got schema_version {version!r}, this vavl-bench reads {SCHEMA_VERSION}; measure again"
        )
    try:
        return Report.model_validate_json(content)
    except ValidationError as error:
        listed = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:6])
        raise BenchRecordError(f"{path}: {listed}; measure again") from error
