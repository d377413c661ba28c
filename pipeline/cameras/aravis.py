"""GigE Vision cameras through the Aravis library, without a maker's GenTL producer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipeline.cameras.aravis_library import ABORTED, CLEARED, AravisError, AravisLibrary, load_aravis
from pipeline.cameras.camera import CameraLostError, Shot
from pipeline.cameras.clocks import BlockCount, DeviceClock, in_utc
from pipeline.cameras.pixels import check_format, rgb_from_pixels
from pipeline.cameras.problems import CameraSetupError
from pipeline.cameras.pump import FramePump

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.cameras.aravis_library import AravisPicture, Handle

AS_SET = "camera"  # the trigger that is set in the camera itself
BUFFERS = 8
TAKE_SECONDS = 0.25
FREE_RUNNING_SECONDS = 10.0  # without a frame, after which a camera without a trigger is lost
QUIET_SECONDS = 1.0  # without a frame, after which the camera is asked whether it is there


class AravisCamera:
    """A GigE Vision camera by its serial number or IP address; its settings stay as they are, but for the trigger.

    A frame of which network packets were lost is given without an image and with its problem: its part was there.

    Args:
        camera: serial number, IP address, or Aravis' own id of the camera.
        trigger: what triggers a frame (`Line1`, `Software`, ...), or `camera` for what is set in the camera; None for a
            free-running camera, whose frames parts must be found in.
    """

    live = True

    def __init__(self, camera: str, *, trigger: str | None = None) -> None:
        self.name = f"GigE camera {camera}"
        self.every_frame_a_part = trigger is not None
        self._camera, self._trigger = camera, trigger
        self._pump: FramePump | None = None

    def open(self) -> None:
        """Find the camera, take control of it and start it.

        Raises:
            CameraLostError: it does not answer, or somebody else has control.
            CameraSetupError: Aravis is not installed, or a setting is not to be had.
        """
        self.close()
        aravis = load_aravis()
        try:
            handle = aravis.connect(self._camera)
        except AravisError as error:
            message = f"{self.name} can't be opened ({error}); check power and network, and end what else controls it"
            raise CameraLostError(message) from error
        device = AravisDevice(aravis, handle, self.name)
        try:
            device.start(self._trigger)
        except BaseException:
            device.release()
            raise
        silence = None if self.every_frame_a_part else FREE_RUNNING_SECONDS
        self._pump = FramePump(device, name=self.name, silence=silence)

    def read(self, seconds: float) -> Shot | None:
        """The next frame; None where none came within `seconds`.

        Raises:
            CameraLostError: the camera no longer answers.
        """
        if self._pump is None:
            message = f"{self.name} is not open; open it first"
            raise CameraLostError(message)
        return self._pump.read(seconds)

    def close(self) -> None:
        """Stop the camera and give it free."""
        if self._pump is not None:
            self._pump.stop()
        self._pump = None


class AravisDevice:
    """An open camera, for `FramePump`."""

    def __init__(self, aravis: AravisLibrary, camera: Handle, name: str) -> None:
        self._aravis, self._camera, self._name = aravis, camera, name
        self._stream: Handle | None = None
        self._clock, self._count = DeviceClock(), BlockCount()
        self._heard = time.monotonic()
        self._answers = True

    def start(self, trigger: str | None) -> None:
        """Set the trigger and begin to acquire.

        Raises:
            CameraLostError: it stopped answering.
            CameraSetupError: the camera has no such trigger, or a pixel format that is not understood.
        """
        try:
            check_format(self._aravis.pixel_format(self._camera), self._name)
            if trigger not in {None, AS_SET}:
                self._set_trigger(str(trigger))
            self._stream = self._aravis.start(self._camera, BUFFERS)
        except AravisError as error:
            raise self._lost(error) from error
        self._heard = time.monotonic()

    def take(self) -> Shot | None:
        """The next frame, None where none came within a quarter of a second.

        Raises:
            CameraLostError: the camera no longer answers.
        """
        if self._stream is None:
            return None
        buffer = self._aravis.pop(self._stream, TAKE_SECONDS)
        if buffer is None:
            if time.monotonic() - self._heard > QUIET_SECONDS:
                self._ask()
            return None
        self._heard = time.monotonic()
        try:
            return self._shot(buffer)
        finally:
            self._aravis.push(self._stream, buffer)

    def release(self) -> None:
        """Stop and let go, whatever state it is in."""
        self._aravis.disconnect(self._camera, self._stream, answers=self._answers)

    def _set_trigger(self, trigger: str) -> None:
        try:
            self._aravis.set_trigger(self._camera, trigger)
        except AravisError as error:
            message = f"{self._name} can't be triggered by {trigger} ({error}); `arv-viewer-0.8` shows its triggers"
            raise CameraSetupError(message) from error

    def _ask(self) -> None:
        """A triggered camera may be silent for long: read something from it, and see that it still obeys."""
        try:
            self._aravis.payload(self._camera)
        except AravisError as error:
            raise self._lost(error) from error
        if not self._aravis.controls(self._camera):
            raise self._lost(AravisError("it was restarted, or somebody else took control"))
        self._heard = time.monotonic()

    def _lost(self, error: AravisError) -> CameraLostError:
        self._answers = False
        return CameraLostError(f"{self._name} no longer answers ({error}); check cable, power and network")

    def _shot(self, buffer: Handle) -> Shot | None:
        frame = self._aravis.frame(buffer)
        if frame.status in {CLEARED, ABORTED}:
            return None
        captured = self._clock.captured(frame.device_nanoseconds / 1e9)
        image: NDArray[np.uint8] | None = None
        problem: str | None = f"packets of it were lost (state {frame.status}); see MTU in docs/cameras.md"
        if frame.picture is not None:
            image, problem = _decoded(frame.picture)
        number = self._count.number(frame.number)
        return Shot(image=image, problem=problem, captured_at=in_utc(captured), captured=captured, number=number)


def _decoded(picture: AravisPicture) -> tuple[NDArray[np.uint8] | None, str | None]:
    try:
        image = rgb_from_pixels(
            picture.data,
            code=picture.pixel_format,
            width=picture.width,
            height=picture.height,
            padding=picture.padding,
        )
    except (ValueError, CameraSetupError) as error:
        return None, f"the camera sent no picture ({error}); check its PixelFormat"
    return image, None
