"""Extraction in several processes and in several runs: nothing is read twice, nothing is lost when it is killed."""

import json
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

from tests.features.in_process import read_raw
from tests.features.made_clips import CHOICE, KINDS, clip_of, equal, sounds
from tests.runtime.made_media import pcm16, tone, write_wav
from vavl.config import WaveformNormalization
from vavl.corpora import Clip
from vavl.encoders import load_audio_encoder
from vavl.errors import ConfigError
from vavl.features import ClipFeatures, FeatureCache
from vavl.features import extract as extraction
from vavl.features.encoding import TorchGraphs
from vavl.features.extract import TOKEN_RATE, EncoderChoice, Extraction, extract, fingerprint, identify, read_clip
from vavl.features.raw import RawChoice, RawGraphs
from vavl_runtime.bundle.manifest import CropRecipe, Limits
from vavl_runtime.errors import InputError
from vavl_runtime.media.source import SOUND_RECIPE

CROP = CropRecipe(token_rate=TOKEN_RATE)  # the default of `extract`

# In several processes.


@pytest.fixture(scope="module")
def clips(media: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """A corpus of all kinds, of which two clips cannot be read."""
    found = []
    for kind, (audio, visual, *_) in KINDS.items():
        found.append(clip_of(media[audio] if audio else None, media[visual] if visual else None, kind))
    return [*found, clip_of(media["broken"], media["broken"], "broken"), clip_of(media["missing"], None, "missing")]


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)], ids="{} workers".format)
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
    with FeatureCache(folder, identify(CHOICE, CROP, Limits())) as cache:
        assert set(cache) == set(KINDS)
        for clip in clips:
            if clip.id in KINDS:
                found = ClipFeatures(tuple(cache.windows(clip.id)), dict(cache.reasons(clip.id)))
                assert equal(found, read_clip(clip, graphs, CROP, limits)), clip.id
                assert cache.is_current(clip.id, fingerprint(clip))


def test_unreadable_media_are_reported_with_their_row(extracted: tuple[Path, Extraction]) -> None:
    _, done = extracted
    assert done.failed.keys() == {"broken", "missing"}
    assert done.failed["broken"].startswith("labels.csv:broken: ")
    assert "not a media file that can be opened" in done.failed["broken"]
    assert done.failed["missing"].startswith("labels.csv:missing: ") and "no such file" in done.failed["missing"]


# One run after another; in this process, counting.


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
    assert done.failed["wide"] == "labels.csv:wide: clip wide: got audio features of shape (4, 7), expected (T, 1)"
    assert "audio features with NaN or infinities" in done.failed["nan"]
    assert "audio features with NaN or infinities" in done.failed["huge"]
    with FeatureCache(tmp_path / "cache") as cache:
        assert list(cache) == ["0", "1"]


# What the cache depends on.


@pytest.mark.parametrize(
    ("what", "choice", "changes"),
    [
        ("encoders.audio", replace(CHOICE, audio="random:light@1"), {}),
        ("encoders.visual", replace(CHOICE, face="random:light@1"), {}),
        ("recipe.waveform_normalization.kind", replace(CHOICE, normalization=WaveformNormalization(kind="none")), {}),
        ("recipe.crop.margin", CHOICE, {"crop": CropRecipe(margin=0.3)}),
        ("recipe.crop.token_rate", CHOICE, {"crop": CropRecipe()}),
        ("recipe.limits.window_s", CHOICE, {"limits": Limits(window_s=6.0)}),
        ("recipe.limits.silence_dbfs", CHOICE, {"limits": Limits(silence_dbfs=-50.0)}),
        ("dtypes.visual", RawChoice(), {}),
    ],
)
def test_other_encoders_or_recipes_are_refused(
    tmp_path: Path, what: str, choice: EncoderChoice | RawChoice, changes: dict[str, Any]
) -> None:
    extract([], tmp_path, CHOICE)
    with pytest.raises(ConfigError, match=f"made with other encoders or settings .*{what} is .*, now "):
        extract([], tmp_path, choice, **changes)
    extract([], tmp_path, CHOICE)


@pytest.mark.parametrize(
    ("choice", "crop", "rate"),
    [
        (CHOICE, None, TOKEN_RATE),
        (CHOICE, CropRecipe(token_rate=25), 25.0),
        (CHOICE, CropRecipe(), None),
        (RawChoice(), None, None),  # crops cannot be interpolated
        (RawChoice(), CropRecipe(token_rate=25), None),
    ],
)
def test_the_clock_of_tokens_is_kept(
    tmp_path: Path, choice: EncoderChoice | RawChoice, crop: CropRecipe | None, rate: float | None
) -> None:
    extract([], tmp_path, choice, crop=crop)
    assert FeatureCache(tmp_path).identity.token_rate == rate


@pytest.mark.parametrize("choice", [CHOICE, RawChoice()])
def test_sound_of_another_recipe_is_not_mixed_in(tmp_path: Path, choice: EncoderChoice | RawChoice) -> None:
    """A cache from before the recipe had a name can be read, but nothing is added to it."""
    extract([], tmp_path, choice)
    description = tmp_path / "cache.json"
    content = json.loads(description.read_text())
    assert content["recipe"].pop("sound") == SOUND_RECIPE
    description.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=f"recipe.sound is None, now '{SOUND_RECIPE}'"):
        extract([], tmp_path, choice)
    with FeatureCache(tmp_path) as cache:
        assert list(cache) == []


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


CLIPS = 150  # more than the two runs that are killed can read


@pytest.mark.slow
def test_killed_and_started_again(tmp_path: Path) -> None:
    """The whole program dies at once; its workers follow, and the next run reads only what is missing."""
    (tmp_path / "media").mkdir()
    samples = {clip.id: clip for clip in sounds(tmp_path / "media", CLIPS)}
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
    assert last == str(Extraction(CLIPS - len(there), len(there), {}))
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
