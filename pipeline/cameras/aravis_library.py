"""The few functions of Aravis 0.8 that a GigE camera needs, called through `ctypes`.

PyGObject would do it too, but has to be compiled against GLib's headers. Calls wait without Python's global lock.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.cameras.problems import CameraSetupError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Handle = int  # a pointer to one of Aravis' objects
SUCCESS, CLEARED, ABORTED = 0, 1, 7  # of a buffer's states
NAMES = ("libaravis-0.8.so.0", "libaravis-0.8.0.dylib", "aravis-0.8-0.dll")
_ERROR = POINTER(c_void_p)
_TEXT, _HANDLE = c_char_p, c_void_p
SIGNATURES: dict[str, tuple[Any, ...]] = {  # result, arguments
    "arv_update_device_list": (None,),
    "arv_get_n_devices": (c_uint,),
    "arv_get_device_id": (_TEXT, c_uint),
    "arv_get_device_serial_nbr": (_TEXT, c_uint),
    "arv_get_device_address": (_TEXT, c_uint),
    "arv_camera_new": (_HANDLE, _TEXT, _ERROR),
    "arv_camera_get_payload": (c_uint, _HANDLE, _ERROR),
    "arv_camera_get_pixel_format": (c_uint32, _HANDLE, _ERROR),
    "arv_camera_get_device": (_HANDLE, _HANDLE),
    "arv_gv_device_is_controller": (c_int, _HANDLE),
    "arv_camera_set_trigger": (None, _HANDLE, _TEXT, _ERROR),
    "arv_camera_create_stream": (_HANDLE, _HANDLE, c_void_p, c_void_p, _ERROR),
    "arv_camera_start_acquisition": (None, _HANDLE, _ERROR),
    "arv_camera_stop_acquisition": (None, _HANDLE, _ERROR),
    "arv_buffer_new_allocate": (_HANDLE, c_size_t),
    "arv_stream_push_buffer": (None, _HANDLE, _HANDLE),
    "arv_stream_timeout_pop_buffer": (_HANDLE, _HANDLE, c_uint64),
    "arv_buffer_get_status": (c_int, _HANDLE),
    "arv_buffer_get_frame_id": (c_uint64, _HANDLE),
    "arv_buffer_get_timestamp": (c_uint64, _HANDLE),
    "arv_buffer_get_image_pixel_format": (c_uint32, _HANDLE),
    "arv_buffer_get_image_width": (c_int, _HANDLE),
    "arv_buffer_get_image_height": (c_int, _HANDLE),
    "arv_buffer_get_image_padding": (None, _HANDLE, POINTER(c_int), POINTER(c_int)),
    "arv_buffer_get_image_data": (c_void_p, _HANDLE, POINTER(c_size_t)),
    "g_object_unref": (None, _HANDLE),
    "g_error_free": (None, c_void_p),
}


class AravisError(Exception):
    """What Aravis says went wrong; the cameras turn it into their own errors."""


class _GError(ctypes.Structure):
    _fields_ = (("domain", c_uint32), ("code", c_int), ("message", c_char_p))


@dataclass(frozen=True, kw_only=True)
class AravisPicture:
    """Pixels in a buffer; `data` is valid until the buffer is pushed again, `padding` in bytes after each line."""

    pixel_format: int
    width: int
    height: int
    padding: int
    data: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class AravisFrame:
    """What a buffer holds; no picture unless `status` is `SUCCESS`."""

    status: int
    number: int
    device_nanoseconds: int
    picture: AravisPicture | None


@cache
def load_aravis() -> AravisLibrary:
    """The library, loaded once.

    Raises:
        CameraSetupError: it is not installed.
    """
    for name in filter(None, (*NAMES, ctypes.util.find_library("aravis-0.8"))):
        try:
            return AravisLibrary(ctypes.CDLL(name))
        except OSError:
            continue
    message = "Aravis is not installed, which gige: needs; install it (Debian: apt-get install libaravis-0.8-0)"
    raise CameraSetupError(message)


class AravisLibrary:
    """Aravis with its types; what returns an error raises `AravisError`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._functions: dict[str, Any] = {}
        self._listing = threading.Lock()  # Aravis has one list of devices
        for name, (result, *arguments) in SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            self._functions[name] = function

    def connect(self, camera: str) -> Handle:
        """Take control of the camera of that serial number, address or id."""
        handle = self._checked("arv_camera_new", (self._find(camera) or camera).encode())
        if not handle:
            message = f"there is no camera {camera}"
            raise AravisError(message)
        return Handle(handle)

    def payload(self, camera: Handle) -> int:
        """Bytes of a frame, read from the camera."""
        return int(self._checked("arv_camera_get_payload", camera))

    def controls(self, camera: Handle) -> bool:
        """Whether the camera still obeys us, as of Aravis' last heartbeat (1 s); one that was switched off forgets."""
        return bool(self._call("arv_gv_device_is_controller", self._call("arv_camera_get_device", camera)))

    def pixel_format(self, camera: Handle) -> int:
        """The number of the pixel format that is set."""
        return int(self._checked("arv_camera_get_pixel_format", camera))

    def set_trigger(self, camera: Handle, source: str) -> None:
        """Trigger each frame by a source."""
        self._checked("arv_camera_set_trigger", camera, source.encode())

    def start(self, camera: Handle, buffers: int) -> Handle:
        """Begin to acquire; the stream that frames come from."""
        size = self.payload(camera)
        stream = self._checked("arv_camera_create_stream", camera, None, None)
        if not stream:
            message = "it gives no stream"
            raise AravisError(message)
        for _ in range(buffers):
            self.push(stream, self._call("arv_buffer_new_allocate", size))
        try:
            self._checked("arv_camera_start_acquisition", camera)
        except AravisError:
            self._call("g_object_unref", stream)
            raise
        return Handle(stream)

    def pop(self, stream: Handle, seconds: float) -> Handle | None:
        """The next buffer; None where none was filled within `seconds`."""
        buffer = self._call("arv_stream_timeout_pop_buffer", stream, round(seconds * 1e6))
        return Handle(buffer) if buffer else None

    def push(self, stream: Handle, buffer: Handle) -> None:
        """Let a buffer be filled again."""
        self._call("arv_stream_push_buffer", stream, buffer)

    def frame(self, buffer: Handle) -> AravisFrame:
        """What a buffer holds."""
        status = self._call("arv_buffer_get_status", buffer)
        number = self._call("arv_buffer_get_frame_id", buffer)
        nanoseconds = self._call("arv_buffer_get_timestamp", buffer)
        picture = self._picture(buffer) if status == SUCCESS else None
        return AravisFrame(status=status, number=number, device_nanoseconds=nanoseconds, picture=picture)

    def _picture(self, buffer: Handle) -> AravisPicture:
        right, below, size = c_int(), c_int(), c_size_t()
        self._call("arv_buffer_get_image_padding", buffer, byref(right), byref(below))
        at = self._call("arv_buffer_get_image_data", buffer, byref(size))
        pixels = (ctypes.c_uint8 * (size.value if at else 0)).from_address(at or 0)
        return AravisPicture(
            pixel_format=self._call("arv_buffer_get_image_pixel_format", buffer),
            width=self._call("arv_buffer_get_image_width", buffer),
            height=self._call("arv_buffer_get_image_height", buffer),
            padding=right.value,
            data=np.ctypeslib.as_array(pixels),
        )

    def disconnect(self, camera: Handle, stream: Handle | None, *, answers: bool) -> None:
        """Give the camera free; one that does not answer is not told to stop, for that would wait for it."""
        if stream is not None:
            if answers:
                error = c_void_p()
                self._call("arv_camera_stop_acquisition", camera, byref(error))
                self._said(error)
            self._call("g_object_unref", stream)
        self._call("g_object_unref", camera)

    def _find(self, camera: str) -> str | None:
        """Aravis' id of the camera with that serial number; an address is asked directly, without a search."""
        if camera.count(".") == 3:  # noqa: PLR2004 - an IP address
            return None
        with self._listing:
            self._call("arv_update_device_list")
            for at in range(self._call("arv_get_n_devices")):
                if camera.encode() in {
                    self._call("arv_get_device_serial_nbr", at),
                    self._call("arv_get_device_id", at),
                }:
                    return str(self._call("arv_get_device_id", at).decode())
        return None

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._functions[name](*arguments)

    def _checked(self, name: str, *arguments: Any) -> Any:
        error = c_void_p()
        result = self._call(name, *arguments, byref(error))
        if said := self._said(error):
            raise AravisError(said)
        return result

    def _said(self, error: c_void_p) -> str:
        if not error:
            return ""
        message = ctypes.cast(error, POINTER(_GError)).contents.message
        self._call("g_error_free", error)
        return message.decode("utf-8", "replace") if message else "no reason given"
