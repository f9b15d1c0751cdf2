"""VAVL in PyTorch: configuration, encoders, model and checkpoints."""

from vavl_runtime._version import __version__

from vavl.config import VavlConfig, light_config, paper_config

__all__ = ["VavlConfig", "__version__", "light_config", "paper_config"]
