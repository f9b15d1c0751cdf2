"""A bundle of attributes says on which scale they are, wherever its answers are shown."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.runtime.damaged_bundles import edit_manifest
from vavl_runtime import Recognizer
from vavl_runtime.cli.run import app as vavl_run
from vavl_runtime.errors import BundleError


@pytest.fixture
def attributes(bundle: Path) -> Path:
    """The packaged bundle, its outputs taken for attributes: only names and scale matter here."""
    edit_manifest(bundle, lambda manifest: manifest.update(task="regression", scale=[-1, 1]))
    return bundle


def run(clip: Path, bundle: Path, *options: str) -> str:
    result = CliRunner().invoke(vavl_run, [str(clip), "--bundle", str(bundle), "--audio-only", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_form_of_a_result_has_the_scale(attributes: Path, example_clip: Path) -> None:
    assert "(-1 to 1)" in run(example_clip, attributes)
    assert json.loads(run(example_clip, attributes, "--format", "json"))["scale"] == [-1, 1]
    (row,) = csv.DictReader(io.StringIO(run(example_clip, attributes, "--format", "csv")))
    assert (float(row["scale_low"]), float(row["scale_high"])) == (-1, 1)


def test_bars_of_attributes_are_relative_to_the_scale(attributes: Path, example_clip: Path) -> None:
    with Recognizer(attributes) as recognizer:
        result = recognizer.predict(example_clip)
    assert repr(result).count("(-1 to 1)") == 1
    page = result._repr_html_()
    assert "on a scale from -1 to 1" in page
    first = max(result.scores.values())
    assert f"width:{50 * (first + 1):.1f}%" in page


def test_classes_have_no_scale(recognizer: Recognizer, example_clip: Path) -> None:
    result = recognizer.predict(example_clip)
    assert result.to_dict()["scale"] is None
    assert "scale" not in result._repr_html_()


@pytest.mark.parametrize("scale", [[1, 1], [5, 1]])
def test_a_scale_ascends(bundle: Path, scale: list[int]) -> None:
    edit_manifest(bundle, lambda manifest: manifest.update(scale=scale))
    with pytest.raises(BundleError, match="scale .*expected the lowest score before the highest"):
        Recognizer(bundle)
