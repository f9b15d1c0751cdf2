"""What a feature cache was made with: ``cache.json``, which decides whether other features may be added."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from vavl.errors import ConfigError
from vavl.model import Modality

FORMAT_VERSION = 1
DESCRIPTION = "cache.json"
MODALITIES: tuple[Modality, Modality] = ("audio", "visual")
_NUMBERS = "biuf"  # NumPy's kinds of element types


@dataclass(frozen=True)
class CacheIdentity:
    """Everything that the features depend on, except the clips.

    Attributes:
        dims: Width of a row by modality.
        encoders: Hash of the encoder weights by modality.
        references: Encoder references by modality; for information only, not compared.
        dtypes: NumPy element type by modality.
        recipe: Crop recipe and limits of the runtime's preprocessing, as JSON values.
    """

    dims: dict[str, int]
    encoders: dict[str, str]
    recipe: dict[str, Any]
    references: dict[str, str] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=lambda: dict.fromkeys(MODALITIES, "float32"))

    @property
    def token_rate(self) -> float | None:
        """Tokens a second that the features of faces were put on; None for a token a frame, as in older caches."""
        crop = self.recipe.get("crop")
        rate: float | None = crop.get("token_rate") if isinstance(crop, Mapping) else None
        return rate

    def row_bytes(self, modality: str) -> int:
        """Number of bytes in one row."""
        return np.dtype(self.dtypes[modality]).itemsize * self.dims[modality]

    def to_bytes(self) -> bytes:
        """The content of ``cache.json``."""
        return (json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, indent=2) + "\n").encode()

    def mismatches(self, other: "CacheIdentity") -> list[str]:
        """List the differences from another identity, in words."""
        mine, theirs = (
            _flat({"dims": it.dims, "dtypes": it.dtypes, "encoders": it.encoders, "recipe": it.recipe})
            for it in (self, other)
        )
        return [
            f"{name} is {mine.get(name)!r}, now {theirs.get(name)!r}"
            for name in sorted(mine.keys() | theirs.keys())
            if mine.get(name) != theirs.get(name)
        ]


def read_identity(folder: Path) -> CacheIdentity:
    """Read what a cache was made with.

    Args:
        folder: Folder of the cache.

    Returns:
        Its identity; every row has at least one byte.

    Raises:
        ConfigError: There is no cache, or its description is damaged or of another format.
    """
    try:
        content = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        version = content.pop("format_version")
        if version != FORMAT_VERSION:
            raise ConfigError(f"{folder}: feature cache format {version}, this version reads {FORMAT_VERSION}")
        identity = TypeAdapter(CacheIdentity).validate_python(content)
        for name in MODALITIES:
            if identity.row_bytes(name) < 1 or np.dtype(identity.dtypes[name]).kind not in _NUMBERS:
                raise ValueError(f"{name}: rows of {identity.dims[name]} {identity.dtypes[name]}")
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ConfigError(
            f"{folder}: not a feature cache ({str(error).splitlines()[0]}); make one with vavl-train features"
        ) from error
    return identity


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
