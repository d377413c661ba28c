"""Cameras: what gives frames to a line, one small interface for all of them."""

from pipeline.cameras.camera import Camera, CameraLostError, EndOfFramesError, Shot
from pipeline.cameras.problems import CameraSetupError
from pipeline.cameras.reconnecting import CameraNews, ReconnectingCamera

__all__ = [
    "Camera",
    "CameraLostError",
    "CameraNews",
    "CameraSetupError",
    "EndOfFramesError",
    "ReconnectingCamera",
    "Shot",
]
