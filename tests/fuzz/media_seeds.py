"""Small films and recordings in every container that the media layer allows and FFmpeg's build here can write."""

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import av
import numpy as np

from tests.fuzz.checksums import mend_ogg, mend_png
from tests.fuzz.mutations import Seed
from tests.runtime.made_media import RATE, tone

_SIZE = (64, 48)
_SECONDS = 0.4
# Names of boxes, chunks, elements and markers; what stands in the damaged file is turned into another one.
_WORDS = (
    *(b"moov", b"mvhd", b"trak", b"tkhd", b"mdia", b"stbl", b"stsd", b"stts", b"stsc", b"stsz", b"stco", b"co64"),
    *(b"ctts", b"elst", b"moof", b"traf", b"trun", b"tfhd", b"mdat", b"avc1", b"mp4a", b"esds", b"meta", b"dref"),
    *(b"RIFF", b"LIST", b"AVI ", b"WAVE", b"fmt ", b"data", b"movi", b"strh", b"strf", b"idx1", b"00dc", b"01wb"),
    *(b"OggS", b"fLaC", b"OpusHead", b"OpusTags", b"ID3", b"Xing", b"FORM", b"COMM", b"SSND", b"caff", b"desc"),
    *(b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\xa3", b"\xae", b"\x16\x54\xae\x6b"),
    *(b"\x00\x00\x01\xba", b"\x00\x00\x01\xe0", b"\x00\x00\x01\xb3", b"\x00\x00\x00\x01", b"\x47\x40\x00"),
    *(b"FLV\x01", b"\xff\xd8", b"\xff\xc0", b"\xff\xda", b"\xff\xf1", b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"acTL"),
)


@dataclass(frozen=True)
class _Recipe:
    """How a seed is encoded; names of FFmpeg."""

    kind: str
    format: str
    video: str = ""
    audio: str = ""
    rate: int = RATE
    pixels: str = "yuv420p"
    size: tuple[int, int] = _SIZE
    options: tuple[tuple[str, str], ...] = ()


_FRAGMENTS = (("movflags", "frag_keyframe+empty_moov"),)
_MENDERS = {"ogg": mend_ogg, "png": mend_png}
_OPTIONS = {"libx265": {"x265-params": "log-level=none"}}
_DV = (720, 576)
_RECIPES = (
    _Recipe("mp4", "mp4", "libx264", "aac"),
    _Recipe("mp4, fragmented", "mp4", "mpeg4", "aac", options=_FRAGMENTS),
    _Recipe("mp4, HEVC", "mp4", "libx265", "ac3", 32_000),
    _Recipe("mov", "mov", "qtrle", "pcm_s16be", pixels="argb", size=(32, 24)),
    _Recipe("mov, ProRes", "mov", "prores", "alac", pixels="yuv422p10le"),
    _Recipe("3gp", "3gp", "h263", "aac", size=(176, 144)),
    _Recipe("m4a", "ipod", "", "aac"),
    _Recipe("mkv", "matroska", "libx264", "libopus", 48_000),
    _Recipe("mkv, MJPEG", "matroska", "mjpeg", "flac", pixels="yuvj420p"),
    _Recipe("mkv, FFV1", "matroska", "ffv1", "vorbis", 48_000),
    _Recipe("webm", "webm", "libvpx", "libopus", 48_000),
    _Recipe("webm, VP9", "webm", "libvpx-vp9", "libopus", 48_000),
    _Recipe("webm, AV1", "webm", "libsvtav1", "", size=(64, 64)),
    _Recipe("avi", "avi", "mpeg4", "mp3"),
    _Recipe("avi, HuffYUV", "avi", "huffyuv", "adpcm_ms", pixels="yuv422p"),
    _Recipe("asf", "asf", "wmv2", "wmav2", 44_100),
    _Recipe("flv", "flv", "flv", "mp3", 22_050),
    _Recipe("mpeg-ts", "mpegts", "mpeg2video", "mp2"),
    _Recipe("mpeg-ts, H.264", "mpegts", "libx264", "aac"),
    _Recipe("mpeg-ps", "mpeg", "mpeg1video", "mp2"),
    _Recipe("mxf", "mxf", "mpeg2video", "pcm_s16le", 48_000),
    _Recipe("nut", "nut", "snow", "vorbis", 48_000),
    _Recipe("dv", "dv", "dvvideo", "pcm_s16le", 48_000, size=_DV),
    _Recipe("ivf", "ivf", "libvpx"),
    _Recipe("h264", "h264", "libx264"),
    _Recipe("hevc", "hevc", "libx265"),
    _Recipe("mpegvideo", "mpeg1video", "mpeg1video"),
    _Recipe("y4m", "yuv4mpegpipe", "wrapped_avframe"),
    _Recipe("jpeg", "image2pipe", "mjpeg", pixels="yuvj420p"),
    _Recipe("png", "image2pipe", "png", pixels="rgba"),
    _Recipe("wav", "wav", "", "pcm_s16le"),
    _Recipe("wav, IMA ADPCM", "wav", "", "adpcm_ima_wav"),
    _Recipe("w64", "w64", "", "pcm_s16le"),
    _Recipe("aiff", "aiff", "", "pcm_s16be"),
    _Recipe("au", "au", "", "pcm_mulaw"),
    _Recipe("caf", "caf", "", "alac"),
    _Recipe("voc", "voc", "", "pcm_u8"),
    _Recipe("flac", "flac", "", "flac"),
    _Recipe("mp3", "mp3", "", "libmp3lame"),
    _Recipe("aac", "adts", "", "aac"),
    _Recipe("ac3", "ac3", "", "ac3", 32_000),
    _Recipe("eac3", "eac3", "", "eac3", 32_000),
    _Recipe("ogg, Vorbis", "ogg", "", "vorbis", 48_000),
    _Recipe("ogg, Opus", "ogg", "", "libopus", 48_000),
    _Recipe("ogg, FLAC", "ogg", "", "flac"),
    _Recipe("tta", "tta", "", "tta"),
    _Recipe("wv", "wv", "", "wavpack"),
    _Recipe("amr", "amr", "", "libopencore_amrnb", 8_000),
)


@cache
def media_seeds() -> tuple[Seed, ...]:
    """Encode all of them; what this build of FFmpeg has no encoder for is left out.

    The AV1 encoder gives the thread that calls it real-time priority where it may. So it gets a thread of its own: the
    main thread would keep the priority, and hand it on to every process that it starts.
    """
    os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder prints its settings otherwise
    recipes = [recipe for recipe in _RECIPES if _has_encoders(recipe)]
    with ThreadPoolExecutor(max_workers=1) as own_thread:
        return tuple(own_thread.map(_encoded, recipes))


def _has_encoders(recipe: _Recipe) -> bool:
    for codec in filter(None, (recipe.video, recipe.audio)):
        try:
            av.Codec(codec, "w")
        except av.codec.codec.UnknownCodecError:
            return False
    return True


def _encoded(recipe: _Recipe) -> Seed:
    file = io.BytesIO()
    with av.open(file, "w", format=recipe.format, options=dict(recipe.options)) as container:
        streams: list[tuple[Any, Iterator[Any]]] = []
        if recipe.video:
            video: Any = container.add_stream(recipe.video, rate=25)
            video.width, video.height = recipe.size
            video.pix_fmt = recipe.pixels
            video.codec_context.thread_count = 1
            video.options = _OPTIONS.get(recipe.video, {"strict": "experimental"})
            streams.append((video, _pictures(recipe)))
        if recipe.audio:
            audio: Any = container.add_stream(recipe.audio, rate=recipe.rate)
            audio.options = {"strict": "experimental"}
            audio.bit_rate = 64_000
            audio.layout = "stereo" if recipe.video == "dvvideo" or recipe.audio == "vorbis" else "mono"
            streams.append((audio, _sounds(audio, recipe.rate)))
        for stream, frames in streams:
            for frame in (*frames, None):
                container.mux(stream.encode(frame))
    content = file.getvalue()
    return Seed(recipe.kind, content, _packets(content), _WORDS, mend=_MENDERS.get(recipe.kind.partition(",")[0]))


def _pictures(recipe: _Recipe) -> Iterator[Any]:
    width, height = recipe.size
    count = 1 if recipe.format == "image2pipe" or recipe.size == _DV else round(_SECONDS * 25)
    noise = np.random.default_rng(0).integers(0, 64, (height, width, 3), dtype=np.uint8)
    for number in range(count):
        pixels = np.roll(noise, number, axis=1) + np.linspace(0, 160, width, dtype=np.uint8)[None, :, None]
        frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24").reformat(format=recipe.pixels)
        frame.pts = number
        yield frame


def _sounds(stream: Any, rate: int) -> Iterator[Any]:
    samples = np.interp(
        np.arange(round(_SECONDS * rate)) / rate, np.arange(round(_SECONDS * RATE)) / RATE, tone(_SECONDS)
    )
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    fitting = av.AudioResampler(
        format=stream.codec_context.format, layout=stream.codec_context.layout, rate=rate, frame_size=stream.frame_size
    )
    yield from (*fitting.resample(frame), *fitting.resample(None))


def _packets(content: bytes) -> tuple[tuple[int, int], ...]:
    """Where the packets are, for the formats that tell."""
    with av.open(io.BytesIO(content)) as container:
        found = [(packet.pos, packet.size) for packet in container.demux() if packet.size]
    return tuple((start, size) for start, size in found if start is not None and 0 <= start < len(content))
