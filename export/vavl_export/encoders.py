"""Loads the encoders of a checkpoint and checks that they are the ones that the model was trained with."""

from dataclasses import dataclass

from vavl.checkpoint import CheckpointDescription
from vavl.encoders import load_audio_encoder, load_face_encoder
from vavl.encoders.base import AudioEncoder, FaceEncoder, LoadedEncoder
from vavl.errors import ConfigError


@dataclass(frozen=True)
class Encoders:
    """The encoders of a bundle."""

    audio: LoadedEncoder[AudioEncoder]
    face: LoadedEncoder[FaceEncoder]

    @property
    def trained(self) -> bool:
        """Whether both have trained weights."""
        return self.audio.trained and self.face.trained


def load_encoders(description: CheckpointDescription) -> Encoders:
    """Load the encoders that a checkpoint names.

    Args:
        description: Description of the checkpoint.

    Returns:
        The encoders.

    Raises:
        ConfigError: An encoder cannot be loaded, or does not fit the model.
    """
    config = description.model
    audio = load_audio_encoder(description.audio_encoder, config.waveform_normalization)
    face = load_face_encoder(description.face_encoder)
    _check("audio", audio, config.audio_dim, description.audio_encoder_sha256)
    _check("face", face, config.visual_dim, description.face_encoder_sha256)
    return Encoders(audio, face)


def _check(
    kind: str, encoder: LoadedEncoder[AudioEncoder] | LoadedEncoder[FaceEncoder], dim: int, sha256: str | None
) -> None:
    if encoder.module.dim != dim:
        raise ConfigError(
            f"{kind} encoder {encoder.reference!r}: gives {encoder.module.dim}-D features, the model expects {dim}-D; "
            "choose the encoder that the model was trained with"
        )
    if sha256 is not None and encoder.weights_sha256 != sha256:
        raise ConfigError(
            f"{kind} encoder {encoder.reference!r}: its weights, settings or measurements (sha256 "
            f"{encoder.weights_sha256[:12]}) are not those that the model was trained with ({sha256[:12]}); choose "
            "that encoder, or extract the features again with vavl-train features and train on them"
        )
