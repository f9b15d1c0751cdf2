"""What several commands share: how a corpus, a partition and a progress line are given."""

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from vavl.errors import ConfigError, CorpusError
from vavl_runtime.cli.common import exit_on_error, print_line
from vavl_runtime.errors import BackendUnavailableError

Kind = Annotated[
    str, typer.Argument(metavar="CORPUS", help="crema-d, msp-improv, ravdess, javanese or manifest (docs/corpora.md).")
]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the corpus lies; for manifest, its CSV file.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave bad clips out and report them.")]
PartitionNumber = Annotated[
    str, typer.Option("--partition", metavar="N|all", help="Which partition; 'all' trains on every clip.")
]
PartitionSeed = Annotated[
    int, typer.Option("--partition-seed", help="Seed of the speaker-independent partitions, if the corpus ships none.")
]


@contextlib.contextmanager
def exit_on_bad_corpus() -> Iterator[None]:
    """As `exit_on_error`, but every problem of a corpus has a line of its own."""
    with exit_on_error():
        try:
            yield
        except CorpusError as error:
            for line in f"error: {error}".splitlines():
                print_line(line)
            raise typer.Exit(error.exit_code) from error


def command_line() -> str:
    """The command line as typed."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def partition_number(text: str) -> int | Literal["all"]:
    """Read ``--partition``.

    Raises:
        ConfigError: Neither ``all`` nor a number from 1 on.
    """
    if text == "all":
        return "all"
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(f"--partition {text!r}: expected 1, 2, … or 'all'")
    return int(text)


def check_device(name: str) -> None:
    """Refuse a device before anything is sent to it.

    Args:
        name: As PyTorch calls it: ``cpu``, ``cuda``, ``cuda:1``, ….

    Raises:
        BackendUnavailableError: PyTorch knows no such device, or this machine has none.
    """
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # the latter by a PyTorch that was built without CUDA
        reason = str(error).splitlines()[0]
        raise BackendUnavailableError(f"device {name!r}: cannot be used here ({reason}); name another one") from error


def report_corpus(corpus: object) -> None:
    """Print on stderr what was left out of a corpus and what is odd about it."""
    from vavl.corpora import Corpus

    if not isinstance(corpus, Corpus):
        raise TypeError(f"expected a Corpus, got {type(corpus).__name__}")
    for line in (*corpus.left_out, *corpus.notes):
        print(line, file=sys.stderr)
    if corpus.left_out:
        print(f"left out {len(corpus.left_out)}; {len(corpus.clips)} clips remain", file=sys.stderr)


class ProgressLine:
    """Clips done and time left, on stderr: rewritten on a terminal, otherwise a line every tenth.

    Args:
        what: What is counted.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._start = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int, name: str) -> None:
        """Tell that ``done`` of ``total`` are finished, the last one called ``name``."""
        if self._first is None:
            self._first = done - 1  # what was there before costs no time
        elapsed = time.monotonic() - self._start
        left = elapsed / (done - self._first) * (total - done)
        line = f"{done}/{total} {self._what}, {left / 60:.0f} min {left % 60:02.0f} s left"
        if sys.stderr.isatty():
            print(f"\r{line}  {name[:40]:40}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif done == total or done % max(1, total // 10) == 0:
            print(line, file=sys.stderr, flush=True)
