"""How far interpolated face boxes lie from those of detection on every frame, and from what the detector repeats.

    python -m benchmarks.studies.boxes CLIPS [--clips 40] [-o benchmarks/results/boxes.json]

CLIPS is a folder of clips with faces; some are drawn at random. Boxes of every frame are compared with those of the
default recipe and of other distances between detections. A distance is the largest of the four edges, in pixels of the
frame. Two more rows say how well detection on every frame repeats itself: the box of the frame before, and the box of
the same frame with one pixel cut off on the left and at the top.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import environment
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle import PACKAGED_BUNDLE, Bundle, open_bundle
from vavl_runtime.devices.cpu import usable_cores
from vavl_runtime.faces import FaceLocator, Mtcnn, track_face
from vavl_runtime.faces.boxes import Boxes
from vavl_runtime.files import write_atomically
from vavl_runtime.media import Frame, open_source
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.timing import StageTimer

EVERY = (2, 3, 5, 8)
BOUND = 2.0  # pixels
SUFFIXES = (".mp4", ".mpg", ".mov", ".webm", ".flv", ".avi", ".mkv")

Located = Sequence["Boxes | None"]


def every_clip(bundle: Bundle, clips: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Compare boxes, clip by clip.

    Args:
        bundle: Whose detector and recipe are used.
        clips: Media files.

    Yields:
        By clip its ``frames``, and by name of a comparison the ``distances``, pixels.
    """
    graphs, timer = GraphRunner(bundle, OnnxRuntimeBackend()), StageTimer()
    recipe, limits = bundle.manifest.crop, bundle.manifest.limits
    detector = Mtcnn(partial(graphs.run, timer=timer), recipe)
    for clip in clips:
        frames = list(open_source(clip, limits).frames())

        def boxes(every: int, seen: list[Frame] = frames) -> Located:
            locate = FaceLocator(detector, recipe)  # follows one clip
            return [box for _, box in track_face(iter(seen), locate, every)]

        reference = boxes(1)
        shifted = FaceLocator(detector, recipe)
        again = [shifted(np.ascontiguousarray(frame.pixels[1:, 1:])) for frame in frames]
        compared = {
            **{f"every {every}": distances(boxes(every), reference) for every in EVERY},
            "frame before": distances(reference[:-1], reference[1:]),
            "shifted": distances([None if box is None else box + np.float32(1) for box in again], reference),
        }
        yield {"clip": clip.name, "frames": len(frames), "distances": compared}


def distances(boxes: Located, reference: Located) -> list[float]:
    """Largest distance of an edge for each frame where both have a box, pixels."""
    return [
        round(float(np.abs(box - other).max()), 2)
        for box, other in zip(boxes, reference, strict=True)
        if box is not None and other is not None
    ]


def table(record: dict[str, Any]) -> str:
    """The table of a result."""
    clips = record["clips"]
    lines = [
        "## Boxes between detections",
        "",
        f"`{record['command']}`: {len(clips)} clips, {sum(clip['frames'] for clip in clips)} frames; the packaged "
        f"bundle's detector. Distance of a box from detection on every frame: the largest of its four edges, pixels, "
        "over all frames that have both boxes, detected ones (distance 0) included. The last two rows are the "
        "detector's own: no interpolation can be expected to come nearer to it than it comes to itself.",
        "",
        f"| boxes | within {BOUND:g} pixels | median | 95 of 100 within |",
        "|---|---:|---:|---:|",
    ]
    titles = {
        **{f"every {every}": f"detection on every frame of {every}, interpolated in between" for every in EVERY},
        "frame before": "detection on every frame: the box of the frame before",
        "shifted": "detection on every frame, one pixel cut off on the left and at the top",
    }
    for name, title in titles.items():
        pixels = merged(record, name)
        lines.append(f"| {title} | {within(pixels):.0%} | {np.median(pixels):.1f} | {np.percentile(pixels, 95):.1f} |")
    return "\n".join(lines) + "\n"


def merged(record: dict[str, Any], name: str) -> NDArray[np.float64]:
    """All distances of a comparison, over the clips."""
    return np.array([pixels for clip in record["clips"] for pixels in clip["distances"][name]])


def within(pixels: NDArray[np.float64]) -> float:
    """The share of boxes within the bound."""
    return float((pixels <= BOUND).mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=40, help="so many, drawn with seed 0")
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/boxes.json"))
    arguments = parser.parse_args()
    files = sorted(file for file in arguments.folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    chosen = sorted(random.Random(0).sample(files, min(arguments.clips, len(files))))
    if not chosen:
        parser.error(f"{arguments.folder}: no clips there (files ending in {', '.join(SUFFIXES)})")
    record: dict[str, Any] = {
        "benchmark": "boxes",
        "command": f"python -m benchmarks.studies.boxes CLIPS --clips {arguments.clips}",
        "environment": environment(usable_cores(), ("onnxruntime", "av")),
        "clips": [],
    }
    with open_bundle(PACKAGED_BUNDLE) as bundle:
        for clip in every_clip(bundle, chosen):
            record["clips"].append(clip)
            # Written after every clip: what an interrupted run has measured is kept.
            write_atomically(arguments.output, (json.dumps(record) + "\n").encode())
    print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
