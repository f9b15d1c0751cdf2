"""Arguments of `Recognizer` and its methods that are wrong, or that contradict each other, are refused here."""

from typing import get_args

from vavl_runtime.errors import InputError
from vavl_runtime.pipeline.availability import Use
from vavl_runtime.stream_numbers import StreamNumbers


def check_choice(use: object, streams: object) -> None:
    """Refuse what is no choice of a modality or of streams, and a stream that the choice of a modality leaves out."""
    if use not in get_args(Use):
        raise InputError(f"use: got {use!r}, expected 'auto', 'audio' or 'visual'")
    if streams is None:
        return
    if not isinstance(streams, StreamNumbers):
        raise InputError(f"streams: got {streams!r:.80}, expected StreamNumbers, such as StreamNumbers(audio=1)")
    left_out = {"audio": "visual", "visual": "audio"}.get(str(use))
    if left_out is not None and getattr(streams, left_out) is not None:
        raise InputError(f"streams: got {streams}, but use={use!r} reads no {left_out} stream; leave one of them out")


def check_whole(name: str, value: object, least: int, most: int | None) -> None:
    """Refuse what is no whole number within bounds."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not fits or (most is not None and value > most):  # type: ignore[operator]  # an int by now
        bounds = f"{least} to {most}" if most is not None else f"at least {least}"
        raise InputError(f"{name}: got {value!r}, expected a whole number, {bounds}")


def check_backend(backend: object, device: object, threads: object) -> None:
    """Refuse what is neither a name nor a backend, and what a backend of the caller's own has settled already."""
    if isinstance(backend, str):
        return
    if isinstance(backend, type) or not all(hasattr(backend, name) for name in ("load", "run", "info", "close")):
        raise InputError(f"backend: got {backend!r:.80}, expected the name of a backend, or a Backend object")
    for name, value, default in (("device", device, "auto"), ("threads", threads, None)):
        if value != default:
            raise InputError(
                f"{name}: got {value!r} beside a Backend object, which has its own device and threads; leave it out"
            )
