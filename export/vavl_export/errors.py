"""Errors of exporting; their base is `vavl_runtime.errors.VavlError`."""

from vavl_runtime.errors import VavlError


class ExportError(VavlError):
    """A graph cannot be exported or breaks a rule for graphs."""

    kind = "export"


class ParityError(VavlError):
    """The outputs of a graph drift from PyTorch's beyond the tolerance."""

    kind = "parity"
