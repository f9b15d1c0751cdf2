"""Whether a device keeps up with a live stream, what limits it, and the cheapest setting that would do.

A clip is processed again and again, and the time of each stage is divided by the length of the clip. A load of 1 means
that the stage takes all of the time. Stages that depend on frames are scaled to the stream's frame rate. The loads of
other strides and detection intervals are computed; other precisions and encoders are measured.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from vavl_bench.clock import Clock
from vavl_bench.contention import Contention
from vavl_bench.statistics import percentile
from vavl_runtime.errors import InputError
from vavl_runtime.result import ClipResult
from vavl_runtime.stage_profile import grouped
from vavl_runtime.timing import WAIT

Encoders = Literal["own", "light"]

SUSTAINED = 95  # percentile of the clips' loads that must leave the reserve
LEAST_CLIPS = 3
STRIDES = (1, 2, 3, 5)
INTERVALS = (1, 2, 4)  # multiples of the bundle's own detection interval
_NO_LOAD = ("open", "load", WAIT)  # happens once per clip, so not in a stream; or is no work
_EVERY_FRAME = ("decode_video",)
_CHOSEN_FRAMES = ("convert", "detect", "track", "crop", "face_encoder")


@dataclass(frozen=True)
class Setting:
    """A way to run.

    Attributes:
        encoders: The bundle's own, or those of the light bundle.
        precision: Of the graphs.
        stride: Every n-th frame is processed.
        detect_every: Faces are detected in every n-th processed frame.
    """

    encoders: Encoders
    precision: str
    stride: int
    detect_every: int

    @property
    def options(self) -> str:
        """Options of ``vavl-run`` for this setting, without the bundle."""
        return f"--precision {self.precision} --stride {self.stride} --detect-every {self.detect_every}"

    def __str__(self) -> str:
        encoders = "the light bundle" if self.encoders == "light" else "this bundle"
        frames = "every frame" if self.stride == 1 else f"one frame in {self.stride}"
        return f"{encoders} in {self.precision}, {frames}, a face detection on one in {self.detect_every} of these"


@dataclass(frozen=True)
class StageLoads:
    """How long each stage of one clip took.

    Attributes:
        threads: By thread, seconds by stage for a second of media; waiting is no stage.
        overlap: Wall time divided by the sum of all stages: less than 1 where threads work at the same time.
    """

    threads: Mapping[str, Mapping[str, float]]
    overlap: float = 1.0

    @property
    def stages(self) -> dict[str, float]:
        """Loads by stage, with work that overlaps counted once."""
        sums: dict[str, float] = {}
        for stages in self.threads.values():
            for name, load in stages.items():
                sums[name] = sums.get(name, 0.0) + self.overlap * load
        return sums

    @property
    def load(self) -> float:
        """Share of the time that the clip takes: at least that of its busiest thread."""
        return max([sum(self.stages.values()), *(sum(stages.values()) for stages in self.threads.values())])


@dataclass(frozen=True)
class Probe:
    """What was measured of one bundle in one precision.

    Attributes:
        setting: How it ran: all frames, the bundle's own detection interval.
        fps: Frame rate of the clip.
        answers: Stage loads, one for each time that the clip was processed.
    """

    setting: Setting
    fps: float
    answers: tuple[StageLoads, ...]

    def threads(self, fps: float, stride: int = 1, interval: int = 1) -> list[StageLoads]:
        """Compute the loads at another frame rate, stride or detection interval.

        Args:
            fps: Frames per second of the stream.
            stride: Every n-th frame is processed.
            interval: Factor for the bundle's own detection interval.

        Returns:
            The loads of each time that the clip was processed.
        """
        rate = fps / self.fps
        scales = dict.fromkeys(_EVERY_FRAME, rate) | dict.fromkeys(_CHOSEN_FRAMES, rate / stride)
        scales["detect"] /= interval
        scales["path"] = max(rate / stride, 1.0)  # half of its work is for the audio, which stays
        return [
            StageLoads(
                {
                    thread: {name: load * scales.get(name, 1.0) for name, load in stages.items()}
                    for thread, stages in answer.threads.items()
                },
                answer.overlap,
            )
            for answer in self.answers
        ]

    def load(self, fps: float, stride: int = 1, interval: int = 1) -> float:
        """Return the load that a percentile (`SUSTAINED`) of all clips stays below."""
        return percentile([answer.load for answer in self.threads(fps, stride, interval)], SUSTAINED)


@dataclass(frozen=True)
class LiveVerdict:
    """The answer to "will it run".

    Attributes:
        fps: The frame rate asked for.
        reserve: Share of the time that must stay free.
        passed: Whether the device keeps up with the setting as it is.
        load: Sustained load; the head-room is 1 minus it.
        stages: Mean load by stage.
        limiting: The stage that takes most.
        answers: How often the clip was processed.
        cheapest: The setting that gives up least and leaves the reserve; None if the test passed, or if none does.
        cheapest_load: Its load.
        contention: What other programs did meanwhile; None if nobody watched.
    """

    fps: float
    reserve: float
    passed: bool
    load: float
    stages: Mapping[str, float]
    limiting: str
    answers: int
    cheapest: Setting | None
    cheapest_load: float | None
    contention: Contention | None = None


def probe(predict: Callable[[], ClipResult], setting: Setting, seconds: float, clock: Clock) -> Probe:
    """Process a clip again and again.

    Args:
        predict: Processes the clip.
        setting: How that runs.
        seconds: How long to go on, but at least `LEAST_CLIPS` times, after one time to warm up.
        clock: Where time is read.

    Returns:
        What was measured.

    Raises:
        InputError: The clip does not use both modalities.
    """
    result = predict()
    if result.path != "audio_visual":
        raise InputError(
            f"{result.clip}: got the path {result.path}, expected audio_visual (audio: {result.reasons.audio}, "
            f"visual: {result.reasons.visual}); use a clip with speech and a face"
        )
    answers: list[StageLoads] = []
    start = clock.now()
    while len(answers) < LEAST_CLIPS or clock.now() - start < seconds:
        result = predict()
        budget, media_s = result.budget, result.duration_s
        work = sum(busy for name, busy in budget.stages_s.items() if name != WAIT)
        threads = {
            thread: {name: busy / media_s for name, busy in stages.items() if name not in _NO_LOAD}
            for thread, stages in budget.busy_s.items()
        }
        answers.append(StageLoads(threads, budget.covered_s / work if work > 0 else 1.0))
    return Probe(setting, result.faces.frames / result.duration_s, tuple(answers))


def judge(
    own: Probe,
    fps: float,
    reserve: float,
    others: Callable[[], Iterator[Probe]],
    contention: Contention | None = None,
) -> LiveVerdict:
    """Decide, and look for another setting if this one fails.

    Args:
        own: The setting as it is.
        fps: Frames per second of the stream.
        reserve: Share of the time that must stay free.
        others: Measures other precisions and encoders; only called if the setting as it is fails.
        contention: What other programs did while ``own`` was measured.

    Returns:
        The verdict.
    """
    load = own.load(fps)
    passed = load <= 1 - reserve
    answers = [answer.stages for answer in own.threads(fps)]
    names = {name: None for stages in answers for name in stages}  # in the order of their first appearance
    mean = {name: sum(stages.get(name, 0.0) for stages in answers) / len(answers) for name in names}
    stages = grouped(mean)
    found = None if passed else cheapest((own, *others()), fps, reserve)
    return LiveVerdict(
        fps=fps,
        reserve=reserve,
        passed=passed,
        load=load,
        stages=stages,
        limiting=max(stages, key=lambda name: stages[name]),
        answers=len(own.answers),
        cheapest=found[0] if found else None,
        cheapest_load=found[1] if found else None,
        contention=contention,
    )


def cheapest(probes: Sequence[Probe], fps: float, reserve: float) -> tuple[Setting, float] | None:
    """Find the setting that gives up least and leaves the reserve.

    The light encoders give up most, then fewer frames, then another precision, then rarer face detection.

    Args:
        probes: What was measured; earlier ones give up less precision.
        fps: Frames per second of the stream.
        reserve: Share of the time that must stay free.

    Returns:
        The setting and its load, or None.
    """
    for encoders, stride in product(("own", "light"), STRIDES):
        for candidate, interval in product(probes, INTERVALS):
            if candidate.setting.encoders != encoders:
                continue
            load = candidate.load(fps, stride, interval)
            if load <= 1 - reserve:
                base = candidate.setting
                return Setting(base.encoders, base.precision, stride, interval * base.detect_every), load
    return None
