"""Inference engines behind one protocol, one file each."""

from vavl_runtime.backends.base import Backend

__all__ = ["Backend"]
