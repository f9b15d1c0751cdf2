"""Algorithm 1: which parameters and statistics each step moves, on whatever modalities a batch has."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.small_runs import build, in_memory, small_config, train, weights
from vavl.config import Task
from vavl.model import Vavl
from vavl.systems.batch import Batch
from vavl.systems.vavl import VavlSystem
from vavl.training.dataset import FeatureSet, collate

both_tasks = pytest.mark.parametrize("task", ["classification", "regression"])
HALF = ("both", "audio", "both", "audio", "both", "audio", "both", "audio")
MOVES = {
    "audio": ("model.audio.", "model.shared."),
    "visual": ("model.visual.", "model.shared."),
    "audio_visual": ("model.audio_visual_head.",),
}
# A key's bias adds the same to all scores of a query, so the softmax and its gradient do not see it.
UNSEEN = "key.bias"


class WatchedSystem(VavlSystem):
    """Notes all weights before each step of training; the last note is added by `steps_of`."""

    def __init__(self, model: Vavl) -> None:
        super().__init__(model)
        self.notes: list[tuple[str, bool, dict[str, bytes]]] = []

    def loss(self, step: str, batch: Batch) -> torch.Tensor | None:
        before = weights(self)
        loss = super().loss(step, batch)
        self.notes.append((step, loss is not None, before))
        return loss


def steps_of(
    folder: Path, data: FeatureSet, task: Task = "classification", model: dict[str, Any] | None = None, **changes: Any
) -> list[tuple[str, bool, set[str]]]:
    """Train, and tell of every step whether it was taken and which parameters and buffers it changed."""
    watched = train(folder, data, system=lambda: WatchedSystem(Vavl(small_config(task, **(model or {})))), **changes)
    assert isinstance(watched, WatchedSystem)
    after = [before for _, _, before in watched.notes[1:]] + [weights(watched)]
    return [
        (step, taken, {name for name, value in now.items() if value != before[name]})
        for (step, taken, before), now in zip(watched.notes, after, strict=True)
    ]


@both_tasks
def test_each_step_moves_its_own_parameters_and_statistics_only(tmp_path: Path, task: Task) -> None:
    """With momentum from earlier steps, weight decay, dropout and clipping: nothing of that may leak."""
    data = in_memory(("both", "two windows") * 4, task).features()
    dropout = {"dropout": 0.1, "head_dropout": 0.2}
    steps = steps_of(tmp_path, data, task, dropout, epochs=2, weight_decay=0.1, clip_norm=1.0, feature_noise=0.1)
    assert [step for step, _, _ in steps[:6]] == ["audio", "visual", "audio_visual"] * 2  # Algorithm 1's order
    touched: dict[str, set[str]] = {step: set() for step in MOVES}
    for step, taken, changed in steps:
        assert taken and changed
        assert all(name.startswith(MOVES[step]) for name in changed)
        touched[step] |= changed
    names = build(task).state_dict().keys()
    for step, prefixes in MOVES.items():
        own = {name for name in names if name.startswith(prefixes) and "normalizer" not in name}
        assert own - touched[step] <= {name for name in own if name.endswith(UNSEEN)}
    running = {name for name in touched["audio"] if "running" in name}
    assert any(".shared." in name for name in running) and any(".audio." in name for name in running)


def test_a_batch_without_video_leaves_the_visual_branch_alone(tmp_path: Path) -> None:
    """Half of the videos removed; some batches have one, some none."""
    steps = steps_of(tmp_path, in_memory(HALF).features(), epochs=4, batch_size=2, weight_decay=0.1)
    taken = {step: [was for at, was, _ in steps if at == step] for step in MOVES}
    assert all(taken["audio"])
    assert taken["visual"] == taken["audio_visual"]  # no clip of this corpus has video alone
    assert {True, False} == set(taken["visual"])
    for step, was_taken, changed in steps:
        assert bool(changed) == was_taken
        assert all(name.startswith(MOVES[step]) for name in changed)


@pytest.mark.parametrize("missing", ["audio", "visual"])
@both_tasks
def test_without_a_modality_only_the_other_branch_trains(tmp_path: Path, task: Task, missing: str) -> None:
    data = in_memory(("both", "two windows", "audio", "visual") * 2, task).features(without=frozenset({missing}))  # type: ignore[arg-type]
    kept = {"audio": "visual", "visual": "audio"}[missing]
    for step, taken, changed in steps_of(tmp_path, data, task):
        assert taken == (step == kept)
        assert bool(changed) == taken
        assert all(name.startswith(MOVES[kept]) for name in changed)


def test_unpaired_clips_of_both_kinds_train_both_branches_and_no_fusion(tmp_path: Path) -> None:
    taken = [(step, was) for step, was, _ in steps_of(tmp_path, in_memory(("audio", "visual") * 4).features())]
    assert ("audio_visual", True) not in taken
    assert {("audio", True), ("visual", True)} <= set(taken)


ABLATIONS: dict[str, dict[str, Any]] = {
    "residual": {"residual": False},
    "reconstruction": {"reconstruction": False},
    "audio_visual_head": {"audio_visual_head": False},
    "all": {"residual": False, "reconstruction": False, "audio_visual_head": False},
    "dynamics": {"visual_dynamics": "frames", "visual_pool": 2},
}


@pytest.mark.parametrize(
    ("what", "task"),
    [(what, task) for what in ABLATIONS for task in ("classification", "regression")],
)
def test_ablations_train(tmp_path: Path, task: Task, what: str) -> None:
    data = in_memory(("both", "two windows", "audio", "visual") * 2, task).features()
    steps = steps_of(tmp_path, data, task, ABLATIONS[what])
    head = ABLATIONS[what].get("audio_visual_head", True)
    assert {step for step, _, _ in steps} == {"audio", "visual", *(["audio_visual"] * head)}
    for step, taken, changed in steps:
        assert bool(changed) == taken
        assert all(name.startswith(MOVES[step]) for name in changed)


@both_tasks
def test_without_its_head_the_paired_answer_is_the_average(task: Task) -> None:
    system = build(task, audio_visual_head=False).eval()
    batch = collate(in_memory(("both", "audio", "both", "visual"), task).features().examples)
    with torch.no_grad():
        answers = system.predict(batch)
    rows, fused = answers["audio_visual"]
    assert rows.tolist() == [0, 2]
    alone = [dict(zip(at.tolist(), values, strict=True)) for at, values in (answers["audio"], answers["visual"])]
    for row, answer in zip(rows.tolist(), fused, strict=True):
        torch.testing.assert_close(answer, (alone[0][row] + alone[1][row]) / 2, atol=1e-5, rtol=1e-5)


@both_tasks
def test_equation_1(task: Task) -> None:
    """The unimodal loss is the task's plus α times the reconstruction's; fusion has the task's alone (D24)."""
    batch = collate(in_memory(("both",) * 6, task).features().examples)
    losses = {}
    for alpha in (0.0, 1.0, 3.0, None):
        torch.manual_seed(0)
        system = build(task, alpha).eval()
        losses[alpha] = {step: system.loss(step, batch) for step in MOVES}
        assert system.alpha == {None: {"classification": 2.0, "regression": 1.0}[task]}.get(alpha, alpha)
    for step, sequences in (("audio", batch.audio), ("visual", batch.visual)):
        assert sequences is not None
        output = system.model.unimodal(step, sequences.features, sequences.lengths)  # type: ignore[arg-type]
        valid = [features[:length] for features, length in zip(sequences.features, sequences.lengths, strict=True)]
        means = torch.stack([features.mean(dim=0) for features in valid])  # statistics are not set: no normalisation
        assert output.reconstruction is not None
        error = (output.reconstruction - means).square().mean()
        for alpha, weight in ((1.0, 1.0), (3.0, 3.0), (None, system.alpha)):
            torch.testing.assert_close(losses[alpha][step] - losses[0.0][step], weight * error, atol=1e-4, rtol=1e-4)  # type: ignore[operator]
    assert torch.equal(losses[0.0]["audio_visual"], losses[3.0]["audio_visual"])  # type: ignore[arg-type]


def test_fusion_sees_the_branches_as_they_answer() -> None:
    """Frozen branches drop nothing and keep their statistics, while the head still drops (D28)."""
    batch = collate(in_memory(("both",) * 6).features().examples)

    def losses(**dropout: float) -> set[float]:
        torch.manual_seed(0)
        system = build(**dropout).train()
        found = set()
        for seed in range(5):
            torch.manual_seed(seed)
            loss = system.loss("audio_visual", batch)
            assert loss is not None
            found.add(loss.item())
            assert all(module.training for module in system.modules())
        return found

    assert len(losses(dropout=0.5, head_dropout=0.0)) == 1
    assert len(losses(dropout=0.0, head_dropout=0.5)) > 1


@both_tasks
def test_answers_by_every_path_that_a_clip_allows(task: Task) -> None:
    system = build(task).eval()
    kinds = ("audio", "both", "visual", "both")
    examples = in_memory(kinds, task).features().examples
    with torch.no_grad():
        answers = system.predict(collate(examples))
        alone = [system.predict(collate([example])) for example in examples]
    rows = {path: at.tolist() for path, (at, _) in answers.items()}
    assert rows == {"audio": [0, 1, 3], "visual": [1, 2, 3], "audio_visual": [1, 3]}
    for path, (at, values) in answers.items():
        assert values.shape == (len(at), len(system.model.config.labels)) and values.dtype == torch.float32
        if task == "classification":
            torch.testing.assert_close(values.sum(dim=1), torch.ones(len(at)))
        for row, value in zip(at.tolist(), values, strict=True):
            torch.testing.assert_close(alone[row][path][1][0], value, atol=1e-5, rtol=1e-4)


def test_embeddings_of_pairs() -> None:
    system = build().eval()
    examples = in_memory(("audio", "both", "visual", "both")).features().examples
    with torch.no_grad():
        found = system.shared_embeddings(collate(examples))
        assert found is not None
        assert [values.shape for values in found] == [(2, 16), (2, 16)]
        alone = system.shared_embeddings(collate(examples[3:]))
        assert alone is not None
        for values, single in zip(found, alone, strict=True):
            torch.testing.assert_close(values[1], single[0], atol=1e-5, rtol=1e-4)
        assert system.shared_embeddings(collate(examples[:1])) is None


def test_the_training_set_normalises_features(tmp_path: Path) -> None:
    data = in_memory(("both", "audio") * 3).features()
    system = train(tmp_path, data, epochs=1)
    for modality in ("audio", "visual"):
        statistics = data.statistics(modality)  # type: ignore[arg-type]
        assert statistics is not None
        for normalizer in system.normalizers()[modality]:  # type: ignore[index]
            assert np.array_equal(normalizer.mean, statistics[0])
            assert np.array_equal(normalizer.std, statistics[1])
