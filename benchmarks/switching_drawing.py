"""Draws the windows of `benchmarks.switching` as one SVG with lanes: video, audio, path, scores."""

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from benchmarks.switching import Window

WIDTH, HEIGHT = 960, 440
LEFT, RIGHT = 104, 20  # margins of the lanes
GAP = 5  # between windows
VIDEO, AUDIO, PATH, SCORES, AXIS = 66, 166, 224, 278, 404  # upper edges of the lanes
THUMBNAIL = 84
BARS = 3  # labels shown for each window
# Okabe and Ito's colours, which colour-blind people can tell apart.
COLOURS = {"audio_visual": "#0072B2", "audio": "#B85000", "visual": "#00805C"}
TITLES = {"audio_visual": "audio-visual", "audio": "audio only", "visual": "visual only"}
STYLE = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}"
    ".lane{font-size:14px;font-weight:600}.small{font-size:12px}.grey{fill:#59636e}.white{fill:#fff}"
)


def draw(windows: "Sequence[Window]") -> str:
    """Draw the picture.

    Args:
        windows: What was predicted, in order.

    Returns:
        SVG that needs nothing else and brings its own light background.
    """
    paths = list(dict.fromkeys(window.result.path or "none" for window in windows))
    spoken = f"The path follows what is there: {', then '.join(TITLES.get(path, path) for path in paths)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(spoken)}"><style>{STYLE}</style>',
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="10" fill="#fff" stroke="#d1d9e0"/>',
        _text(20, 32, "One clip, one bundle: the path follows what is there", size=18, weight=600),
        _text(
            20, 52, "The face leaves, then comes back as the sound stops. Each window is predicted from what it has."
        ),
    ]
    for title, y in (("video", VIDEO + 46), ("audio", AUDIO + 29), ("path", PATH + 25), ("scores", SCORES + 20)):
        parts.append(f'<text class="lane" x="20" y="{y}">{title}</text>')
    step = (WIDTH - LEFT - RIGHT) / len(windows)
    for number, window in enumerate(windows):
        parts += _window(window, LEFT + number * step, step - GAP)
    end = windows[-1].start_s + windows[-1].length_s
    parts.append(_text(WIDTH - RIGHT - GAP, AXIS + 20, f"{end:.1f} s", anchor="end", grey=True))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _window(window: "Window", x: float, width: float) -> Iterator[str]:
    result = window.result
    yield _video(window, x, width)
    yield _audio(window, x, width)
    colour = COLOURS.get(result.path or "", "#818b98")
    middle = x + width / 2
    yield f'<rect x="{x:.1f}" y="{PATH}" width="{width:.1f}" height="40" rx="5" fill="{colour}"/>'
    title = TITLES.get(result.path or "", "no path")
    yield f'<text class="small white" x="{middle:.1f}" y="{PATH + 24}" text-anchor="middle">{title}</text>'
    ranked = sorted(result.scores.items(), key=lambda item: -item[1])[:BARS]
    for row, (label, score) in enumerate(ranked):
        y = SCORES + 40 * row
        weight = 600 if row == 0 else 400
        yield _text(x, y + 14, label, weight=weight)
        yield _text(x + width, y + 14, f"{score:.2f}", anchor="end", weight=weight)
        yield f'<rect x="{x:.1f}" y="{y + 20}" width="{width:.1f}" height="8" rx="2" fill="#eaeef2"/>'
        yield f'<rect x="{x:.1f}" y="{y + 20}" width="{width * score:.1f}" height="8" rx="2" fill="{colour}"/>'
    yield _text(x, AXIS + 20, f"{window.start_s:.1f} s", grey=True)


def _video(window: "Window", x: float, width: float) -> str:
    """The window's middle frame, cut to the lane."""
    frame = window.frames[len(window.frames) // 2]
    if not frame.any():
        return (
            f'<rect x="{x:.1f}" y="{VIDEO}" width="{width:.1f}" height="{THUMBNAIL}" rx="5" fill="#24292f"/>'
            f'<text class="small white" x="{x + width / 2:.1f}" y="{VIDEO + 46}" text-anchor="middle">'
            f"{_reason(window.result.reasons.visual)}</text>"
        )
    height = round(frame.shape[1] * THUMBNAIL / width)
    top = max(0, (frame.shape[0] - height) // 3)  # faces are in the upper half
    size = (round(2 * width), 2 * THUMBNAIL)
    cut = Image.fromarray(frame[top : top + height]).resize(size, Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    cut.save(encoded, "JPEG", quality=70)
    data = base64.b64encode(encoded.getvalue()).decode()
    place = f'x="{x:.1f}" y="{VIDEO}" width="{width:.1f}" height="{THUMBNAIL}"'
    return f'<image {place} href="data:image/jpeg;base64,{data}"/>'


def _audio(window: "Window", x: float, width: float) -> str:
    """The waveform: one vertical line for each stretch of samples."""
    middle = AUDIO + 24
    parts = np.array_split(window.audio, int(width / 2))
    lines = [
        f"M{x + 2 * i:.1f} {middle - 34 * float(part.max()):.1f}V{middle - 34 * float(part.min()) + 0.6:.1f}"
        for i, part in enumerate(parts)
    ]
    wave = f'<path d="{"".join(lines)}" stroke="#57606a" stroke-width="1.2" fill="none"/>'
    if window.audio.any():
        return wave
    return wave + _text(x + width / 2, middle - 8, _reason(window.result.reasons.audio), anchor="middle", grey=True)


def _reason(code: str | None) -> str:
    """The runtime's reason for a missing modality, in words."""
    return (code or "used").replace("_", " ")


def _text(
    x: float, y: float, text: str, *, size: int = 12, weight: int = 400, anchor: str = "start", grey: bool = False
) -> str:
    kind = ' class="grey"' if grey else ""
    return (
        f'<text{kind} x="{x:.1f}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )
