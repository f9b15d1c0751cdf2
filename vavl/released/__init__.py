"""Imports checkpoint folders written by the released VAVL code; see ``docs/released.md``."""

from vavl.released.importing import import_released

__all__ = ["import_released"]
