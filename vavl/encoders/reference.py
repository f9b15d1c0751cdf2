"""Reference strings: one way to name an encoder and where its weights come from.

audio   hf:OWNER/NAME                          a wav2vec2 on the Hugging Face hub, cut to 12 layers
        FOLDER                                 the same, downloaded; or an encoder folder (vavl-train audio-encoder)
        FILE.pt                                a wav2vec2-large-robust state dict, such as `final_wav2vec.pt`
        random:wav2vec2-large-robust@SEED      the paper's size, random weights
        prosody                                the light encoder without its learned part: nothing in it is learned
        light                                  the light encoder, its learned part random (seed 0)
        random:light@SEED                      the same with another seed
face    timm:NAME                              a timm network with its published weights
        timm:NAME=FILE                         a timm network with a state dict from a file
        FILE.pt                                tf_efficientnet_b2 with a state dict, such as HSEmotion's enet_b2_8
        FOLDER                                 an encoder folder (vavl-train face-encoder)
        random:timm:NAME@SEED                  any timm network, random weights
        light                                  the light encoder: O-Net with the weights of facenet-pytorch
        landmarks                              the light encoder without O-Net's hidden layer
        random:light@SEED                      the same, random weights
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vavl.errors import ConfigError

Kind = Literal["hub", "folder", "file", "random", "package"]


@dataclass(frozen=True)
class Reference:
    """A parsed reference string.

    Attributes:
        text: The string as given.
        kind: Where weights come from.
        name: Network name (``light``, ``wav2vec2-large-robust``, ``timm:NAME``), hub id, or "" for a local path.
        path: Local file or folder, for ``file`` and ``folder``.
        seed: For ``random``.
    """

    text: str
    kind: Kind
    name: str = ""
    path: Path | None = None
    seed: int = 0


def parse_reference(text: str) -> Reference:
    """Parse a reference string.

    Args:
        text: See the module's table.

    Returns:
        The parsed reference; whether the named network exists is not checked here.

    Raises:
        ConfigError: The string is none of the documented forms, or names a path that does not exist.
    """
    if text in ("light", "prosody", "landmarks"):
        return Reference(text, "package", text)
    if text.startswith("random:"):
        name, _, seed = text.removeprefix("random:").partition("@")
        if not name or (seed and not seed.isdigit()):
            raise ConfigError(f"encoder reference {text!r}: expected random:NAME or random:NAME@SEED")
        return Reference(text, "random", name, seed=int(seed or 0))
    if text.startswith("hf:"):
        return Reference(text, "hub", text.removeprefix("hf:"))
    if text.startswith("timm:"):
        name, separator, file = text.partition("=")
        if not separator:
            return Reference(text, "hub", name)
        return Reference(text, "file", name, path=_existing(text, file))
    path = _existing(text, text)
    return Reference(text, "folder" if path.is_dir() else "file", path=path)


def is_random(reference: str, modality: Literal["audio", "visual"]) -> bool:
    """Whether any weight of an encoder is random, so that a bundle with it is untrained.

    Args:
        reference: See the module's table; the file or folder that it names need not exist any more.
        modality: Of the encoder: the light audio encoder has a learned part, the light face encoder comes trained.

    Example:
        >>> is_random("light", "audio"), is_random("light", "visual"), is_random("prosody", "audio")
        (True, False, False)
    """
    return reference.startswith("random:") or (reference == "light" and modality == "audio")


def _existing(text: str, path: str) -> Path:
    if not path or not Path(path).exists():
        raise ConfigError(
            f"encoder reference {text!r}: no such file or folder, and not one of light, prosody, landmarks, "
            "random:NAME@SEED, hf:OWNER/NAME, timm:NAME, timm:NAME=FILE"
        )
    return Path(path)
