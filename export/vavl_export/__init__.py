"""Export: a VAVL checkpoint becomes a bundle of ONNX graphs that explains and checks itself."""

from vavl_runtime._version import __version__

__all__ = ["__version__"]
