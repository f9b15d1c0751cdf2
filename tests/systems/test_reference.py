"""AuxFormer, MulT and UAVM against straight re-computations for one clip."""

import pytest
import torch
from torch import nn

from tests.systems import reference
from tests.systems.small import predicted, random_batch, random_clips, scrambled
from vavl.systems import UAVM, AuxFormer, MulT
from vavl.systems.losses import task_loss
from vavl.systems.system import Task

both_tasks = pytest.mark.parametrize("task", ["classification", "regression"])
sizes = pytest.mark.parametrize("lengths", [(9, 4), (5, 13), (7, 7), (1, 6)])


@both_tasks
@sizes
def test_mult(task: Task, lengths: tuple[int, int]) -> None:
    system = scrambled("mult", task)
    assert isinstance(system, MulT)
    audio, visual = random_clips([lengths])[0]
    assert audio is not None and visual is not None
    with torch.no_grad():
        expected = reference.mult(system, audio, visual)
    got = predicted(system, random_batch([lengths], task))["audio_visual"][0]
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


@both_tasks
@sizes
def test_auxformer(task: Task, lengths: tuple[int, int]) -> None:
    """The mean of three outputs, the other input zeroed for one modality; trained by the mean of three losses."""
    system = scrambled("auxformer", task)
    assert isinstance(system, AuxFormer)
    audio, visual = random_clips([lengths])[0]
    batch = random_batch([lengths], task)
    answers = predicted(system, batch)
    with torch.no_grad():
        for path, given in {"audio_visual": (audio, visual), "audio": (audio, None), "visual": (None, visual)}.items():
            outputs = reference.auxformer(system, *given)
            expected = reference.present(system, torch.stack(outputs).mean(dim=0))
            torch.testing.assert_close(answers[path][0], expected, atol=1e-5, rtol=1e-4)
        outputs = reference.auxformer(system, audio, visual)
        thirds = [task_loss(task, logits[None], batch.target) / 3 for logits in outputs]
        loss = system.loss("joint", batch)
        assert loss is not None
        torch.testing.assert_close(loss, torch.stack(thirds).sum(), atol=1e-5, rtol=1e-4)


@both_tasks
def test_auxformer_by_its_auxiliary_networks_alone(task: Task) -> None:
    system = scrambled("auxformer", task, unimodal_answer="auxiliary")
    assert isinstance(system, AuxFormer)
    answers = predicted(system, random_batch([(9, 4)], task))
    with torch.no_grad():
        _, heard, seen = reference.auxformer(system, *random_clips([(9, 4)])[0])
    torch.testing.assert_close(answers["audio"][0], reference.present(system, heard), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(answers["visual"][0], reference.present(system, seen), atol=1e-5, rtol=1e-4)


@both_tasks
def test_uavm(task: Task) -> None:
    system = scrambled("uavm", task)
    assert isinstance(system, UAVM)
    lengths = (12, 18)  # whole tokens for six segments
    answers = predicted(system, random_batch([lengths], task))
    logits = []
    with torch.no_grad():
        for modality, features in zip(("audio", "visual"), random_clips([lengths])[0], strict=True):
            assert features is not None
            normalizer = getattr(system, f"{modality}_normalizer")
            pooled = ((features - normalizer.mean) / (normalizer.std + 1e-6)).reshape(6, -1, features.shape[1]).mean(1)
            x = pooled / pooled.norm(dim=1, keepdim=True)
            for transformer in (getattr(system, modality), system.shared):
                normed = nn.functional.layer_norm(
                    x, x.shape[1:], transformer.norm.weight, transformer.norm.bias, eps=1e-6
                )
                wide = normed if x.shape[1] == 16 else transformer.projection(normed)  # the model is 16 wide
                x = transformer.blocks((wide + transformer.positions[0])[None])[0]
            norm, output = system.head
            pooled_x = nn.functional.layer_norm(x.mean(dim=0), (16,), norm.weight, norm.bias, eps=1e-6)
            logits.append(output(pooled_x))
            expected = reference.present(system, logits[-1])
            torch.testing.assert_close(answers[modality][0], expected, atol=1e-5, rtol=1e-4)
        fused = reference.present(system, (logits[0] + logits[1]) / 2)
        torch.testing.assert_close(answers["audio_visual"][0], fused, atol=1e-5, rtol=1e-4)
