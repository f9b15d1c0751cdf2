"""Linear discriminants in the network: they are scikit-learn's, blind to order, and humble about new speakers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from tests.export.exported import TINY, tiny_model
from tests.training.small_runs import MemoryCache, train
from vavl.corpora import Clip, Corpus
from vavl.features import ClipFeatures, WindowFeatures
from vavl.model import Branch
from vavl.systems.vavl import VavlSystem
from vavl.training.dataset import FeatureSet
from vavl.training.discriminants import fit_discriminants

few = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 2**31)
CLASSES = 6
WIDTH = TINY["audio_dim"]


def rows(seed: int, *, clips: int = 120, speakers: int = 4, person: float = 0.5, signal: float = 1.0) -> list[NDArray]:
    """One token a clip: a class's own mean, a person's own way of showing it, and noise; with class and speaker."""
    random = np.random.default_rng(seed)
    means = signal * random.standard_normal((CLASSES, WIDTH))
    ways = person * random.standard_normal((speakers, CLASSES, WIDTH))
    classes, people = np.arange(clips) % CLASSES, np.arange(clips) // CLASSES % speakers
    values = means[classes] + ways[people, classes] + random.standard_normal((clips, WIDTH))
    return [values.astype(np.float32), classes, people]


def feature_set(values: NDArray, classes: NDArray, speakers: NDArray) -> FeatureSet:
    ids = [str(number) for number in range(len(values))]
    cache = MemoryCache(
        {name: ClipFeatures((WindowFeatures(row[None], None, 1.0),)) for name, row in zip(ids, values, strict=True)}
    )
    clips = [
        Clip(name, str(who), tuple(float(label == other) for other in range(CLASSES)), None, None, name)
        for name, label, who in zip(ids, classes, speakers, strict=True)
    ]
    corpus = Corpus("made", "classification", tuple("abcdef"), tuple(clips))
    return FeatureSet(cache, corpus, clips)  # type: ignore[arg-type]


def fitted(values: NDArray, classes: NDArray, speakers: NDArray) -> Branch:
    branch = tiny_model(discriminants=True).audio
    fit_discriminants(branch, feature_set(values, classes, speakers), "audio")
    return branch


def project(branch: Branch, values: NDArray) -> Tensor:
    assert branch.discriminants is not None
    with torch.no_grad():
        return branch.discriminants(branch.describe(torch.from_numpy(values)[:, None], torch.ones(len(values), 1))[0])[
            :, 0
        ]


def likelihoods(branch: Branch, values: NDArray) -> NDArray:
    assert branch.discriminants is not None
    return branch.discriminants.log_likelihood(project(branch, values)).numpy()


@few
@given(seed=seeds)
def test_it_answers_as_scikit_learn_does(seed: int) -> None:
    values, classes, speakers = rows(seed)
    got = likelihoods(fitted(values, classes, speakers), values)
    scaled = (values - values.mean(0)) / values.std(0)
    expected = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(scaled, classes)
    decisions = expected.decision_function(scaled)
    decisions -= decisions.mean(1, keepdims=True)
    got = got - got.mean(1, keepdims=True)
    scale = (got * decisions).sum() / np.square(decisions).sum()
    assert scale > 0
    np.testing.assert_allclose(got, scale * decisions, atol=2e-3 * np.abs(got).max())


@few
@given(seed=seeds)
def test_neither_order_nor_names_of_speakers_matter(seed: int) -> None:
    values, classes, speakers = rows(seed)
    order = np.random.default_rng(seed).permutation(len(values))
    one = likelihoods(fitted(values, classes, speakers), values)
    other = likelihoods(fitted(values[order], classes[order], 7 - speakers[order]), values)
    np.testing.assert_allclose(other, one, atol=1e-3 * np.abs(one).max())


@few
@given(seed=seeds)
def test_clips_of_one_class_have_about_unit_variance_along_every_direction(seed: int) -> None:
    values, classes, speakers = rows(seed)
    projected = project(fitted(values, classes, speakers), values).numpy()
    np.testing.assert_allclose(projected.mean(0), 0, atol=1e-3)
    within = np.mean([projected[classes == label].var(0) for label in range(CLASSES)], axis=0)
    assert (within > 0.5).all()
    assert (within < 2).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_more_people_differ_the_less_is_believed(seed: int) -> None:
    same, differ = rows(seed, person=0.0), rows(seed, person=2.0)
    sure, unsure = (np.ptp(likelihoods(fitted(*made), made[0]), axis=1).mean() for made in (same, differ))
    assert unsure < 0.5 * sure


def test_a_class_that_nobody_shows_is_never_the_answer() -> None:
    values, classes, speakers = rows(0)
    kept = classes != 2
    branch = fitted(values[kept], classes[kept], speakers[kept])
    assert (likelihoods(branch, values).argmax(1) != 2).all()
    assert branch.discriminants is not None
    assert not branch.discriminants.directions[-1].any()  # one class less, one direction less


def test_one_class_alone_leaves_the_branch_as_it_was() -> None:
    values, classes, speakers = rows(0)
    branch, untouched = fitted(values, np.zeros_like(classes), speakers), tiny_model(discriminants=True).audio
    for name, value in untouched.state_dict().items():
        assert torch.equal(branch.state_dict()[name], value)


def test_noise_is_for_training_alone() -> None:
    values, classes, speakers = rows(0)
    layer = fitted(values, classes, speakers).discriminants
    assert layer is not None
    tokens = torch.from_numpy(values)[:, None].expand(-1, 3, -1)
    first, second = layer.train()(tokens), layer(tokens)
    assert not torch.equal(first, second)
    shift = first - layer.eval()(tokens)
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), atol=1e-4, rtol=0)  # a clip moves as a whole
    assert 0.8 < shift[:, 0].std() < 1.2


def test_training_sets_them_and_leaves_them_alone(tmp_path: Path) -> None:
    made = rows(0, person=1.0)
    system = train(tmp_path, feature_set(*made), system=lambda: VavlSystem(tiny_model(discriminants=True)))
    assert isinstance(system, VavlSystem)
    branch, untrained = system.model.audio, tiny_model(discriminants=True).audio
    assert branch.discriminants is not None
    before = {name: value.clone() for name, value in branch.discriminants.state_dict().items()}
    fit_discriminants(branch, feature_set(*made), "audio")
    for name, value in branch.discriminants.state_dict().items():
        torch.testing.assert_close(value, before[name])
    assert not torch.equal(branch.projection.weight, untrained.projection.weight)


def test_a_feature_that_never_varies_counts_for_nothing() -> None:
    values, classes, speakers = rows(0)
    values[:, [1, 4]] = 3.0
    branch = fitted(values, classes, speakers)
    assert branch.discriminants is not None
    assert (likelihoods(branch, values).argmax(1) == classes).mean() > 0.8
    moved = values.copy()
    moved[:, [1, 4]] += 1.0
    np.testing.assert_allclose(likelihoods(branch, moved), likelihoods(branch, values), atol=1e-2)
