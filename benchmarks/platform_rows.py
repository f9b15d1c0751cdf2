"""The platforms on which the runtime was checked, and their page of the documentation."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

How = Literal["run", "emulated", "imitated"]
Scores = dict[str, dict[str, float]]  # by path and label

INTRODUCTION = """# Platforms

Made by `python -m benchmarks.tables` from `benchmarks/results/platforms.json`; do not edit.

Each row is one run of `python -m benchmarks.platform_check`: the golden vectors of every graph of the packaged bundle,
and the example clip by all three paths. Differences are the largest of any probability (of any value for golden
vectors): golden vectors from what PyTorch computed at export, the others from the first row.

- **run**: on such a machine.
- **emulated**: the processor was emulated in software (QEMU); the same packages run, only slower.
- **imitated**: made to work, not run there. On Linux, what these systems lack was taken away: modules and functions of
  POSIX, `/proc` and `/sys`, replacing or deleting open files, flushing read-only handles, a default encoding
  (`tests/platforms/restrictions`). Wheels of every dependency of the base install and of `[cpu]` exist for them.

"""

NOTES = """
The last two columns differ in the pixels. FFmpeg converts a video's colours to RGB with other rounding on each kind of
processor, by up to 3 of 255 levels, and the packaged model reacts to that; the same pixels give the same answer.

Not in this table, since nobody ran them yet: a Jetson or another aarch64 board, macOS, Windows, and NVIDIA GPUs
([jetson.md](jetson.md) says what was executed of the GPU backends, which are for Linux only). Other versions of Python
and onnxruntime: [the table of versions](benchmarks.md#python-and-onnx-runtime-versions).

## Check your platform

```
pip install '.[cpu]'
python -m benchmarks.platform_check
python -m benchmarks.platforms                      # the same, and adds a row to the JSON file
```

For aarch64 on a Debian machine with an x86-64 processor, as root (the first command sets up the emulated machine):

```
python -m tests.platforms.emulator /tmp/aarch64 --version
python -m benchmarks.platforms --how emulated --python /tmp/aarch64/python
```
"""


@dataclass(frozen=True)
class Row:
    """One checked platform.

    Attributes:
        how: In which way the platform was there.
        system: Operating system.
        machine: Kind of processor.
        python: Version of Python.
        onnxruntime: Version of ONNX Runtime.
        date: Day of the check.
        golden: Largest difference from the golden vectors, by graph.
        file: Scores of the example clip.
        arrays: Scores of its first second, from pixels that are the same everywhere.
    """

    how: How
    system: str
    machine: str
    python: str
    onnxruntime: str
    date: str
    golden: dict[str, float]
    file: Scores
    arrays: Scores

    @property
    def labels(self) -> dict[str, str]:
        """The likeliest label of the example clip, by path."""
        return {path: max(scores, key=lambda label: scores[label]) for path, scores in self.file.items()}

    def is_of(self, other: "Row") -> bool:
        """Whether another row is a check of the same platform."""
        return (self.how, self.system, self.machine, self.python) == (
            other.how,
            other.system,
            other.machine,
            other.python,
        )

    def largest_difference(self, other: "Row", source: Literal["file", "arrays"]) -> float:
        """The largest difference of a probability between two platforms."""
        mine: Scores = getattr(self, source)
        theirs: Scores = getattr(other, source)
        return max(abs(score - theirs[path][label]) for path in mine for label, score in mine[path].items())

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON values."""
        return asdict(self)


def page(record: dict[str, Any]) -> str:
    """The page of all checked platforms."""
    rows = [Row(**row) for row in record["rows"]]
    lines = [
        "| system | processor | Python | onnxruntime | | date | labels of the clip | golden vectors | same pixels "
        "| the clip's file |",
        "|---|---|---|---|---|---|---|---:|---:|---:|",
    ]
    for row in rows:
        labels = "as in the first row" if row.labels == rows[0].labels and row is not rows[0] else _text(row.labels)
        differences = [row.largest_difference(rows[0], "arrays"), row.largest_difference(rows[0], "file")]
        shown = " | ".join(f"{value:.0e}" if value else "0" for value in [max(row.golden.values()), *differences])
        first = f"| {row.system} | {row.machine} | {row.python} | {row.onnxruntime}"
        lines.append(f"{first} | **{row.how}** | {row.date} | {labels} | {shown} |")
    return INTRODUCTION + "\n".join(lines) + "\n" + NOTES


def _text(labels: dict[str, str]) -> str:
    return ", ".join(f"{path} {label}" for path, label in sorted(labels.items()))
