"""How many threads decode pictures: each of them keeps a frame, and large frames need few threads to be fast enough."""

from typing import Any

_FRAMES_BYTES = 64 * 10**6  # of the frames that the threads keep: 20 of 1080p, 5 of 4K in eight bits, 2 in ten
_USUAL_BITS = 12  # of a pixel, where the file does not tell the format


def threads_for(codec: Any, cores: int) -> int:
    """Choose the number of threads.

    Args:
        codec: PyAV's codec context, opened or not.
        cores: How many there may be at most.

    Returns:
        At least 1.
    """
    bits = codec.format.padded_bits_per_pixel if codec.format is not None else _USUAL_BITS
    frame_bytes: int = max(codec.width * codec.height * bits // 8, 1)
    return max(1, min(cores, _FRAMES_BYTES // frame_bytes))
