"""What `vavl-export onnx` takes: a checkpoint, or the run folder that holds one. It tells what is random."""

from pathlib import Path

from tests.export.exported import tiny_model
from vavl.checkpoint import Checkpoint, CheckpointDescription, find_checkpoint, save_checkpoint
from vavl_export.bundle_writer import _random_parts
from vavl_export.encoders import load_encoders
from vavl_export.request import build_request


def request_from(folder: Path | None):  # type: ignore[no-untyped-def]
    return build_request(
        folder, preset="light", seed=0, audio_encoder=None, face_encoder=None, name="made", fused=False
    )


def trained_run(folder: Path) -> Path:
    model = tiny_model(audio_dim=28, visual_dim=275)
    description = CheckpointDescription(
        model=model.config, audio_encoder="prosody", face_encoder="light", trained=True, provenance="made"
    )
    save_checkpoint(Checkpoint(model, description), folder / "checkpoint")
    (folder / "history.jsonl").write_text("", "utf-8")
    return folder


def test_a_run_folder_stands_for_its_checkpoint(tmp_path: Path) -> None:
    run = trained_run(tmp_path / "run")
    assert find_checkpoint(run) == find_checkpoint(run / "checkpoint") == run / "checkpoint"
    assert find_checkpoint(tmp_path) == tmp_path
    assert request_from(run).description == request_from(run / "checkpoint").description


def test_what_is_random_is_told(tmp_path: Path) -> None:
    trained, made = request_from(trained_run(tmp_path / "run")), request_from(None)
    assert [*_random_parts(trained, load_encoders(trained.description))] == []
    told = [*_random_parts(made, load_encoders(made.description))]
    assert told == ["the model", "the audio encoder 'random:light@0'"]
