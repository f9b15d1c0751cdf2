"""Compares results: which measurement became slower, by how much, and whether that can be chance.

A measurement has regressed if it is slower by more than the tolerance, if the bootstrap interval of the ratio over
windows lies above 1, and if both runs were steady. If the windows of a run disagree with each other, nothing follows
from comparing it: the verdict is "cannot tell".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vavl_bench.errors import IncomparableError
from vavl_bench.schema import Measurement, MeasurementKey, Metrics, Report
from vavl_bench.statistics import percentile, ratio_interval

Verdict = Literal["same", "slower", "faster", "cannot tell", "failed"]


@dataclass(frozen=True)
class Comparison:
    """One measurement of a report against the same measurement of the baseline.

    Attributes:
        base: The baseline's measurement.
        other: The measurement to judge.
        ratio: Time of the other, as a multiple of the baseline's; None if either failed.
        low: Lower end of the ratio's 99 % interval; None where rates are compared, which have no windows.
        high: Upper end.
        verdict: ``same``: within the tolerance; ``slower`` or ``faster``: by more than the tolerance and by more than
            chance explains; ``cannot tell``: by more than the tolerance but perhaps by chance, or a run was unstable,
            or the baseline failed; ``failed``: only the other failed.
    """

    base: Measurement
    other: Measurement
    ratio: float | None
    low: float | None
    high: float | None
    verdict: Verdict

    @property
    def regressed(self) -> bool:
        """Whether the measurement became worse."""
        return self.verdict in ("slower", "failed")

    @property
    def undecided(self) -> bool:
        """Whether the runs do not allow a judgement."""
        return self.verdict == "cannot tell"


@dataclass(frozen=True)
class Comparisons:
    """A report against the baseline.

    Attributes:
        pairs: Measurements of both.
        only_base: Measurements that the other report lacks.
        only_other: Measurements that the baseline lacks.
    """

    pairs: tuple[Comparison, ...]
    only_base: tuple[MeasurementKey, ...]
    only_other: tuple[MeasurementKey, ...]


def compare_reports(base: Report, other: Report, tolerance: float, across: frozenset[str] = frozenset()) -> Comparisons:
    """Compare a report with a baseline.

    Args:
        base: The baseline.
        other: The report to judge.
        tolerance: Share by which a measurement may be slower.
        across: Parts of the key in which measurements may differ: ``backend``, ``device``, ``precision``, ``threads``.

    Returns:
        The comparisons, in the baseline's order.

    Raises:
        IncomparableError: The scopes or the latency bounds of servers differ, no measurement is in both reports, or two
            measurements of one report have the same key once ``across`` is left out.
    """
    scopes = [sorted({measurement.key.scope for measurement in report.measurements}) for report in (base, other)]
    if scopes[0] != scopes[1]:
        raise IncomparableError(
            f"scopes differ: {' and '.join(scopes[0]) or 'none'} against {' and '.join(scopes[1]) or 'none'}; a graph, "
            "the model and a whole clip are different work, measure both in the same scope"
        )
    bases, others = (_by_key(report, across) for report in (base, other))
    if not bases.keys() & others.keys():
        raise IncomparableError(
            "no measurement is in both: they differ in subject, scenario, media, batch, or in what `across` may name "
            "(backend, device, precision, threads)"
        )
    return Comparisons(
        pairs=tuple(
            _compare(measurement, others[key], tolerance) for key, measurement in bases.items() if key in others
        ),
        only_base=tuple(measurement.key for key, measurement in bases.items() if key not in others),
        only_other=tuple(measurement.key for key, measurement in others.items() if key not in bases),
    )


def _by_key(report: Report, across: frozenset[str]) -> dict[MeasurementKey, Measurement]:
    measurements: dict[MeasurementKey, Measurement] = {}
    for measurement in report.measurements:
        left_out: dict[str, str | None] = {part: None if part == "threads" else "" for part in across}
        key = measurement.key.model_copy(update=left_out)
        if key in measurements:
            raise IncomparableError(
                f"{measurement.key.scope} {measurement.key.subject}, batch {measurement.key.batch}: measured more than "
                f"once in one report, ignoring {', '.join(sorted(across)) or 'nothing'}; measure one of them only"
            )
        measurements[key] = measurement
    return measurements


def _compare(base: Measurement, other: Measurement, tolerance: float) -> Comparison:
    if base.metrics is None or other.metrics is None:
        verdict: Verdict = "failed" if base.metrics is not None else "cannot tell"
        return Comparison(base, other, None, None, None, verdict)
    mine, theirs = base.metrics.server, other.metrics.server
    if mine is not None and theirs is not None:
        if (mine.bound_ms, mine.percentile) != (theirs.bound_ms, theirs.percentile):
            text = " against ".join(f"{each.percentile:g} % within {each.bound_ms:g} ms" for each in (mine, theirs))
            raise IncomparableError(f"{base.key.scope} {base.key.subject}, server: the bounds differ, {text}")
        rates = mine.highest_rate_per_s, theirs.highest_rate_per_s
        if rates[0] == rates[1]:
            return Comparison(base, other, 1.0, None, None, "same")
        ratio = rates[0] / rates[1] if rates[1] > 0 else float("inf")
        changed: Verdict = "slower" if ratio > 1 + tolerance else "faster" if ratio < 1 / (1 + tolerance) else "same"
        return Comparison(base, other, ratio, None, None, changed)
    ratio, low, high = ratio_interval(_medians(base.metrics), _medians(other.metrics))
    unstable = any(metrics.stability.verdict == "unstable" for metrics in (base.metrics, other.metrics))
    return Comparison(base, other, ratio, low, high, _judge(ratio, low, high, tolerance, unstable))


def _medians(metrics: Metrics) -> Sequence[float]:
    return [percentile(window.latencies_ms, 50) for window in metrics.windows]


def _judge(ratio: float, low: float, high: float, tolerance: float, unstable: bool) -> Verdict:
    if unstable:
        return "cannot tell"
    if ratio > 1 + tolerance:
        return "slower" if low > 1 else "cannot tell"
    if ratio < 1 / (1 + tolerance):
        return "faster" if high < 1 else "cannot tell"
    return "same"
