"""Files of a bundle are listed with the size and the hash that they have on disk."""

import hashlib
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from vavl_export.bundle_files import BundleFiles
from vavl_export.bundle_writer import _new_bundle
from vavl_export.errors import ExportError
from vavl_export.graph_lint import lint_graphs
from vavl_export.precision.report import HalfReport
from vavl_runtime import open_bundle

PIECES = st.lists(st.tuples(st.sampled_from(["a.bin", "b/c.bin"]), st.binary(max_size=70)), max_size=8)


@settings(deadline=None)  # machines are shared
@given(PIECES)
def test_appended_pieces_are_aligned_and_hashed(pieces: list[tuple[str, bytes]]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        files = BundleFiles(root)
        places = [(path, content, files.append(path, content, alignment=64)) for path, content in pieces]
        for path, content, offset in places:
            assert offset % 64 == 0
            assert (root / path).read_bytes()[offset : offset + len(content)] == content
        found = {path: (root / path).read_bytes() for path, _ in pieces}
        assert {path: (record.bytes, record.sha256) for path, record in files.records.items()} == {
            path: (len(content), hashlib.sha256(content).hexdigest()) for path, content in found.items()
        }


def test_the_first_piece_replaces_what_an_earlier_export_left(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"left over")
    files = BundleFiles(tmp_path)
    assert files.append("weights.bin", b"new") == 0
    assert (tmp_path / "weights.bin").read_bytes() == b"new"


def test_a_written_manifest_lists_all_files_and_opens(light_bundle: Path, tmp_path: Path) -> None:
    with open_bundle(light_bundle) as packaged:
        files = BundleFiles(tmp_path)
        for path in packaged.manifest.files:
            files.write(path, (light_bundle / path).read_bytes())
        assert not (tmp_path / "manifest.json").exists()
        written = files.write_manifest(packaged.manifest.model_copy(update={"files": {}}))
        assert written.manifest.files == packaged.manifest.files
    with open_bundle(tmp_path) as opened:
        opened.verify_all()
        assert (opened.sha256, opened.manifest) == (written.sha256, written.manifest)


def test_rules_report_every_problem_of_every_graph() -> None:
    def graph(operator: str) -> object:
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
        made = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "g", [value], [])
        return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])

    assert lint_graphs({"right": graph("Relu")})["right"].operators == 1  # type: ignore[dict-item]
    models = {"one": graph("NonZero"), "right": graph("Relu"), "two": graph("Loop")}
    with pytest.raises(ExportError, match="one: operator NonZero; two: operator Loop") as caught:
        lint_graphs(models)  # type: ignore[arg-type]
    assert "right" not in str(caught.value)


def test_reports_of_older_bundles_load() -> None:
    older = {"graph": "audio", "precision": "fp16", "limit": 65504.0, "worst": None}
    report = HalfReport.model_validate({**older, "islands": [{"name": "x", "peak": 7e4}]})
    assert [(tensor.name, tensor.peak) for tensor in report.kept_fp32] == [("x", 7e4)]
    assert HalfReport.model_validate_json(report.model_dump_json()) == report


def test_an_archive_is_made_in_a_folder_that_the_next_export_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with _new_bundle(tmp_path / "b.vavl", False) as folder:
        (folder / "file").touch()
        shutil.copytree(folder, tmp_path / "left" / folder.name)  # as a killed export leaves it
    (tmp_path / "b.vavl").unlink()
    (tmp_path / "left" / folder.name).rename(folder)
    with _new_bundle(tmp_path / "b.vavl", False):
        pass
    assert [f"{folder}: unfinished; remove it" in said for said in caplog.messages] == [True]
