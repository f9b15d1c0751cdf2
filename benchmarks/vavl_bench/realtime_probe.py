"""Measures this machine for `vavl_bench.realtime`: the bundle as it is, other precisions, the light bundle."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from vavl_bench.clock import Clock, SystemClock
from vavl_bench.contention import ContentionWatch
from vavl_bench.realtime import Encoders, LiveVerdict, Probe, Setting, judge, probe
from vavl_runtime.bundle import PACKAGED_BUNDLE
from vavl_runtime.bundle.precision import PrecisionChoice
from vavl_runtime.errors import VavlError
from vavl_runtime.recognizer import Recognizer

log = logging.getLogger(__name__)
OTHER_PRECISIONS = ("fp16", "int8")
_SHARE_OF_OTHERS = 0.2  # of the time to measure, for each other setting


@dataclass(frozen=True)
class LiveRequest:
    """What to measure.

    Attributes:
        bundle: The bundle.
        clip: A video with speech and a face.
        fps: Frames per second of the stream.
        reserve: Share of the time that must stay free.
        seconds: How long to measure the bundle as it is.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        backend: The backend.
        precision: Of the graphs.
        threads: CPU threads; None for all cores.
    """

    bundle: Path
    clip: Path
    fps: float
    reserve: float
    seconds: float
    device: str
    backend: str
    precision: str
    threads: int | None


def probe_live(request: LiveRequest, *, clock: Clock | None = None) -> LiveVerdict:
    """Measure, and judge. Progress is logged.

    Args:
        request: What to measure.
        clock: Where time is read; the machine's clock by default.

    Returns:
        The verdict.

    Raises:
        VavlError: The bundle, the device, the precision or the clip is at fault.
    """
    used = clock or SystemClock()

    def probed(bundle: Path, encoders: Encoders, precision: str, seconds: float) -> Probe:
        with Recognizer(
            bundle,
            device=request.device,
            backend=request.backend,
            threads=request.threads,
            precision=cast(PrecisionChoice, precision),  # checked by the recogniser
        ) as recognizer:
            setting = Setting(encoders, precision, 1, recognizer.manifest.crop.detect_every)
            log.info("measuring %s: %s, %g s", setting, recognizer.backend, seconds)
            return probe(lambda: recognizer.predict(request.clip), setting, seconds, used)

    def others() -> Iterator[Probe]:
        seconds = _SHARE_OF_OTHERS * request.seconds
        for precision in OTHER_PRECISIONS:
            if precision != request.precision:
                try:
                    yield probed(request.bundle, "own", precision, seconds)
                except VavlError as error:  # the verdict on the setting as it is does not need this one
                    log.info("not measured: %s", error)
        if request.bundle.resolve() != PACKAGED_BUNDLE.resolve():
            yield probed(PACKAGED_BUNDLE, "light", "fp32", seconds)

    watch = ContentionWatch()
    own = probed(request.bundle, "own", request.precision, request.seconds)
    return judge(own, request.fps, request.reserve, others, watch.stop())
