"""The command: a default, exit codes, files, interruption."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.vavl_bench.fakes import always
from tests.vavl_bench.reports import made_measurement, made_report
from vavl_bench.cli.app import app
from vavl_bench.storage import read_report, write_report

BRIEF = ["--path", "audio", "--seconds", "1", "--window", "0.01", "--windows", "3", "--warm-up", "0", "--limit", "2"]


def bench(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_bundle_needs_no_command(light_bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "a.json"
    result = bench(light_bundle, "--scope", "model", *BRIEF, "-o", place, "-o", tmp_path / "a.md")
    assert result.exit_code == 0, result.output
    report = read_report(place)
    assert report.finished
    assert [(c.key.scope, c.key.subject, c.key.batch) for c in report.measurements] == [("model", "audio", 1)]
    assert report.bundle is not None and report.bundle.name == "light"
    assert "onnxruntime" in report.measurements[0].key.backend
    assert "[1/1] model audio, single-stream" in result.stderr
    assert "p99" in result.stdout
    assert "| model | audio |" in (tmp_path / "a.md").read_text()


def test_a_missing_device_exits_with_4(light_bundle: Path) -> None:
    result = bench(light_bundle, "--scope", "model", *BRIEF, "--device", "cuda:99")
    assert (result.exit_code, result.stdout) == (4, "")  # no table of nothing
    assert "cuda:99" in result.stderr
    assert bench("will-it-run", "--device", "cuda:99", "--seconds", "0").exit_code == 4


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--batch", "0"], "expected positive numbers"),
        (["--batch", "1,x"], "expected positive numbers"),
        (["--seconds", "inf"], "expected positive numbers"),
        (["--device", "auto"], "name cpu or cuda:N"),
        (["--backend", "auto,openvino"], "openvino"),
        (["--precision", "fp8"], "fp8"),
        (["--device", "tpu"], "tpu"),
        (["--scope", "network"], "network"),
    ],
)
def test_bad_usage_exits_with_2(light_bundle: Path, arguments: list[str], text: str) -> None:
    result = bench(light_bundle, *arguments)
    assert result.exit_code == 2
    assert text in result.stderr


def test_bad_input_exits_with_3(tmp_path: Path) -> None:
    assert bench(tmp_path / "nothing").exit_code == 3
    assert bench("--scope", "model", *BRIEF, "-o", tmp_path / "a.pdf").exit_code == 3
    everything_failed = bench("--scope", "model", *BRIEF, "--seconds", "99")
    assert everything_failed.exit_code == 3
    assert everything_failed.stdout.count("got 99 s, expected") == 1
    assert "got 99 s, expected" not in everything_failed.stderr  # told once, in the table
    assert bench("report", tmp_path / "nothing.json").exit_code == 3


def test_comparing_exits_with_1_on_a_regression(tmp_path: Path) -> None:
    places = [tmp_path / f"{name}.json" for name in ("quick", "slow", "model")]
    write_report(made_report(made_measurement(always(0.01))), places[0])
    write_report(made_report(made_measurement(always(0.011))), places[1])
    write_report(made_report(made_measurement(always(0.01), scope="model")), places[2])
    quick, slow, model = places
    assert bench("compare", quick, quick).exit_code == 0
    worse = bench("compare", quick, slow)
    assert (worse.exit_code, "1 regressed by more than 5 %" in worse.stdout) == (1, True)
    assert "1.100" in worse.stdout
    assert bench("compare", quick, slow, "--tolerance", "15").exit_code == 0
    assert bench("compare", slow, quick).exit_code == 0
    assert bench("compare", quick, quick, slow).exit_code == 1
    both = tmp_path / "both.json"
    whole = made_report(made_measurement(always(0.01)), made_measurement(always(0.01), batch=2))
    write_report(whole, both)
    assert bench("compare", both, quick).exit_code == 0  # a smaller run, by choice
    interrupted = tmp_path / "interrupted.json"
    write_report(made_report(made_measurement(always(0.01))).model_copy(update={"finished": False}), interrupted)
    cut = bench("compare", both, interrupted)
    assert (cut.exit_code, "1 not measured: a run was interrupted" in cut.stdout) == (1, True)
    refused = bench("compare", quick, model)
    assert (refused.exit_code, "scopes differ: graph against model" in refused.stderr) == (3, True)


def test_what_cannot_be_judged_does_not_pass_in_silence(tmp_path: Path) -> None:
    steady, drifting = tmp_path / "steady.json", tmp_path / "drifting.json"
    write_report(made_report(made_measurement(always(0.01))), steady)
    write_report(made_report(made_measurement(0.01 * 1.05**i for i in range(10_000))), drifting)
    for pair in ((steady, drifting), (drifting, steady), (drifting, drifting)):
        told = bench("compare", *pair)
        assert told.exit_code == 0
        assert "cannot tell, unstable" in told.stdout
        assert "cannot tell for 1 of 1: measure them again on a quiet machine" in told.stdout
        assert told.stdout.splitlines()[-1] == "nothing could be judged"
        assert bench("compare", *pair, "--strict").exit_code == 1
    assert bench("compare", steady, steady, "--strict").exit_code == 0


def test_a_run_is_written_again_in_other_formats(tmp_path: Path) -> None:
    write_report(made_report(made_measurement(always(0.01))), tmp_path / "a.json")
    assert bench("report", tmp_path / "a.json", "-o", tmp_path / "b.csv", "-o", tmp_path / "c.json").exit_code == 0
    assert (tmp_path / "b.csv").read_text().startswith("scope,subject,scenario")
    assert read_report(tmp_path / "c.json") == read_report(tmp_path / "a.json")
    assert "p99" in bench("report", tmp_path / "a.json").stdout


@pytest.mark.slow
def test_live_use_is_judged_on_a_real_clip() -> None:
    result = bench("will-it-run", "--fps", "25", "--seconds", "0", "--format", "json", "--threads", "1")
    verdict = json.loads(result.stdout)
    assert result.exit_code == (0 if verdict["passed"] else 1)
    assert verdict["answers"] >= 3
    assert verdict["load"] > 0
    assert verdict["limiting"] in verdict["stages"]
    hopeless = bench("will-it-run", "--fps", "100000", "--seconds", "0", "--format", "json", "--threads", "1")
    assert hopeless.exit_code == 1
    assert json.loads(hopeless.stdout)["cheapest"] is None


@pytest.mark.slow
def test_an_interrupted_run_leaves_what_was_measured(light_bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "a.json"
    lengths = ",".join(str(1 + n / 10) for n in range(40))
    command = [sys.executable, "-m", "vavl_bench.cli.app", str(light_bundle), "--scope", "model", *BRIEF]
    process = subprocess.Popen(
        [*command, "--seconds", lengths, "-o", str(place)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    while not place.exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    report = read_report(place)
    assert not report.finished
    assert 1 <= len(report.measurements) < 40
    assert "INTERRUPTED" in stdout
