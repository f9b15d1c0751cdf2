"""The recogniser and its command: lifetime, long clips, outputs that survive."""

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from tests.runtime.made_media import tone
from vavl_runtime import ArrayClip, Recognizer
from vavl_runtime.backends.base import Arrays, BackendInfo
from vavl_runtime.backends.fake import FakeBackend
from vavl_runtime.backends.ort.cpu import OnnxRuntimeBackend
from vavl_runtime.bundle.manifest import Limits
from vavl_runtime.cli.run import app
from vavl_runtime.errors import BackendUnavailableError, InputError
from vavl_runtime.media import open_source


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


SECOND = tone()


def test_a_closed_recogniser_says_so(light_bundle: Path) -> None:
    with Recognizer(light_bundle) as recognizer:
        pass
    with pytest.raises(BackendUnavailableError, match="closed"):
        recognizer.predict(ArrayClip(audio=SECOND))


def test_a_backend_serves_one_recogniser(light_bundle: Path) -> None:
    backend = OnnxRuntimeBackend(1)
    first, second = (Recognizer(light_bundle, backend=backend) for _ in range(2))
    first.predict(ArrayClip(audio=SECOND))
    with pytest.raises(BackendUnavailableError, match="one recogniser at a time"):
        second.predict(ArrayClip(audio=SECOND))


def test_only_the_graphs_of_the_path_are_run(light_bundle: Path, example_clip: Path) -> None:
    backend = FakeBackend()
    with Recognizer(light_bundle, backend=backend) as recognizer:
        assert recognizer.predict(example_clip, use="audio").backend == BackendInfo("fake")
    assert backend.calls == ["audio_encoder", "audio"]


def test_what_most_of_a_long_clip_allows_speaks_for_it(recognizer: Recognizer, example_clip: Path) -> None:
    sound = np.tile(SECOND, 40)
    pixels = np.stack([frame.pixels for frame, _ in zip(open_source(example_clip, Limits()).frames(), range(3))])  # noqa: B905
    clip = ArrayClip(audio=sound, frames=pixels, times_s=np.array([25.0, 25.04, 25.08]))
    result = recognizer.predict(clip)
    assert (result.path, result.reasons.audio, result.reasons.visual) == ("audio", None, "mostly_absent")
    assert result.duration_s == pytest.approx(40)
    everything = recognizer.predict(clip, all_paths=True)
    assert everything.scores == result.scores
    assert everything.paths.keys() == {"audio", "visual"}  # a face for 0.1 s of a window is not enough for both
    short = recognizer.predict(ArrayClip(audio=SECOND, frames=pixels, times_s=np.array([0.0, 0.4, 0.8])))
    assert short.path == "audio_visual"


def test_stages_account_for_the_total(recognizer: Recognizer, example_clip: Path) -> None:
    recognizer.predict(example_clip)
    shares, of_this_thread = [], []
    for _ in range(3):  # what else runs on the machine can only lower the share
        start = time.perf_counter()
        result = recognizer.predict(example_clip)
        wall_s = time.perf_counter() - start
        times = dict(result.timings_ms)
        assert times.pop("total") <= 1000 * wall_s
        assert result.budget.covered_s <= result.budget.total_s <= wall_s
        assert sum(times.values()) >= 999 * result.budget.covered_s
        shares.append(result.budget.covered_s / wall_s)
        of_this_thread.append(sum(result.budget.busy_s[threading.current_thread().name].values()) / wall_s)
    assert max(shares) > 0.97
    assert max(of_this_thread) > 0.97  # waiting for frames included
    assert "load" not in times  # everything was loaded by the first run
    decoding = {"open", "decode_audio", "resample", "decode_video", "convert", "wait", "window"}
    assert times.keys() == decoding | {"detect", "track", "crop", "audio_encoder", "face_encoder", "path", "post"}


def test_fewer_frames_and_fewer_detections(light_bundle: Path, example_clip: Path) -> None:
    def frames_and_detections(**options: int) -> tuple[int, int]:
        detections = 0

        class Counting(OnnxRuntimeBackend):
            def run(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
                nonlocal detections
                detections += name == "rnet"  # once for each detection that finds candidates
                return super().run(name, inputs)

        with Recognizer(light_bundle, backend=Counting(1), **options) as opened:  # type: ignore[arg-type]
            result = opened.predict(example_clip, use="visual")
        assert result.faces.with_face == result.faces.frames
        return result.faces.frames, detections

    # Every fifth frame, and the last. Of half the frames every third, so that five of the model's 29.97 a second pass.
    assert frames_and_detections() == (80, 17)
    assert frames_and_detections(detect_every=10) == (80, 10)
    assert frames_and_detections(stride=2) == (40, 14)
    assert frames_and_detections(stride=3, detect_every=1) == (27, 27)
    result = _run(example_clip, "--visual-only", "--stride", 4, "--detect-every", 2, "--format", "json")
    faces = json.loads(result.stdout)["faces"]
    assert (faces["frames"], faces["with_face"], faces["at_once"]) == (20, 20, 1)


@pytest.mark.parametrize("options", [{"stride": 0}, {"detect_every": 0}, {"detect_every": 101}])
def test_frames_out_of_range(light_bundle: Path, options: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(options))}: got {next(iter(options.values()))}, expected"):
        Recognizer(light_bundle, device="cpu", **options)  # type: ignore[arg-type]


def test_a_profile_goes_to_stderr(example_clip: Path) -> None:
    result = _run(example_clip, "--audio-only", "--profile", "--format", "json")
    assert json.loads(result.stdout)["path"] == "audio"
    assert "audio encoder" in result.stderr
    assert "stages account for" in result.stderr


def test_a_damaged_bundle_is_refused_before_the_first_clip(
    light_bundle: Path, example_clip: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(light_bundle, tmp_path / "bundle")
    content = bytearray((bundle / "visual.onnx").read_bytes())
    content[100] ^= 1
    (bundle / "visual.onnx").write_bytes(content)
    result = _run(example_clip, example_clip, "--bundle", bundle, "--audio-only", "--format", "json")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "sha256" in result.stderr


def test_all_paths_do_not_fit_a_row(example_clip: Path) -> None:
    result = _run(example_clip, "--all-paths", "--format", "csv")
    assert result.exit_code == 2
    assert "does not fit into CSV" in " ".join(result.stderr.split())


def test_outputs_replace_files_and_nothing_else(example_clip: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("[]\n")  # results of no clips
    (tmp_path / "link.json").symlink_to(kept)
    assert _run(example_clip, "--audio-only", "-f", "json", "-o", tmp_path / "link.json").exit_code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads(kept.read_text())["path"] == "audio"
    into_folder = _run(example_clip, "--audio-only", "-o", tmp_path)
    assert (into_folder.exit_code, "name a file" in into_folder.stderr) == (3, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.json", "link.json"]


def test_an_error_record_states_nothing_unknown(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    result = _run(tmp_path / "empty.mp4", "-f", "json")
    record = json.loads(result.stdout)
    assert result.exit_code == 3
    assert record["error"]["kind"] == "empty_file"
    assert (record["duration_s"], record["faces"]["frames"]) == (None, None)
