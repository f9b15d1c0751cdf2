"""What a run measures: each requested combination as a specification that a separate process can measure."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vavl_bench.scenarios import STREAMS
from vavl_bench.schema import MeasurementKey, Media, ScenarioName, ScopeName
from vavl_bench.steady_state import WindowSettings

ITEM_GRAPHS = (
    "face_encoder",
    "pnet",
    "rnet",
    "onet",
)  # their batch counts faces, frames or boxes


@dataclass(frozen=True)
class MeasurementSpec:
    """One combination to measure; the fields are those of `vavl_bench.schema.MeasurementKey`.

    Attributes:
        bundle: The bundle.
        backend: The requested backend.
        seconds: Length of a clip; None where the subject has none or a file decides.
        clip: The media file of the clip scope.
        bound_ms: Latency bound of the server scenario.
        windows: How long to measure.
    """

    bundle: Path
    scope: ScopeName
    subject: str
    scenario: ScenarioName
    device: str
    backend: str
    precision: str
    threads: int | None
    batch: int
    seconds: float | None
    clip: Path | None
    bound_ms: float
    windows: WindowSettings

    def planned_key(self) -> MeasurementKey:
        """The key of a measurement that could not be measured."""
        return MeasurementKey(
            scope=self.scope,
            subject=self.subject,
            scenario=self.scenario,
            backend=self.backend,
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            batch=self.batch,
            media=Media(seconds=self.seconds, file=self.clip.name if self.clip else None),
        )

    def __str__(self) -> str:
        length = self.clip.name if self.clip else f"{self.seconds:g} s" if self.seconds else "items"
        return (
            f"{self.scope} {self.subject}, {self.scenario}, {self.device}/{self.backend} {self.precision}, "
            f"batch {self.batch}, {length}"
        )


@dataclass(frozen=True)
class Plan:
    """Everything requested; all combinations that make sense are measured.

    Attributes:
        bundle: The bundle.
        scopes: Timing scopes.
        paths: Paths of the model and clip scopes.
        graphs: Graphs of the graph scope.
        scenarios: Scenarios.
        devices: Devices.
        backends: Backends.
        precisions: Precisions.
        threads: CPU threads; None for the default.
        batches: Clips of a query; the clip scope knows 1 only, multi-stream `STREAMS` only.
        lengths_s: Lengths of a clip, seconds; in the clip scope the files decide.
        clips: Media files of the clip scope.
        bound_ms: Latency bound of the server scenario.
        windows: How long to measure.
    """

    bundle: Path
    scopes: tuple[ScopeName, ...]
    paths: tuple[str, ...]
    graphs: tuple[str, ...]
    scenarios: tuple[ScenarioName, ...]
    devices: tuple[str, ...]
    backends: tuple[str, ...]
    precisions: tuple[str, ...]
    threads: int | None
    batches: tuple[int, ...]
    lengths_s: tuple[float, ...]
    clips: tuple[Path, ...]
    bound_ms: float
    windows: WindowSettings

    def measurements(self) -> Iterator[MeasurementSpec]:
        """The combinations, in the order in which they are measured, each once."""
        seen = set()
        where = itertools.product(self.devices, self.backends, self.precisions)
        for (device, backend, precision), scope in itertools.product(where, self.scopes):
            for subject, scenario in itertools.product(self._subjects(scope), self.scenarios):
                for batch, (seconds, clip) in itertools.product(
                    self._batches(scope, scenario), self._media(scope, subject)
                ):
                    spec = MeasurementSpec(
                        bundle=self.bundle,
                        scope=scope,
                        subject=subject,
                        scenario=scenario,
                        device=device,
                        backend=backend,
                        precision=precision,
                        threads=self.threads,
                        batch=batch,
                        seconds=seconds,
                        clip=clip,
                        bound_ms=self.bound_ms,
                        windows=self.windows,
                    )
                    if spec not in seen:
                        seen.add(spec)
                        yield spec

    def _subjects(self, scope: ScopeName) -> Sequence[str]:
        return self.graphs if scope == "graph" else self.paths

    def _batches(self, scope: ScopeName, scenario: ScenarioName) -> Sequence[int]:
        if scenario == "multi-stream":
            return (STREAMS,)
        return (1,) if scope == "clip" or scenario == "server" else self.batches

    def _media(self, scope: ScopeName, subject: str) -> Sequence[tuple[float | None, Path | None]]:
        if scope == "clip":
            return [(None, clip) for clip in self.clips]
        if scope == "graph" and subject in ITEM_GRAPHS:
            return [(None, None)]
        return [(seconds, None) for seconds in self.lengths_s]
