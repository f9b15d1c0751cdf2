"""Whether a device keeps up with a live stream, what limits it, and the cheapest setting that would do.

A clip is answered again and again, and the time of each stage is set against the seconds of media it was for. A load
of 1 means that the stage alone takes all of the time. What depends on frames is scaled to the frame rate asked for;
loads of other strides and detection intervals are computed, other precisions and encoders are measured.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from vavl_bench.clock import Clock
from vavl_bench.statistics import percentile
from vavl_runtime.errors import InputError
from vavl_runtime.result import ClipResult
from vavl_runtime.stage_profile import grouped
from vavl_runtime.timing import WAIT

Encoders = Literal["own", "light"]

SUSTAINED = 95  # percentile of the answers' loads that must leave the reserve
LEAST_ANSWERS = 3
STRIDES = (1, 2, 3, 5)
INTERVALS = (1, 2, 4)  # multiples of the bundle's own detection interval
_NO_LOAD = ("open", "load", WAIT)  # once a clip, and so never in a stream; or no work
_EVERY_FRAME = ("decode_video",)
_CHOSEN_FRAMES = ("detect", "track", "crop", "face_encoder")


@dataclass(frozen=True)
class Setting:
    """A way to run.

    Attributes:
        encoders: The bundle's own, or those of the light bundle.
        precision: Of the graphs.
        stride: Every n-th frame is looked at.
        detect_every: Frames looked at from one face detection to the next.
    """

    encoders: Encoders
    precision: str
    stride: int
    detect_every: int

    @property
    def options(self) -> str:
        """The options of ``vavl-run`` that ask for it; the bundle is named apart."""
        return f"--precision {self.precision} --stride {self.stride} --detect-every {self.detect_every}"

    def __str__(self) -> str:
        encoders = "the light bundle" if self.encoders == "light" else "this bundle"
        frames = "every frame" if self.stride == 1 else f"one frame in {self.stride}"
        return f"{encoders} in {self.precision}, {frames}, a face detection on one in {self.detect_every} of these"


@dataclass(frozen=True)
class Prediction:
    """Where the time of one answer went.

    Attributes:
        threads: By thread, seconds by stage for a second of media; waiting is no stage.
        overlap: Wall time of a second of work: less than 1 where threads work at the same time.
    """

    threads: Mapping[str, Mapping[str, float]]
    overlap: float = 1.0

    @property
    def stages(self) -> dict[str, float]:
        """Loads by stage, overlap of threads taken off."""
        sums: dict[str, float] = {}
        for stages in self.threads.values():
            for name, load in stages.items():
                sums[name] = sums.get(name, 0.0) + self.overlap * load
        return sums

    @property
    def load(self) -> float:
        """Share of the time that it takes: no less than any thread alone does, however much they overlap."""
        return max([sum(self.stages.values()), *(sum(stages.values()) for stages in self.threads.values())])


@dataclass(frozen=True)
class Probe:
    """Answers of one bundle in one precision.

    Attributes:
        setting: How it ran: all frames, the bundle's own detection interval.
        fps: Frame rate of the clip.
        answers: What was measured, an answer each.
    """

    setting: Setting
    fps: float
    answers: tuple[Prediction, ...]

    def threads(self, fps: float, stride: int = 1, interval: int = 1) -> list[Prediction]:
        """The answers at another frame rate, stride or detection interval.

        Args:
            fps: Frames a second of the stream.
            stride: Every n-th frame is looked at.
            interval: The bundle's own detection interval is multiplied by this.
        """
        rate = fps / self.fps
        scales = dict.fromkeys(_EVERY_FRAME, rate) | dict.fromkeys(_CHOSEN_FRAMES, rate / stride)
        scales["detect"] /= interval
        scales["path"] = max(rate / stride, 1.0)  # half of its work is for the sound, which stays
        return [
            Prediction(
                {
                    thread: {name: load * scales.get(name, 1.0) for name, load in stages.items()}
                    for thread, stages in answer.threads.items()
                },
                answer.overlap,
            )
            for answer in self.answers
        ]

    def load(self, fps: float, stride: int = 1, interval: int = 1) -> float:
        """The sustained load, see `SUSTAINED`."""
        return percentile([answer.load for answer in self.threads(fps, stride, interval)], SUSTAINED)


@dataclass(frozen=True)
class LiveVerdict:
    """The answer to "will it run".

    Attributes:
        fps: The frame rate asked for.
        reserve: Share of the time that must stay free.
        passed: Whether it does with the setting as it is.
        load: Sustained load; the head-room is 1 minus it.
        stages: Mean load by stage.
        limiting: The stage that takes most.
        answers: Clips answered.
        cheapest: The setting that gives up least and leaves the reserve; None if it passed, or if none does.
        cheapest_load: Its load.
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


def probe(predict: Callable[[], ClipResult], setting: Setting, seconds: float, clock: Clock) -> Probe:
    """Answer a clip again and again.

    Args:
        predict: Answers the clip.
        setting: How that runs.
        seconds: How long to go on; at least `LEAST_ANSWERS` answers count, and one before them warms up.
        clock: Where time is read.

    Returns:
        What was measured.

    Raises:
        InputError: The clip does not exercise both modalities.
    """
    result = predict()
    if result.path != "audio_visual":
        raise InputError(
            f"{result.clip}: answered by {result.path}, expected audio_visual (audio: {result.reasons.audio}, "
            f"visual: {result.reasons.visual}); probe with a clip that has sound and a face"
        )
    answers: list[Prediction] = []
    start = clock.now()
    while len(answers) < LEAST_ANSWERS or clock.now() - start < seconds:
        result = predict()
        budget, media_s = result.budget, result.duration_s
        work = sum(busy for name, busy in budget.stages_s.items() if name != WAIT)
        threads = {
            thread: {name: busy / media_s for name, busy in stages.items() if name not in _NO_LOAD}
            for thread, stages in budget.busy_s.items()
        }
        answers.append(Prediction(threads, budget.covered_s / work if work > 0 else 1.0))
    return Probe(setting, result.faces.frames / result.duration_s, tuple(answers))


def judge(own: Probe, fps: float, reserve: float, others: Callable[[], Iterator[Probe]]) -> LiveVerdict:
    """Decide, and look for a way out if it fails.

    Args:
        own: The setting as it is.
        fps: Frames a second of the stream.
        reserve: Share of the time that must stay free.
        others: Probes other precisions and encoders; only asked if the setting as it is fails.

    Returns:
        The verdict.
    """
    load = own.load(fps)
    passed = load <= 1 - reserve
    answers = [answer.stages for answer in own.threads(fps)]
    names = {name: None for stages in answers for name in stages}  # in the order in which they came
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
    )


def cheapest(probes: Sequence[Probe], fps: float, reserve: float) -> tuple[Setting, float] | None:
    """Find the setting that gives up least and leaves the reserve.

    What is given up counts in this order: light encoders most, then frames, then precision, then detections.

    Args:
        probes: What was measured; the earlier, the less its precision gives up.
        fps: Frames a second of the stream.
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
