"""The columns that table, CSV, Markdown and HTML share, each with its name and how a cell fills it."""

from collections.abc import Callable
from dataclasses import dataclass

from vavl_runtime.bench.record import Cell, Figures, Media, Quantity

Value = str | float | int | None


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: In CSV, with its unit.
        title: For people.
        of: Takes its value from a cell.
        digits: Decimals shown to people; None for text.
    """

    name: str
    title: str
    of: Callable[[Cell], Value]
    digits: int | None = None

    def text(self, cell: Cell) -> str:
        """The value for people; empty if there is none."""
        value = self.of(cell)
        if value is None:
            return ""
        return str(value) if self.digits is None or isinstance(value, str) else f"{value:.{self.digits}f}"


def _figure(read: Callable[[Figures], Value]) -> Callable[[Cell], Value]:
    return lambda cell: None if cell.figures is None else read(cell.figures)


def _quantity(read: Callable[[Figures], Quantity]) -> Callable[[Cell], Value]:
    return lambda cell: None if cell.figures is None else read(cell.figures).value


def media_text(media: Media) -> str:
    """What a clip was, in a few words."""
    if media.file is not None:
        return media.file
    return "item" if media.seconds is None else f"{media.seconds:g} s"


KEY_COLUMNS = (
    Column("scope", "scope", lambda cell: cell.key.scope),
    Column("subject", "subject", lambda cell: cell.key.subject),
    Column("scenario", "scenario", lambda cell: cell.key.scenario),
    Column("precision", "precision", lambda cell: cell.key.precision),
    Column("batch", "batch", lambda cell: cell.key.batch, 0),
    Column("media", "media", lambda cell: media_text(cell.key.media)),
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
    Column("steady", "state", _figure(lambda f: f.steadiness.verdict)),
)
MACHINE_COLUMNS = (
    Column("device", "device", lambda cell: cell.key.device),
    Column("backend", "backend", lambda cell: cell.key.backend),
    Column("threads", "threads", lambda cell: cell.key.threads, 0),
)
ERROR_COLUMN = Column("error", "error", lambda cell: cell.error.message if cell.error else None)


def shown_columns(cells: tuple[Cell, ...]) -> tuple[Column, ...]:
    """The columns worth showing to people: those that some cell fills.

    Args:
        cells: The cells to show.

    Returns:
        Columns in order; a page for people says elsewhere what is the same for all of them.
    """
    return tuple(
        c for c in (*KEY_COLUMNS, *FIGURE_COLUMNS, ERROR_COLUMN) if any(c.of(cell) is not None for cell in cells)
    )
