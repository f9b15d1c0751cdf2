"""Run a VAVL bundle: clips in, emotions out, with or without sound, with or without a picture. No PyTorch.

Names are imported when first used, so importing the package pulls in neither onnxruntime nor PyAV.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vavl_runtime._version import __version__

if TYPE_CHECKING:
    from vavl_runtime.bundle import Bundle, open_bundle
    from vavl_runtime.errors import BackendUnavailableError, BundleError, InputError, OutputError, VavlError
    from vavl_runtime.media.arrays import ArrayClip
    from vavl_runtime.recognizer import Recognizer
    from vavl_runtime.result import ClipResult, Prediction

__all__ = [
    "ArrayClip",
    "BackendUnavailableError",
    "Bundle",
    "BundleError",
    "ClipResult",
    "InputError",
    "OutputError",
    "Prediction",
    "Recognizer",
    "VavlError",
    "__version__",
    "open_bundle",
]

_HOMES = {
    "ArrayClip": "media.arrays",
    "BackendUnavailableError": "errors",
    "Bundle": "bundle",
    "BundleError": "errors",
    "ClipResult": "result",
    "InputError": "errors",
    "OutputError": "errors",
    "Prediction": "result",
    "Recognizer": "recognizer",
    "VavlError": "errors",
    "open_bundle": "bundle",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
