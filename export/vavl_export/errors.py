"""Errors of exporting; the base of the tree is in `vavl_runtime.errors`.

VavlError                 exit code
├── ExportError           1    a graph cannot be exported, breaks a rule, or cannot be built as an engine
└── ParityError           1    a graph drifts from PyTorch, or a variant from fp32, beyond the tolerance
"""

from vavl_runtime.errors import VavlError


class ExportError(VavlError):
    """A graph cannot be exported, breaks a rule for graphs, or cannot be built as an engine."""

    kind = "export"


class ParityError(VavlError):
    """A graph drifts from PyTorch, or a variant from fp32, beyond the tolerance."""

    kind = "parity"
