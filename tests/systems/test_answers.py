"""Every baseline answers each clip for itself, by the paths that the clip allows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.systems.small import (
    AUDIO_DIM,
    OUTPUTS,
    VISUAL_DIM,
    build,
    collate,
    predicted,
    random_batch,
    random_clips,
    random_target,
    rows_of,
    scrambled,
    without,
)
from vavl.errors import ConfigError
from vavl.model import Modality
from vavl.systems import BASELINES
from vavl.systems.batch import Batch, Sequences
from vavl.systems.system import Task
from vavl_runtime.errors import InvalidArrayError

few = settings(max_examples=25, deadline=None)
every = pytest.mark.parametrize("name", BASELINES)
both_tasks = pytest.mark.parametrize("task", ["classification", "regression"])
length = st.integers(0, 14)
clip_lengths = st.lists(st.tuples(length, length).filter(any), min_size=1, max_size=5)
variant = st.sampled_from(
    [
        ("uavm", {}),
        ("uavm", {"pooling": "cut"}),
        ("auxformer", {}),
        ("auxformer", {"unimodal_answer": "auxiliary"}),
        ("mult", {}),
        ("unimodal", {}),
        ("unimodal", {"head": "two_layers"}),
    ]
)


@few
@given(variant=variant, lengths=clip_lengths, padding=st.integers(0, 20), data=st.data())
def test_a_clip_is_answered_for_itself(
    variant: tuple[str, dict[str, object]], lengths: list[tuple[int, int]], padding: int, data: st.DataObject
) -> None:
    name, changes = variant
    system = scrambled(name, **changes)
    order = data.draw(st.permutations(range(len(lengths))))
    clips = random_clips(lengths, seed=len(lengths))
    target = random_target(len(clips))
    together = predicted(system, collate([clips[row] for row in order], target, padding, filler=50.0))
    for row, clip in enumerate(clips):
        alone = predicted(system, collate([clip], target[:1]))
        for path, answers in alone.items():
            torch.testing.assert_close(together[path][order.index(row)], answers[0], atol=1e-5, rtol=1e-4)


@few
@given(name=st.sampled_from(list(BASELINES)), task=st.sampled_from(list(OUTPUTS)), lengths=clip_lengths)
def test_every_clip_is_answered_by_the_paths_it_allows(name: str, task: Task, lengths: list[tuple[int, int]]) -> None:
    system = scrambled(name, task)
    answers = system.predict(random_batch(lengths, task))
    expected = {path: rows for path, rows in rows_of(lengths).items() if path in system.paths and rows}
    assert {path: rows.tolist() for path, (rows, _) in answers.items()} == expected
    for rows, values in answers.values():
        assert values.shape == (len(rows), OUTPUTS[task])
        assert values.isfinite().all()
        if task == "classification":
            torch.testing.assert_close(values.sum(dim=1), torch.ones(len(rows)))
            assert (values >= 0).all()


@every
@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_a_unimodal_answer_knows_nothing_of_the_other_modality(name: str, modality: Modality) -> None:
    system, batch = scrambled(name), random_batch([(9, 4), (5, 13)])
    other: Modality = "visual" if modality == "audio" else "audio"
    together, alone = predicted(system, batch), predicted(system, without(batch, other))
    assert set(alone) == {modality} & set(system.paths)
    for row, answer in alone.get(modality, {}).items():
        torch.testing.assert_close(together[modality][row], answer)


@every
def test_both_modalities_and_their_order_in_time_matter(name: str) -> None:
    system, batch = scrambled(name), random_batch([(12, 8)])
    assert batch.audio is not None and batch.visual is not None
    reference = predicted(system, batch)
    for modality, sequences in (("audio", batch.audio), ("visual", batch.visual)):
        backward = Sequences(sequences.features.flip(1), sequences.lengths, sequences.rows)
        turned = predicted(
            system,
            Batch(backward, batch.visual, batch.target)
            if modality == "audio"
            else Batch(batch.audio, backward, batch.target),
        )
        for path in {modality, "audio_visual"} & set(system.paths):
            assert (turned[path][0] - reference[path][0]).abs().max() > 1e-3


@every
def test_answers_follow_the_statistics_of_the_features(name: str) -> None:
    """Scaled and shifted features with the statistics to match give the same answers."""
    system, batch = scrambled(name), random_batch([(9, 4), (5, 13)])
    assert batch.audio is not None and batch.visual is not None
    reference = predicted(system, batch)
    moved = []
    for normalizer, sequences in (
        (system.audio_normalizer, batch.audio),
        (system.visual_normalizer, batch.visual),
    ):
        normalizer.mean.mul_(3).add_(2)
        normalizer.std.mul_(3)
        moved.append(Sequences(sequences.features * 3 + 2, sequences.lengths, sequences.rows))
    for path, answers in predicted(system, Batch(moved[0], moved[1], batch.target)).items():
        for row, answer in answers.items():
            torch.testing.assert_close(answer, reference[path][row], atol=1e-4, rtol=1e-4)


@both_tasks
def test_uavm_averages_the_outputs_of_both_modalities(task: Task) -> None:
    answers = predicted(scrambled("uavm", task), random_batch([(9, 4), (5, 13)], task))
    for row, fused in answers["audio_visual"].items():
        heard, seen = answers["audio"][row], answers["visual"][row]
        # The softmax of averaged logits is the geometric mean of the probabilities, made to sum to 1.
        geometric = (heard * seen).sqrt() if task == "classification" else (heard + seen) / 2
        expected = geometric / geometric.sum() if task == "classification" else geometric
        torch.testing.assert_close(fused, expected, atol=1e-5, rtol=1e-4)


@every
@pytest.mark.parametrize("path", ["audio", "visual"])
def test_features_of_another_encoder_are_refused(name: str, path: Modality) -> None:
    batch = random_batch([(9, 4), (5, 13)])
    wrong = {
        "audio": Sequences(torch.zeros(2, 9, AUDIO_DIM + 1), torch.tensor([9, 5]), torch.tensor([0, 1])),
        "visual": Sequences(torch.zeros(2, 13, VISUAL_DIM + 1), torch.tensor([4, 13]), torch.tensor([0, 1])),
    }
    bad = Batch(
        wrong["audio"] if path == "audio" else batch.audio,
        wrong["visual"] if path == "visual" else batch.visual,
        batch.target,
    )
    with pytest.raises(InvalidArrayError, match=rf"{path} features: got shape .* expected \(clips, tokens, \d+\)"):
        scrambled(name).predict(bad)


@pytest.mark.parametrize("name", ["auxformer", "mult", "unimodal"])
def test_a_clip_beyond_the_position_table_is_refused(name: str) -> None:
    with pytest.raises(InvalidArrayError, match="got 65 tokens, .* takes 64; cut the clip or raise max_tokens"):
        scrambled(name).predict(random_batch([(65, 4)]))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("uavm", {"width": 15}, "width 15 must be a multiple of heads"),
        ("uavm", {"pooling": "middle"}, "pooling: got 'middle', expected one of segments, cut"),
        ("auxformer", {"width": 7}, "width 7 must be even"),
        ("auxformer", {"unimodal_answer": "none"}, "unimodal_answer: got 'none'"),
        ("auxformer", {"embedding": "first"}, "embedding: got 'first'"),
        ("auxformer", {"modality_dropout": 0.6}, "modality_dropout: got 0.6, expected 0 to 0.5"),
        ("mult", {"heads": 5}, r"multiple of heads \(5\)"),
        ("unimodal", {"head": "linear"}, "head: got 'linear'"),
    ],
)
def test_impossible_settings_are_refused(name: str, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(name, **changes)


@pytest.mark.parametrize("name", ["uavm", "auxformer"])
def test_shared_embeddings_are_those_of_the_paired_clips(name: str) -> None:
    system = scrambled(name)
    mixed = system.shared_embeddings(random_batch([(9, 4), (5, 0), (6, 13), (0, 3)]))
    assert mixed is not None
    paired = system.shared_embeddings(
        collate([random_clips([(9, 4), (5, 0), (6, 13)])[i] for i in (0, 2)], torch.zeros(2, 6))
    )
    assert paired is not None
    for of_mixed, of_paired in zip(mixed, paired, strict=True):
        assert of_mixed.ndim == 2
        torch.testing.assert_close(of_mixed, of_paired, atol=1e-5, rtol=1e-4)
    assert system.shared_embeddings(random_batch([(9, 0), (0, 4)])) is None


@pytest.mark.parametrize("name", ["mult", "unimodal"])
def test_systems_without_shared_layers_have_no_shared_embeddings(name: str) -> None:
    assert scrambled(name).shared_embeddings(random_batch([(9, 4)])) is None
