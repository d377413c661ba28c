"""GigE Vision, USB3 Vision and other cameras through GenICam: their maker's GenTL producer and `harvesters`."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.cameras.camera import CameraLostError, Shot
from pipeline.cameras.clocks import BlockCount, DeviceClock, in_utc
from pipeline.cameras.pixels import check_format, rgb_from_pixels
from pipeline.cameras.problems import CameraSetupError
from pipeline.cameras.pump import FramePump

if TYPE_CHECKING:
    from pathlib import Path

AS_SET = "camera"  # the trigger that is set in the camera itself
BUFFERS = 8
POLL_SECONDS = 0.003
TAKE_SECONDS = 0.25
FREE_RUNNING_SECONDS = 10.0  # without a frame, after which a camera without a trigger is lost
QUIET_SECONDS = 1.0  # without a frame, after which the camera is asked whether it is there
LOCKED = "TLParamsLocked"  # set by harvesters while frames come; a camera that was switched off has forgotten it
INSTALL = "install it with `pip install goldentwin[genicam]`"


class GenICamCamera:
    """One camera of a GenTL producer; its settings stay as they are, but for the trigger.

    Args:
        producer: the producer's `.cti` file, from the camera's maker.
        serial: the camera's serial number; None where there is only one.
        trigger: what triggers a frame (`Line1`, `Software`, ...), or `camera` for what is set in the camera; None for a
            free-running camera, whose frames parts must be found in.
    """

    live = True

    def __init__(self, producer: Path, *, serial: str | None = None, trigger: str | None = None) -> None:
        self.name = f"camera {serial or ''} at {producer.name}".replace("  ", " ")
        self.every_frame_a_part = trigger is not None
        self._producer, self._serial, self._trigger = producer, serial, trigger
        self._pump: FramePump | None = None

    def open(self) -> None:
        """Find the camera and start it.

        Raises:
            CameraLostError: it is not there, or somebody else uses it.
            CameraSetupError: harvesters or the producer is missing, or a setting is not to be had.
        """
        self.close()
        device = _connect(self.name, self._producer, self._serial)
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


def _connect(name: str, producer: Path, serial: str | None) -> GenICamDevice:
    try:
        from harvesters.core import Harvester, ParameterKey, ParameterSet  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = f"{name}: the library harvesters is not installed; {INSTALL}"
        raise CameraSetupError(message) from error
    if not producer.is_file():
        message = f"{name}: no GenTL producer {producer}; give the .cti file that the camera's maker installs"
        raise CameraSetupError(message)
    harvester = Harvester()
    try:
        harvester.add_file(str(producer))
        harvester.update()
        key = _device(name, [str(device.serial_number) for device in harvester.device_info_list], serial)
        waits = ParameterSet({ParameterKey.TIMEOUT_PERIOD_ON_UPDATE_EVENT_DATA_CALL: 0})
        return GenICamDevice(_created(harvester, key, waits), harvester, name)
    except BaseException as error:
        harvester.reset()
        if isinstance(error, CameraLostError | CameraSetupError) or not isinstance(error, Exception):
            raise
        message = f"{name} can't be opened ({error}); end what else uses it, check cable and power"
        raise CameraLostError(message) from error


def _device(name: str, serials: list[str], wanted: str | None) -> int:
    """The index of the one camera that is meant."""
    if not serials:
        message = f"{name}: the producer sees no camera; check cable, power and network, and that nothing else uses it"
        raise CameraLostError(message)
    if wanted is None and len(serials) > 1:
        message = f"{name}: there are several cameras; name one by serial=, one of {', '.join(serials)}"
        raise CameraSetupError(message)
    if wanted is not None and wanted not in serials:
        message = f"{name} is not there, only {', '.join(serials)}; check its cable, power and serial number"
        raise CameraLostError(message)
    return 0 if wanted is None else serials.index(wanted)


def _created(harvester: Any, index: int, waits: Any) -> Any:
    """The acquirer, without harvesters' way of taking Ctrl-C for itself."""
    before = signal.getsignal(signal.SIGINT)
    try:
        return harvester.create(index, config=waits)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


class GenICamDevice:
    """An open camera, for `FramePump`.

    The library holds Python's global lock while it waits, so it is asked without waiting, every few milliseconds.

    Args:
        acquirer: harvesters' image acquirer.
        harvester: what it came from, reset at the end.
        name: the camera's name, for messages.
    """

    def __init__(self, acquirer: Any, harvester: Any, name: str) -> None:
        self._acquirer, self._harvester, self._name = acquirer, harvester, name
        self._clock, self._count = DeviceClock(), BlockCount()
        self._heard = time.monotonic()

    def start(self, trigger: str | None) -> None:
        """Set the trigger and begin to acquire.

        Raises:
            CameraSetupError: the camera has no such trigger, or a pixel format that is not understood.
        """
        nodes = self._acquirer.remote_device.node_map
        check_format(nodes.PixelFormat.get_int_value(), self._name)
        if trigger not in {None, AS_SET}:
            try:
                if nodes.has_node("TriggerSelector"):
                    nodes.TriggerSelector.value = "FrameStart"
                nodes.TriggerSource.value = trigger
                nodes.TriggerMode.value = "On"
            except Exception as error:  # GenApi's own errors, and AttributeError where there is no such feature
                message = (
                    f"{self._name} can't be triggered by {trigger} ({error}); see its triggers in its maker's viewer"
                )
                raise CameraSetupError(message) from error
        self._acquirer.num_buffers = max(BUFFERS, self._acquirer.num_buffers)
        self._acquirer.start()
        self._heard = time.monotonic()

    def take(self) -> Shot | None:
        """The next frame, None where none came within a quarter of a second.

        Raises:
            CameraLostError: the camera no longer answers.
        """
        until = time.monotonic() + TAKE_SECONDS
        while time.monotonic() < until:
            try:
                buffer = self._acquirer.try_fetch(timeout=0.0001)
            except Exception as error:  # whatever the producer says when its camera is gone
                raise self._lost(error) from error
            if buffer is not None:
                self._heard = time.monotonic()
                with buffer:
                    return self._shot(buffer)
            time.sleep(POLL_SECONDS)
        if time.monotonic() - self._heard > QUIET_SECONDS:
            self._ask()
        return None

    def release(self) -> None:
        """Stop and let go, whatever state it is in."""
        for ending in (self._acquirer.destroy, self._harvester.reset):
            with contextlib.suppress(Exception):  # a camera that is gone can't be stopped in good order
                ending()

    def _ask(self) -> None:
        """A triggered camera may be silent for long: read from it, not from what was read before."""
        nodes = self._acquirer.remote_device.node_map
        try:
            nodes.Width.get_value(False, True)
            restarted = nodes.has_node(LOCKED) and not getattr(nodes, LOCKED).get_value(False, True)
        except Exception as error:
            raise self._lost(error) from error
        if restarted:
            raise self._lost(RuntimeError("it was restarted"))
        self._heard = time.monotonic()

    def _lost(self, error: Exception) -> CameraLostError:
        return CameraLostError(f"{self._name} no longer answers ({error}); check cable, power and network")

    def _shot(self, buffer: Any) -> Shot:
        captured = self._clock.captured(_device_seconds(buffer))
        image, problem = None, None
        try:
            image = _picture(buffer.payload.components[0])
        except (ValueError, IndexError, AttributeError, CameraSetupError) as error:
            problem = f"the camera sent no picture ({error}); check its PixelFormat and chunk settings"
        number = self._count.number(int(buffer.module.frame_id))
        return Shot(image=image, problem=problem, captured_at=in_utc(captured), captured=captured, number=number)


def _device_seconds(buffer: Any) -> float | None:
    """The camera's own stamp; None where it has none, or does not say what it counts."""
    try:
        return float(buffer.timestamp / buffer.timestamp_frequency)
    except Exception:  # noqa: BLE001 - GenTL's own errors, AttributeError, ZeroDivisionError
        return None


def _picture(component: Any) -> Any:
    data = np.ascontiguousarray(component.data).view(np.uint8).reshape(-1)
    return rgb_from_pixels(
        data,
        code=component.data_format_value,
        width=component.width,
        height=component.height,
        padding=component.x_padding,
    )
