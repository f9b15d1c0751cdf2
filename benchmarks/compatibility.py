"""The packaged bundle under the oldest and newest Python and ONNX Runtime, each in a fresh environment.

    python -m benchmarks.compatibility [-o benchmarks/results/compatibility.json]

Takes the interpreters that are installed (on the path or under pyenv), installs the package with the extra `cpu`, and
runs the example clip by all three paths. Exit code 1 if a result differs from the first environment's.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.record import Record, benchmark_parser, new_record, write_record
from vavl_runtime.devices.cpu import usable_cores

ROOT = Path(__file__).parent.parent
CLIP = ROOT / "examples" / "astronaut.mp4"
TOLERANCE = 2e-3  # of a probability: kernels differ between ONNX Runtimes, and boxes by a fraction of a pixel
TIMEOUT_S = 1200
NEWEST = "onnxruntime"


@dataclass(frozen=True)
class Combination:
    """A Python version and what pip is asked for."""

    python: str
    requirement: str


# JetPack 6 has Python 3.10, for which onnxruntime 1.23 is the last; JetPack 7 has 3.12.
COMBINATIONS = (
    Combination("3.10", "onnxruntime==1.19.*"),
    Combination("3.10", "onnxruntime==1.23.*"),
    Combination("3.11", NEWEST),
    Combination("3.12", NEWEST),
    Combination("3.13", NEWEST),
)
VERSIONS = "import platform, json; from importlib.metadata import version as v; print(json.dumps({'python': \
platform.python_version()} | {name: v(name) for name in ('onnxruntime', 'numpy', 'av', 'pydantic', 'typer')}))"


def find_python(version: str) -> Path | None:
    """Find an installed interpreter.

    Args:
        version: Such as ``3.10``.

    Returns:
        Its path; None if there is none that starts.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = shutil.which(f"python{version}")
    candidates = [*sorted(pyenv.glob(f"{version}.*/bin/python")), *([Path(found)] if found else [])]
    for candidate in candidates:
        code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([candidate, "-c", code], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    return None


def run(python: Path, combination: Combination, wheel: Path, folder: Path) -> Record:
    """Install into a fresh environment and predict.

    Args:
        python: The interpreter.
        combination: What to install beside the package.
        wheel: The package.
        folder: Where the environment goes.

    Returns:
        ``versions`` and, by path, ``label`` and ``scores``; or ``error``, the last line of what failed.
    """
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VAVL_BUNDLE")}

    def call(*command: object) -> str:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=folder,
            env=outside,
        )
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise RuntimeError(f"{Path(str(command[0])).name} ended with {done.returncode}: {lines[-1]}")
        return done.stdout

    try:
        call(python, "-m", "venv", folder / "venv")
        call(folder / "venv/bin/pip", "install", "--quiet", "--no-compile", combination.requirement, f"{wheel}[cpu]")
        versions = json.loads(call(folder / "venv/bin/python", "-c", VERSIONS))
        answer = json.loads(call(folder / "venv/bin/vavl-run", CLIP, "--all-paths", "--device", "cpu", "-f", "json"))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    return {"versions": versions, "backend": answer["backend"], "paths": answer["paths"]}


def differences(result: Record, reference: Record) -> dict[str, float]:
    """Largest difference of a probability from the first environment's answer, by path."""
    return {
        path: max(abs(score - reference["paths"][path]["scores"][label]) for label, score in answer["scores"].items())
        for path, answer in result["paths"].items()
    }


def table(record: Record) -> str:
    """The section of a record."""
    lines = [
        "## Python and ONNX Runtime versions",
        "",
        f"`{record['command']}`: the package with its extra `cpu` in a fresh environment, the packaged bundle on the "
        f"example clip by all three paths; {record['environment']['processor']}. The last column is the largest "
        f"difference of a probability from the first row's; above {record['tolerance']:g} a row fails.",
        "",
        "| Python | onnxruntime | NumPy | PyAV | audio-visual | visual | audio | largest difference |",
        "|---|---|---|---|---|---|---|---:|",
    ]
    for row in record["rows"]:
        if "error" in row:
            lines.append(f"| {row['python']} | {row['requirement']} | failed: {row['error']} ||||||")
            continue
        versions, paths = row["versions"], row["paths"]
        answers = " | ".join(
            f"{paths[path]['label']} {max(paths[path]['scores'].values()):.2f}"
            for path in ("audio_visual", "visual", "audio")
        )
        lines.append(
            f"| {versions['python']} | {versions['onnxruntime']} | {versions['numpy']} | {versions['av']} | {answers} "
            f"| {_scientific(max(row['differences'].values()))} |"
        )
    if record["not_installed"]:
        lines += ["", f"Not installed there, and therefore not tried: Python {', '.join(record['not_installed'])}."]
    return "\n".join(lines) + "\n"


def _scientific(difference: float) -> str:
    return f"{difference:.0e}" if difference else "< 1e-06"  # scores are printed with six digits


def main() -> int:
    """Run every combination and write the record."""
    arguments = benchmark_parser("compatibility", __doc__).parse_args()
    record: Record = {
        **new_record("compatibility", "python -m benchmarks.compatibility", usable_cores()),
        "tolerance": TOLERANCE,
        "rows": [],
        "not_installed": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, str(ROOT)]
        subprocess.run(build, check=True, timeout=TIMEOUT_S)
        (wheel,) = Path(folder).glob("*.whl")
        for combination in COMBINATIONS:
            python = find_python(combination.python)
            if python is None:
                record["not_installed"].append(combination.python)
                continue
            with tempfile.TemporaryDirectory(dir=folder) as place:
                row = {**asdict(combination), **run(python, combination, wheel, Path(place))}
            record["rows"].append(row)
            print(f"{combination}: {row.get('error') or row['versions']}", file=sys.stderr)
    good = [row for row in record["rows"] if "error" not in row]
    for row in good:
        row["differences"] = differences(row, good[0])
        row["agrees"] = max(row["differences"].values()) <= TOLERANCE
    write_record(record, arguments.output)
    print(table(record))
    return 0 if record["rows"] and all(row.get("agrees") for row in record["rows"]) else 1


if __name__ == "__main__":
    sys.exit(main())
