"""What commands print on stderr while they work: notes on a corpus, progress, the lines of epochs."""

import logging
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vavl_runtime.cli.common import notify, print_line, printable
from vavl_runtime.cli.signals import end_if_asked

if TYPE_CHECKING:
    from vavl.corpora import Corpus
    from vavl.model import Modality

PROGRAM = "vavl-train"
MODULES = ("__main__.py", "train.py")  # what Python calls the program under -m


def command_line() -> str:
    """The command line as typed; a program started with ``python -m`` is called ``vavl-train``."""
    program = Path(sys.argv[0]).name
    return shlex.join([PROGRAM if program in MODULES else program, *sys.argv[1:]])


def report_corpus(corpus: "Corpus") -> None:
    """Print what was left out of a corpus and what is unusual about it."""
    for line in (*corpus.left_out, *corpus.notes):
        print_line(line)
    if corpus.left_out:
        print_line(f"left out {len(corpus.left_out)}; {len(corpus.clips)} clips remain")


def warn_of_random_encoders(references: Mapping[str, str]) -> None:
    """Print a warning for each encoder whose weights are random.

    Args:
        references: References of the encoders by modality; see `vavl.encoders.reference`.
    """
    from vavl.encoders.reference import is_random

    trained: Mapping[Modality, tuple[str, str]] = {"audio": ("audio", "prosody"), "visual": ("face", "light")}
    for modality, (name, other) in trained.items():
        reference = references.get(modality)
        if reference is not None and is_random(reference, modality):
            print_line(
                f"warning: the {name} encoder {reference!r} has random weights, so answers will mean nothing; use "
                f"{other}, or one that vavl-train {name}-encoder has trained"
            )


def epoch_printer(epochs: int) -> Callable[[dict[str, Any]], None]:
    """A function that prints the history line of an epoch, out of ``epochs``."""

    def show(line: dict[str, Any]) -> None:
        scores = "  ".join(f"{key} {value:.3g}" for key, value in line.items() if key != "epoch")
        notify(f"epoch {line['epoch'] + 1}/{epochs}  {scores}")

    return show


class ProgressLine:
    """Clips done and time left: one line that is rewritten on a terminal, otherwise a line after every tenth.

    Args:
        what: What is counted, such as ``clips``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._start = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int, name: str) -> None:
        """Report that ``done`` of ``total`` are finished, the last one called ``name``; nothing with ``--quiet``."""
        end_if_asked()
        if self._first is None:
            self._first = done - 1  # clips that were in the cache took no time
        elapsed = time.monotonic() - self._start
        left = elapsed / (done - self._first) * (total - done)
        line = f"{done}/{total} {self._what}, {left / 60:.0f} min {left % 60:02.0f} s left"
        if not logging.getLogger("vavl").isEnabledFor(logging.INFO):
            return
        if sys.stderr.isatty():
            print(
                f"\r{line}  {printable(name)[:40]:40}", end="\n" if done == total else "", file=sys.stderr, flush=True
            )
        elif done == total or done % max(1, total // 10) == 0:
            notify(line)
