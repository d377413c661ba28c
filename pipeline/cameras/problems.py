"""What can be wrong with how a camera was asked for."""

from inspection.errors import GoldentwinError


class CameraSetupError(GoldentwinError):
    """An address, option, library or setting of a camera is wrong; opening it again would not help."""
