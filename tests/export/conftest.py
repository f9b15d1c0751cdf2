"""A tiny regression bundle and single graphs, each exported once for the whole run."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from tests.export.exported import REGRESSION, Exported, open_graph, spec_of, tiny_model
from tests.session_store import SessionStore
from vavl.checkpoint import Checkpoint, CheckpointDescription, save_checkpoint
from vavl.encoders import load_audio_encoder, load_face_encoder, save_encoder
from vavl_export.cli import app
from vavl_export.graph_lint import lint_graph
from vavl_export.to_onnx import export_graph

RANDOM_FACE = "random:light@0"
FindGraph = Callable[[str, str], Path]
OpenGraph = Callable[[str, str], Exported]


@pytest.fixture(scope="session")
def tiny_checkpoint(store: SessionStore) -> Path:
    """A tiny regression model with its own audio encoder inside the checkpoint folder; read-only."""
    return store.get("tiny-checkpoint", _write_checkpoint)


def _write_checkpoint(folder: Path) -> None:
    audio, face = load_audio_encoder("light").module, load_face_encoder(RANDOM_FACE).module
    model = tiny_model(audio_dim=audio.dim, visual_dim=face.dim, visual_dynamics="frames", **REGRESSION)
    save_encoder(audio, folder / "audio")
    description = CheckpointDescription(
        model=model.config,
        audio_encoder="audio",
        face_encoder=RANDOM_FACE,
        audio_encoder_sha256=load_audio_encoder(str(folder / "audio")).weights_sha256,
        face_encoder_sha256=load_face_encoder(RANDOM_FACE).weights_sha256,
        token_rate=25.0,
        trained=True,
        provenance="a test",
    )
    save_checkpoint(Checkpoint(model, description), folder)


@pytest.fixture(scope="session")
def tiny_bundle(tiny_checkpoint: Path, store: SessionStore) -> Path:
    """The fp32 bundle of the tiny checkpoint, with end-to-end graphs, exported by the command line; read-only."""

    def make(folder: Path) -> None:
        result = CliRunner().invoke(app, ["onnx", str(tiny_checkpoint), "-o", str(folder / "tiny"), "--fused"])
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == str(folder / "tiny")

    return store.get("tiny-bundle", make) / "tiny"


@pytest.fixture(scope="session")
def find_graph(store: SessionStore, request: pytest.FixtureRequest) -> FindGraph:
    """Gives the ONNX file of a graph of `spec_of`, from a bundle of this run if one has it."""

    def find(kind: str, name: str) -> Path:
        if bundle := {"tiny bundle": "tiny_bundle", "paper": "paper_bundle"}.get(kind):
            folder: Path = request.getfixturevalue(bundle)
            return folder / spec_of(kind, name).file

        def make(folder: Path) -> None:
            model = export_graph(spec_of(kind, name))
            lint_graph(model, name)
            onnx.save(model, folder / "graph.onnx")

        return store.get(f"graph {kind} {name}", make) / "graph.onnx"

    return find


@pytest.fixture(scope="session")
def open_exported(find_graph: FindGraph) -> OpenGraph:
    """Opens a graph of `spec_of`."""
    return lambda kind, name: open_graph(spec_of(kind, name), find_graph(kind, name))
