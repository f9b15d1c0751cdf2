"""Extraction: what the runtime would hear and see, read once, however often it is interrupted."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.features.in_process import read_raw
from tests.runtime.made_media import face_pictures, film_of_a_face, jpeg, pcm16, tone, write_matroska, write_wav
from vavl.config import WaveformNormalization
from vavl.corpora import Clip
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.errors import ConfigError
from vavl.features import ClipFeatures, FeatureCache, WindowFeatures
from vavl.features import extract as extraction
from vavl.features.encoding import TorchGraphs
from vavl.features.extract import EncoderChoice, Extraction, extract, fingerprint, identify, limits_for, read_clip
from vavl.features.raw import CROP_BYTES, RawChoice, RawGraphs
from vavl_runtime import Recognizer
from vavl_runtime.backends.base import Arrays, RunGraph
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.errors import InputError, NotFoundError
from vavl_runtime.result import ClipResult

TOLERANCE = 1e-3  # of the largest feature: boxes differ in their last bits, and so a crop by a level here and there
CHOICE = EncoderChoice("random:light@0", "light")
PATHS = ("audio", "visual", "audio_visual")
Inputs = list[dict[str, NDArray[Any]]]


@pytest.fixture(scope="module")
def graphs() -> TorchGraphs:
    """The light encoders."""
    return TorchGraphs(load_audio_encoder(CHOICE.audio).module, load_face_encoder(CHOICE.face).module)


@pytest.fixture(scope="module")
def limits() -> Limits:
    """The limits of a bundle with the light encoders."""
    return limits_for(load_audio_encoder(CHOICE.audio).module, Limits())


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory, example_clip: Path) -> dict[str, Path]:
    """Media files of every kind, by name."""
    folder = tmp_path_factory.mktemp("media")
    faces, silence = face_pictures(6), np.zeros(8000, np.float32)
    (folder / "broken.mp4").write_text("This is not a film.\n" * 100)
    return {
        "example": example_clip,
        "sound": write_wav(folder / "sound.wav", pcm16(tone(0.7))),
        "long sound": write_wav(folder / "long.wav", pcm16(tone(26.0))),
        "short sound": write_wav(folder / "short.wav", pcm16(tone(0.05))),
        "silence": write_wav(folder / "silence.wav", pcm16(silence)),
        "film": film_of_a_face(folder / "film.mkv", faces, tone(0.24)),
        "mute film": film_of_a_face(folder / "mute.mkv", faces, None),
        "silent film": film_of_a_face(folder / "silent.mkv", faces, silence),
        "long film": write_matroska(
            folder / "long.mkv", faces * 5, tone(29.5), size=(256, 256), times_ms=range(0, 30_000, 1000)
        ),
        "nobody": write_matroska(folder / "nobody.mkv", [jpeg(np.full((64, 64, 3), 128, np.uint8))] * 3, tone(0.3)),
        "broken": folder / "broken.mp4",
        "missing": folder / "missing.mp4",
    }


def clip_of(audio: Path | None, visual: Path | None, name: str = "clip") -> Clip:
    return Clip(name, "somebody", (1.0, 0.0), audio, visual, f"labels.csv:{name}")


def equal(mine: ClipFeatures, other: ClipFeatures, tolerance: float = 0.0) -> bool:
    def same(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
        if a is None or b is None:
            return a is b
        return a.shape == b.shape and bool(np.abs(a - b).max() <= tolerance)

    return mine.reasons == other.reasons and all(
        same(a.audio, b.audio)
        and same(a.visual, b.visual)
        and (a.audio_seconds, a.visual_seconds) == (b.audio_seconds, b.visual_seconds)
        for a, b in itertools.zip_longest(mine.windows, other.windows, fillvalue=WindowFeatures(None, None, -1.0))
    )


# As the runtime.


class RecordingBackend(OnnxRuntimeBackend):
    """Keeps what the path graphs get.

    Args:
        encoders: Answers in place of the encoder graphs, whatever weights the bundle has; None for the bundle's own.
    """

    def __init__(self, encoders: RunGraph | None = None) -> None:
        super().__init__(threads=1)
        self.inputs: dict[str, Inputs] = {path: [] for path in PATHS}
        self._encoders = encoders

    def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        if name in PATHS:
            self.inputs[name].append(dict(inputs))
            return {"prediction": np.zeros((1, 6), np.float32), "embedding": np.zeros((1, 4), np.float32)}
        if self._encoders is not None and name in ("audio_encoder", "face_encoder"):
            return self._encoders(name, inputs)
        return super().run(name, inputs)


def runtime_windows(inputs: dict[str, Inputs], modality: str) -> list[NDArray[np.float32]]:
    """The features of a modality that its own path was asked with, window by window."""
    for values in inputs[modality]:
        assert values[f"{modality}_lengths"].tolist() == [values[f"{modality}_features"].shape[1]]
    return [values[f"{modality}_features"][0] for values in inputs[modality]]


def assert_close(got: NDArray[Any] | None, wanted: NDArray[Any]) -> None:
    assert got is not None and got.shape == wanted.shape and got.dtype == wanted.dtype
    assert np.abs(got - wanted).max() <= TOLERANCE * np.abs(wanted).max()


def assert_as_at_run_time(features: ClipFeatures, inputs: dict[str, Inputs], result: ClipResult) -> None:
    for modality in ("audio", "visual"):
        mine = [values for window in features.windows if (values := getattr(window, modality)) is not None]
        for got, wanted in itertools.zip_longest(mine, runtime_windows(inputs, modality)):
            assert_close(got, wanted)
    both = [window for window in features.windows if window.audio is not None and window.visual is not None]
    for window, asked in itertools.zip_longest(both, inputs["audio_visual"]):
        assert_close(window.audio, asked["audio_features"][0])
        assert_close(window.visual, asked["visual_features"][0])
    for modality, reason in features.reasons.items():
        assert getattr(result.reasons, modality) == reason
    seconds = sum(max(window.audio_seconds, window.visual_seconds) for window in features.windows)
    assert seconds == pytest.approx(result.duration_s if features.windows else 0.0, abs=1.0)


@pytest.mark.parametrize(
    "name", ["example", "film", "mute film", "silent film", "long film", "nobody", "sound", "long sound", "silence"]
)
def test_features_are_what_the_path_graphs_get(
    graphs: TorchGraphs, light_bundle: Path, media: dict[str, Path], name: str
) -> None:
    """The detector runs as an ONNX graph there and in PyTorch here; the encoders are the same."""
    backend = RecordingBackend(graphs)
    with Recognizer(light_bundle, backend=backend) as recognizer:
        result = recognizer.predict(media[name], all_paths=True)
        manifest = recognizer.manifest
    visual = None if media[name].suffix == ".wav" else media[name]
    features = read_clip(clip_of(media[name], visual), graphs, manifest.crop, manifest.limits)
    assert_as_at_run_time(features, backend.inputs, result)
    windows = {"long film": 3, "long sound": 3, "silence": 0}.get(name, 1)
    assert len(features.windows) == windows


@pytest.mark.slow
def test_features_equal_those_of_an_exported_bundle(media: dict[str, Path], random_light_bundle: Path) -> None:
    from vavl_export.request import PRESETS

    _, audio, face = PRESETS["light"]
    choice = EncoderChoice(audio.format(seed=0), face.format(seed=0))
    graphs = TorchGraphs(load_audio_encoder(choice.audio).module, load_face_encoder(choice.face).module)
    made_by = identify(choice, CropRecipe(), Limits())
    for name in ("example", "long film", "silent film"):
        backend = RecordingBackend()
        with Recognizer(random_light_bundle, backend=backend) as recognizer:
            result = recognizer.predict(media[name], all_paths=True)
            manifest = recognizer.manifest
        assert manifest.encoders["audio"].weights_sha256 == made_by.encoders["audio"]
        assert manifest.encoders["face"].weights_sha256 == made_by.encoders["visual"]
        assert manifest.crop.model_dump(mode="json") == made_by.recipe["crop"]
        assert manifest.limits.model_dump(mode="json") == made_by.recipe["limits"]
        features = read_clip(clip_of(media[name], media[name]), graphs, manifest.crop, manifest.limits)
        assert_as_at_run_time(features, backend.inputs, result)


# What there is of a clip.

KINDS = {
    "both": ("film", "film", True, True, {}),
    "sound only": ("sound", None, True, False, {}),
    "sound of a film": ("film", None, True, False, {}),
    "picture of a film": (None, "film", False, True, {}),
    "a mute film": (None, "mute film", False, True, {}),
    "two files": ("sound", "mute film", True, True, {}),
    "sound of another film": ("nobody", "film", True, True, {}),
    "silence": ("silent film", "silent film", False, True, {"audio": "silence"}),
    "silence beside": ("silence", "film", False, True, {"audio": "silence"}),
    "too short": ("short sound", "film", False, True, {"audio": "too_short"}),
    "nobody": ("nobody", "nobody", True, False, {"visual": "no_face"}),
    "no sound inside": ("mute film", "mute film", False, True, {"audio": "no_audio_stream"}),
    "no picture inside": ("sound", "sound", True, False, {"visual": "no_video_stream"}),
    "nothing": ("silence", "nobody", False, False, {"audio": "silence", "visual": "no_face"}),
    "nothing heard": ("silence", None, False, False, {"audio": "silence"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_modalities_and_reasons(graphs: TorchGraphs, limits: Limits, media: dict[str, Path], kind: str) -> None:
    audio, visual, heard, seen, reasons = KINDS[kind]
    clip = clip_of(media[audio] if audio else None, media[visual] if visual else None)
    features = read_clip(clip, graphs, CropRecipe(), limits)
    assert len(features.windows) == (heard or seen)
    for window in features.windows:
        assert ((window.audio is not None), (window.visual is not None)) == (heard, seen)
    assert features.reasons == reasons


def test_each_modality_comes_from_its_own_file(graphs: TorchGraphs, limits: Limits, media: dict[str, Path]) -> None:
    together = read_clip(clip_of(media["example"], media["film"]), graphs, CropRecipe(), limits).windows[0]
    sound = read_clip(clip_of(media["example"], None), graphs, CropRecipe(), limits).windows[0]
    picture = read_clip(clip_of(None, media["film"]), graphs, CropRecipe(), limits).windows[0]
    assert np.array_equal(together.audio, sound.audio)  # type: ignore[arg-type]
    assert np.array_equal(together.visual, picture.visual)  # type: ignore[arg-type]
    assert (together.audio_seconds, together.visual_seconds) == (sound.audio_seconds, picture.visual_seconds)
    assert together.audio_seconds == pytest.approx(3.2, abs=0.1) and together.visual_seconds == pytest.approx(0.24)


@pytest.mark.parametrize("suffix", [".npy", ".NPY"])
def test_features_that_a_corpus_ships(
    graphs: TorchGraphs, limits: Limits, media: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    """Released folders: features of faces beside sound, or both as features; never decoded, only cut to length."""
    faces = np.random.default_rng(0).standard_normal((2000, 8))
    with (tmp_path / f"faces{suffix}").open("wb") as file:
        np.save(file, faces)
    run_in_background = read_clip(clip_of(media["sound"], tmp_path / f"faces{suffix}"), graphs, CropRecipe(), limits)
    alone = read_clip(clip_of(media["sound"], None), graphs, CropRecipe(), limits)
    assert len(run_in_background.windows) == 1 and run_in_background.reasons == {}
    assert np.array_equal(run_in_background.windows[0].audio, alone.windows[0].audio)  # type: ignore[arg-type]
    assert np.array_equal(run_in_background.windows[0].visual, faces[: limits.max_tokens].astype(np.float32))  # type: ignore[arg-type]
    silent = read_clip(clip_of(media["silence"], tmp_path / f"faces{suffix}"), graphs, CropRecipe(), limits)
    assert silent.windows[0].audio is None and silent.windows[0].visual is not None
    assert silent.reasons == {"audio": "silence"}
    both = read_clip(clip_of(*[tmp_path / f"faces{suffix}"] * 2), graphs, CropRecipe(), limits)
    assert len(both.windows) == 1 and both.reasons == {}
    assert np.array_equal(both.windows[0].audio, both.windows[0].visual)  # type: ignore[arg-type]


BAD_FEATURES = {
    "text": (b"no features", "not a readable feature file"),
    "empty": (b"", "not a readable feature file"),
    "pickle": (np.array([{"a": 1}]), "not a readable feature file"),
    "whole numbers": (np.ones((3, 8), np.int64), r"got int64 of shape \(3, 8\), expected floats of shape \(T, F\)"),
    "one axis": (np.ones(3), r"got float64 of shape \(3,\), expected floats of shape \(T, F\)"),
}


@pytest.mark.parametrize("what", BAD_FEATURES)
def test_feature_files_that_cannot_be_read(graphs: TorchGraphs, tmp_path: Path, what: str) -> None:
    values, message = BAD_FEATURES[what]
    path = tmp_path / "bad.npy"
    if isinstance(values, bytes):
        path.write_bytes(values)
    else:
        np.save(path, values)
    with pytest.raises(InputError, match=f"bad.npy: {message}"):
        read_clip(clip_of(None, path), graphs, CropRecipe(), Limits())
    with pytest.raises(NotFoundError, match="gone.npy: no such file"):
        read_clip(clip_of(tmp_path / "gone.npy", None), graphs, CropRecipe(), Limits())


# In several processes.


@pytest.fixture(scope="module")
def clips(media: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """A corpus of all kinds, of which two clips cannot be read."""
    found = []
    for kind, (audio, visual, *_) in KINDS.items():
        found.append(clip_of(media[audio] if audio else None, media[visual] if visual else None, kind))
    return [*found, clip_of(media["broken"], media["broken"], "broken"), clip_of(media["missing"], None, "missing")]


@pytest.fixture(scope="module", params=[1, 2], ids="{} workers".format)
def extracted(
    request: pytest.FixtureRequest, clips: list[Clip], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Extraction]:
    """A cache that one or two processes have filled."""
    folder = tmp_path_factory.mktemp("extracted") / "cache"
    return folder, extract(clips, folder, CHOICE, workers=request.param)


def test_workers_read_what_one_process_reads(
    extracted: tuple[Path, Extraction], clips: list[Clip], graphs: TorchGraphs, limits: Limits
) -> None:
    folder, done = extracted
    assert (done.computed, done.reused) == (len(KINDS), 0)
    with FeatureCache(folder, identify(CHOICE, CropRecipe(), Limits())) as cache:
        assert set(cache) == set(KINDS)
        for clip in clips:
            if clip.id in KINDS:
                found = ClipFeatures(tuple(cache.windows(clip.id)), dict(cache.reasons(clip.id)))
                assert equal(found, read_clip(clip, graphs, CropRecipe(), limits)), clip.id
                assert cache.is_current(clip.id, fingerprint(clip))


def test_unreadable_media_are_reported_with_their_row(extracted: tuple[Path, Extraction]) -> None:
    _, done = extracted
    assert done.failed.keys() == {"broken", "missing"}
    assert done.failed["broken"].startswith("labels.csv:broken: ")
    assert "not a media file that can be opened" in done.failed["broken"]
    assert done.failed["missing"].startswith("labels.csv:missing: ") and "no such file" in done.failed["missing"]


# One sitting after another; in this process, counting.


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the clips that are read, in order; only raw material, which needs no encoder."""
    found: list[str] = []

    def counted(clips: Sequence[Clip], *how: Any) -> Iterator[tuple[Clip, ClipFeatures | InputError]]:
        for clip, outcome in read_raw(clips, *how):
            found.append(clip.id)
            yield clip, outcome

    monkeypatch.setattr(extraction, "_read_all", counted)
    return found


def sounds(folder: Path, count: int) -> list[Clip]:
    return [
        clip_of(write_wav(folder / f"{number}.wav", pcm16(tone(0.05 + 0.01 * number))), None, str(number))
        for number in range(count)
    ]


def test_nothing_is_read_twice(reads: list[str], tmp_path: Path) -> None:
    clips, told = sounds(tmp_path, 6), []
    assert extract(clips[:2], tmp_path / "cache", RawChoice()) == Extraction(2, 0, {})
    assert extract(clips, tmp_path / "cache", RawChoice(), progress=lambda *now: told.append(now)) == Extraction(
        4, 2, {}
    )
    assert extract(clips, tmp_path / "cache", RawChoice()) == Extraction(0, 6, {})
    assert extract([], tmp_path / "cache", RawChoice()) == Extraction(0, 0, {})
    assert reads == [clip.id for clip in clips]
    assert told == [(done, 6, clip.id) for done, clip in enumerate(clips[2:], 3)]


@pytest.mark.parametrize("stop", range(1, 4))
def test_an_interruption_loses_nothing_that_is_done(reads: list[str], tmp_path: Path, stop: int) -> None:
    clips = sounds(tmp_path, 4)

    def interrupt(done: int, total: int, name: str) -> None:
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(clips, tmp_path / "cache", RawChoice(), progress=interrupt)
    with FeatureCache(tmp_path / "cache") as cache:
        assert list(cache) == [clip.id for clip in clips[:stop]]
    assert extract(clips, tmp_path / "cache", RawChoice()) == Extraction(4 - stop, stop, {})
    assert reads == [clip.id for clip in clips]


def test_changed_media_are_read_again(reads: list[str], tmp_path: Path) -> None:
    clips = sounds(tmp_path, 3)
    extract(clips, tmp_path / "cache", RawChoice())
    assert clips[1].audio is not None
    write_wav(clips[1].audio, pcm16(tone(0.3)))
    moved = [replace(clip, source="another.csv") for clip in clips]
    assert extract(moved, tmp_path / "cache", RawChoice()) == Extraction(1, 2, {})
    assert reads == ["0", "1", "2", "1"]
    with FeatureCache(tmp_path / "cache") as cache:
        (window,) = cache.windows("1")
        assert window.audio is not None and window.audio.shape == (4800, 1)
    clips[2].audio.touch()  # type: ignore[union-attr]
    assert extract(clips, tmp_path / "cache", RawChoice()).computed == 1


def test_a_clip_that_failed_is_tried_again(reads: list[str], tmp_path: Path) -> None:
    clips = sounds(tmp_path, 3)
    assert clips[1].audio is not None
    good = clips[1].audio.read_bytes()
    clips[1].audio.unlink()
    first = extract(clips, tmp_path / "cache", RawChoice())
    assert (first.computed, first.reused, first.failed.keys()) == (2, 0, {"1"})
    clips[1].audio.write_bytes(good)
    assert extract(clips, tmp_path / "cache", RawChoice()) == Extraction(1, 2, {})
    assert reads == ["0", "1", "2", "1"]


def test_features_that_do_not_fit_the_cache_are_reported(reads: list[str], tmp_path: Path) -> None:
    """Files of another encoder, or with NaN: the other clips still count."""
    good = sounds(tmp_path, 2)
    wide, broken = np.ones((4, 7)), np.ones((4, 1))
    broken[2] = np.nan
    clips = [good[0]]
    for name, values in {"wide": wide, "nan": broken, "huge": np.full((4, 1), 1e300)}.items():
        np.save(tmp_path / f"{name}.npy", values)
        clips.append(clip_of(tmp_path / f"{name}.npy", None, name))
    done = extract([*clips, good[1]], tmp_path / "cache", RawChoice())
    assert (done.computed, done.reused, done.failed.keys()) == (2, 0, {"wide", "nan", "huge"})
    assert done.failed["wide"] == "labels.csv:wide: clip wide: audio features of shape (4, 7), expected (T, 1)"
    assert "audio features with NaN or infinities" in done.failed["nan"]
    assert "audio features with NaN or infinities" in done.failed["huge"]
    with FeatureCache(tmp_path / "cache") as cache:
        assert list(cache) == ["0", "1"]


def test_raw_material_is_what_encoders_would_get(media: dict[str, Path], graphs: TorchGraphs, limits: Limits) -> None:
    clip = clip_of(media["film"], media["film"])
    (raw,) = read_clip(clip, RawGraphs(RawChoice(every=1)), CropRecipe(), limits).windows
    (made,) = read_clip(clip, graphs, CropRecipe(), limits).windows
    assert raw.audio is not None and raw.visual is not None
    assert raw.audio.shape[1:] == (1,) and raw.visual.shape == (6, CROP_BYTES) and raw.visual.dtype == np.uint8
    waveform = np.ascontiguousarray(raw.audio[:, 0])[None]
    heard = graphs("audio_encoder", {"waveform": waveform, "samples": np.array([waveform.shape[1]], np.int64)})
    assert np.array_equal(heard["audio_features"][0], made.audio)  # type: ignore[arg-type]
    seen = graphs("face_encoder", {"faces": raw.visual.reshape(-1, 224, 224, 3)})
    assert_close(seen["face_features"], made.visual)  # type: ignore[arg-type]


# What the cache depends on.


@pytest.mark.parametrize(
    ("what", "choice", "changes"),
    [
        ("encoders.audio", replace(CHOICE, audio="random:light@1"), {}),
        ("encoders.visual", replace(CHOICE, face="random:light@1"), {}),
        ("recipe.waveform_normalization.kind", replace(CHOICE, normalization=WaveformNormalization(kind="none")), {}),
        ("recipe.crop.margin", CHOICE, {"crop": CropRecipe(margin=0.3)}),
        ("recipe.limits.window_s", CHOICE, {"limits": Limits(window_s=6.0)}),
        ("recipe.limits.silence_dbfs", CHOICE, {"limits": Limits(silence_dbfs=-50.0)}),
        ("dtypes.visual", RawChoice(), {}),
    ],
)
def test_other_encoders_or_recipes_are_refused(
    tmp_path: Path, what: str, choice: EncoderChoice | RawChoice, changes: dict[str, Any]
) -> None:
    extract([], tmp_path, CHOICE)
    with pytest.raises(ConfigError, match=f"made by something else .*{what} is .*, now "):
        extract([], tmp_path, choice, **changes)
    extract([], tmp_path, CHOICE)


def test_the_shortest_sound_is_the_encoders(graphs: TorchGraphs, limits: Limits, tmp_path: Path) -> None:
    """As in a bundle: sound that is too short for a single token is absent, and no error."""
    shortest = load_audio_encoder(CHOICE.audio).module.minimum_samples
    assert identify(CHOICE, CropRecipe(), Limits()).recipe["limits"]["minimum_samples"] == shortest
    for samples in (shortest - 1, shortest):
        path = write_wav(tmp_path / f"{samples}.wav", pcm16(tone(1.0)[:samples]))
        features = read_clip(clip_of(path, None), graphs, CropRecipe(), limits)
        assert [len(window.audio) for window in features.windows] == [1] * (samples == shortest)  # type: ignore[arg-type]
        assert features.reasons == ({} if samples == shortest else {"audio": "too_short"})


def test_encoders_that_do_not_exist_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'nonsense'"):
        extract([], tmp_path / "cache", replace(CHOICE, audio="nonsense"))
    assert not (tmp_path / "cache").exists()


# Killed.

SCRIPT = """
import sys
from pathlib import Path
from vavl.corpora import Clip
from vavl.features.extract import extract
from vavl.features.raw import RawChoice

def tell(done, total, name):
    print(done, flush=True)

if __name__ == "__main__":
    media = sorted(Path(sys.argv[1]).glob("*.wav"))
    clips = [Clip(path.stem, "somebody", (1.0, 0.0), path, None, path.name) for path in media]
    print(extract(clips, Path(sys.argv[2]), RawChoice(), workers=2, progress=tell))
"""


@pytest.mark.slow
def test_killed_and_started_again(tmp_path: Path) -> None:
    """The whole program dies at once; its workers follow, and the next run reads only what is missing."""
    (tmp_path / "media").mkdir()
    samples = {clip.id: clip for clip in sounds(tmp_path / "media", 300)}
    (tmp_path / "run.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "media"), str(tmp_path / "cache")]
    there: set[str] = set()
    for stop in (3, 40):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = int(process.stdout.readline())
            assert first == len(there) + 1
            for _ in range(stop):
                process.stdout.readline()
            workers = children(process.pid)
            assert len(workers) >= 2
            process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < deadline, "workers outlive the program that was killed"
            time.sleep(0.1)
        with FeatureCache(tmp_path / "cache") as cache:
            assert there < set(cache) and len(cache) > stop
            there = set(cache)
    last = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1]
    assert last == str(Extraction(300 - len(there), len(there), {}))
    with FeatureCache(tmp_path / "cache") as cache:
        assert set(cache) == set(samples)
        for clip in samples.values():
            (wanted,) = read_clip(clip, RawGraphs(RawChoice()), CropRecipe(), Limits()).windows
            (found,) = cache.windows(clip.id)
            assert np.array_equal(found.audio, wanted.audio)  # type: ignore[arg-type]


def children(process: int) -> list[int]:
    found = []
    for task in Path("/proc").iterdir():
        if task.name.isdigit() and int(task.name) != os.getpid():
            try:
                status = (task / "stat").read_text()
            except OSError:  # it has just ended
                continue
            if int(status.rpartition(")")[2].split()[1]) == process:
                found.append(int(task.name))
    return found
