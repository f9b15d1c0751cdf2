"""A result as HTML for notebooks: its scores as bars, and what was not used and why."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_BAR = "height:0.8em;border-radius:2px;background:"
_STRONG, _PLAIN = "#3b6fd4", "#a9b9d6"


def result_html(record: Mapping[str, Any]) -> str:
    """Draw a result.

    Args:
        record: What `vavl_runtime.ClipResult.to_dict` gives. Bars of attributes are relative to their scale.

    Returns:
        One HTML element without scripts; names are escaped.
    """
    scores: Mapping[str, float] = record["scores"]
    low, high = record["scale"] or (0.0, 1.0)
    rows = []
    for name, score in sorted(scores.items(), key=lambda item: -item[1]):
        share = 100 * min(max((score - low) / (high - low), 0.0), 1.0)
        color = _STRONG if name == record["label"] else _PLAIN
        rows.append(
            f'<tr><td style="text-align:left">{escape(name)}</td>'
            f'<td style="width:12em"><div style="{_BAR}{color};width:{share:.1f}%"></div></td>'
            f"<td>{score:.2f}</td></tr>"
        )
    return (
        f"<div><b>{escape(record['clip'])}</b> {escape(_headline(record))}"
        f"<table>{''.join(rows)}</table><small>{escape('; '.join(_notes(record)))}</small></div>"
    )


def _headline(record: Mapping[str, Any]) -> str:
    if record["error"] is not None:
        return f"{record['error']['kind']}: {record['error']['message']}"
    if record["path"] is None:
        return "no prediction"
    scale = record["scale"]
    return f"by {record['path']}" + (f", on a scale from {scale[0]:g} to {scale[1]:g}" if scale else "")


def _notes(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"{record['timings_ms']['total']:.0f} ms"
    if record["faces"]["frames"]:
        yield f"a face in {record['faces']['with_face']} of {record['faces']['frames']} frames"
    for modality, reason in record["reasons"].items():
        if reason:
            yield f"{modality} not used: {reason}"
    if record["bundle"]["weights"] == "untrained":
        yield "UNTRAINED bundle: the scores mean nothing"
