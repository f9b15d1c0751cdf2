"""Workers and their programs on the CPU: parity is checked, lines arrive, broken processes are noticed."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import processes
from benchmarks.gpu.accelerator import CpuAccelerator
from benchmarks.gpu.models import Subject, make_inputs, make_networks
from benchmarks.gpu.onnx_engine import Step, steps
from benchmarks.gpu.parity import check, error_of
from benchmarks.gpu.plan import ENGINE, Point, engines, points
from benchmarks.gpu.record import Record
from benchmarks.gpu.torch_engine import TorchProgram
from vavl_export.errors import ParityError


def test_errors_are_relative_and_nan_is_infinite() -> None:
    expected = {"y": torch.tensor([3.0, 4.0])}
    assert error_of(expected, {"y": torch.tensor([3.0, 4.5]), "z": torch.zeros(1)}) == pytest.approx(0.1)
    assert error_of(expected, {"y": torch.tensor([3.0, math.nan])}) == math.inf
    assert error_of(expected, {"y": torch.zeros(3)}) == math.inf


@pytest.mark.parametrize("error", [0.1, math.inf, math.nan])
def test_what_is_too_far_off_is_not_timed(error: float) -> None:
    check(1e-2, "fp16")
    with pytest.raises(ParityError, match="against PyTorch fp32, at most 2e-02 expected"):
        check(error, "fp16")


def test_steps_of_a_point() -> None:
    whole = Point("whole", "audio_visual", 3.0, 1)
    assert steps(whole, 1) == [Step("audio_visual_fused")]
    sides = [("face_encoder", True), ("audio_encoder", False), ("audio_visual", False)]
    assert [(step.graph, step.side) for step in steps(whole, 2)] == sides
    chain = steps(Point("whole", "audio_visual", 3.0, 4), 1)
    assert [step.graph for step in chain] == ["face_encoder", "audio_encoder", "audio_visual"]
    assert steps(Point("encoder", "visual", 3.0, 1), 1) == [Step("face_encoder")]
    assert steps(Point("path", "visual", 3.0, 4), 1) == [Step("visual")]


@pytest.mark.parametrize("name", ["PyTorch eager fp32", "PyTorch CUDA graph fp16"])
def test_a_torch_program_answers_as_the_network_does(name: str) -> None:
    networks = make_networks(tiny=True)
    subject = Subject(networks, "path", "audio").eval()
    inputs = make_inputs(networks, "path", "audio", 0.5, 2)
    with torch.no_grad():
        expected = subject(inputs)
    program = TorchProgram(CpuAccelerator(), ENGINE[name], subject, inputs)
    program.run()
    check(error_of(expected, program.outputs()), ENGINE[name].precision)
    assert next(subject.parameters()).dtype == torch.float32  # it was copied


@pytest.mark.parametrize(
    ("code", "seconds", "expected"),
    [("3", 60.0, 3), ("-9", 60.0, -9), ("sleep", 0.5, None)],
    ids=["exit", "kill", "late"],
)
def test_a_process_is_read_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, seconds: float, expected: int | None
) -> None:
    script = tmp_path / "python"
    end = {"3": "exit 3", "-9": "kill -9 $$", "sleep": "exec sleep 60"}[code]
    script.write_text(f'#!/bin/sh\necho \'{{"kind": "start"}}\'\nprintf \'{{"half\'\n{end}\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    lines: list[dict[str, Any]] = []
    assert processes.run_worker({}, seconds, lines.append) == expected
    assert lines in ([{"kind": "start"}], [])  # a loaded machine may end it before its first line


@pytest.mark.slow
def test_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "gpu.json"
    options = ["--device", "cpu", "--tiny", "--points", "1", "--budget-seconds", "3000", "--work", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["gpu", *options, "-o", str(output)])
    assert command.main() == 0
    cells = Record(output, "", tiny=True).cells(points()[0])
    assert set(cells) == {engine.name for engine in engines(points()[0])}
    refused = {name for name, cell in cells.items() if cell["status"] != "measured"}
    # The CPU has no kernels for bf16, and TensorRT may not be installed.
    assert refused <= {"ONNX Runtime CUDA graph bf16", "TensorRT CUDA graph fp16"}
