"""Reads the checkpoint folders that the released code writes; see ``docs/released.md``."""

from vavl.released.importing import import_released

__all__ = ["import_released"]
