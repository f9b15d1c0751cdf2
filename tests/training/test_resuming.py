"""Runs repeat exactly and resume where they were interrupted, wherever that was."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.small_runs import events, run_noisily
from vavl.training.run_folder import RunFolder, read_history

ROOT = Path(__file__).parent.parent.parent


def test_a_seed_repeats_a_run_to_the_last_bit(tmp_path: Path) -> None:
    first = run_noisily(tmp_path / "first")
    torch.manual_seed(99)  # what happened before does not matter
    np.random.seed(99)
    assert run_noisily(tmp_path / "again") == first
    other = run_noisily(tmp_path / "other", seed=1)
    assert all(other[0][name] != value for name, value in first[0].items() if "weight" in name)
    assert other[1] != first[1]


class StopError(Exception):
    """Ends a run from outside."""


@pytest.mark.parametrize("stop", [0, 1, 3])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, stop: int) -> None:
    whole = run_noisily(tmp_path / "whole")
    told: list[int] = []

    def interrupt(line: dict[str, Any]) -> None:
        told.append(line["epoch"])
        if line["epoch"] == stop:
            raise StopError

    with pytest.raises(StopError):
        run_noisily(tmp_path / "part", interrupt)
    assert [line["epoch"] for line in read_history(tmp_path / "part")] == list(range(stop + 1))
    assert run_noisily(tmp_path / "part") == whole
    assert told == list(range(stop + 1))
    assert events(tmp_path / "part") == events(tmp_path / "whole")
    assert run_noisily(tmp_path / "part") == whole  # a finished run has nothing left to do


@pytest.mark.parametrize("what", ["log", "save_state", "save_best"])
@pytest.mark.parametrize("late", [False, True])
def test_an_end_between_any_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, late: bool) -> None:
    """Killed before or after one of the files of an epoch is written: the epoch counts wholly or not at all."""
    whole = run_noisily(tmp_path / "whole")
    original, left = getattr(RunFolder, what), iter([False, True])

    def end(self: RunFolder, content: Any) -> None:
        stop = next(left, False)
        if late or not stop:
            original(self, content)
        if stop:
            raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, what, end)
        with pytest.raises(StopError):
            run_noisily(tmp_path / "part")
    assert run_noisily(tmp_path / "part") == whole
    assert events(tmp_path / "part") == events(tmp_path / "whole")


SCRIPT = """
from pathlib import Path
import sys, torch
from tests.training.small_runs import run_noisily
torch.set_num_threads(1)
run_noisily(Path(sys.argv[1]), lambda line: print(line["epoch"], flush=True))
"""


@pytest.mark.slow
def test_killed_and_started_again(tmp_path: Path) -> None:
    whole = run_noisily(tmp_path / "whole")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "part")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for delay in (0.0, 0.02, 0.05):
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
    done = [line["epoch"] for line in read_history(tmp_path / "part")]
    assert done == list(range(len(done)))
    assert run_noisily(tmp_path / "part") == whole
    assert events(tmp_path / "part") == events(tmp_path / "whole")
