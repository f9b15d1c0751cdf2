"""Feature encoders: audio encoders and face encoders, each named by a reference string."""

from vavl.encoders.base import AudioEncoder, FaceEncoder, LoadedEncoder
from vavl.encoders.folder import save_encoder
from vavl.encoders.loading import load_audio_encoder, load_face_encoder

__all__ = [
    "AudioEncoder",
    "FaceEncoder",
    "LoadedEncoder",
    "load_audio_encoder",
    "load_face_encoder",
    "save_encoder",
]
