"""The encoders and the face detector in PyTorch, with the call signature of the runtime's graphs."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vavl.encoders import AudioEncoder, FaceEncoder
from vavl.encoders.mtcnn import load_mtcnn
from vavl_runtime.backends.base import Arrays

OUTPUTS = {
    "audio_encoder": ("audio_features", "audio_lengths"),
    "face_encoder": ("face_features",),
    "pnet": ("probability", "offsets"),
    "rnet": ("probability", "offsets"),
    "onet": ("probability", "offsets", "landmarks"),
}


class TorchGraphs:
    """Runs `vavl_runtime.backends.base.RunGraph` calls with PyTorch modules.

    Args:
        audio_encoder: The audio encoder, or None if only faces are encoded.
        face_encoder: The face encoder, or None if only audio is encoded.
        device: PyTorch device.
    """

    def __init__(
        self, audio_encoder: AudioEncoder | None, face_encoder: FaceEncoder | None, device: str = "cpu"
    ) -> None:
        modules: dict[str, Any] = dict(load_mtcnn())
        if audio_encoder is not None:
            modules["audio_encoder"] = audio_encoder
        if face_encoder is not None:
            modules["face_encoder"] = face_encoder
        self._modules = {name: module.eval().to(device) for name, module in modules.items()}
        self._device = device

    def __call__(self, name: str, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run a module.

        Args:
            name: ``audio_encoder``, ``face_encoder``, ``pnet``, ``rnet`` or ``onet``.
            inputs: Inputs by name, in the order of the module's arguments.

        Returns:
            Outputs by name.
        """
        with torch.inference_mode():
            tensors = [torch.from_numpy(np.ascontiguousarray(value)).to(self._device) for value in inputs.values()]
            outputs = self._modules[name](*tensors)
        found: tuple[Tensor, ...] = outputs if isinstance(outputs, tuple) else (outputs,)
        return {key: value.cpu().numpy() for key, value in zip(OUTPUTS[name], found, strict=True)}
