"""Faces of a video: detection, one face a frame, crops."""

from vavl_runtime.faces.crop import crop_face
from vavl_runtime.faces.mtcnn import Faces, Mtcnn
from vavl_runtime.faces.track import FaceLocator, track_face

__all__ = ["FaceLocator", "Faces", "Mtcnn", "crop_face", "track_face"]
