"""What ``vavl-bench`` writes: one JSON object, checked field by field. Documented in ``docs/bench.md``."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA_VERSION: Literal[2] = 2

ScopeName = Literal["graph", "model", "clip"]
ScenarioName = Literal["single-stream", "multi-stream", "server", "offline"]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
SettingValue = float | int | str | None
Count = Annotated[int, Field(ge=1)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Quantity(_Record):
    """A figure, or the reason why it was not measured; exactly one of them is there."""

    value: float | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Quantity":
        if (self.value is None) == (self.reason is None):
            raise ValueError("needs a value or the reason why there is none, and not both")
        return self


class Latency(_Record):
    """Latency of a query over all counted windows, milliseconds; percentiles are nearest-rank."""

    count: Count
    mean_ms: NotNegative
    p50_ms: NotNegative
    p90_ms: NotNegative
    p95_ms: NotNegative
    p99_ms: NotNegative
    max_ms: NotNegative


class Throughput(_Record):
    """Work done per second of wall time.

    Attributes:
        clips_per_s: Clips, or for the graph scope items of the batch.
        frames_per_s: Video frames, where the subject sees any.
        real_time_factor: Seconds of wall time per second of media; below 1 is faster than real time.
    """

    clips_per_s: Positive
    frames_per_s: Positive | None = None
    real_time_factor: Positive | None = None


class WindowRecord(_Record):
    """One window: its length and the latency of every query in it."""

    seconds: NotNegative
    latencies_ms: tuple[NotNegative, ...] = Field(min_length=1)


class Stability(_Record):
    """Whether the machine was steady.

    Attributes:
        verdict: ``steady``: three windows in a row agreed, and the middle half of the counted medians did so to the
            end; ``unstable``: otherwise; ``open_loop``: the server scenario has no windows.
        tolerance: Largest difference of agreeing medians, as a share.
        spread: Difference of the counted windows' medians, as a share of the smallest.
        settling_windows: Windows measured before the agreement, which do not count.
    """

    verdict: Literal["steady", "unstable", "open_loop"]
    tolerance: NotNegative
    spread: NotNegative
    settling_windows: Annotated[int, Field(ge=0)]


class ServerTrial(_Record):
    """One arrival rate that was tried."""

    rate_per_s: Positive
    queries: Count
    percentile_ms: NotNegative
    kept: bool


class ServerOutcome(_Record):
    """The server scenario: Poisson arrivals, latency counted from the scheduled arrival.

    Attributes:
        bound_ms: The latency bound.
        percentile: The percentile that must keep it.
        highest_rate_per_s: Highest rate that was seen to keep it; 0 if none did.
        trials: Everything tried, in order.
    """

    bound_ms: Positive
    percentile: Annotated[float, Field(gt=0, le=100)]
    highest_rate_per_s: NotNegative
    trials: tuple[ServerTrial, ...]


class Memory(_Record):
    """Memory of the measuring process, MiB."""

    resident_mib: Quantity
    peak_mib: Quantity
    device_mib: Quantity


class Energy(_Record):
    """Energy above idle per clip, and the idle power that was subtracted."""

    per_clip_j: Quantity
    idle_w: Quantity


class Condition(_Record):
    """State of the machine at one moment: clock rates in MHz, temperatures in degrees Celsius."""

    cpu_mhz: Quantity
    cpu_celsius: Quantity
    cpu_throttle_events: Quantity
    gpu_mhz: Quantity
    gpu_celsius: Quantity
    gpu_throttle_reasons: tuple[str, ...] | None = None


class Budget(_Record):
    """Mean stage budget of a clip, milliseconds; see `vavl_runtime.timing.StageBudget`."""

    total_ms: NotNegative
    covered: Annotated[float, Field(ge=0, le=1)]
    concurrent_ms: NotNegative
    busy_ms: dict[str, dict[str, NotNegative]]


class Media(_Record):
    """What a subject is fed: seconds and frames of one clip, and the file it comes from in the clip scope."""

    seconds: Positive | None
    frames: int | None = None
    file: str | None = None
    sha256: str | None = None


class MeasurementKey(_Record):
    """What was measured; two measurements with equal keys can be compared.

    Attributes:
        scope: ``graph``: one graph, tensors in, tensors out; ``model``: waveform and face crops in, prediction out;
            ``clip``: file in, result out.
        subject: A graph's name, or the path: ``audio_visual``, ``audio``, ``visual``.
        scenario: Of MLPerf inference.
        backend: What really ran, in its own words.
        device: The device asked for.
        precision: The precision asked for.
        threads: CPU threads asked for; None for the backend's default.
        batch: Clips in a query, or items of the batch.
        media: What a clip was.
    """

    scope: ScopeName
    subject: str
    scenario: ScenarioName
    backend: str
    device: str
    precision: str
    threads: int | None
    batch: Count
    media: Media


class Failure(_Record):
    """Why a measurement has no figures: the kind and the message of an error of our tree."""

    kind: str
    message: str


class Metrics(_Record):
    """What a measurement gave.

    Attributes:
        load_ms: From opening the bundle to graphs loaded: import of the engine, hashes, sessions; other imports are
            over, and the file cache is whatever it is.
        first_result_ms: From opening the bundle to the first result, loading included.
        latency: Of a query; in the server scenario at the highest rate, or unloaded if no rate kept the bound.
        throughput: While latencies were measured.
        stability: Whether the figures can be relied on.
        windows: Every counted latency.
        server: Only in the server scenario.
        budget: Only in the clip scope.
        memory: Of the process.
        energy: Per clip.
        before: The machine before the measurement.
        after: The machine after it.
    """

    load_ms: NotNegative
    first_result_ms: NotNegative
    latency: Latency
    throughput: Throughput
    stability: Stability
    windows: tuple[WindowRecord, ...]
    server: ServerOutcome | None
    budget: Budget | None
    memory: Memory
    energy: Energy
    before: Condition
    after: Condition


class Measurement(_Record):
    """One combination of what to measure, with its figures or the reason why there are none."""

    key: MeasurementKey
    metrics: Metrics | None = None
    error: Failure | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Measurement":
        if (self.metrics is None) == (self.error is None):
            raise ValueError("needs figures or an error, and not both")
        return self


class BundleRecord(_Record):
    """The bundle that was measured; ``sha256`` is that of its manifest."""

    name: str
    sha256: str
    weights: Literal["trained", "untrained"]


class Environment(_Record):
    """What the figures were taken on; ``versions`` holds Python and every distribution that computes."""

    processor: str
    cores: Count
    governor: str | None
    load_average: Quantity
    memory_mib: Quantity
    kernel: str
    gpus: tuple[str, ...]
    gpu_driver: str | None
    versions: dict[str, str]


class Report(_Record):
    """A whole run.

    Attributes:
        schema_version: Version of this schema.
        command: The command line.
        started: When, ISO 8601, UTC.
        finished: False if the run was interrupted or broke off.
        environment: The machine.
        bundle: What was measured; None for a program that is none of ours.
        settings: How it was measured.
        measurements: The results, in order.
    """

    schema_version: Literal[2]
    command: str
    started: str
    finished: bool
    environment: Environment
    bundle: BundleRecord | None
    settings: dict[str, SettingValue]
    measurements: tuple[Measurement, ...]
