"""Trains a feature encoder on a corpus: opens the corpus, caches raw sound or faces, and fits the encoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vavl.corpora import Clip, Corpus, Partition
from vavl.encoders import AudioEncoder, FaceEncoder, load_audio_encoder, load_face_encoder
from vavl.errors import CorpusError
from vavl.features.cache import FeatureCache
from vavl.features.extract import Progress, extract
from vavl.features.raw import RawChoice
from vavl.model import Modality
from vavl.training.encoder_fit import RawExample, face_examples, fit_encoder, sound_examples
from vavl.training.settings import EncoderSettings


@dataclass(frozen=True)
class EncoderRun:
    """What a feature encoder is trained on.

    Attributes:
        modality: ``audio`` or ``visual``.
        corpus: The corpus.
        partition: Its training set is trained on; its development set chooses the best epoch.
        reference: The encoder to start from; see `vavl.encoders.reference`.
        raw: Folder of the cache of raw sound or faces; filled further if it exists.
        skip_bad: Leave out clips that cannot be read instead of refusing the corpus.
    """

    modality: Modality
    corpus: Corpus
    partition: Partition
    reference: str
    raw: Path
    skip_bad: bool = False


def train_encoder(
    run: EncoderRun,
    settings: EncoderSettings,
    *,
    device: str = "cpu",
    on_clip: Progress | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> AudioEncoder | FaceEncoder:
    """Train a feature encoder on the training speakers of a corpus (paper §4.2).

    Args:
        run: What to train on.
        settings: How to train.
        device: PyTorch device, such as ``cpu`` or ``cuda``.
        on_clip: Called with clips done, clips in all and the clip's id while raw material is read.
        on_epoch: Called with the loss and the score of every epoch.

    Returns:
        The trained encoder, in evaluation mode, on the CPU.

    Raises:
        CorpusError: Clips cannot be read; all are listed.
        ConfigError: There is nothing to train on, the encoder has no trainable parameter, or the loss diverged.
        EncoderUnavailableError: The weights to start from cannot be found.
    """
    encoder = (load_audio_encoder if run.modality == "audio" else load_face_encoder)(run.reference).module
    clips = _one_modality(run.corpus.clips, run.modality)
    done = extract(clips, run.raw, RawChoice(), progress=on_clip)
    if done.failed and not run.skip_bad:
        summary = f"{run.corpus.name}: {len(done.failed)} clips cannot be read; mend these clips, or leave them out"
        raise CorpusError("\n".join([summary, *done.failed.values()]), argument="skip_bad")
    readable = [clip for clip in clips if clip.id not in done.failed]
    with FeatureCache(run.raw) as cache:

        def examples(split: str) -> list[RawExample]:
            chosen = [clip for clip in readable if run.partition.split_of.get(clip.id) == split]
            if isinstance(encoder, AudioEncoder):
                return sound_examples(cache, run.corpus, chosen, encoder.minimum_samples)
            return face_examples(cache, run.corpus, chosen)

        train, development = examples("train"), examples("development")
        return fit_encoder(encoder, run.corpus.task, train, development, settings, device=device, progress=on_epoch)


def _one_modality(clips: Sequence[Clip], modality: Modality) -> list[Clip]:
    """The clips that have a modality, without the other one: reading both would take most of the time."""
    return [
        replace(clip, visual=None) if modality == "audio" else replace(clip, audio=None)
        for clip in clips
        if modality in clip.modalities
    ]
