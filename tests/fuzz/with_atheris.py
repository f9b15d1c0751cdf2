"""Fuzzing guided by coverage: Atheris keeps the damaged files that reach new lines of our code, and damages them again.

    pip install atheris                                                      Linux, Python 3.11 or newer
    python -m tests.fuzz.with_atheris manifest -max_total_time=600           options are libFuzzer's
    python -m tests.fuzz.with_atheris archive crash-0a1b2c                   one input that it has kept, again

An input is one byte that chooses the good file whose place it takes, and the damaged file. The first exception outside
`VavlError`, crash or hang ends the run, and its input is kept in the current folder. Only our own code is instrumented:
in FFmpeg and ONNX Runtime Atheris is blind, and `python -m tests.fuzz` finds more there.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vavl", "vavl_runtime"]):
    from tests.fuzz.target import Target
    from tests.fuzz.targets import TARGETS
    from vavl_runtime.errors import VavlError


def entry(target: Target, folder: Path) -> Callable[[bytes], None]:
    """Make what Atheris calls with each input.

    Args:
        target: What is tried.
        folder: An empty folder for its files.
    """
    check, seeds = target.opened(folder), target.seeds()

    def run(data: bytes) -> None:
        if data:
            with contextlib.suppress(VavlError):
                check(seeds[data[0] % len(seeds)], data[1:])

    return run


def write_seeds(target: Target, folder: Path) -> None:
    """Write the good files as inputs to start from."""
    for number, seed in enumerate(target.seeds()[:256]):
        (folder / f"{number}").write_bytes(bytes([number]) + seed.content)


def main() -> None:
    """Fuzz until libFuzzer's options say that it is enough."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(
            f"usage: python -m tests.fuzz.with_atheris {'|'.join(TARGETS)} [options of libFuzzer] [input to repeat]"
        )
    target, options = TARGETS[sys.argv[1]], sys.argv[2:]
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as corpus:
        if all(option.startswith("-") for option in options):  # otherwise inputs are named to be repeated
            write_seeds(target, Path(corpus))
            options = [f"-max_len={2 * max(len(seed.content) for seed in target.seeds())}", *options, corpus]
        atheris.Setup([sys.argv[0], *options], entry(target, Path(scratch)))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
