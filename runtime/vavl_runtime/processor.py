"""Which instructions for int8 a processor has: what quantised graphs gain depends on them more than on its name."""

from pathlib import Path

# Wide vectors, and products of small integers that are added up in one instruction; by the Linux kernel's names.
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


def int8_instructions(root: Path = Path("/")) -> tuple[str, ...] | None:
    """Ask the kernel, which leaves out what a virtual machine hides.

    Args:
        root: Where the kernel's files are; another folder in tests.

    Returns:
        Those of `INSTRUCTIONS` that all cores have; None where the kernel does not tell.
    """
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    cores = [set(line.partition(":")[2].split()) for line in lines if line.partition(":")[0].strip() in _LINES]
    if not cores:
        return None
    common = set.intersection(*cores)
    return tuple(name for name in INSTRUCTIONS if name in common)
