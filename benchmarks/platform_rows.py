"""The platforms on which the runtime was checked, and their page of the documentation."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

How = Literal["run", "emulated", "imitated"]
Scores = dict[str, dict[str, float]]  # by path and label

COMPATIBILITY = "`python -m benchmarks.compatibility`"
AARCH64 = "`python -m pytest -m slow tests/platforms/test_aarch64.py`"
ELSEWHERE = "`python -m pytest -m 'slow or not slow' tests/platforms/test_elsewhere.py`"

INTRODUCTION = f"""# Platforms

`python -m benchmarks.tables` makes this page from `benchmarks/results/platforms.json`; do not edit it.

| platform | status | how to repeat it |
|---|---|---|
| Linux, x86-64, CPU ([all versions](benchmarks.md#python-and-onnx-runtime-versions)) | run | {COMPATIBILITY} |
| Linux, aarch64, CPU, with the ONNX Runtime of JetPack 6 | emulated, not run on a board | {AARCH64} |
| macOS and Windows, CPU | made to work, not run | {ELSEWHERE} |
| NVIDIA GPUs and Jetsons | Linux only | [what was executed](jetson.md#what-was-executed-and-what-was-not) |

- **run**: the packaged bundle answered the example clip on such a machine.
- **emulated**: the same on an emulated processor (QEMU). The packages are the real ones; only the speed means nothing.
- **made to work**: on Linux, a test takes away what these systems lack (modules and functions of POSIX, `/proc` and
  `/sys`, replacing and deleting open files, flushing read-only handles, a default encoding), and the runtime still
  answers. pip finds wheels of all dependencies, onnxruntime included, for macOS and for Windows on x86-64 and arm64.

## Answers by platform

Each row is one run of `python -m benchmarks.platform_check`: the golden vectors of every graph of the packaged bundle,
and the example clip by all three paths. The last three columns are largest differences: of any value from the golden
vectors that PyTorch computed at export, and of any probability from the first row.

"""

STATUS = {"run": "run", "emulated": "emulated", "imitated": "made to work"}

NOTES = """
The last two columns differ in the picture: the first second of it from pixels that are the same everywhere, and the
whole of it from the file, whose frames are decoded and converted to the same bits on every kind of processor.

## Check your platform

```
pip install '.[cpu]'
python -m benchmarks.platform_check
```

`python -m benchmarks.platforms` does the same and adds a row to the JSON file. For aarch64 on a Debian machine with
another processor, as root; the first command sets up the emulated machine:

```
python -m tests.platforms.emulator /tmp/aarch64 --version
python -m benchmarks.platforms --how emulated --python /tmp/aarch64/python
```

Did you run it on something else? Please tell us with the issue template *I ran it on another device*.
"""


@dataclass(frozen=True)
class Row:
    """One checked platform.

    Attributes:
        how: Whether the platform was there, emulated, or only imitated on another one.
        system: Operating system.
        machine: Kind of processor.
        python: Version of Python.
        onnxruntime: Version of ONNX Runtime.
        date: Day of the check.
        golden: Largest difference from the golden vectors, by graph.
        file: Scores of the example clip.
        arrays: Scores of its first second, from pixels that are the same everywhere.
        bundle: Hash of the packaged bundle of that day; empty in rows that do not tell.
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
    bundle: str = ""

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
        "| system | processor | Python | onnxruntime | status | date | labels | golden vectors | same pixels | file |",
        "|---|---|---|---|---|---|---|---:|---:|---:|",
    ]
    for row in rows:
        labels = "as in the first row" if row.labels == rows[0].labels and row is not rows[0] else _text(row.labels)
        differences = "another bundle | another bundle"
        if row.bundle == rows[0].bundle:
            arrays, file = row.largest_difference(rows[0], "arrays"), row.largest_difference(rows[0], "file")
            differences = f"{arrays:.2g} | {file:.2g}"
        shown = f"{max(row.golden.values()):.2g} | {differences}"
        first = f"| {row.system} | {row.machine} | {row.python} | {row.onnxruntime}"
        lines.append(f"{first} | {STATUS[row.how]} | {row.date} | {labels} | {shown} |")
    return INTRODUCTION + "\n".join(lines) + "\n" + NOTES


def _text(labels: dict[str, str]) -> str:
    return ", ".join(f"{path} {label}" for path, label in sorted(labels.items()))
