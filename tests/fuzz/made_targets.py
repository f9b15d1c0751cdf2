"""Targets that do to their process what a target may do; in a module of few imports, so that processes start fast."""

import os
import time
from pathlib import Path

from tests.fuzz.child import MEMORY
from tests.fuzz.mutations import Seed
from tests.fuzz.target import Check, Target
from vavl_runtime.errors import NoStreamsError

KINDS = ("accepts", "refuses", "says nothing", "outside", "takes memory", "crashes", "hangs")


def seeds() -> tuple[Seed, ...]:
    return tuple(Seed(kind, kind.encode()) for kind in KINDS)


def behaviour(seed: Seed) -> None:
    match seed.kind:
        case "refuses":
            raise NoStreamsError("nothing inside")
        case "says nothing":
            raise NoStreamsError
        case "outside":
            raise KeyError("lost")
        case "takes memory":
            bytearray(MEMORY)
        case "crashes":
            os.abort()
        case "hangs":
            time.sleep(60)


def opened(folder: Path) -> Check:
    return lambda seed, content: None if content == seed.content else behaviour(seed)


def refusing(folder: Path) -> Check:
    def check(seed: Seed, content: bytes) -> None:
        raise NoStreamsError("even good files")

    return check


BEHAVES = Target("behaves", "behaviour", 14, seeds, opened, by_kind=True)
REFUSES = Target("refuses", "nothing", 1, seeds, refusing)
