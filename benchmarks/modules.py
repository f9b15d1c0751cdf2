"""The PyTorch modules that a person would write down first for the graphs of a bundle."""

import torch
import transformers
from torch import nn

from benchmarks.library_wav2vec2 import LibraryWav2Vec2
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.encoders.wav2vec2 import LARGE_ROBUST
from vavl.model import Vavl
from vavl_export.export_modules import AudioEncoderPath, AudioVisualPath, UnimodalPath
from vavl_export.request import PRESETS
from vavl_runtime.bundle.manifest import Manifest

SEED = 0


def torch_modules(manifest: Manifest, preset: str) -> dict[str, nn.Module]:
    """Build the modules behind the graphs of a bundle.

    Args:
        manifest: The bundle's manifest; its encoders have names, not files.
        preset: ``paper`` or ``light``; the bundle's weights are these modules' where it was exported from the preset
            with random weights of seed 0.

    Returns:
        A module for each graph outside of the detector.
    """
    audio = load_audio_encoder(manifest.encoders["audio"].reference).module
    face = load_face_encoder(manifest.encoders["face"].reference).module
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = Vavl(PRESETS[preset][0](audio_dim=audio.dim, visual_dim=face.dim)).eval()
    return {
        "audio_encoder": LibraryWav2Vec2(_large_robust()) if preset == "paper" else AudioEncoderPath(audio),
        "face_encoder": face,
        "audio": UnimodalPath(model, "audio"),
        "visual": UnimodalPath(model, "visual"),
        "audio_visual": AudioVisualPath(model),
    }


def _large_robust() -> transformers.Wav2Vec2Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**LARGE_ROBUST)).eval()
