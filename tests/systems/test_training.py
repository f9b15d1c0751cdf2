"""Every baseline learns: from paired and from incomplete clips, with every parameter of its own."""

import inspect

import pytest
import torch

from tests.systems.small import SMALL, build, random_batch, scrambled, without_dropout
from vavl.systems import BASELINES, Baseline
from vavl.systems.batch import Batch
from vavl.systems.system import Task

every = pytest.mark.parametrize("name", BASELINES)
both_tasks = pytest.mark.parametrize("task", ["classification", "regression"])
PAIRED = [(9, 4), (5, 13), (7, 7), (3, 10)]
HALF = [(9, 0), (5, 13), (7, 0), (3, 10), (6, 0), (8, 8)]  # half of the videos are missing


@every
@both_tasks
def test_every_parameter_learns_in_its_step_only(name: str, task: Task) -> None:
    system, batch = build(name, task).train(), random_batch(PAIRED, task)
    steps = system.parameter_steps()
    assert {id(value) for values in steps.values() for value in values} == {id(v) for v in system.parameters()}
    names = {id(value): key for key, value in system.named_parameters()}
    for step, values in steps.items():
        own = {names[id(value)] for value in values}
        touched = set()
        for seed in range(12):  # UAVM draws a modality a batch, AuxFormer drops one
            torch.manual_seed(seed)
            system.zero_grad()
            loss = system.loss(step, batch)
            assert loss is not None
            loss.backward()
            touched |= {key for key, value in system.named_parameters() if value.grad is not None and value.grad.any()}
        # The bias of the keys moves all scores of a query alike, and the softmax does not see that.
        assert {key for key in own - touched if not key.endswith("key.bias")} == set()
        assert touched <= own


@every
@both_tasks
def test_a_step_with_half_of_the_videos_missing(name: str, task: Task) -> None:
    system, batch = build(name, task).train(), random_batch(HALF, task)
    before = {key: value.clone() for key, value in system.named_parameters()}
    for step, values in system.parameter_steps().items():
        torch.manual_seed(1)  # UAVM draws the video, AuxFormer drops nothing
        loss = system.loss(step, batch)
        assert loss is not None and loss.isfinite()
        optimizer = torch.optim.SGD(values, lr=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(value.isfinite().all() for value in system.parameters())
    moved = {key.split(".")[0] for key, value in system.named_parameters() if not torch.equal(value, before[key])}
    expected = {
        "uavm": {"audio", "visual", "shared", "head"},
        "auxformer": {"audio_projection", "visual_projection", "main", "audio_auxiliary", "visual_auxiliary"}
        | {"auxiliary_residual", "auxiliary_output"},
        "mult": {"audio_projection", "visual_projection", "fusion"},
        "unimodal": {"audio", "visual"},
    }
    assert moved == expected[name]


@every
@pytest.mark.parametrize("lengths", [[(9, 0), (4, 0)], [(0, 9), (0, 4)], [(9, 0), (0, 4)]])
def test_clips_of_one_modality(name: str, lengths: list[tuple[int, int]]) -> None:
    """MulT needs pairs; the unimodal networks need their modality; the others train on anything."""
    system, batch = build(name).train(), random_batch(lengths)
    has = {"audio": any(audio for audio, _ in lengths), "visual": any(visual for _, visual in lengths)}
    for step in system.parameter_steps():
        loss = system.loss(step, batch)
        possible = {"uavm": True, "auxformer": True, "mult": False, "unimodal": has.get(step, False)}
        assert (loss is not None) == possible[name]


@every
def test_a_seed_repeats_a_loss(name: str) -> None:
    system, batch = build(name).train(), random_batch(HALF)
    for step in system.parameter_steps():
        losses = []
        for _ in range(2):
            torch.manual_seed(11)
            losses.append(system.loss(step, batch))
        assert losses[0] is not None and torch.equal(losses[0], losses[1])


@every
def test_choices_explain_every_chosen_keyword(name: str) -> None:
    system = build(name)
    signature = inspect.signature(BASELINES[name])
    assert set(system.chosen) <= set(system.choices)
    assert all(len(text) > 10 for text in system.choices.values())
    for keyword, value in system.chosen.items():
        assert signature.parameters[keyword].kind is inspect.Parameter.KEYWORD_ONLY
        assert value == SMALL[name].get(keyword, signature.parameters[keyword].default)


def test_uavm_draws_each_modality_half_of_the_time() -> None:
    system, batch = build("uavm"), random_batch(PAIRED[:2])
    heard = 0
    for seed in range(200):
        torch.manual_seed(seed)
        system.zero_grad()
        loss = system.loss("drawn", batch)
        assert loss is not None
        loss.backward()
        audio, visual = system.audio.positions.grad, system.visual.positions.grad
        assert (audio is None) != (visual is None)  # never both
        heard += audio is not None
    assert 70 <= heard <= 130  # four standard deviations and more


def test_uavm_trains_on_a_clip_without_the_drawn_modality_by_the_other() -> None:
    system, batch = build("uavm"), random_batch([(9, 0), (0, 4)])
    for seed in range(8):
        torch.manual_seed(seed)
        system.zero_grad()
        loss = system.loss("drawn", batch)
        assert loss is not None
        loss.backward()
        assert system.audio.positions.grad is not None and system.visual.positions.grad is not None


def test_auxformer_drops_modalities_of_paired_clips_in_training_only() -> None:
    paired, audio_only = random_batch([(9, 4), (5, 13)]), random_batch([(9, 0), (5, 0)])

    def losses(system: Baseline, batch: Batch) -> set[float]:
        found = set()
        for seed in range(40):
            torch.manual_seed(seed)
            loss = system.loss("joint", batch)
            assert loss is not None
            found.add(round(loss.item(), 5))
        return found

    system = scrambled("auxformer")
    assert len(losses(system, paired)) == 1  # evaluation
    without_dropout(system).train()
    assert len(losses(system, paired)) == 3  # both, without audio, without video
    assert len(losses(system, audio_only)) == 1  # its only modality is never dropped


@pytest.mark.parametrize("embedding", ["auxiliary", "cross_modal"])
def test_auxformer_embeddings_meet_only_in_the_cross_modal_layers(embedding: str) -> None:
    system = scrambled("auxformer", embedding=embedding)
    first = system.shared_embeddings(random_batch([(9, 4)]))
    other = random_batch([(9, 4)], seed=5)
    mixed = system.shared_embeddings(Batch(random_batch([(9, 4)]).audio, other.visual, other.target))
    assert first is not None and mixed is not None
    assert torch.equal(first[0], mixed[0]) == (embedding == "auxiliary")


@pytest.mark.slow
@every
@both_tasks
def test_one_batch_can_be_learned_by_heart(name: str, task: Task) -> None:
    system = without_dropout(build(name, task)).train()
    batch = random_batch([*PAIRED, (6, 6), (8, 2)], task)
    optimizers = {step: torch.optim.Adam(values, lr=2e-3) for step, values in system.parameter_steps().items()}
    torch.manual_seed(0)
    for _ in range(400):
        for step, optimizer in optimizers.items():
            loss = system.loss(step, batch)
            assert loss is not None
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    system.eval()
    with torch.no_grad():
        for step in optimizers:
            loss = system.loss(step, batch)
            assert loss is not None and loss < 0.02
        for _, values in system.predict(batch).values():
            if task == "classification":
                assert torch.equal(values.argmax(dim=1), batch.target.argmax(dim=1))
