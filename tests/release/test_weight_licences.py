"""Every file of a bundle has one row in WEIGHTS-LICENSES.md, which gives its licence."""

from pathlib import Path

import pytest

from release.weight_licences import TABLE, is_weight, licences_of, read_table

ROOT = Path(__file__).parent.parent.parent
RUNTIME = ROOT / "runtime"


@pytest.fixture(scope="module")
def table() -> dict[str, str]:
    return read_table((ROOT / TABLE).read_text("utf-8"))


def test_every_file_of_the_packaged_bundle_has_a_licence(table: dict[str, str]) -> None:
    files = (path.relative_to(RUNTIME).as_posix() for path in RUNTIME.rglob("*") if path.is_file())
    licences = licences_of(filter(is_weight, files), table)
    assert licences["vavl_runtime/bundles/light/weights.bin"] == "LicenseRef-VAVL-Edge-Demo-Weights"
    assert licences["vavl_runtime/bundles/light/detector/pnet.bin"] == "MIT"
    assert licences["vavl_runtime/bundles/light/encoders/audio_encoder.bin"] == "Apache-2.0"


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("vavl_runtime/bundles/light/manifest.json", True),
        ("vavl_runtime/bundles/light/golden/pnet.0.npz", True),
        ("vavl/encoders/mtcnn.pt", True),
        ("vavl_runtime/bundles/MODEL_CARD.md", False),
        ("vavl_runtime/bundle/open.py", False),
    ],
)
def test_what_counts_as_weights(name: str, weight: bool) -> None:
    assert is_weight(name) is weight


def test_a_file_without_a_row_is_refused(table: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"light/new\.bin: 0 rows of WEIGHTS-LICENSES\.md name it \(none\)"):
        licences_of(["vavl_runtime/bundles/light/new.bin"], table)


def test_a_file_with_two_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a/b\.bin: 2 rows .* \(a/\*, a/b\.\*\), expected one"):
        licences_of(["a/b.bin"], {"a/*": "MIT", "a/b.*": "Apache-2.0"})


def test_a_row_without_files_is_refused() -> None:
    with pytest.raises(ValueError, match=r"names old/\*, which no file fits"):
        licences_of(["a/b.bin"], {"a/*": "MIT", "old/*": "MIT"})


def test_a_star_stops_at_a_slash() -> None:
    with pytest.raises(ValueError, match="0 rows"):
        licences_of(["a/b/c.bin"], {"a/*": "MIT"})


def test_a_row_without_a_licence_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the row of a/\* begins with 'free', expected `LICENCE`"):
        read_table("| `a/*` | free | somebody |")
