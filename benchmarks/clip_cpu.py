"""The whole audio-visual run of one clip on the CPU: this runtime against the obvious PyTorch pipeline, in one run.

    python -m benchmarks.clip_cpu CLIP [--repeats 3] [-o benchmarks/results/clip_cpu.json]

Both sides have the paper's sizes and the same random weights (wav2vec2-large, 12 layers; EfficientNet-B2; VAVL 512),
the same number of threads, the same frames and the same crop function. The PyTorch pipeline is what one writes with
facenet-pytorch, timm and transformers: every frame detected, eager. Rounds alternate, and the least time of each stage
counts. A third column runs this runtime with detection on every frame, so that its share of the gain is plain.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import transformers

from benchmarks.environment import environment
from vavl_export.request import build_request, random_checkpoint
from vavl_export.write import write_bundle
from vavl_runtime import Recognizer
from vavl_runtime.faces import crop_face
from vavl_runtime.files import write_atomically
from vavl_runtime.manifest import CropRecipe

STAGES = ("decode", "detect", "crop", "audio_encoder", "face_encoder", "path")
FACE_BATCH = 8  # the fastest for eager PyTorch of 4, 8 and 16


class TorchPipeline:
    """facenet-pytorch, timm, transformers and VAVL, eager, with the weights of the bundle."""

    def __init__(self) -> None:
        from facenet_pytorch import MTCNN

        from vavl.encoders import load_face_encoder
        from vavl.encoders.wav2vec2 import LARGE_ROBUST

        self.detector = MTCNN(keep_all=True)
        with torch.random.fork_rng(devices=[]):  # the library's own class, with the same weights
            torch.manual_seed(0)
            self.wav2vec2 = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**LARGE_ROBUST)).eval()
        self.face = load_face_encoder("random:timm:tf_efficientnet_b2@0").module
        self.model = random_checkpoint("paper", 0).model

    @torch.no_grad()
    def run(self, clip: Path, bundle: Recognizer) -> tuple[dict[str, float], np.ndarray]:
        """Answer for a clip; returns seconds by stage and the prediction."""
        seconds: dict[str, float] = {}

        def timed(stage: str, call: Callable[[], Any]) -> Any:
            start = time.perf_counter()
            result = call()
            seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
            return result

        sound = timed("decode", lambda: decode_sound(clip))
        frames = timed("decode", lambda: decode_frames(clip))
        boxes = timed("detect", lambda: [self._largest(frame) for frame in frames])
        recipe = bundle.manifest.crop
        crops = timed(
            "crop", lambda: [crop_face(f, box, recipe) for f, box in zip(frames, boxes, strict=True) if box is not None]
        )
        audio = timed("audio_encoder", lambda: self._hear(sound))
        visual = timed("face_encoder", lambda: self._see(crops))
        return seconds, timed("path", lambda: self._answer(audio, visual))

    def _largest(self, frame: np.ndarray) -> np.ndarray | None:
        boxes, probabilities = self.detector.detect(frame)
        if boxes is None or probabilities[0] < CropRecipe().min_probability:
            return None
        return np.asarray(boxes[0], np.float32)

    def _hear(self, sound: np.ndarray) -> torch.Tensor:
        waveform = torch.from_numpy((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7))[None]
        return self.wav2vec2(waveform).last_hidden_state

    def _see(self, crops: list[np.ndarray]) -> torch.Tensor:
        batches = [torch.from_numpy(np.stack(crops[i : i + FACE_BATCH])) for i in range(0, len(crops), FACE_BATCH)]
        return torch.cat([self.face(batch) for batch in batches])[None]

    def _answer(self, audio: torch.Tensor, visual: torch.Tensor) -> np.ndarray:
        outputs = [
            self.model.unimodal(name, features, torch.tensor([features.shape[1]]))
            for name, features in (("audio", audio), ("visual", visual))
        ]
        return self.model.presentation(self.model.audio_visual(*outputs)[0])[0].numpy()


def decode_sound(clip: Path) -> np.ndarray:
    """Decode the sound as PyAV's documentation shows it."""
    with av.open(str(clip)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
        parts = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        return np.concatenate([part.to_ndarray().reshape(-1) for part in [*parts, *resampler.resample(None)]])


def decode_frames(clip: Path) -> list[np.ndarray]:
    """Decode the frames as PyAV's documentation shows it."""
    with av.open(str(clip)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def run_runtime(clip: Path, recognizer: Recognizer) -> tuple[dict[str, float], np.ndarray]:
    """Answer for a clip with the runtime; returns seconds by stage and the prediction."""
    result = recognizer.predict(clip)
    timings = {stage: value / 1000 for stage, value in result.timings_ms.items()}
    seconds = {stage: timings.get(stage, 0.0) for stage in STAGES}
    seconds["decode"] = sum(timings[stage] for stage in ("open", "decode_audio", "resample", "decode_video"))
    seconds["detect"] += timings["track"]
    return seconds, np.array(list(result.scores.values()))


def export_paper_bundle(folder: Path, crop: CropRecipe) -> Path:
    """Export the paper-sized bundle with random weights."""
    from dataclasses import replace

    request = build_request(
        None, preset="paper", seed=0, audio_encoder=None, face_encoder=None, name="paper", fused=False
    )
    place = folder / f"paper-{crop.detect_every}"
    write_bundle(replace(request, crop=crop), place, progress=lambda line: print(line, file=sys.stderr))
    return place


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", "-o", type=Path, default=Path("benchmarks/results/clip_cpu.json"))
    arguments = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    pipeline = TorchPipeline()
    with tempfile.TemporaryDirectory() as folder:
        recognizers = {
            "vavl_runtime": Recognizer(export_paper_bundle(Path(folder), CropRecipe()), threads=threads),
            "vavl_runtime, every frame detected": Recognizer(
                export_paper_bundle(Path(folder), CropRecipe(detect_every=1)), threads=threads
            ),
        }
        runs: dict[str, Callable[[], tuple[dict[str, float], np.ndarray]]] = {
            "pytorch_eager": lambda: pipeline.run(arguments.clip, recognizers["vavl_runtime"])
        }
        for name, recognizer in recognizers.items():
            runs[name] = lambda recognizer=recognizer: run_runtime(arguments.clip, recognizer)  # type: ignore[misc]
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
        predictions: dict[str, np.ndarray] = {}
        for number in range(arguments.repeats + 1):  # the first round warms up
            for name, run in runs.items():
                seconds, predictions[name] = run()
                print(f"{name}: {sum(seconds.values()):.2f} s", file=sys.stderr)
                if number:
                    rounds[name].append(seconds)
        result = recognizers["vavl_runtime"].predict(arguments.clip)
    best = {name: {stage: min(r[stage] for r in each) for stage in STAGES} for name, each in rounds.items()}
    record = {
        "benchmark": "clip_cpu",
        "command": f"python -m benchmarks.clip_cpu {arguments.clip.name} --repeats {arguments.repeats}",
        "environment": environment(threads, ("torch", "onnxruntime", "timm", "transformers")),
        "clip": {"name": arguments.clip.name, "seconds": result.duration_s, "frames": result.faces.frames},
        "seconds": best,
        "totals": {name: min(sum(r.values()) for r in each) for name, each in rounds.items()},
        "rounds": rounds,
        "largest_prediction_difference": {
            name: float(np.abs(predictions[name] - predictions["pytorch_eager"]).max()) for name in recognizers
        },
    }
    write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
