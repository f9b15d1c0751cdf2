"""Memory of a process that does nothing but answer for one clip with this runtime.

python -m benchmarks.studies.resident BUNDLE CLIP [--threads 2]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from vavl_runtime import Recognizer

ANSWERS = 3  # what a second and third clip keep allocated counts too


def resident_mb(bundle: Path, clip: Path, threads: int) -> dict[str, float]:
    """Measure in a process of its own.

    Args:
        bundle: Bundle folder.
        clip: A media file.
        threads: Threads on the CPU.

    Returns:
        MB: ``peak`` and ``now`` of the resident memory; ``own``, the part of ``now`` that is no mapped file.
    """
    command = [sys.executable, "-m", "benchmarks.studies.resident", str(bundle), str(clip), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def status_mb(field: str) -> float:
    """A field of ``/proc/self/status``, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{field}:"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    with Recognizer(arguments.bundle, device="cpu", threads=arguments.threads) as recognizer:
        for _ in range(ANSWERS):
            recognizer.predict(arguments.clip)
        fields = {"peak": "VmHWM", "now": "VmRSS", "own": "RssAnon"}
        print(json.dumps({name: status_mb(field) for name, field in fields.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
