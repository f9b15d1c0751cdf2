"""Exports VAVL checkpoints as bundles of ONNX graphs, verifies bundles, and builds TensorRT engines.

Names are imported when they are first used: importing the package imports neither PyTorch nor onnx, and building
engines needs neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vavl_runtime._version import __version__

if TYPE_CHECKING:
    from vavl.corpora import Corpus, open_corpus
    from vavl_export.bundle_writer import ExportResult, export_bundle
    from vavl_export.checks import Check
    from vavl_export.errors import ExportError, ParityError
    from vavl_export.graph_lint import LintedGraph
    from vavl_export.precision.corpus import CorpusDrift
    from vavl_export.precision.drift import GraphDrift
    from vavl_export.precision.report import ParityReport, VerifyReport
    from vavl_export.progress import Progress
    from vavl_export.tensorrt.build import build_engines
    from vavl_export.verify import Verification, verify_bundle
    from vavl_runtime.backends.trt.engine_store import Engine, EngineRecord
    from vavl_runtime.bundle import Bundle
    from vavl_runtime.bundle.precision import PrecisionChoice

__all__ = [
    "Bundle",
    "Check",
    "Corpus",
    "CorpusDrift",
    "Engine",
    "EngineRecord",
    "ExportError",
    "ExportResult",
    "GraphDrift",
    "LintedGraph",
    "ParityError",
    "ParityReport",
    "PrecisionChoice",
    "Progress",
    "Verification",
    "VerifyReport",
    "__version__",
    "build_engines",
    "export_bundle",
    "open_corpus",
    "verify_bundle",
]

_HOMES = {
    "Bundle": "vavl_runtime.bundle",
    "Check": "vavl_export.checks",
    "Corpus": "vavl.corpora",
    "CorpusDrift": "vavl_export.precision.corpus",
    "Engine": "vavl_runtime.backends.trt.engine_store",
    "EngineRecord": "vavl_runtime.backends.trt.engine_store",
    "ExportError": "vavl_export.errors",
    "ExportResult": "vavl_export.bundle_writer",
    "GraphDrift": "vavl_export.precision.drift",
    "LintedGraph": "vavl_export.graph_lint",
    "ParityError": "vavl_export.errors",
    "ParityReport": "vavl_export.precision.report",
    "PrecisionChoice": "vavl_runtime.bundle.precision",
    "Progress": "vavl_export.progress",
    "Verification": "vavl_export.verify",
    "VerifyReport": "vavl_export.precision.report",
    "build_engines": "vavl_export.tensorrt.build",
    "export_bundle": "vavl_export.bundle_writer",
    "open_corpus": "vavl.corpora",
    "verify_bundle": "vavl_export.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
