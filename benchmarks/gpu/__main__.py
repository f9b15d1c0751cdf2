"""The paper-sized model on an NVIDIA GPU, against PyTorch: ``python -m benchmarks.gpu``; see README.md."""

import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.bundles import export_preset
from benchmarks.gpu.run import measure_all, measure_side, open_record, say, try_engines, verify_sides
from benchmarks.record import benchmark_parser
from vavl_runtime.errors import VavlError

LEAST_S = 60.0  # a measurement takes up to this, so none begins with less time left
PRECISIONS = ("fp16", "bf16")


def main() -> int:
    """Export, then measure until everything is done or the time is up."""
    begin = time.monotonic()
    parser = benchmark_parser("gpu", __doc__)
    parser.add_argument("--work", type=Path, default=Path("vavl-gpu"), help="keeps the exported bundle")
    parser.add_argument("--bundle", type=Path, help="bundle of the preset; exported into --work by default")
    parser.add_argument("--device", default="cuda:0", help="cuda:N; cpu for a rehearsal, whose figures mean nothing")
    parser.add_argument("--preset", choices=("paper", "light"), default="paper")
    parser.add_argument("--budget-seconds", type=float, default=570.0, help="stop before; the same command continues")
    parser.add_argument("--points", type=int, help="only the first so many points")
    arguments = parser.parse_args()
    place = arguments.work / arguments.preset
    try:
        bundle = arguments.bundle or export_preset(arguments.preset, place, PRECISIONS)
        record = open_record(arguments.output, bundle, arguments.device, arguments.preset, arguments.points)
        if arguments.device != "cpu":
            try_engines(bundle)
        verify_sides(record, bundle, arguments.output)
        finished = measure_all(
            record,
            partial(measure_side, preset=arguments.preset),
            bundle,
            arguments.output,
            begin + arguments.budget_seconds - LEAST_S,
        )
    except VavlError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    say("everything is measured" if finished else "out of time: run the same command again to continue")
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
