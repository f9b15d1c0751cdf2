"""Results of many clips as one flat table: a row a clip, a column for each score. CSV, pandas and Arrow share it."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vavl_runtime.errors import MissingDependencyError
from vavl_runtime.result import ClipResult

if TYPE_CHECKING:
    import pandas
    import pyarrow

_BEFORE = ("clip", "path", "label")
_AFTER = (
    "reason_audio",
    "reason_visual",
    "error_kind",
    "error_message",
    "frames",
    "with_face",
    "duration_s",
    "total_ms",
    "backend",
    "bundle",
    "bundle_sha256",
    "weights",
    "notes",
    "stream_audio",
    "stream_visual",
    "scale_low",
    "scale_high",
)


def columns(labels: Iterable[str]) -> tuple[str, ...]:
    """Names of the columns, for a bundle's class or attribute names."""
    return (*_BEFORE, *labels, *_AFTER)


def row(record: Mapping[str, Any], labels: Iterable[str]) -> tuple[Any, ...]:
    """Flatten one record.

    Args:
        record: What `ClipResult.to_dict` gives.
        labels: Class or attribute names of the bundle.

    Returns:
        A value for each column; None where nothing is known.
    """
    error = record["error"] or {"kind": None, "message": None}
    reasons, faces, bundle, streams = record["reasons"], record["faces"], record["bundle"], record["streams"]
    return (
        *(record[name] for name in _BEFORE),
        *(record["scores"].get(label) for label in labels),
        *(reasons["audio"], reasons["visual"], error["kind"], error["message"]),
        *(faces["frames"], faces["with_face"], record["duration_s"], record["timings_ms"]["total"]),
        *(record["backend"], bundle["name"], bundle["sha256"], bundle["weights"]),
        " ".join(f"{note['modality']}:{note['kind']}" for note in record["notes"]) or None,
        *(streams["audio"], streams["visual"]),
        *(record["scale"] or (None, None)),
    )


def to_pandas(results: Iterable[ClipResult]) -> "pandas.DataFrame":
    """Put results into a data frame, a row a clip.

    Args:
        results: Of one bundle, such as `Recognizer.predict_many` yields.

    Returns:
        The columns of `vavl-run --format csv`.

    Raises:
        MissingDependencyError: pandas is not installed.

    Example:
        >>> from vavl_runtime import Recognizer, to_pandas
        >>> with Recognizer() as recognizer:
        ...     frame = to_pandas(recognizer.predict_many(["examples/astronaut.mp4"]))
        >>> frame[["clip", "path"]].values.tolist()
        [['examples/astronaut.mp4', 'audio_visual']]
    """
    pandas = _import("pandas")
    names, rows = _table(results)
    return pandas.DataFrame(rows, columns=list(names))


def to_arrow(results: Iterable[ClipResult]) -> "pyarrow.Table":
    """Put results into an Arrow table, a row a clip.

    Args:
        results: Of one bundle, such as `Recognizer.predict_many` yields.

    Returns:
        The columns of `vavl-run --format csv`.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    pyarrow = _import("pyarrow")
    names, rows = _table(results)
    return pyarrow.table({name: [row[index] for row in rows] for index, name in enumerate(names)})


def _table(results: Iterable[ClipResult]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    records = [result.to_dict() for result in results]
    labels = tuple(dict.fromkeys(label for record in records for label in record["scores"]))
    return columns(labels), [row(record, labels) for record in records]


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingDependencyError(f"{name} cannot be imported ({error}); pip install {name}") from error
