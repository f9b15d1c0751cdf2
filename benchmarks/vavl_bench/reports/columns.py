"""The columns that table, CSV, Markdown and HTML share, each with its name and how a measurement fills it."""

from collections.abc import Callable
from dataclasses import dataclass

from vavl_bench.schema import Measurement, Media, Metrics, Quantity

Value = str | float | int | None


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: In CSV, with its unit.
        title: For people.
        of: Takes its value from a measurement.
        digits: Decimals shown to people; None for text.
    """

    name: str
    title: str
    of: Callable[[Measurement], Value]
    digits: int | None = None

    def text(self, measurement: Measurement) -> str:
        """The value for people; empty if there is none."""
        value = self.of(measurement)
        if value is None:
            return ""
        return str(value) if self.digits is None or isinstance(value, str) else f"{value:.{self.digits}f}"


def _figure(read: Callable[[Metrics], Value]) -> Callable[[Measurement], Value]:
    return lambda measurement: None if measurement.metrics is None else read(measurement.metrics)


def _quantity(read: Callable[[Metrics], Quantity]) -> Callable[[Measurement], Value]:
    return lambda measurement: None if measurement.metrics is None else read(measurement.metrics).value


def media_text(media: Media) -> str:
    """What a clip was, in a few words."""
    if media.file is not None:
        return media.file
    return "item" if media.seconds is None else f"{media.seconds:g} s"


KEY_COLUMNS = (
    Column("scope", "scope", lambda measurement: measurement.key.scope),
    Column("subject", "subject", lambda measurement: measurement.key.subject),
    Column("scenario", "scenario", lambda measurement: measurement.key.scenario),
    Column("precision", "precision", lambda measurement: measurement.key.precision),
    Column("batch", "batch", lambda measurement: measurement.key.batch, 0),
    Column("media", "media", lambda measurement: media_text(measurement.key.media)),
)
FIGURE_COLUMNS = (
    Column("queries", "n", _figure(lambda f: f.latency.count), 0),
    Column("mean_ms", "mean", _figure(lambda f: f.latency.mean_ms), 2),
    Column("p50_ms", "p50", _figure(lambda f: f.latency.p50_ms), 2),
    Column("p90_ms", "p90", _figure(lambda f: f.latency.p90_ms), 2),
    Column("p95_ms", "p95", _figure(lambda f: f.latency.p95_ms), 2),
    Column("p99_ms", "p99", _figure(lambda f: f.latency.p99_ms), 2),
    Column("max_ms", "max", _figure(lambda f: f.latency.max_ms), 2),
    Column("clips_per_s", "clips/s", _figure(lambda f: f.throughput.clips_per_s), 2),
    Column("frames_per_s", "frames/s", _figure(lambda f: f.throughput.frames_per_s), 1),
    Column("real_time_factor", "RTF", _figure(lambda f: f.throughput.real_time_factor), 4),
    Column("highest_rate_per_s", "max rate/s", _figure(lambda f: f.server.highest_rate_per_s if f.server else None), 2),
    Column("load_ms", "load", _figure(lambda f: f.load_ms), 0),
    Column("first_result_ms", "first", _figure(lambda f: f.first_result_ms), 0),
    Column("peak_mib", "peak MiB", _quantity(lambda f: f.memory.peak_mib), 0),
    Column("device_mib", "device MiB", _quantity(lambda f: f.memory.device_mib), 0),
    Column("energy_per_clip_j", "J/clip", _quantity(lambda f: f.energy.per_clip_j), 3),
    Column("cpu_mhz", "CPU MHz", _quantity(lambda f: f.after.cpu_mhz), 0),
    Column("cpu_celsius", "CPU °C", _quantity(lambda f: f.after.cpu_celsius), 0),
    Column("gpu_mhz", "GPU MHz", _quantity(lambda f: f.after.gpu_mhz), 0),
    Column("gpu_celsius", "GPU °C", _quantity(lambda f: f.after.gpu_celsius), 0),
    Column("steady", "state", _figure(lambda f: f.stability.verdict)),
)
MACHINE_COLUMNS = (
    Column("device", "device", lambda measurement: measurement.key.device),
    Column("backend", "backend", lambda measurement: measurement.key.backend),
    Column("threads", "threads", lambda measurement: measurement.key.threads, 0),
)
ERROR_COLUMN = Column("error", "error", lambda measurement: measurement.error.message if measurement.error else None)


def shown_columns(measurements: tuple[Measurement, ...]) -> tuple[Column, ...]:
    """The columns worth showing to people: those that some measurement fills.

    Args:
        measurements: The measurements to show.

    Returns:
        Columns in order; a page for people says elsewhere what is the same for all of them.
    """
    return tuple(
        c
        for c in (*KEY_COLUMNS, *FIGURE_COLUMNS, ERROR_COLUMN)
        if any(c.of(measurement) is not None for measurement in measurements)
    )
