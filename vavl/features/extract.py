"""Extracts features of clips with the runtime's own reading, windows, crops and availability rules."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from vavl.config import WaveformNormalization
from vavl.corpora.corpus import Clip
from vavl.encoders.base import AudioEncoder
from vavl.features.cache import ClipFeatures, FeatureCache, WindowFeatures
from vavl.features.clip_source import ClipSource, holds_features, read_features
from vavl.features.identity import CacheIdentity
from vavl.features.raw import CROP_BYTES, RawChoice, RawGraphs
from vavl_runtime.backends.base import RunGraph
from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.errors import InputError
from vavl_runtime.media.source import SOUND_RECIPE
from vavl_runtime.parent import end_with_parent
from vavl_runtime.pipeline.availability import Modality, Presence
from vavl_runtime.pipeline.clip_reader import ModalityFaultError
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.feature_reader import FeatureReader
from vavl_runtime.timing import StageTimer

TOKEN_RATE = 29.97  # the frame rate of most corpora, whose features then stay as they are
Progress = Callable[[int, int, str], None]  # clips done, clips in total, id of the last one


@dataclass(frozen=True)
class EncoderChoice:
    """The encoders that extract features.

    Attributes:
        audio: Reference of the audio encoder; see `vavl.encoders.reference`.
        face: Reference of the face encoder.
        normalization: How the audio encoder normalises the waveform.
        device: PyTorch device: ``cpu``, ``cuda``, ….

    Example:
        >>> EncoderChoice("prosody", "landmarks").device
        'cpu'
    """

    audio: str
    face: str
    normalization: WaveformNormalization = field(default_factory=WaveformNormalization)
    device: str = "cpu"


@dataclass(frozen=True)
class Extraction:
    """The outcome of an extraction.

    Attributes:
        computed: Number of clips that were read.
        reused: Number of clips that were already in the cache.
        failed: Error message by clip id, for clips that could not be read.
    """

    computed: int
    reused: int
    failed: dict[str, str]


def read_clip(clip: Clip, run: RunGraph, crop: CropRecipe, limits: Limits) -> ClipFeatures:
    """Read one clip as the runtime does, and encode it.

    Args:
        clip: The clip; features from ``.npy`` files are used unchanged, cut to ``limits.max_tokens``.
        run: Runs the encoders and the face detector.
        crop: Crop recipe.
        limits: Limits of the runtime.

    Returns:
        Its features, with the reason for every announced modality that is missing.

    Raises:
        InputError: A file cannot be read.
    """
    source = ClipSource(clip, limits)
    presence = Presence(source, "auto", {})
    reader = FeatureReader(ClipContext(source, crop, limits, presence, StageTimer()), run)
    windows = []
    try:
        with contextlib.closing(reader.windows()) as read:
            for audio, visual in read:
                windows.append(
                    WindowFeatures(
                        audio.values[0] if audio else None,
                        visual.values[0] if visual else None,
                        audio.seconds if audio else 0.0,
                        visual.seconds if visual else 0.0,
                    )
                )
    except ModalityFaultError as fault:
        raise fault.error from fault
    windows = _with_feature_files(clip, windows, limits)
    found = presence.reasons(None)
    reasons = {}
    for modality, reason in (("audio", found.audio), ("visual", found.visual)):
        path: Path | None = getattr(clip, modality)
        if path is not None and not holds_features(path) and reason is not None:
            reasons[modality] = reason
    kept = tuple(window for window in windows if window.audio is not None or window.visual is not None)
    return ClipFeatures(kept, reasons)


def extract(
    clips: Sequence[Clip],
    folder: Path,
    encoders: EncoderChoice | RawChoice,
    *,
    crop: CropRecipe | None = None,
    limits: Limits | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Extraction:
    """Extract features into a cache. Clips that are in the cache already are not read again.

    Args:
        clips: The clips to read.
        folder: Folder of the cache.
        encoders: The encoders; or `RawChoice` to keep raw material instead of features.
        crop: Crop recipe; by default the runtime's, with `TOKEN_RATE` tokens a second. Raw material has no tokens.
        limits: Limits; by default the runtime's. The minimum of samples is the audio encoder's, as in a bundle.
        workers: Number of processes that decode and encode; by default one per core.
        progress: Called after every clip.

    Returns:
        The counts. Clips that cannot be read are listed in it and not cached.

    Raises:
        ConfigError: The cache was made with other encoders or settings, or another process is writing to it.
        EncoderUnavailableError: An encoder's weights cannot be found.
    """
    if isinstance(encoders, RawChoice):
        crop = (crop or CropRecipe()).model_copy(update={"token_rate": None})
    crop, limits = crop or CropRecipe(token_rate=TOKEN_RATE), limits or Limits()
    identity = identify(encoders, crop, limits)
    workers = workers or os.cpu_count() or 1
    with FeatureCache(folder, identity, writable=True) as cache:
        prints = {clip.id: fingerprint(clip) for clip in clips}
        todo = [clip for clip in clips if not cache.is_current(clip.id, prints[clip.id])]
        failed: dict[str, str] = {}
        done = len(clips) - len(todo)
        for clip, outcome in _read_all(todo, encoders, crop, limits, workers):
            done += 1
            try:
                if isinstance(outcome, InputError):
                    raise outcome
                cache.add(clip.id, prints[clip.id], outcome)
            except InputError as error:
                failed[clip.id] = f"{clip.source}: {error}"
            if progress is not None:
                progress(done, len(clips), clip.id)
        return Extraction(len(todo) - len(failed), len(clips) - len(todo), failed)


def identify(encoders: EncoderChoice | RawChoice, crop: CropRecipe, limits: Limits) -> CacheIdentity:
    """The identity of a cache that these encoders fill.

    Raises:
        ConfigError: A reference names no encoder.
        EncoderUnavailableError: An encoder's weights cannot be found.
    """
    from vavl.encoders import load_audio_encoder, load_face_encoder

    if isinstance(encoders, RawChoice):
        return CacheIdentity(
            dims={"audio": 1, "visual": CROP_BYTES},
            encoders={"audio": "raw", "visual": "raw"},
            recipe={**_as_json(crop=crop, limits=limits), "sound": SOUND_RECIPE, "every": encoders.every},
            dtypes={"audio": "float32", "visual": "uint8"},
        )
    audio, face = load_audio_encoder(encoders.audio, encoders.normalization), load_face_encoder(encoders.face)
    return CacheIdentity(
        dims={"audio": audio.module.dim, "visual": face.module.dim},
        encoders={"audio": audio.weights_sha256, "visual": face.weights_sha256},
        recipe={
            **_as_json(
                crop=crop, limits=limits_for(audio.module, limits), waveform_normalization=encoders.normalization
            ),
            "sound": SOUND_RECIPE,
        },
        references={"audio": encoders.audio, "visual": encoders.face},
    )


def limits_for(encoder: AudioEncoder, limits: Limits) -> Limits:
    """The limits of a bundle with this audio encoder."""
    return limits.model_copy(update={"minimum_samples": encoder.minimum_samples})


def fingerprint(clip: Clip) -> str:
    """Name, size and modification time of a clip's files; if they change, the clip is read again."""
    parts = []
    for path in (clip.audio, clip.visual):
        if path is None:
            parts.append("-")
            continue
        try:
            status = path.stat()
            parts.append(f"{path.name}:{status.st_size}:{status.st_mtime_ns}")
        except OSError:
            parts.append(f"{path.name}:unreadable")  # reading the file reports why
    return "|".join(parts)


def _as_json(**parts: BaseModel) -> dict[str, Any]:
    return {name: part.model_dump(mode="json") for name, part in parts.items()}


def _with_feature_files(clip: Clip, windows: list[WindowFeatures], limits: Limits) -> list[WindowFeatures]:
    """Put features that the corpus ships into the first window of what was read."""
    shipped: dict[Modality, NDArray[np.float32]] = {}
    paths: dict[Modality, Path | None] = {"audio": clip.audio, "visual": clip.visual}
    for modality, path in paths.items():
        if path is not None and holds_features(path):
            shipped[modality] = read_features(path)[: limits.max_tokens]
    if not shipped:
        return windows
    first = windows[0] if windows else WindowFeatures(None, None)
    return [
        WindowFeatures(
            shipped.get("audio", first.audio),
            shipped.get("visual", first.visual),
            first.audio_seconds or limits.window_s,
            first.visual_seconds or limits.window_s,
        )
    ]


def _read_all(
    clips: Sequence[Clip], encoders: EncoderChoice | RawChoice, crop: CropRecipe, limits: Limits, workers: int
) -> Iterator[tuple[Clip, ClipFeatures | InputError]]:
    """Read clips in worker processes; yields each clip as it finishes, with its features or its error."""
    if not clips:
        return
    workers = min(workers, len(clips))
    context = multiprocessing.get_context("spawn")  # a forked process may hang if PyTorch's threads have run before
    with ProcessPoolExecutor(workers, context, _start_worker, (encoders, crop, limits)) as pool:
        waiting: dict[Future[ClipFeatures | InputError], Clip] = {}
        remaining = iter(clips)
        try:
            while True:
                # A short queue keeps the workers busy without holding a whole corpus in memory.
                while len(waiting) < 3 * workers and (clip := next(remaining, None)) is not None:
                    waiting[pool.submit(_read_in_worker, clip)] = clip
                if not waiting:
                    return
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield waiting.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)


class _Worker:
    """State of a worker process between clips."""

    run: RunGraph
    crop: CropRecipe
    limits: Limits


def _start_worker(encoders: EncoderChoice | RawChoice, crop: CropRecipe, limits: Limits) -> None:
    import torch

    from vavl.encoders import load_audio_encoder, load_face_encoder
    from vavl.features.encoding import TorchGraphs

    end_with_parent()
    torch.set_num_threads(1)  # one worker per core; and features must not depend on the number of cores
    if isinstance(encoders, RawChoice):
        _Worker.run = RawGraphs(encoders)
    else:
        audio = load_audio_encoder(encoders.audio, encoders.normalization).module
        _Worker.run = TorchGraphs(audio, load_face_encoder(encoders.face).module, encoders.device)
        limits = limits_for(audio, limits)
    _Worker.crop, _Worker.limits = crop, limits


def _read_in_worker(clip: Clip) -> ClipFeatures | InputError:
    try:
        return read_clip(clip, _Worker.run, _Worker.crop, _Worker.limits)
    except InputError as error:
        return error
