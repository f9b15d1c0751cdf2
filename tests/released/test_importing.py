"""A released folder becomes a checkpoint that computes what the released code computes."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.released.released_folder import WAVEFORM, change_file, import_folder, released_values, write_folder
from tests.vavl.released_reference import State, reference_all
from tests.vavl.small_wav2vec2 import SMALL, save_small_wav2vec2
from tests.vavl.tiny_released import TASKS, distance, project_all, random_features, tiny_config
from vavl.checkpoint import load_checkpoint, save_checkpoint
from vavl.config import VavlConfig, paper_config
from vavl.encoders import load_face_encoder
from vavl.encoders.wav2vec2 import WaveformNormalizer
from vavl.errors import ConfigError
from vavl.released import import_released
from vavl_export.cli import app
from vavl_runtime import Recognizer

TOLERANCE = 1e-5  # relative L2, float32 project against float64 reference
FROM_STATISTICS = {"waveform_normalization"}


def assert_equal(actual: State, expected: State) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype, name
        assert torch.equal(actual[name], value), name


@pytest.mark.parametrize(("task", "flipped"), [("classification", None), ("regression", True), ("regression", False)])
def test_all_outputs_equal_the_released_computation(task: str, flipped: bool | None, tmp_path: Path) -> None:
    values = released_values(tiny_config(task))
    model = import_folder(write_folder(tmp_path, values), task, flipped=flipped).model
    expected_config = tiny_config(task).model_copy(update={"flipped": ("arousal",) if flipped else ()})
    audio, visual = random_features(model.config, batch=1, frames=7)
    double = {name: value.double() for name, value in values.items()}
    expected = reference_all(double, expected_config, audio.double(), visual.double())
    actual = project_all(model, audio, visual)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert distance(actual[name], value) <= TOLERANCE, name


@settings(max_examples=10, deadline=None)
@given(
    sizes=st.fixed_dictionaries(
        {
            "audio_dim": st.integers(1, 9),
            "visual_dim": st.integers(1, 9),
            "projection_dim": st.integers(1, 6),
            "heads": st.sampled_from([1, 2, 4]),
            "width": st.sampled_from([8, 16]),
            "audio_layers": st.integers(1, 3),
            "visual_layers": st.integers(1, 3),
            "shared_layers": st.integers(1, 3),
            "feed_forward_mult": st.integers(1, 4),
            "conv_kernel": st.sampled_from([1, 3, 31]),
            "head_hidden": st.tuples(st.integers(1, 9), st.integers(1, 9)),
        }
    ),
    labels=st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=2, unique=True).map(tuple),
)
def test_sizes_and_tensors_come_back_as_written(sizes: dict[str, object], labels: tuple[str, ...]) -> None:
    config = VavlConfig.create(layout="released", projection_kernel=1, labels=labels, **sizes)
    values = released_values(config)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = import_folder(write_folder(Path(folder), values), "classification", labels=labels)
    assert checkpoint.description.model.model_dump(exclude=FROM_STATISTICS) == config.model_dump(
        exclude=FROM_STATISTICS
    )
    assert_equal(checkpoint.model.state_dict(), values)


@pytest.mark.parametrize("task", TASKS)
def test_a_saved_import_loads_and_says_what_it_is(task: str, tmp_path: Path) -> None:
    imported = import_folder(write_folder(tmp_path / "old", released_values(tiny_config(task))), task)
    save_checkpoint(imported, tmp_path / "new")
    loaded = load_checkpoint(tmp_path / "new")
    assert_equal(loaded.model.state_dict(), imported.model.state_dict())
    description = loaded.description
    assert description == imported.description
    assert description.trained
    assert description.model.layout == "released"
    assert description.model.labels == tiny_config(task).labels
    assert (description.audio_encoder, description.face_encoder) == ("final_wav2vec.pt", "enet_b2_8.pt")
    assert "D1" in description.provenance
    assert "D2" in description.provenance
    assert not imported.model.training


def test_sound_is_normalised_as_the_released_code_does(tmp_path: Path) -> None:
    config = import_folder(
        write_folder(tmp_path, released_values(tiny_config("regression"))), "regression"
    ).model.config
    assert config.waveform_normalization.kind == "global"
    sound = 0.1 * torch.randn(1, 400, generator=torch.Generator().manual_seed(0))
    expected = (sound.double() - np.float32(WAVEFORM[0])) / (np.float32(WAVEFORM[1]) + 1e-6)
    actual = WaveformNormalizer(config.waveform_normalization)(sound, torch.ones(1, 400))
    assert distance(actual, expected) <= 1e-6  # without the millionth it would be 1.6e-5


def test_dropped_tensors_may_hold_anything_or_lack(tmp_path: Path) -> None:
    values = released_values(tiny_config("classification"))
    write_folder(tmp_path, values)

    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        for name in [*tensors]:
            if name.endswith("positional_encoding.pe"):
                del tensors[name]
            elif ".conv_subsample." in name:
                tensors[name] = torch.full((3,), float("nan"))

    for file in ("final_acoustic_head.pt", "final_visual_head.pt", "final_shared_head.pt"):
        change_file(tmp_path, file, spoil)
    change_file(tmp_path, "MLP_av_head.pt", dict.clear)
    assert_equal(import_folder(tmp_path, "classification").model.state_dict(), values)


def test_other_files_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    write_folder(tmp_path, released_values(tiny_config("classification")))
    (tmp_path / "train_loss.txt").write_text("1.5\n")
    (tmp_path / "predictions").mkdir()
    import_folder(tmp_path, "classification")


# ---------------------------------------------------------------------------------------------------------------
# What the files do not say.


def test_polarity_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"D3.*docs/released\.md.*flipped=False .upright. or flipped=True"):
        import_folder(tmp_path, "regression", flipped=None)


@pytest.mark.parametrize("flipped", [True, False])
def test_classes_have_no_polarity(flipped: bool, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="classes have none"):
        import_folder(tmp_path, "classification", flipped=flipped)


def test_a_flipped_network_means_the_opposite_in_arousal_only(tmp_path: Path) -> None:
    write_folder(tmp_path, released_values(tiny_config("regression")))
    clip = random_features(tiny_config("regression"), batch=1, frames=5)
    upright, flipped = (
        project_all(import_folder(tmp_path, "regression", flipped=choice).model, *clip)["audio.presentation"]
        for choice in (False, True)
    )
    torch.testing.assert_close(flipped, torch.cat([6 - upright[:, :1], upright[:, 1:]], dim=1))


def test_an_unknown_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'ranking', expected classification or regression"):
        import_released(tmp_path, task="ranking", audio_encoder="", face_encoder="")  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------------
# Paper size, and the way to a bundle.


@pytest.mark.slow
def test_a_paper_sized_folder_is_imported(tmp_path: Path) -> None:
    config = paper_config(layout="released", projection_kernel=1)
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:  # 400 MB, so not left behind
        write_folder(Path(folder), released_values(config), positions=10_000)
        checkpoint = import_folder(Path(folder), "classification")
    found = checkpoint.description.model
    assert found.model_dump(exclude=FROM_STATISTICS) == config.model_dump(exclude=FROM_STATISTICS)
    assert_equal(checkpoint.model.state_dict(), released_values(config))


@pytest.mark.slow
def test_an_imported_checkpoint_becomes_a_bundle_that_answers(tmp_path: Path, example_clip: Path) -> None:
    """With a small wav2vec2, because the light audio encoder takes no global normalisation."""
    config = tiny_config("regression").model_copy(
        update={"audio_dim": SMALL["hidden_size"], "visual_dim": load_face_encoder("light").module.dim}
    )
    folder = write_folder(tmp_path / "old", released_values(config))
    imported = import_folder(folder, "regression", audio_encoder="wav2vec2", face_encoder="light")
    save_checkpoint(imported, tmp_path / "new")
    save_small_wav2vec2(tmp_path / "new" / "wav2vec2")
    result = CliRunner().invoke(app, ["onnx", str(tmp_path / "new"), "-o", str(tmp_path / "bundle")])
    assert result.exit_code == 0, result.output
    with Recognizer(tmp_path / "bundle") as recognizer:
        answer = recognizer.predict(example_clip, all_paths=True)
    assert answer.path == "audio_visual"
    assert answer.paths.keys() == {"audio", "visual", "audio_visual"}
    assert list(answer.scores) == ["arousal", "dominance", "valence"]
    assert np.isfinite(list(answer.scores.values())).all()
