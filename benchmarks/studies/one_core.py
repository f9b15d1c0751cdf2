"""The packaged bundle on one core: speed with everything included, and memory, by length and size of the video.

    python -m benchmarks.studies.one_core CLIP [--hours 1] [-o benchmarks/results/one_core.json]

CLIP, a short video with a face and speech, is predicted as it is, repeated to a minute and to hours, and enlarged. Each
video has a process of its own, bound to one core, that opens the bundle and predicts once, so loading the graphs
counts. Another process only opens the video twice, as the runtime does, to measure the memory of FFmpeg's index.
"""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
from PIL import Image

from benchmarks.record import Record, benchmark_parser, new_record, write_record
from vavl_bench.memory import status_mib
from vavl_runtime import Recognizer
from vavl_runtime.bundle import PACKAGED_BUNDLE

SIZES = ((1280, 720), (1920, 1080))
ENLARGED_S = 20.0  # length of the enlarged videos: memory peaks within seconds


def repeated(clip: Path, place: Path, seconds: float) -> Path:
    """Repeat a video, without encoding it again, until it has at least a length.

    Args:
        clip: The video.
        place: File to write, of the same container format.
        seconds: The length.
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
    """Encode a video with larger frames: scaled to fit, grey beside it.

    Args:
        clip: The video.
        place: File to write.
        width: Of the frames, pixels.
        height: Of the frames, pixels.
    """
    with av.open(str(clip)) as source, av.open(str(place), "w") as output:
        video = output.add_stream("libx264", rate=source.streams.video[0].average_rate, options={"preset": "veryfast"})
        video.width, video.height = width, height
        audio = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(video=0, audio=0):
            if packet.stream.type == "audio":
                if packet.dts is not None:
                    packet.stream = audio
                    output.mux(packet)
                continue
            for frame in packet.decode():
                larger = Image.new("RGB", (width, height), "grey")
                scale = min(width / frame.width, height / frame.height)
                larger.paste(frame.to_image().resize((round(frame.width * scale), round(frame.height * scale))))
                output.mux(video.encode(av.VideoFrame.from_image(larger)))
        output.mux(video.encode(None))
    return place


def films(clip: Path, folder: Path, hours: float) -> Iterator[tuple[str, Path]]:
    """Titles and files of the videos to predict, each made when its turn comes."""
    yield "as it is", clip
    yield "a minute", repeated(clip, folder / f"minute{clip.suffix}", 60.0)
    for width, height in SIZES:
        large = enlarged(clip, folder / f"large{height}.mp4", width, height)
        yield f"{width} x {height}", repeated(large, folder / f"{height}.mp4", ENLARGED_S)
    yield f"{hours:g} h", repeated(clip, folder / f"hours{clip.suffix}", 3600.0 * hours)


def apart(work: Callable[[Path], Record], film: Path) -> Record:
    """Do work in a process of its own, so that its memory and its cores are its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, (film,))


def predict(film: Path) -> Record:
    """Predict on one core: length and time taken, seconds; peak of the resident memory, MB."""
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
            "peak_mb": _mb("VmHWM"),
        }


def index(film: Path) -> Record:
    """Memory that a video takes which is opened twice, once for each modality, MB: FFmpeg's index of it."""
    before = _mb("RssAnon")
    with av.open(str(film)), av.open(str(film)):
        return {"index_mb": _mb("RssAnon") - before}


def _mb(field: str) -> float:
    return (status_mib(field).value or 0.0) * 2**20 / 1e6


def table(record: Record) -> str:
    """The section of a record."""
    machine = record["environment"]
    lines = [
        "## The packaged bundle on one core",
        "",
        f"`{record['command']}`: from opening the bundle to the audio-visual result, loading included, in a process "
        f"bound to one core; {machine['processor']}, onnxruntime {machine['onnxruntime']}. Real-time factor: seconds "
        "of work for one second of video.",
        "",
        "| video | length, s | frames | took, s | real-time factor | peak memory, MB | of it FFmpeg's index, MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for title, film in record["films"].items():
        lines.append(
            f"| {title} | {film['seconds']:.1f} | {film['frames']} | {film['took_s']:.2f} "
            f"| {film['took_s'] / film['seconds']:.3f} | {film['peak_mb']:.0f} | {film['index_mb']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, and write the record after every video, so that an interruption keeps what is done."""
    parser = benchmark_parser("one_core", __doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--hours", type=float, default=1.0)
    arguments = parser.parse_args()
    command = f"python -m benchmarks.studies.one_core {arguments.clip.name} --hours {arguments.hours:g}"
    record: Record = {**new_record("one_core", command, threads=1), "films": {}}
    with tempfile.TemporaryDirectory() as folder:
        for title, film in films(arguments.clip, Path(folder), arguments.hours):
            record["films"][title] = apart(predict, film) | apart(index, film)
            write_record(record, arguments.output)
    print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
