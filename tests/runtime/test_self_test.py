"""``vavl-run --selftest``: golden vectors on the backend that is really used."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from tests.runtime.damaged_bundles import edit_manifest
from vavl_runtime import Arrays, Recognizer
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle.manifest import REQUIRED_GRAPHS
from vavl_runtime.cli.run import app
from vavl_runtime.errors import MissingFileError


class Slightly(OnnxRuntimeBackend):
    """Computes one graph a little wrongly."""

    def __init__(self, name: str) -> None:
        super().__init__(threads=1)
        self._name = name

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        outputs = super().run(name, inputs)
        wrong = np.float32(1.001 if name == self._name else 1)
        return {key: value * wrong if value.dtype.kind == "f" else value for key, value in outputs.items()}


def test_every_graph_is_checked(recognizer: Recognizer) -> None:
    checks = recognizer.self_test()
    assert [check.graph for check in checks] == sorted(REQUIRED_GRAPHS)
    assert all(0 < check.error < 1e-5 and check.passed for check in checks)


@pytest.mark.parametrize("name", sorted(REQUIRED_GRAPHS))
def test_a_graph_that_computes_something_else_fails(name: str) -> None:
    with Recognizer(backend=Slightly(name)) as recognizer:
        assert [check.graph for check in recognizer.self_test() if not check.passed] == [name]


def test_without_golden_vectors(bundle: Path) -> None:
    edit_manifest(bundle, lambda manifest: [manifest["files"].pop(f"golden/audio.{n}.npz", None) for n in range(9)])
    with (
        Recognizer(bundle, device="cpu") as recognizer,
        pytest.raises(MissingFileError, match="golden vectors of audio;"),
    ):
        recognizer.self_test()


def test_the_command(light_bundle: Path) -> None:
    arguments = ["--selftest", "--bundle", str(light_bundle), "--device", "cpu"]
    result = CliRunner().invoke(app, arguments)
    lines = result.stdout.splitlines()
    assert (result.exit_code, len(lines)) == (0, len(REQUIRED_GRAPHS) + 1)
    assert all(line.startswith("ok     ") for line in lines[:-1])
    assert lines[-1].startswith("onnxruntime ") and ": 0 of 8 graphs failed, largest error" in lines[-1]
    assert CliRunner().invoke(app, [*arguments, "clip.mp4"]).exit_code == 2
    assert CliRunner().invoke(app, ["-q"]).exit_code == 2


def test_a_failure_is_exit_code_1(light_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = OnnxRuntimeBackend.run
    monkeypatch.setattr(
        OnnxRuntimeBackend,
        "run",
        lambda self, name, inputs: {key: value * 2 for key, value in exact(self, name, inputs).items()},
    )
    result = CliRunner().invoke(app, ["--selftest", "--bundle", str(light_bundle), "--device", "cpu"])
    assert result.exit_code == 1
    assert "FAILED audio fp32: error 1.0e+00, at most 1e-04" in result.stdout
