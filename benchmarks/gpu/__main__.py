"""The fifteen minutes on a GPU: ``python -m benchmarks.gpu [contact|figures]``; see docs/gpu.md."""

import datetime
import json
import sys
import time
from pathlib import Path

from benchmarks.gpu.apart import Context, run_steps
from benchmarks.gpu.plan import COMMANDS, chosen_steps, dry_run
from benchmarks.record import Record, benchmark_parser, new_record
from vavl_bench.environment import read_environment
from vavl_runtime.devices.cpu import usable_cores

BUDGET_S, REHEARSAL_S = 840.0, 3600.0


def main() -> int:
    """Run the steps that the record lacks until they are done or the time is up."""
    begin = time.monotonic()
    parser = benchmark_parser("gpu", __doc__)
    parser.add_argument("command", nargs="?", choices=COMMANDS, help="only the steps of this command; both by default")
    parser.add_argument("--budget", type=float, help="seconds of this command; with --dry-run, of the machine in all")
    parser.add_argument("--dry-run", action="store_true", help="print the steps with their seconds and what is cut")
    parser.add_argument("--package", type=Path, default=Path("gpu-package"), help="folder of benchmarks.gpu.pack")
    parser.add_argument("--work", type=Path, default=Path("gpu-work"), help="folder for the filled bundle")
    parser.add_argument("--continue-from", type=Path, help="record of an earlier command; by default that of --output")
    parser.add_argument("--device", default="cuda:0", help="cuda:N")
    parser.add_argument("--rehearsal", action="store_true", help="every step with a tiny model; figures mean nothing")
    arguments = parser.parse_args()
    if arguments.dry_run:
        print(dry_run(arguments.budget or BUDGET_S))
        return 0
    usual_s = REHEARSAL_S if arguments.rehearsal else COMMANDS.get(arguments.command, sum(COMMANDS.values()))
    preset = "tiny" if arguments.rehearsal else "paper"
    record = open_record(arguments.continue_from or arguments.output, arguments.device, preset)
    done = {name for name, entry in record["steps"].items() if entry["state"] == "done"}
    steps = chosen_steps(arguments.command, done - {"prepare"})  # what it makes lies on the machine, not in the record
    structures = arguments.package / "structures" / preset
    context = Context(arguments.device, preset, structures, arguments.work, arguments.rehearsal, record["steps"])
    run_steps(steps, context, record, arguments.output, begin + (arguments.budget or usual_s))
    left = [step.name for step in steps if record["steps"][step.name]["state"] != "done"]
    print(f"{arguments.output}: " + (f"not done: {', '.join(left)}" if left else "everything is done"))
    return 1 if left else 0


def open_record(path: Path, device: str, preset: str) -> Record:
    """Start a record, with the results of an earlier one of the same GPU, driver and preset.

    Args:
        path: The earlier record, which may be missing.
        device: ``cuda:N`` or ``cpu``.
        preset: Preset of the measured bundle.

    Returns:
        The record; results of another machine or preset are left out.
    """
    found = read_environment()
    record = new_record("gpu", "python -m benchmarks.gpu", usable_cores())
    record["environment"] |= {"gpu": ", ".join(found.gpus) or "none", "driver": found.gpu_driver}
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    record |= {"date": date, "device": device, "preset": preset, "steps": {}}
    if path.is_file():
        earlier: Record = json.loads(path.read_text("utf-8"))
        if all(earlier[name] == record[name] for name in ("environment", "device", "preset")):
            record["steps"] = earlier["steps"]
        else:
            print(f"{path} comes from another machine, device or preset: starting again", file=sys.stderr)
    return record


if __name__ == "__main__":
    sys.exit(main())
