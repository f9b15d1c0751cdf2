"""Run a VAVL bundle: clips in, emotions out, with or without sound, with or without a picture. No PyTorch.

Names are imported when first used, so importing the package imports neither onnxruntime nor PyAV.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vavl_runtime._version import __version__ as __version__

if TYPE_CHECKING:
    from vavl_runtime.backends.base import Arrays as Arrays
    from vavl_runtime.backends.base import Backend as Backend
    from vavl_runtime.backends.base import BackendInfo as BackendInfo
    from vavl_runtime.bundle import Bundle as Bundle
    from vavl_runtime.bundle import find_bundle as find_bundle
    from vavl_runtime.bundle import open_bundle as open_bundle
    from vavl_runtime.bundle.manifest import CropRecipe as CropRecipe
    from vavl_runtime.bundle.manifest import EncoderRecord as EncoderRecord
    from vavl_runtime.bundle.manifest import FileRecord as FileRecord
    from vavl_runtime.bundle.manifest import GraphRecord as GraphRecord
    from vavl_runtime.bundle.manifest import Limits as Limits
    from vavl_runtime.bundle.manifest import Manifest as Manifest
    from vavl_runtime.bundle.manifest import PathName as PathName
    from vavl_runtime.bundle.manifest import Precision as Precision
    from vavl_runtime.bundle.manifest import SpeedRecord as SpeedRecord
    from vavl_runtime.bundle.manifest import TensorRecord as TensorRecord
    from vavl_runtime.bundle.manifest import VariantRecord as VariantRecord
    from vavl_runtime.bundle.precision import PrecisionChoice as PrecisionChoice
    from vavl_runtime.errors import BackendUnavailableError as BackendUnavailableError
    from vavl_runtime.errors import BundleError as BundleError
    from vavl_runtime.errors import InputError as InputError
    from vavl_runtime.errors import MissingDependencyError as MissingDependencyError
    from vavl_runtime.errors import OutputError as OutputError
    from vavl_runtime.errors import VavlError as VavlError
    from vavl_runtime.media import ArrayClip as ArrayClip
    from vavl_runtime.media import Clip as Clip
    from vavl_runtime.media.limits import ClipLimits as ClipLimits
    from vavl_runtime.notes import Note as Note
    from vavl_runtime.pipeline.availability import Use as Use
    from vavl_runtime.pipeline.self_test import GraphCheck as GraphCheck
    from vavl_runtime.recognizer import Recognizer as Recognizer
    from vavl_runtime.result import BundleIdentity as BundleIdentity
    from vavl_runtime.result import ClipResult as ClipResult
    from vavl_runtime.result import Coverage as Coverage
    from vavl_runtime.result import Extent as Extent
    from vavl_runtime.result import FaceCount as FaceCount
    from vavl_runtime.result import Prediction as Prediction
    from vavl_runtime.result import Reasons as Reasons
    from vavl_runtime.result import TakenFace as TakenFace
    from vavl_runtime.stream_numbers import StreamNumbers as StreamNumbers
    from vavl_runtime.tables import to_arrow as to_arrow
    from vavl_runtime.tables import to_pandas as to_pandas
    from vavl_runtime.timing import StageBudget as StageBudget

# ONNX Runtime 1.29 and later collects usage data unless this is set before it is imported. Child processes inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# The public names, and the module that each comes from.
_HOMES = {
    "ArrayClip": "media",
    "Arrays": "backends.base",
    "Backend": "backends.base",
    "BackendInfo": "backends.base",
    "BackendUnavailableError": "errors",
    "Bundle": "bundle",
    "BundleError": "errors",
    "BundleIdentity": "result",
    "Clip": "media",
    "ClipLimits": "media.limits",
    "ClipResult": "result",
    "Coverage": "result",
    "CropRecipe": "bundle.manifest",
    "EncoderRecord": "bundle.manifest",
    "Extent": "result",
    "FaceCount": "result",
    "FileRecord": "bundle.manifest",
    "GraphCheck": "pipeline.self_test",
    "GraphRecord": "bundle.manifest",
    "InputError": "errors",
    "Limits": "bundle.manifest",
    "Manifest": "bundle.manifest",
    "MissingDependencyError": "errors",
    "Note": "notes",
    "OutputError": "errors",
    "PathName": "bundle.manifest",
    "Precision": "bundle.manifest",
    "PrecisionChoice": "bundle.precision",
    "Prediction": "result",
    "Reasons": "result",
    "Recognizer": "recognizer",
    "SpeedRecord": "bundle.manifest",
    "StageBudget": "timing",
    "StreamNumbers": "stream_numbers",
    "TakenFace": "result",
    "TensorRecord": "bundle.manifest",
    "Use": "pipeline.availability",
    "VariantRecord": "bundle.manifest",
    "VavlError": "errors",
    "find_bundle": "bundle",
    "open_bundle": "bundle",
    "to_arrow": "tables",
    "to_pandas": "tables",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
