"""The README's picture: drawn from a real run of the packaged bundle."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import switching

CLIP = Path(__file__).parents[2] / "examples" / "astronaut.mp4"


def test_picture_shows_the_paths_of_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = tmp_path / "switching.svg"
    monkeypatch.setattr("sys.argv", ["switching", str(CLIP), "-o", str(drawn)])

    assert switching.main() == 0

    text = drawn.read_text("utf-8")
    ET.fromstring(text)  # well-formed
    titles = ("audio-visual", "audio only", "visual only", "no face", "silence")
    assert [text.count(f">{title}<") for title in titles] == [3, 3, 2, 3, 2]
    assert drawn.stat().st_size < 150_000


def test_packaged_picture_is_what_the_readme_can_show() -> None:
    packaged = CLIP.parents[1] / "docs" / "images" / "switching.svg"
    assert ET.parse(packaged).getroot().tag.endswith("svg")
    assert packaged.stat().st_size < 150_000
