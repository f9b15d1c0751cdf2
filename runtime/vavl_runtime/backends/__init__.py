"""What runs graphs: ONNX Runtime or TensorRT, behind one protocol."""

from vavl_runtime.backends.base import Backend

__all__ = ["Backend"]
