"""VAVL in PyTorch: configuration, encoders, model and checkpoints."""

from vavl.config import VavlConfig, light_config, paper_config
from vavl_runtime._version import __version__

__all__ = ["VavlConfig", "__version__", "light_config", "paper_config"]
