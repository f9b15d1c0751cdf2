"""The VAVL network."""

from vavl.model.vavl import Modality, UnimodalOutput, Vavl

__all__ = ["Modality", "UnimodalOutput", "Vavl"]
