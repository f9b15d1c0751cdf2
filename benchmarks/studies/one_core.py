"""The packaged light bundle on one core: speed with everything included, and memory, by length and size of the film.

    python -m benchmarks.studies.one_core CLIP [--hours 1] [-o benchmarks/results/one_core.json]

CLIP, a short film with a face and speech, is answered as it is, repeated to a minute and to hours, and enlarged. Each
film has a process of its own, bound to one core, that opens the bundle and answers once: loading of the graphs counts.
Another one only opens the film twice, as the runtime does: what FFmpeg's index of it takes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
from PIL import Image

from benchmarks.environment import environment
from benchmarks.studies.resident import status_mb
from vavl_runtime import Recognizer
from vavl_runtime.bundle import PACKAGED_BUNDLE
from vavl_runtime.files import write_atomically

SIZES = ((1280, 720), (1920, 1080))
ENLARGED_S = 20.0  # of enlarged film: the peak is reached within seconds


def repeated(clip: Path, place: Path, seconds: float) -> Path:
    """Repeat a film without encoding it anew.

    Args:
        clip: The film.
        place: File to write, of the same kind.
        seconds: Its least length.
    """
    with av.open(str(place), "w") as output:
        streams: dict[str, Any] = {}
        end = 0.0
        while end < seconds:
            with av.open(str(clip)) as source:
                for stream in (source.streams.video[0], source.streams.audio[0]):
                    if stream.type not in streams:
                        streams[stream.type] = output.add_stream_from_template(stream)
                packets = [packet for packet in source.demux(video=0, audio=0) if packet.dts is not None]
                start = end - min(float(packet.dts * packet.time_base) for packet in packets)  # may begin below 0
                for packet in packets:
                    shift = round(start / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    end = max(end, float((packet.pts + packet.duration) * packet.time_base))
                    packet.stream = streams[packet.stream.type]
                    output.mux(packet)
    return place


def enlarged(clip: Path, place: Path, width: int, height: int) -> Path:
    """Encode a film with larger pictures: scaled to fill the height or the width, grey beside them.

    Args:
        clip: The film.
        place: File to write.
        width: Of the pictures.
        height: Of the pictures.
    """
    with av.open(str(clip)) as source, av.open(str(place), "w") as output:
        seen, heard = source.streams.video[0], source.streams.audio[0]
        pictures = output.add_stream("libx264", rate=seen.average_rate, options={"preset": "veryfast"})
        pictures.width, pictures.height = width, height
        sound = output.add_stream_from_template(heard)
        for packet in source.demux(video=0, audio=0):
            if packet.stream.type == "audio":
                if packet.dts is not None:
                    packet.stream = sound
                    output.mux(packet)
                continue
            for frame in packet.decode():
                larger = Image.new("RGB", (width, height), "grey")
                scale = min(width / frame.width, height / frame.height)
                larger.paste(frame.to_image().resize((round(frame.width * scale), round(frame.height * scale))))
                output.mux(pictures.encode(av.VideoFrame.from_image(larger)))
        output.mux(pictures.encode(None))
    return place


def films(clip: Path, folder: Path, hours: float) -> Iterator[tuple[str, Path]]:
    """Titles and files of the films to answer, each made when its turn comes."""
    yield "as it is", clip
    yield "a minute", repeated(clip, folder / f"minute{clip.suffix}", 60.0)
    for width, height in SIZES:
        large = enlarged(clip, folder / f"large{height}.mp4", width, height)
        yield f"{width} x {height}", repeated(large, folder / f"{height}.mp4", ENLARGED_S)
    yield f"{hours:g} h", repeated(clip, folder / f"hours{clip.suffix}", 3600.0 * hours)


def apart(film: Path, work: str) -> dict[str, Any]:
    """Do work of `WORK` with a film in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.studies.one_core", "--only", work, str(film)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{film}: the process ends with {done.returncode}: {done.stderr}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def answer(film: Path) -> dict[str, Any]:
    """Answer a film on one core: its length and the time it took, seconds; peak of the resident memory, MB."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    start = time.perf_counter()
    with Recognizer(PACKAGED_BUNDLE, device="cpu") as recognizer:
        result = recognizer.predict(film)
        took = time.perf_counter() - start
        return {
            "path": result.path,
            "backend": str(recognizer.backend),
            "seconds": result.duration_s,
            "frames": result.faces.frames,
            "took_s": took,
            "peak_mb": status_mb("VmHWM"),
        }


def index(film: Path) -> dict[str, Any]:
    """Memory of a film opened twice, once for each modality as the runtime does, MB: what FFmpeg knows of it."""
    before = status_mb("RssAnon")
    with av.open(str(film)), av.open(str(film)):
        return {"index_mb": status_mb("RssAnon") - before}


WORK: dict[str, Callable[[Path], dict[str, Any]]] = {"answer": answer, "index": index}


def table(record: dict[str, Any]) -> str:
    """The table of a result."""
    machine = record["environment"]
    lines = [
        "## The packaged bundle on one core",
        "",
        f"`{record['command']}`: from opening the bundle to the audio-visual answer, loading included, in a process "
        f"bound to one core; {machine['processor']}, onnxruntime {machine['onnxruntime']}. Real-time factor: seconds "
        "for a second of film.",
        "",
        "| film | length, s | frames | took, s | real-time factor | peak memory, MB | of it FFmpeg's index, MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for title, film in record["films"].items():
        lines.append(
            f"| {title} | {film['seconds']:.1f} | {film['frames']} | {film['took_s']:.2f} "
            f"| {film['took_s'] / film['seconds']:.3f} | {film['peak_mb']:.0f} "
            f"| {film['index_mb']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--only", choices=WORK, help="do this in this process, and print its figures")
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/one_core.json"))
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(WORK[arguments.only](arguments.clip)))
        return 0
    record: dict[str, Any] = {
        "benchmark": "one_core",
        "command": f"python -m benchmarks.studies.one_core {arguments.clip.name} --hours {arguments.hours:g}",
        "environment": environment(1, ("onnxruntime", "av")),
        "films": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for title, film in films(arguments.clip, Path(folder), arguments.hours):
            record["films"][title] = apart(film, "answer") | apart(film, "index")
            # Written after every film: what an interrupted run has measured is kept.
            write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
