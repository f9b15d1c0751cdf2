"""Exports VAVL checkpoints as bundles of ONNX graphs, verifies bundles, and builds TensorRT engines.

Names are imported when first used: importing the package imports neither PyTorch nor onnx, and building engines needs
neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vavl_runtime._version import __version__ as __version__

if TYPE_CHECKING:
    from vavl.corpora import Corpus as Corpus
    from vavl.corpora import open_corpus as open_corpus
    from vavl_export.bundle_writer import ExportResult as ExportResult
    from vavl_export.bundle_writer import export_bundle as export_bundle
    from vavl_export.checks import Check as Check
    from vavl_export.errors import ExportError as ExportError
    from vavl_export.errors import ParityError as ParityError
    from vavl_export.graph_lint import LintedGraph as LintedGraph
    from vavl_export.precision.corpus import CorpusDrift as CorpusDrift
    from vavl_export.precision.drift import GraphDrift as GraphDrift
    from vavl_export.precision.drift import LengthDrift as LengthDrift
    from vavl_export.precision.drift import TensorDrift as TensorDrift
    from vavl_export.precision.report import HalfReport as HalfReport
    from vavl_export.precision.report import LaunchReport as LaunchReport
    from vavl_export.precision.report import ParityReport as ParityReport
    from vavl_export.precision.report import PeakRecord as PeakRecord
    from vavl_export.precision.report import VerifyReport as VerifyReport
    from vavl_export.progress import Progress as Progress
    from vavl_export.signing import sign_bundle as sign_bundle
    from vavl_export.tensorrt.build import build_engines as build_engines
    from vavl_export.verify import Verification as Verification
    from vavl_export.verify import verify_bundle as verify_bundle
    from vavl_runtime.backends.trt.engine_store import Engine as Engine
    from vavl_runtime.backends.trt.engine_store import EngineKey as EngineKey
    from vavl_runtime.backends.trt.engine_store import EngineRecord as EngineRecord
    from vavl_runtime.backends.trt.engine_store import Machine as Machine
    from vavl_runtime.backends.trt.engine_store import Profile as Profile
    from vavl_runtime.backends.trt.engine_store import ShapeRange as ShapeRange
    from vavl_runtime.bundle import Bundle as Bundle
    from vavl_runtime.bundle.precision import PrecisionChoice as PrecisionChoice

# The public names, and the module that each comes from.
_HOMES = {
    "Bundle": "vavl_runtime.bundle",
    "Check": "vavl_export.checks",
    "Corpus": "vavl.corpora",
    "CorpusDrift": "vavl_export.precision.corpus",
    "Engine": "vavl_runtime.backends.trt.engine_store",
    "EngineKey": "vavl_runtime.backends.trt.engine_store",
    "EngineRecord": "vavl_runtime.backends.trt.engine_store",
    "ExportError": "vavl_export.errors",
    "ExportResult": "vavl_export.bundle_writer",
    "GraphDrift": "vavl_export.precision.drift",
    "HalfReport": "vavl_export.precision.report",
    "LaunchReport": "vavl_export.precision.report",
    "LengthDrift": "vavl_export.precision.drift",
    "LintedGraph": "vavl_export.graph_lint",
    "Machine": "vavl_runtime.backends.trt.engine_store",
    "ParityError": "vavl_export.errors",
    "ParityReport": "vavl_export.precision.report",
    "PeakRecord": "vavl_export.precision.report",
    "PrecisionChoice": "vavl_runtime.bundle.precision",
    "Profile": "vavl_runtime.backends.trt.engine_store",
    "Progress": "vavl_export.progress",
    "ShapeRange": "vavl_runtime.backends.trt.engine_store",
    "TensorDrift": "vavl_export.precision.drift",
    "Verification": "vavl_export.verify",
    "VerifyReport": "vavl_export.precision.report",
    "build_engines": "vavl_export.tensorrt.build",
    "export_bundle": "vavl_export.bundle_writer",
    "open_corpus": "vavl.corpora",
    "sign_bundle": "vavl_export.signing",
    "verify_bundle": "vavl_export.verify",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
