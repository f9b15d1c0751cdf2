"""Exit codes: 2 for a command line that makes no sense, 3 for wrong input, 4 for a missing device."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.cli.commands import TINY, fail, succeed, vavl_train
from tests.cli.made_corpus import SMALL
from vavl.features import CacheIdentity, FeatureCache


@pytest.fixture
def fit(manifest: Path, cache: Path, tmp_path: Path) -> Callable[..., str]:
    """Run ``fit`` on the made corpus, to fail with exit code 3 before it claims its folder; gives its stderr."""

    def run_fit(*options: object, code: int = 3) -> str:
        common = ("--features", cache, *TINY, "-o", tmp_path / "run")
        stderr = fail(code, "fit", "manifest", manifest, *common, *options)
        assert not (tmp_path / "run").exists()
        return stderr

    return run_fit


def test_a_token_rate_that_no_bundle_has(manifest: Path, tmp_path: Path) -> None:
    said = fail(2, "features", "manifest", manifest, "-o", tmp_path / "cache", "--token-rate", 0.5)
    assert "--token-rate: got 0.5, expected 0, or 1 to 125" in " ".join(said.split())
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit",), "Missing argument 'CORPUS'"),
        (("fit", "manifest", "."), "Missing option '--features'"),
        (("fit", "manifest", ".", "--epochs", "many"), "Invalid value for '--epochs'"),
        (("fit", "manifest", ".", "--learningrate", "1"), "No such option: --learningrate"),
        (("fit", "manifest", ".", "--devices", "0"), "Invalid value for '--devices'"),
        (("features", "manifest", ".", "--workers", "0"), "Invalid value for '--workers'"),
        (("compare", "manifest", ".", "--seeds", "0"), "Invalid value for '--seeds'"),
        (("evaluate", "-o", "report"), "Missing argument 'RUN...'"),
        (("train",), "No such command 'train'"),
    ],
)
def test_bad_usage_is_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    stderr = fail(2, *arguments)
    assert message in stderr
    assert "-h' for help" in stderr


@pytest.mark.parametrize("command", ["features", "fit", "compare", "audio-encoder", "face-encoder"])
@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (("cremad", "."), "error: corpus 'cremad': expected one of crema-d, "),
        (("javanese", "nowhere"), "error: nowhere: no such folder; expected the corpus javanese"),
        (("javanese", __file__), "not a folder; expected the one that holds the corpus javanese"),
    ],
)
def test_no_corpus(command: str, corpus: tuple[str, str], message: str, cache: Path, tmp_path: Path) -> None:
    options: dict[str, tuple[object, ...]] = {"fit": ("--features", cache), "compare": ("--features", cache)}
    stderr = fail(3, command, *corpus, *options.get(command, ()), *_raw(command, tmp_path), "-o", tmp_path / "out")
    assert message in stderr
    assert list(tmp_path.iterdir()) == []


def _raw(command: str, folder: Path) -> tuple[object, ...]:
    return ("--raw", folder / "raw") if command.endswith("encoder") else ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--partition", 6), "partition 6: the corpus made has 5, or 'all'"),
        (("--partition", 0), "--partition: got '0', expected 1, 2, … or 'all'"),
        (("--partition", "first"), "--partition: got 'first', expected 1, 2, … or 'all'"),
        (("--preset", "heavy"), "preset 'heavy': expected one of paper, light"),
        (("--system", "svm"), "system 'svm': expected vavl or one of uavm, auxformer, mult, unimodal"),
        (("--system", "uavm", "--uavm-width", 18), "width 18 must be a multiple of heads"),
        (("--accelerator", "abacus"), "--accelerator: got 'abacus', expected auto, cpu, cuda"),
        (("--selection", "best"), "--selection: Input should be 'audio_visual', 'mean' or 'last'"),
        (("--precision", "8"), "--precision: "),
        (("--schedule", "linear"), "--schedule: "),
        (("--alpha", -1), "--alpha: Input should be greater than or equal to 0"),
        (("--learning-rate", "nan"), "--learning-rate: "),
        (("--model", "nowhere.json"), "--model nowhere.json: not a readable JSON file"),
        (("--features", "nowhere"), "nowhere: not a feature cache"),
    ],
)
def test_wrong_value(options: tuple[object, ...], message: str, fit: Callable[..., str]) -> None:
    assert message in fit(*options)


def test_all_wrong_values_are_listed_at_once(fit: Callable[..., str]) -> None:
    stderr = fit("--epochs", 0, "--batch-size", -1, "--clip-norm", 0)
    (line,) = stderr.splitlines()
    for name in ("--epochs", "--batch-size", "--clip-norm"):
        assert f"{name}: Input should be greater than 0" in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a readable JSON file"),
        ("[1]", "got a JSON list, expected an object of settings"),
        ('{"widht": 64}', "widht: Extra inputs are not permitted"),
        ('{"width": 60}', "width 60 must be a multiple of 2 x heads"),
        ('{"audio_dim": 1024}', "the model takes 1024 and 10"),
    ],
)
def test_wrong_model_file(content: str, message: str, fit: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(content, "utf-8")
    assert message in fit("--model", tmp_path / "model.json")


def test_raw_material_is_no_features(fit: Callable[..., str], tmp_path: Path) -> None:
    raw = CacheIdentity(dims=dict(SMALL), encoders={"audio": "raw", "visual": "raw"}, recipe={})
    FeatureCache(tmp_path / "raw", raw, writable=True).close()
    assert "raw: holds sound and face crops, not features" in fit("--features", tmp_path / "raw")


@pytest.mark.parametrize("command", ["audio-encoder", "face-encoder"])
def test_wrong_encoder_settings(command: str, manifest: Path, tmp_path: Path) -> None:
    options = ("--raw", tmp_path / "raw", "--epochs", 0, "--hidden", 0, "-o", tmp_path / "out")
    stderr = fail(3, command, "manifest", manifest, *options)
    for name in ("--epochs", "--hidden"):
        assert f"{name}: Input should be greater than 0" in stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", ["features", "fit", "compare", "audio-encoder", "face-encoder"])
def test_missing_gpu_is_exit_code_4(command: str, manifest: Path, cache: Path, tmp_path: Path) -> None:
    options = ("--accelerator", "cuda", "--features", cache) if command in ("fit", "compare") else ("--device", "cuda")
    arguments = (command, "manifest", manifest, *options, *_raw(command, tmp_path), "-o", tmp_path / "out")
    assert "error: device 'cuda': cannot be used here (" in fail(4, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written(manifest: Path, cache: Path, run: Path) -> None:
    place = Path(os.devnull) / "out"
    for arguments in (
        ("fit", "manifest", manifest, "--features", cache, *TINY),
        ("compare", "manifest", manifest, "--features", cache, *TINY),
        ("evaluate", run),
    ):
        done = vavl_train(*arguments, "-o", place)
        assert isinstance(done.exception, SystemExit)
        assert done.exit_code == 3
        assert "cannot be written" in done.stderr


def test_folder_of_another_run(run: Path, manifest: Path, cache: Path) -> None:
    before = (run / "settings.json").read_text("utf-8")
    options = ("--features", cache, *TINY, "--seed", 7, "-o", run)
    first, hint = fail(3, "fit", "manifest", manifest, *options).splitlines()
    assert "holds a run with other settings (fit)" in first
    assert hint == "hint: --restart deletes the earlier run"
    assert (run / "settings.json").read_text("utf-8") == before


@pytest.fixture
def other(run: Path, tmp_path: Path) -> Callable[..., Path]:
    """Another run folder, whose settings differ from those of the finished run, and which holds nothing else."""

    def write(**changes: object) -> Path:
        settings = json.loads((run / "settings.json").read_text("utf-8"))
        place = tmp_path / "other"
        place.mkdir()
        (place / "settings.json").write_text(json.dumps(settings | changes, indent=2, sort_keys=True) + "\n", "utf-8")
        return place

    return write


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "0 of 1 epochs are done; finish it with vavl-train fit"),
        ({"partition": {"number": 2, "seed": 1, "count": 5}}, "other: another partition.seed than "),
        ({"system": "mult"}, "other: another system than "),
        ({"corpus": {"kind": "javanese", "folder": "x", "skip_bad": False}}, "other: another corpus than "),
        ({"epochs": 3}, "other: not a run folder of vavl-train fit"),
    ],
)
def test_runs_that_evaluate_refuses(
    changes: dict[str, object], message: str, run: Path, other: Callable[..., Path], tmp_path: Path
) -> None:
    assert message in fail(3, "evaluate", run, other(**changes), "-o", tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_evaluate_refuses_the_same_partition_twice(run: Path, tmp_path: Path) -> None:
    assert "expected at least one and each once" in fail(3, "evaluate", run, run, "-o", tmp_path / "report")


def test_evaluate_refuses_a_run_on_every_clip(manifest: Path, cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed("fit", "manifest", manifest, "--features", cache, *TINY, "--partition", "all", "-o", run)
    assert "no development set, so there is nothing to evaluate" in fail(3, "evaluate", run, "-o", tmp_path / "report")


def test_comparison_with_a_wrong_size_trains_nothing(manifest: Path, cache: Path, tmp_path: Path) -> None:
    options = ("--features", cache, *TINY, "--uavm-width", 18, "-o", tmp_path / "out")
    assert "width 18 must be a multiple of heads" in fail(3, "compare", "manifest", manifest, *options)
    assert not (tmp_path / "out").exists()
