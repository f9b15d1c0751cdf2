"""Whatever is not exactly a released folder is refused, with everything that is wrong named."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from tests.released.released_folder import FILES, STATISTICS, change_file, import_folder, released_values, write_folder
from tests.vavl.tiny_released import tiny_config
from vavl.errors import ConfigError
from vavl_runtime.errors import NotFoundError

SHARED = "final_shared_head.pt"
USED = tuple(file for file in FILES if file != "MLP_av_head.pt")


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete folder of a classifier."""
    return write_folder(tmp_path_factory.mktemp("complete"), released_values(tiny_config("classification")))


@pytest.fixture
def folder(complete: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoiled."""
    return Path(shutil.copytree(complete, tmp_path / "released"))


class Payload:
    """Creates a file when it is unpickled without care."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.proof),)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere: no such folder"):
        import_folder(tmp_path / "nowhere", "classification")


@pytest.mark.parametrize("file", [*FILES, STATISTICS])
def test_a_missing_file_is_named(file: str, folder: Path) -> None:
    (folder / file).unlink()
    with pytest.raises(ConfigError, match=rf"no {file}; expected all files of the released code"):
        import_folder(folder, "classification")


def test_all_missing_files_are_named_at_once(folder: Path) -> None:
    for file in ("MLP_a_head.pt", STATISTICS):
        (folder / file).unlink()
    with pytest.raises(ConfigError, match=f"no MLP_a_head.pt, {STATISTICS};"):
        import_folder(folder, "classification")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(file: str, kept: float, folder: Path) -> None:
    path = folder / file
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(ConfigError, match=f"{file}: not a readable state dict"):
        import_folder(folder, "classification")


@pytest.mark.parametrize("file", FILES)
def test_an_unknown_tensor_is_refused(file: str, folder: Path) -> None:
    change_file(folder, file, lambda tensors: tensors.update(surprise=torch.zeros(1)))
    with pytest.raises(ConfigError, match=f"{file}: unknown surprise"):
        import_folder(folder, "classification")


@pytest.mark.parametrize("file", USED)
def test_every_missing_tensor_is_named(file: str, folder: Path) -> None:
    removed = []

    def remove_used(tensors: dict[str, torch.Tensor]) -> None:
        for name in [*tensors]:
            if ".conv_subsample." not in name and not name.endswith("positional_encoding.pe"):
                removed.append(name)
                del tensors[name]

    change_file(folder, file, remove_used)
    with pytest.raises(ConfigError) as caught:
        import_folder(folder, "classification")
    listed = str(caught.value).split("imported: ")[1].split("; ")
    assert sorted(listed) == sorted(f"{file}: missing {name}" for name in removed)


def test_everything_wrong_in_all_files_is_listed_at_once(folder: Path) -> None:
    change_file(folder, "MLP_a_head.pt", lambda tensors: tensors.update(one=torch.zeros(1), two=torch.zeros(1)))
    change_file(folder, "MLP_v_head.pt", lambda tensors: tensors.pop("projav1.bias"))
    with pytest.raises(ConfigError) as caught:
        import_folder(folder, "classification")
    for part in ("MLP_a_head.pt: unknown one", "MLP_a_head.pt: unknown two", "MLP_v_head.pt: missing projav1.bias"):
        assert part in str(caught.value)


def test_a_gap_in_the_blocks_is_noticed(folder: Path) -> None:
    def renumber(tensors: dict[str, torch.Tensor]) -> None:
        for name in [*tensors]:
            tensors[name.replace("layers.1.", "layers.999999999.")] = tensors.pop(name)

    change_file(folder, "final_acoustic_head.pt", renumber)
    with pytest.raises(ConfigError, match=r"unknown x_acoustic.*\.999999999\..*missing x_acoustic.*\.layers\.1\."):
        import_folder(folder, "classification")


# ---------------------------------------------------------------------------------------------------------------
# Sizes and values.

NORM = "layer_norm.weight"


@pytest.mark.parametrize(
    ("file", "name", "shape", "message"),
    [
        (SHARED, NORM, (33,), r"final_shared_head.pt: layer_norm.weight: got \(33,\), expected \(32,\)"),
        (
            "MLP_rec_v_head.pt",
            "out_layer.bias",
            (9,),
            r"MLP_rec_v_head.pt: out_layer.bias: got \(9,\), expected \(20,\)",
        ),
        (
            "final_visual_head.pt",
            "conv_1d_v.weight",
            (7, 20, 1),
            r"conv_1d_v.weight: got \(7, 20, 1\), .* \(10, 20, 1\)",
        ),
        ("final_acoustic_head.pt", "conv_1d_a.weight", (10, 24), r"conv_1d_a.weight: got shape \(10, 24\), .* 3 axes"),
        ("final_acoustic_head.pt", "conv_1d_a.weight", (10, 24, 3), r"projection_kernel 1 \(D5\), got 3"),
    ],
)
def test_a_wrong_shape_is_named(file: str, name: str, shape: tuple[int, ...], message: str, folder: Path) -> None:
    change_file(folder, file, lambda tensors: tensors.update({name: torch.ones(shape)}))
    with pytest.raises(ConfigError, match=message):
        import_folder(folder, "classification")


def test_a_pointwise_convolution_has_one_tap(folder: Path) -> None:
    name = "x_shared.encoder.layers.0.sequential.2.module.sequential.2.conv.weight"
    change_file(folder, SHARED, lambda tensors: tensors.update({name: tensors[name].expand(-1, -1, 3).contiguous()}))
    with pytest.raises(ConfigError, match=r"2\.conv\.weight: got \(64, 32, 3\), expected \(64, 32, 1\)"):
        import_folder(folder, "classification")


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(32, dtype=torch.float16), "got torch.float16, expected torch.float32"),
        (torch.full((32,), float("nan")), "not all values are finite"),
        (torch.full((32,), float("inf")), "not all values are finite"),
        (torch.ones(0), "expected a dense tensor"),
        (torch.ones(32).to_sparse(), "expected a dense tensor"),
        (torch.ones(32, device="meta"), "expected a dense tensor"),
        (torch.ones(1).expand(10**12), "expected a dense tensor"),
        (1.0, "got a float, expected a tensor"),
    ],
    ids=["half", "nan", "inf", "empty", "sparse", "meta", "expanded", "number"],
)
def test_what_is_no_plain_finite_tensor_is_named(value: object, message: str, folder: Path) -> None:
    change_file(folder, SHARED, lambda tensors: tensors.update({NORM: value}))
    with pytest.raises(ConfigError, match=f"{SHARED}: {NORM}: {message}"):
        import_folder(folder, "classification")


def test_sizes_that_contradict_each_other_cost_no_memory(folder: Path) -> None:
    """A model of this width would take 10^13 weights."""
    name = "x_acoustic.encoder.input_projection.0.linear.weight"
    change_file(folder, "final_acoustic_head.pt", lambda tensors: tensors.update({name: torch.ones(2**20, 1)}))
    with pytest.raises(ConfigError, match="not make a valid model|contradict each other"):
        import_folder(folder, "classification")


def test_sizes_that_no_model_has_are_refused(folder: Path) -> None:
    name = "x_acoustic.encoder.layers.0.sequential.2.module.sequential.4.conv.weight"
    change_file(folder, "final_acoustic_head.pt", lambda tensors: tensors.update({name: torch.ones(32, 1, 30)}))
    with pytest.raises(ConfigError, match="not make a valid model: .*conv_kernel 30 must be odd"):
        import_folder(folder, "classification")


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("regression", None, "got 6 outputs, expected 3 for regression of arousal, dominance, valence"),
        ("classification", ("calm", "cross"), "got 6 outputs, expected 2 for classification of calm, cross"),
        ("classification", (), "got 6 outputs, expected 0"),
    ],
)
def test_labels_that_do_not_fit_the_outputs_are_refused(
    task: str, labels: tuple[str, ...] | None, message: str, folder: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        import_folder(folder, task, labels=labels)


# ---------------------------------------------------------------------------------------------------------------
# Files that would run code.


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_file_that_would_run_code_is_not_opened(zipped: bool, folder: Path, tmp_path: Path) -> None:
    hostile = {"projav1.weight": Payload(tmp_path / "ran")}
    torch.save(hostile, folder / "MLP_a_head.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ConfigError, match=r"MLP_a_head.pt: .* can run code"):
        import_folder(folder, "classification")
    assert not (tmp_path / "ran").exists()


def test_a_pickled_module_is_not_opened(folder: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), folder / "MLP_a_head.pt")
    with pytest.raises(ConfigError, match=r"MLP_a_head.pt: .*expected a plain state dict"):
        import_folder(folder, "classification")


def test_a_lone_tensor_is_refused(folder: Path) -> None:
    torch.save(torch.zeros(3), folder / "MLP_a_head.pt")
    with pytest.raises(ConfigError, match=r"MLP_a_head.pt: got a Tensor, expected a dict"):
        import_folder(folder, "classification")


def test_statistics_of_another_width_are_refused(folder: Path) -> None:
    (other := folder.parent / "other").mkdir()
    wider = tiny_config("classification").model_copy(update={"visual_dim": 21})
    write_folder(other, released_values(wider))
    (folder / STATISTICS).write_bytes((other / STATISTICS).read_bytes())
    with pytest.raises(ConfigError, match=rf"{STATISTICS}: face means: got shape \(21,\), expected \(20,\)"):
        import_folder(folder, "classification")
