"""Planar sound of more channels than FFmpeg has room for in a frame itself."""

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from tests.runtime.made_media import RATE, pcm16, tone
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.media import open_source
from vavl_runtime.media.sound import _samples


def planar(layout: str, channels: int) -> bytes:
    """The same tone in every channel, each in its own plane. PyAV makes no such frames: the packet is made here."""
    file = io.BytesIO()
    with av.open(file, "w", format="nut") as container:
        stream: Any = container.add_stream("pcm_s16le_planar", rate=RATE, layout=layout)
        container.start_encoding()
        packet = av.Packet(pcm16(tone(0.5)) * channels)
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, RATE)
        packet.is_keyframe = True
        container.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("7.1", 8), ("hexadecagonal", 16)])
def test_one_voice_in_any_number_of_channels(layout: str, channels: int) -> None:
    blocks = open_source(planar(layout, channels), Limits()).sound()
    heard = np.concatenate([block.samples for block in blocks])
    np.testing.assert_allclose(heard, tone(0.5), atol=1e-3)


def test_samples_of_an_unknown_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="samples of the format s64p"):
        _samples(av.AudioFrame(format="s64p", layout="mono", samples=4))
