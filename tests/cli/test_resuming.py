"""An interrupted run goes on where it stopped, and ends as if nothing had happened."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.cli.commands import fail, succeed
from vavl.training.run_folder import RunFolder


def test_resume_after_interruption(
    manifest: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = ("fit", "manifest", manifest, "--features", cache, "--preset", "light", "--epochs", 4)
    succeed(*fit, "-o", tmp_path / "whole")
    log = RunFolder.log

    def interrupted(self: RunFolder, line: dict[str, Any]) -> None:
        log(self, line)
        if line["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "log", interrupted)
    assert "interrupted" in fail(130, *fit, "-o", tmp_path / "parts")
    monkeypatch.undo()
    assert "2 of 4 epochs are done" in fail(3, "evaluate", tmp_path / "parts", "-o", tmp_path / "report")
    resumed = succeed(*fit, "-o", tmp_path / "parts").stderr
    epochs = [line.split("  ")[0] for line in resumed.splitlines() if line.startswith("epoch")]
    assert epochs == ["epoch 3/4", "epoch 4/4"]
    assert (tmp_path / "parts" / "history.jsonl").read_bytes() == (tmp_path / "whole" / "history.jsonl").read_bytes()
    whole, parts = (torch.load(tmp_path / name / "best.pt", weights_only=True) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_finished_run_is_left_alone_and_restart_forgets_it(manifest: Path, cache: Path, tmp_path: Path) -> None:
    fit = ("fit", "manifest", manifest, "--features", cache, "--preset", "light", "--epochs", 1, "-o", tmp_path / "run")
    assert "epoch 1/1" in succeed(*fit).stderr
    assert "epoch" not in succeed(*fit).stderr
    assert "epoch 1/1" in succeed(*fit, "--restart").stderr
    assert "epoch 1/1" in succeed(*fit, "--restart", "--seed", 5).stderr
