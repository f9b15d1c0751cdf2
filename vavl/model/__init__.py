"""The VAVL network."""

from vavl.model.vavl import Branch, Modality, UnimodalOutput, Vavl

__all__ = ["Branch", "Modality", "UnimodalOutput", "Vavl"]
