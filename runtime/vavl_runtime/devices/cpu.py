"""The processor: how many cores this process may use, and which int8 instructions they have."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")
# Wide vectors, and integer dot products; by the Linux kernel's names.
INSTRUCTIONS = (
    "avx2",
    "avx512f",
    "avx512bw",
    "avx_vnni",
    "avx512_vnni",
    "avx_vnni_int8",
    "amx_int8",
    "asimddp",  # Arm's dot products
    "i8mm",
    "sve",
    "sve2",
)
_LINES = ("flags", "Features")  # on x86 and on Arm


def usable_cores(root: Path = ROOT) -> int:
    """Count the cores that this process can keep busy.

    Args:
        root: Where the kernel's files are; another folder in tests.

    Returns:
        The cores of the process's mask, but no more than the quota of its control groups, rounded up; at least 1.
        More threads than a quota only wait for each other: the kernel stops all of them once it is used up.
        On systems without masks and control groups (macOS, Windows): all cores.
    """
    return min([_cores_of_the_mask(), *(max(1, math.ceil(quota)) for quota in _quotas(root))])


def _cores_of_the_mask() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Cores that each control group above the process grants, in versions 1 and 2 of the kernel's interface."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mounts = ["sys/fs/cgroup"]
        elif "cpu" in controllers.split(","):
            mounts = ["sys/fs/cgroup/cpu", f"sys/fs/cgroup/{controllers}"]
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        for mount in mounts:
            for above in (group, *group.parents):
                yield from _quota(root / mount / above)


def _quota(group: Path) -> Iterator[float]:
    """The quota of one control group, if it has one."""
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = map(int, " ".join((group / file).read_text("utf-8") for file in files).split())
        except (OSError, ValueError):
            continue  # "max", not this version, or not a group of this container's own view
        if quota > 0 and period > 0:  # -1 is no quota
            yield quota / period


def int8_instructions(root: Path = ROOT) -> tuple[str, ...] | None:
    """Read which int8 instructions the processor has; a virtual machine may hide some.

    Args:
        root: Where the kernel's files are; another folder in tests.

    Returns:
        Those of `INSTRUCTIONS` that all cores have; None where the kernel does not say (macOS, Windows).
    """
    try:
        lines = (root / "proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return None
    cores = [set(line.partition(":")[2].split()) for line in lines if line.partition(":")[0].strip() in _LINES]
    if not cores:
        return None
    common = set.intersection(*cores)
    return tuple(name for name in INSTRUCTIONS if name in common)
