"""The VAVL network, without encoders and training."""

from vavl.model.vavl import Branch, Modality, UnimodalOutput, Vavl

__all__ = ["Branch", "Modality", "UnimodalOutput", "Vavl"]
