"""The verdict of ``vavl-bench will-it-run`` for people and for programs."""

import json
from dataclasses import asdict

from vavl_bench.contention import Contention
from vavl_bench.realtime import LiveVerdict


def verdict_text(verdict: LiveVerdict) -> str:
    """Write a verdict for the terminal."""
    word = "PASS" if verdict.passed else "FAIL"
    lines = [
        f"{word}: live at {verdict.fps:g} frames/s takes {100 * verdict.load:.0f} % of the time (95th percentile of "
        f"{verdict.answers} runs); {max(0.0, 100 * (1 - verdict.load)):.0f} % stays free, {100 * verdict.reserve:g} % "
        "must"
    ]
    lines += [f"  {name:14} {100 * load:6.1f} %" for name, load in verdict.stages.items()]
    lines.append(f"limited by: {verdict.limiting}")
    if verdict.cheapest is not None and verdict.cheapest_load is not None:
        lines.append(f"would pass: {verdict.cheapest} ({100 * verdict.cheapest_load:.0f} %, computed from the stages)")
        lines.append(f"            vavl-run CLIP {verdict.cheapest.options}")
    elif not verdict.passed:
        lines.append("no other frame stride, detection interval, precision or encoder would pass either")
    lines += _contention_lines(verdict.contention)
    return "\n".join(lines)


def _contention_lines(contention: Contention | None) -> list[str]:
    if contention is None or not contention.busy:
        return []
    load = "" if contention.load_average is None else f" (load average {contention.load_average:.1f} at the start)"
    return [
        f"the machine was busy: other programs used {contention.other_cores:.1f} of {contention.cores} cores{load}; "
        "close them and measure again, the true load is lower"
    ]


def verdict_json(verdict: LiveVerdict) -> str:
    """Write a verdict as the JSON object of ``docs/bench.md``."""
    values = asdict(verdict) | {"head_room": 1 - verdict.load}
    return json.dumps(values, indent=2)
