"""Builds VAVL or a baseline by name."""

from collections.abc import Mapping
from types import MappingProxyType

import torch

from vavl.config import VavlConfig
from vavl.errors import ConfigError
from vavl.model import Vavl
from vavl.systems.auxformer import AuxFormer
from vavl.systems.baseline import Baseline
from vavl.systems.mult import MulT
from vavl.systems.system import Shape, System
from vavl.systems.uavm import UAVM
from vavl.systems.unimodal import Unimodal
from vavl.systems.vavl import VavlSystem

BASELINES: Mapping[str, type[Baseline]] = MappingProxyType(
    {"uavm": UAVM, "auxformer": AuxFormer, "mult": MulT, "unimodal": Unimodal}
)
"""Every baseline by its name on the command line; each takes a `Shape` and its own keyword arguments."""


def build_system(
    name: str, config: VavlConfig, *, alpha: float | None = None, sizes: Mapping[str, int] | None = None
) -> System:
    """Build a system with random weights.

    Args:
        name: ``vavl`` or a name in `BASELINES`.
        config: VAVL's configuration. A baseline takes its task, labels and feature widths, and ``unimodal`` takes
            all of it.
        alpha: Weight of VAVL's reconstruction loss; None takes the task's default (D24).
        sizes: Constructor keywords of a baseline, such as ``{"width": 256}``.

    Returns:
        The system, in training mode.

    Raises:
        ConfigError: The name is unknown, or the sizes contradict each other.

    Example:
        >>> from vavl.config import light_config
        >>> build_system("uavm", light_config(), sizes={"width": 64}).paths
        ('audio_visual', 'audio', 'visual')
    """
    if name == "vavl":
        return VavlSystem(Vavl(config), alpha)
    if name not in BASELINES:
        raise ConfigError(f"system {name!r}: expected vavl or one of {', '.join(BASELINES)}")
    shape = Shape(config.task, len(config.labels), config.audio_dim, config.visual_dim)
    if name == "unimodal":
        return Unimodal(shape, config=config)
    return BASELINES[name](shape, **(sizes or {}))


def check_system(
    name: str, config: VavlConfig, *, alpha: float | None = None, sizes: Mapping[str, int] | None = None
) -> None:
    """Check that a system can be built, without allocating its weights. Arguments as `build_system`.

    Raises:
        ConfigError: The name is unknown, or the sizes contradict each other.
    """
    with torch.device("meta"):
        build_system(name, config, alpha=alpha, sizes=sizes)
