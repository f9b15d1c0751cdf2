"""Feature sets: every window once an epoch, the same in every batch, shared out evenly, and its statistics."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.small_runs import (
    AUDIO_DIM,
    KINDS,
    VISUAL_DIM,
    Material,
    features_of,
    in_memory,
    make_corpus,
    make_material,
    target_of,
)
from vavl.errors import ConfigError
from vavl.model import Modality
from vavl.systems.batch import Batch, Sequences
from vavl.training.dataset import BUCKET_BATCHES, Example, FeatureSet, collate, scale_target

some = settings(max_examples=50, deadline=None)
some_kinds = st.lists(st.sampled_from(KINDS), min_size=1, max_size=24).filter(lambda kinds: set(kinds) != {"nothing"})
MIXED = ("both", "audio", "two windows", "visual", "nothing", "both")
Window = tuple[bytes | None, bytes | None, bytes]


def window_of(example: Example) -> Window:
    """A window to the last bit."""
    audio, visual = example.features.audio, example.features.visual
    return (
        None if audio is None else audio.tobytes(),
        None if visual is None else visual.tobytes(),
        example.target.tobytes(),
    )


def rows_of(batch: Batch) -> list[Window]:
    """The windows of a batch to the last bit, their padding cut off, which must be zero."""

    def by_row(sequences: Sequences | None) -> dict[int, bytes]:
        if sequences is None:
            return {}
        found = {}
        assert sequences.rows.tolist() == sorted(set(sequences.rows.tolist()))
        assert sequences.features.shape[1] == int(sequences.lengths.max())
        for features, length, row in zip(sequences.features, sequences.lengths, sequences.rows, strict=True):
            assert not features[length:].any()
            found[int(row)] = features[:length].numpy().tobytes()
        return found

    audio, visual = by_row(batch.audio), by_row(batch.visual)
    return [(audio.get(row), visual.get(row), batch.target[row].numpy().tobytes()) for row in range(len(batch))]


def epoch_of(data: FeatureSet, batch_size: int, seed: int = 0, **options: object) -> list[list[Window]]:
    return [rows_of(batch) for batch in data.shuffled(batch_size, seed, **options)]  # type: ignore[arg-type]


def flat(batches: list[list[Window]]) -> list[Window]:
    return [window for batch in batches for window in batch]


@some
@given(some_kinds, st.integers(1, 9), st.integers(0, 99))
def test_an_epoch_shows_every_window_once_whatever_the_batch_size(kinds: list[str], size: int, seed: int) -> None:
    data = in_memory(kinds).features()
    batches = epoch_of(data, size, seed)
    assert Counter(flat(batches)) == Counter(map(window_of, data.examples))
    assert [len(batch) for batch in batches if len(batch) != size] == [len(data) % size] * (len(data) % size > 0)
    assert len(batches) == math.ceil(len(data) / size)


@some
@given(some_kinds, st.integers(1, 9), st.integers(1, 4), st.integers(0, 99))
def test_windows_with_both_modalities_can_come_more_often(kinds: list[str], size: int, times: int, seed: int) -> None:
    data = in_memory(kinds).features()
    shown = Counter(flat(epoch_of(data, size, seed, repeat_paired=times)))
    assert shown == Counter({window_of(it): times if it.is_paired else 1 for it in data.examples})
    assert data.epoch_length(times) == sum(shown.values())


@some
@given(some_kinds, st.integers(1, 9))
def test_in_order_every_window_comes_with_its_example(kinds: list[str], size: int) -> None:
    data = in_memory(kinds).features()
    seen: list[Example] = []
    for examples, batch in data.ordered(size):
        assert rows_of(batch) == list(map(window_of, examples))
        seen += examples
    assert Counter(map(window_of, seen)) == Counter(map(window_of, data.examples))
    assert [example.length for example in seen] == sorted(example.length for example in seen)


@some
@given(some_kinds, st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_processes_share_an_epoch_evenly(kinds: list[str], size: int, processes: int, seed: int) -> None:
    """All get equally many batches; together every batch of the epoch, some of them twice so that it comes out even."""
    data = in_memory(kinds).features()
    whole = epoch_of(data, size, seed)
    shares = [epoch_of(data, size, seed, share=(rank, processes)) for rank in range(processes)]
    each = math.ceil(len(whole) / processes)
    assert [len(share) for share in shares] == [each] * processes
    given_out = Counter(tuple(batch) for share in shares for batch in share)
    assert given_out.keys() == {tuple(batch) for batch in whole}
    assert sum(given_out.values()) == processes * each
    assert max(given_out.values()) - min(given_out.values()) <= 1


def test_the_order_follows_the_seed() -> None:
    data = in_memory(MIXED * 6).features()
    orders = [epoch_of(data, 4, seed) for seed in (0, 0, 1, 2)]
    assert orders[0] == orders[1]
    assert len({str(order) for order in orders}) == 3


def test_windows_of_similar_length_come_together() -> None:
    data = in_memory(MIXED * 20).features()
    for batch in data.shuffled(4, 0):
        assert batch.audio is not None or batch.visual is not None
    buckets = math.ceil(len(data) / (4 * BUCKET_BATCHES))
    lengths = {window_of(example): example.length for example in data.examples}
    spread = [max(at) - min(at) for at in ([lengths[w] for w in batch] for batch in epoch_of(data, 4))]
    longest = max(lengths.values()) - min(lengths.values())
    assert sum(spread) <= buckets * longest  # within a bucket, spreads of sorted batches add up to at most the whole


@some
@given(some_kinds.filter(lambda kinds: len(kinds) > 1))
def test_statistics_are_those_of_all_tokens(kinds: list[str]) -> None:
    data = in_memory(kinds).features()
    for modality in ("audio", "visual"):
        tokens = [x for example in data.examples if (x := getattr(example.features, modality)) is not None]
        found = data.statistics(modality)
        if not tokens:
            assert found is None
            continue
        together = np.concatenate(tokens).astype(np.float64)
        assert found is not None and found[0].dtype == found[1].dtype == np.float32
        np.testing.assert_allclose(found[0], together.mean(axis=0), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found[1], together.std(axis=0), rtol=1e-5, atol=1e-6)


def test_statistics_of_constant_and_distant_features(tmp_path: Path) -> None:
    material = make_material(tmp_path, ["audio"])
    example = material.features().examples[0]
    assert example.features.audio is not None
    values = np.full((500, AUDIO_DIM), 1234.5, np.float32)
    values[:, 1] = 1e5 + np.random.default_rng(0).standard_normal(500)
    data = material.features()
    data.examples[:] = [Example("x", type(example.features)(values, None), example.target, "s")]
    found = data.statistics("audio")
    assert found is not None
    assert found[0][0] == np.float32(1234.5) and found[1][0] < 1e-3
    assert found[1][1] == pytest.approx(values[:, 1].astype(np.float64).std(), rel=1e-4)


@pytest.mark.parametrize("left_out", ["audio", "visual"])
def test_a_modality_can_be_left_out(left_out: Modality) -> None:
    material = in_memory(MIXED)
    kept: Modality = "visual" if left_out == "audio" else "audio"
    whole, part = material.features(), material.features(without=frozenset({left_out}))
    wanted = [example for example in whole.examples if getattr(example.features, kept) is not None]
    assert [example.clip for example in part.examples] == [example.clip for example in wanted]
    for example, full in zip(part.examples, wanted, strict=True):
        assert getattr(example.features, left_out) is None
        assert np.array_equal(getattr(example.features, kept), getattr(full.features, kept))
    assert part.statistics(left_out) is None
    for batch in part.shuffled(3, 0):
        assert getattr(batch, left_out) is None and getattr(batch, kept) is not None


def test_from_the_files_of_a_cache(tmp_path: Path) -> None:
    stored, memory = make_material(tmp_path, MIXED).features(), in_memory(MIXED).features()
    assert list(map(window_of, stored.examples)) == list(map(window_of, memory.examples))
    assert flat(epoch_of(stored, 3)) == flat(epoch_of(memory, 3))


def test_clips_that_are_missing_or_offer_nothing() -> None:
    material = in_memory(["both", "nothing", "audio"])
    assert [example.clip for example in material.features().examples] == ["0", "2"]
    more = Material(make_corpus(9), material.cache)
    with pytest.raises(ConfigError, match=r"6 of 9 clips have no features yet \(3, 4, 5, 6, …\); run vavl-train"):
        more.features()
    with pytest.raises(ConfigError, match=r"memory: 1 of 2 clips have no features yet \(3\); run vavl-train"):
        more.features([0, 3])
    with pytest.raises(ConfigError, match="none of 1 clips has sound or a face"):
        material.features([1])
    with pytest.raises(ConfigError, match="none of 1 clips has sound or a face"):
        material.features([2], without=frozenset({"audio"}))


def test_targets() -> None:
    """Class shares as they are; attributes from their scale to [0, 1]."""
    classes, attributes = make_corpus(4), make_corpus(4, "regression")
    for number in range(4):
        shares, scores = target_of(number, "classification"), target_of(number, "regression")
        assert scale_target(classes, shares).tolist() == list(shares)
        assert scale_target(attributes, scores).tolist() == pytest.approx([(score - 1) / 4 for score in scores])
    assert scale_target(attributes, (1.0, 5.0)).tolist() == [0.0, 1.0]
    assert scale_target(classes, (0.3, 0.7, 0.0)).dtype == np.float32


def test_batches_of_one_modality_and_pairs() -> None:
    examples = in_memory(["audio", "both", "visual", "both"]).features().examples
    batch = collate(examples)
    assert batch.audio is not None and batch.visual is not None
    assert batch.audio.rows.tolist() == [0, 1, 3] and batch.visual.rows.tolist() == [1, 2, 3]
    assert batch.paired_rows.tolist() == [1, 3]
    taken = batch.visual.take(batch.paired_rows)
    assert taken.rows.tolist() == [1, 3]
    for row, features, length in zip((1, 3), taken.features, taken.lengths, strict=True):
        wanted = features_of(row, "both").windows[0].visual
        assert wanted is not None and np.array_equal(features[:length], wanted)
    assert batch.audio.features.shape[2] == AUDIO_DIM and batch.visual.features.shape[2] == VISUAL_DIM
    alone = collate(examples[:1])
    assert alone.visual is None and alone.paired_rows.shape == (0,) and alone.paired_rows.dtype == torch.int64
