"""Live use: loads scale with the stream, the verdict follows, and the way out is the one that gives up least."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vavl_bench.clock import SimulatedClock
from vavl_bench.contention import Contention
from vavl_bench.realtime import Probe, Setting, StageLoads, cheapest, judge, probe
from vavl_bench.reports.realtime import verdict_json, verdict_text
from vavl_runtime.errors import InputError
from vavl_runtime.result import FaceCount, Reasons
from vavl_runtime.timing import WAIT, StageBudget

OWN = Setting("own", "fp32", 1, 5)


def made(setting: Setting = OWN, **loads: float) -> Probe:
    return Probe(setting, 25.0, (StageLoads({"main": loads}),) * 3)


def nothing() -> Iterator[Probe]:
    return iter(())


def test_a_load_is_the_sum_of_the_stages() -> None:
    verdict = judge(made(detect=0.3, face_encoder=0.2, audio_encoder=0.1), 25.0, 0.1, nothing)
    assert verdict.passed
    assert verdict.load == pytest.approx(0.6)
    assert verdict.limiting == "detect"
    assert verdict.cheapest is None


def test_frames_scale_with_the_rate_and_sound_does_not() -> None:
    probed = made(decode_video=0.1, detect=0.1, face_encoder=0.1, audio_encoder=0.1)
    assert probed.load(50.0) == pytest.approx(0.7)
    assert probed.load(50.0, stride=2) == pytest.approx(0.2 + 0.1 + 0.1 + 0.1)
    assert probed.load(25.0, interval=2) == pytest.approx(0.35)


def test_the_worst_answers_decide() -> None:
    uneven = Probe(OWN, 25.0, tuple(StageLoads({"main": {"detect": load}}) for load in [0.1] * 9 + [0.95]))
    assert not judge(uneven, 25.0, 0.1, nothing).passed


Load = st.floats(0.0, 1.0)
Loads = st.fixed_dictionaries(
    {
        "main": st.fixed_dictionaries({"detect": Load, "audio_encoder": Load}),
        "frames": st.fixed_dictionaries({"decode_video": Load}),
    }
)


@settings(deadline=None)
@given(Loads, st.floats(0.5, 1.0), st.floats(1, 60), st.sampled_from([1, 2, 3, 5]), st.sampled_from([1, 2, 4]))
def test_giving_something_up_never_costs(
    loads: dict[str, dict[str, float]], overlap: float, fps: float, stride: int, interval: int
) -> None:
    probed = Probe(OWN, 25.0, (StageLoads(loads, overlap),))
    assert probed.load(fps, stride, interval) <= probed.load(fps) * (1 + 1e-9)
    assert probed.load(fps) <= probed.load(2 * fps) * (1 + 1e-9)


def test_rarer_detection_goes_before_other_precisions_and_these_before_fewer_frames() -> None:
    int8 = Setting("own", "int8", 1, 5)
    assert cheapest([made(detect=1.0)], 25.0, 0.1) == (Setting("own", "fp32", 1, 10), pytest.approx(0.5))
    slow, quick = made(face_encoder=2.0), made(int8, face_encoder=0.8)
    assert cheapest([slow, quick], 25.0, 0.1) == (int8, pytest.approx(0.8))
    assert cheapest([slow], 25.0, 0.1) == (Setting("own", "fp32", 3, 5), pytest.approx(2 / 3))
    light = Setting("light", "fp32", 1, 5)
    heavy = made(audio_encoder=2.0)
    assert cheapest([heavy, made(light, audio_encoder=0.1)], 25.0, 0.1) == (light, pytest.approx(0.1))
    assert cheapest([heavy], 25.0, 0.1) is None


def test_other_settings_are_only_probed_after_a_failure() -> None:
    def asked() -> Iterator[Probe]:
        raise AssertionError("must not be asked")
        yield

    assert judge(made(detect=0.5), 25.0, 0.1, asked).passed
    with pytest.raises(AssertionError, match="must not"):
        judge(made(detect=1.5), 25.0, 0.1, asked)


def result(clock: SimulatedClock, path: str | None = "audio_visual") -> Any:
    clock.advance(1.0)
    budget = StageBudget(
        1.0, 0.8, 0.2, {"main": {"detect": 0.6, "open": 0.1, WAIT: 0.2}, "other": {"audio_encoder": 0.3}}
    )
    return SimpleNamespace(
        path=path,
        clip="made",
        duration_s=4.0,
        faces=FaceCount(100, 100),
        budget=budget,
        reasons=Reasons(None, "no_face"),
    )


def test_probing_goes_on_for_its_time_and_counts_overlap_once() -> None:
    clock = SimulatedClock()
    probed = probe(lambda: result(clock), OWN, 20.0, clock)
    assert len(probed.answers) == 20
    assert probed.fps == 25.0
    # 1.0 s of work was done in 0.8 s of wall time, for 4 s of media; opening happens once and is no part of a stream.
    assert probed.answers[0].stages == {"detect": pytest.approx(0.12), "audio_encoder": pytest.approx(0.06)}
    assert len(probe(lambda: result(clock), OWN, 0.0, clock).answers) == 3


def test_what_a_thread_takes_alone_is_not_shared_by_the_others() -> None:
    """Decoding alone takes all of the time; looking at fewer frames saves none of it."""
    busy = StageLoads({"main": {"detect": 1.0}, "frames": {"decode_video": 1.0}}, overlap=0.5)
    probed = Probe(OWN, 25.0, (busy,))
    assert probed.load(25.0) == pytest.approx(1.0)
    assert probed.load(25.0, stride=2) == pytest.approx(1.0)
    assert cheapest([probed], 25.0, 0.1) is None
    assert judge(probed, 25.0, 0.1, nothing).limiting in ("detect", "demux/decode")


def test_a_clip_without_a_face_probes_nothing() -> None:
    clock = SimulatedClock()
    with pytest.raises(InputError, match=r"got the path audio, expected audio_visual .*no_face"):
        probe(lambda: result(clock, "audio"), OWN, 1.0, clock)


def test_a_verdict_says_what_limits_and_what_would_do() -> None:
    failed = judge(made(detect=1.2, audio_encoder=0.1), 25.0, 0.1, nothing)
    text = verdict_text(failed)
    assert text.startswith("FAIL: live at 25 frames/s takes 130 % of the time")
    assert "limited by: detect" in text
    assert "would pass: this bundle in fp32, every frame, a face detection on one in 10 of these (70 %" in text
    assert "vavl-run CLIP --precision fp32 --stride 1 --detect-every 10" in text
    values = json.loads(verdict_json(failed))
    assert values["head_room"] == pytest.approx(-0.3)
    assert values["cheapest"] == {"encoders": "own", "precision": "fp32", "stride": 1, "detect_every": 10}
    assert values["contention"] is None
    hopeless = verdict_text(judge(made(audio_encoder=5.0), 25.0, 0.1, nothing))
    assert "would pass either" in hopeless
    assert verdict_text(judge(made(detect=0.1), 25.0, 0.1, nothing)).startswith("PASS")


def test_a_busy_machine_is_named_in_text_and_json() -> None:
    busy = judge(made(detect=0.1), 25.0, 0.1, nothing, Contention(2.34, 1.26, 2, True))
    assert "the machine was busy: other programs used 1.3 of 2 cores (load average 2.3 at the start)" in verdict_text(
        busy
    )
    assert json.loads(verdict_json(busy))["contention"] == {
        "load_average": 2.34,
        "other_cores": 1.26,
        "cores": 2,
        "busy": True,
    }
    assert "busy" not in verdict_text(judge(made(detect=0.1), 25.0, 0.1, nothing, Contention(0.1, 0.05, 2, False)))
