"""What is done on the GPU, the most valuable first: the steps with their seconds, and the points that they measure."""

from dataclasses import dataclass, replace

from vavl_bench.schema import ScopeName
from vavl_bench.steady_state import WindowSettings

LENGTHS_S = (3.0, 1.0)
WINDOWS = WindowSettings(warm_up_s=0.3, window_s=0.2, windows=5, limit_s=3.0)
REHEARSED = WindowSettings(warm_up_s=0.0, warm_up_queries=1, window_s=0.0, windows=3, limit_s=0.0)
REHEARSED_S, REHEARSED_SHARE = 0.2, 10  # length of a rehearsal's clips; those of its checks are so many times shorter
ENCODERS = {"audio": ("audio_encoder",), "visual": ("face_encoder",), "audio_visual": ("audio_encoder", "face_encoder")}
# Of a fresh machine until the package is unpacked, of the second upload, and kept for a repeat.
START_S, UPLOAD_S, SPARE_S = 135.0, 30.0, 100.0
COMMANDS = {"contact": 240.0, "figures": 400.0}  # and the seconds that each may take


@dataclass(frozen=True)
class Point:
    """What a figure is about.

    Attributes:
        scope: ``model``: waveform and face crops in, prediction out; ``graph``: one graph.
        subject: The path, or the graph.
        seconds: Length of a clip.
        batch: Clips in a query, or faces for the face encoder alone.
    """

    scope: ScopeName
    subject: str
    seconds: float = LENGTHS_S[0]
    batch: int = 1

    def __str__(self) -> str:
        return f"{self.scope} {self.subject}, {self.seconds:g} s, batch {self.batch}"

    def shrunk(self) -> "Point":
        """The point of a rehearsal in this one's place."""
        return replace(self, seconds=REHEARSED_S, batch=min(self.batch, 2))

    @property
    def graphs(self) -> tuple[str, ...]:
        """The graphs that run, encoders first."""
        return (self.subject,) if self.scope == "graph" else (*ENCODERS[self.subject], self.subject)


HEADLINES = tuple(Point("model", path) for path in ("audio", "visual", "audio_visual"))
SHORT = tuple(Point("model", path, 1.0) for path in ENCODERS)
BATCHED = tuple(
    Point("model", path, seconds, batch)
    for seconds in LENGTHS_S
    for path, batches in (("audio", (16, 64)), ("visual", (4, 16)), ("audio_visual", (4, 16)))
    for batch in batches
)
GRAPHS = (
    *(Point("graph", name) for name in ("audio_encoder", "audio", "visual", "audio_visual")),
    *(Point("graph", "face_encoder", batch=batch) for batch in (1, 75)),
)
# By side. The points of a side are measured in one process, in this order.
POINTS: dict[str, tuple[Point, ...]] = {
    "onnxruntime fp16": (*HEADLINES, *SHORT, *BATCHED, *GRAPHS),
    "onnxruntime fp32": (*HEADLINES, *SHORT),
    "pytorch CUDA graph fp16": (*HEADLINES, *SHORT, *BATCHED),
    "pytorch eager fp16": (*HEADLINES, *SHORT),
    "torch.compile fp16": HEADLINES,
    "tensorrt fp16": HEADLINES,
}


@dataclass(frozen=True)
class Step:
    """One piece of work, in a process of its own.

    Attributes:
        name: Its name in the record.
        command: The command that it belongs to.
        work: Module, function, and its argument beside the context.
        expected_s: Seconds on an H100, estimated.
        limit_s: Seconds after which it is ended; what it found until then stays.
        needs: Steps that must have finished without an error.
    """

    name: str
    command: str
    work: tuple[str, str, str]
    expected_s: float
    limit_s: float
    needs: tuple[str, ...] = ()


def _side(name: str, expected_s: float, limit_s: float) -> Step:
    ours = name.startswith(("onnxruntime", "tensorrt"))
    work = (
        ("benchmarks.gpu.sides", "measure_runtime", name)
        if ours
        else ("benchmarks.gpu.pytorch", "measure_pytorch", name)
    )
    needs = ("prepare", f"parity {name.split()[-1]}") if ours else ("prepare",)
    return Step(name, "figures", work, expected_s, limit_s, needs)


STEPS = (
    Step("prepare", "contact", ("benchmarks.gpu.contact", "prepare", ""), 30.0, 90.0),
    Step("machine", "contact", ("benchmarks.gpu.contact", "describe_machine", ""), 20.0, 60.0),
    Step("probe", "contact", ("benchmarks.gpu.contact", "probe_convolution", ""), 10.0, 40.0),
    Step("parity packaged", "contact", ("benchmarks.gpu.contact", "check_packaged", "fp32"), 25.0, 60.0, ("probe",)),
    Step(
        "parity fp32", "contact", ("benchmarks.gpu.contact", "check_filled", "fp32"), 50.0, 100.0, ("prepare", "probe")
    ),
    Step(
        "parity fp16", "contact", ("benchmarks.gpu.contact", "check_filled", "fp16"), 45.0, 90.0, ("prepare", "probe")
    ),
    _side("onnxruntime fp16", 80.0, 120.0),
    _side("pytorch CUDA graph fp16", 60.0, 90.0),
    Step("clips", "figures", ("benchmarks.gpu.sides", "measure_clips", "fp16"), 35.0, 60.0, ("prepare", "parity fp16")),
    _side("pytorch eager fp16", 30.0, 60.0),
    _side("onnxruntime fp32", 30.0, 60.0),
    Step(
        "options",
        "figures",
        ("benchmarks.gpu.sides", "compare_options", "fp16"),
        50.0,
        70.0,
        ("prepare", "parity fp16"),
    ),
    _side("tensorrt fp16", 5.0, 120.0),
    _side("torch.compile fp16", 90.0, 120.0),
)
STEP = {step.name: step for step in STEPS}


def chosen_steps(command: str | None, done: set[str]) -> list[Step]:
    """The steps of a command that are not done, and those that they need, in the order of `STEPS`.

    Args:
        command: One of `COMMANDS`; None for both.
        done: Names of finished steps.
    """
    wanted = {step.name for step in STEPS if command in (None, step.command)}
    wanted |= {name for step in STEPS if step.name in wanted for name in step.needs}
    wanted |= {name for step in STEPS if step.name in wanted for name in step.needs}  # what those need
    return [step for step in STEPS if step.name in wanted - done]


def dry_run(budget_s: float) -> str:
    """Both commands with the seconds of their steps, and what is cut at this budget.

    Args:
        budget_s: Seconds of the machine in all, start, uploads and the time kept for a repeat included.
    """
    lines, total = [f"{START_S:5.0f} s  start of the machine, upload and unpacking"], START_S
    cut: list[str] = []
    for command, limit_s in COMMANDS.items():
        if command == "figures":
            lines.append(f"{UPLOAD_S:5.0f} s  upload of the second command")
            total += UPLOAD_S
        lines.append(f"         {command}, at most {limit_s:.0f} s:")
        spent = 0.0
        for step in STEPS:
            if step.command != command:
                continue
            fits = spent + step.expected_s <= limit_s and total + step.expected_s + SPARE_S <= budget_s
            if fits:
                spent, total = spent + step.expected_s, total + step.expected_s
            else:
                cut.append(step.name)
            points = len(POINTS.get(step.name, ()))
            lines.append(
                f"{step.expected_s:5.0f} s  {step.name}, ended after {step.limit_s:.0f} s"
                + (f", {points} points" if points else "")
                + ("" if fits else ": CUT")
            )
    lines += [f"{SPARE_S:5.0f} s  kept for one repeat", f"{total + SPARE_S:5.0f} s  of {budget_s:.0f} s"]
    return "\n".join([*lines, f"cut: {', '.join(cut) or 'nothing'}"])
