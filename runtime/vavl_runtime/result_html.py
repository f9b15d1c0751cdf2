"""The result of a clip as HTML for notebooks: its scores as bars, and what was not used and why."""

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vavl_runtime.result import ClipResult

_BAR = "height:0.8em;border-radius:2px;background:"
_STRONG, _PLAIN = "#3b6fd4", "#a9b9d6"


def result_html(result: "ClipResult") -> str:
    """Draw a result.

    Args:
        result: Of a classification or of attributes. Bars of attributes are relative to the largest score.

    Returns:
        One HTML element without scripts; names are escaped.
    """
    largest = 1.0 if result.label is not None else max((abs(score) for score in result.scores.values()), default=0.0)
    rows = []
    for name, score in sorted(result.scores.items(), key=lambda item: -item[1]):
        share = 100 * min(max(score / (largest or 1.0), 0.0), 1.0)
        color = _STRONG if name == result.label else _PLAIN
        rows.append(
            f'<tr><td style="text-align:left">{escape(name)}</td>'
            f'<td style="width:12em"><div style="{_BAR}{color};width:{share:.1f}%"></div></td>'
            f"<td>{score:.2f}</td></tr>"
        )
    return (
        f"<div><b>{escape(result.clip)}</b> {escape(_headline(result))}"
        f"<table>{''.join(rows)}</table><small>{escape('; '.join(_notes(result)))}</small></div>"
    )


def _headline(result: "ClipResult") -> str:
    if result.error is not None:
        return f"{result.error.kind}: {result.error}"
    return f"by {result.path}" if result.path else "no prediction"


def _notes(result: "ClipResult") -> list[str]:
    notes = [f"{result.timings_ms['total']:.0f} ms"]
    if result.faces.frames:
        notes.append(f"a face in {result.faces.with_face} of {result.faces.frames} frames")
    for modality, reason in (("audio", result.reasons.audio), ("visual", result.reasons.visual)):
        if reason:
            notes.append(f"{modality} not used: {reason}")
    if result.bundle.weights == "untrained":
        notes.append("UNTRAINED bundle: the scores mean nothing")
    return notes
