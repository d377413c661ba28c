"""Cameras: what gives frames to a line, one small interface for all of them."""

from pipeline.cameras.camera import Camera, CameraLostError, EndOfFramesError, Shot

__all__ = ["Camera", "CameraLostError", "EndOfFramesError", "Shot"]
