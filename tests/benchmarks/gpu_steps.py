"""Steps that misbehave, for the tests of `benchmarks.gpu.apart`."""

import os
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.gpu.apart import Context

Results = Iterator[tuple[str, dict[str, Any]]]


def finish(context: Context, argument: str) -> Results:
    yield "answer", {"argument": argument, "preset": context.preset}


def die(context: Context, argument: str) -> Results:
    yield "before", {}
    time.sleep(0.2)  # until the result is out
    os._exit(3)


def fail(context: Context, argument: str) -> Results:
    yield "before", {}
    raise RuntimeError("no kernel image is available")


def hang(context: Context, argument: str) -> Results:
    yield "before", {}
    time.sleep(600)
