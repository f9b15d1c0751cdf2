"""The key table covers the model, names nothing twice, and is what the released modules are called."""

import pytest
import torch

from tests.released.released_folder import FILES as WRITTEN
from tests.released.released_folder import nest_released
from tests.vavl.released_reference import State
from vavl.config import paper_config
from vavl.model import Vavl
from vavl.released.keys import FILES, expand_table

NORMALIZERS = {f"{branch}.normalizer.{statistic}" for branch in ("audio", "visual") for statistic in ("mean", "std")}
BUFFERS = ("positional_encoding.pe", "running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def paper_state() -> State:
    """Names and shapes of the paper-sized model, without values."""
    with torch.device("meta"):
        return Vavl(paper_config(layout="released", projection_kernel=1)).state_dict()


def test_every_tensor_of_the_model_comes_from_one_released_tensor(paper_state: State) -> None:
    named = [
        new
        for file, tensors in nest_released(paper_state, positions=1).items()
        for new in expand_table(FILES[file], tensors).values()
        if new is not None
    ]
    assert len(named) == len(set(named))
    assert set(named) == paper_state.keys() - NORMALIZERS


@pytest.mark.parametrize("file", WRITTEN)
def test_the_table_names_what_the_released_modules_hold(file: str, paper_state: State) -> None:
    tensors = nest_released(paper_state, positions=1)[file]
    assert expand_table(FILES[file], tensors).keys() == tensors.keys()


def test_only_what_the_released_code_never_uses_is_dropped() -> None:
    for file, table in FILES.items():
        for old, new in table.items():
            unused = ".conv_subsample." in old or old.endswith("positional_encoding.pe") or file == "MLP_av_head.pt"
            assert (new is None) == unused, f"{file}: {old}"


def test_nine_files() -> None:
    assert set(FILES) == set(WRITTEN)
    assert len(FILES) == 9


@pytest.mark.parametrize(
    ("file", "parameters"),
    [
        ("final_acoustic_head.pt", 21_411_840),
        ("final_visual_head.pt", 21_431_040),
        ("final_shared_head.pt", 15_275_008),
        ("MLP_a_head.pt", 395_526),
        ("MLP_v_head.pt", 395_526),
        ("MLP_av_head.pt", 395_526),
        ("final_weights_head.pt", 657_670),
        ("MLP_rec_a_head.pt", 657_152),
        ("MLP_rec_v_head.pt", 755_840),
    ],
)
def test_the_written_files_have_the_sizes_that_the_released_modules_have(
    file: str, parameters: int, paper_state: State
) -> None:
    """Counts taken from the released modules, so that the folders of these tests are like real ones."""
    tensors = nest_released(paper_state, positions=1)[file]
    assert sum(value.numel() for name, value in tensors.items() if not name.endswith(BUFFERS)) == parameters


def test_a_file_cannot_make_the_table_large() -> None:
    assert (
        len(expand_table(FILES["final_shared_head.pt"], ["x_shared.encoder.layers.999999999.sequential.4.bias"])) < 100
    )
