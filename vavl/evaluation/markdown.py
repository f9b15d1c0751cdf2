"""Markdown tables, and the format of numbers in them."""

from collections.abc import Sequence

from vavl_runtime.bundle.manifest import PathName

PATH_TITLES: dict[PathName, str] = {"audio_visual": "audio-visual", "audio": "audio", "visual": "visual"}
UNDEFINED = "–"  # the paper's dash for a path that a system does not define
DIGITS = 3


def table(header: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """Lay out a table.

    Args:
        header: Title of each column.
        rows: Cells of each row, as many as titles.
        text_columns: Number of text columns, from the left; the other columns are aligned to the right.

    Returns:
        The lines, each with a newline.
    """
    rule = ["---" if column < text_columns else "---:" for column in range(len(header))]
    lines = [[_escaped(cell) for cell in header], rule, *([_escaped(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def number(value: float | None) -> str:
    """A number with three decimals, or the dash for None."""
    return UNDEFINED if value is None else f"{value:.{DIGITS}f}"


def spread(mean: float, deviation: float | None) -> str:
    """Mean and deviation as ``0.512 ± 0.031``; only the mean if there is no deviation."""
    return number(mean) if deviation is None else f"{number(mean)} ± {number(deviation)}"


def p_value(p: float | None) -> str:
    """A p-value with three decimals, ``< 0.001``, or the dash for None."""
    return "< 0.001" if p is not None and p < 0.001 else number(p)


def bullets(items: Sequence[str]) -> str:
    """A list with one item per line."""
    return "".join(f"- {item}\n" for item in items)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
