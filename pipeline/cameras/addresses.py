"""From what a user types for a camera to the camera."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qsl, quote, urlsplit

from pipeline.cameras.aravis import AravisCamera
from pipeline.cameras.folder import FolderCamera
from pipeline.cameras.genicam import GenICamCamera
from pipeline.cameras.live_video import LiveVideoCamera
from pipeline.cameras.naming import without_secrets
from pipeline.cameras.problems import CameraSetupError
from pipeline.cameras.replayed import ReplayCamera
from pipeline.cameras.simulated import SimulatedCamera
from pipeline.cameras.trigger import Outage
from pipeline.cameras.video_file import VideoFileCamera
from pipeline.reading import FRAME_SUFFIXES
from pipeline.secret_files import SecretFileError, secret_of

if TYPE_CHECKING:
    from pipeline.cameras.camera import Camera

ACCEPTED = (
    "a folder, a video file, rtsp://..., http://..., udp://host:port, /dev/video0, usb:0, genicam:PRODUCER.cti, "
    "gige:SERIAL_OR_ADDRESS, replay:FOLDER or sim:"
)
STREAMS = frozenset({"rtsp", "rtsps", "http", "https", "udp"})
_DEVICE = re.compile(r"(?:/dev/video|usb:)([0-9]{1,3})")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SIZE = re.compile(r"([0-9]{2,5})x([0-9]{2,5})")


def open_camera(source: str) -> Camera:
    """The camera of an address, ready to be opened; `docs/cameras.md` lists the addresses and their options.

    Args:
        source: what a user typed.

    Raises:
        CameraSetupError: it is no address of a camera, or an option is unknown or has no such value.
    """
    if source.partition("://")[0].lower() in STREAMS:
        return _stream(_with_secrets(source))
    if os.path.exists(source) and not _DEVICE.fullmatch(source):  # noqa: PTH110 - any text may be asked for
        return _path(source, _Options(source, ""))
    place, _, query = source.partition("?")
    options = _Options(source, query)
    rest = place.partition(":")[2]
    if device := _DEVICE.fullmatch(place):
        camera: Camera = LiveVideoCamera(int(device[1]), size=options.size("size"))
    elif place.startswith("sim:") and not rest:
        camera = _simulated(options)
    elif place.startswith("replay:") and rest:
        camera = ReplayCamera(
            Path(rest),
            frames_per_second=options.number("fps", 5.0),
            loop=options.switch("loop", default=False),
            outages=options.outages("lost"),
        )
    elif place.startswith("genicam:") and rest:
        camera = GenICamCamera(Path(rest), serial=options.text("serial"), trigger=options.text("trigger"))
    elif place.startswith("gige:") and rest:
        camera = AravisCamera(rest, trigger=options.text("trigger"))
    elif place.startswith("folder:") and rest:
        camera = _folder(Path(rest), options)
    else:
        return _path(place, options)
    options.finish()
    return camera


def _with_secrets(source: str) -> str:
    """`${NAME}` before the host is what stands in that variable, or in the file that NAME_FILE names."""
    scheme, _, rest = source.partition("://")
    user, at, place = rest.rpartition("@") if "@" in rest.split("/", 1)[0] else ("", "", rest)
    return f"{scheme}://{_VARIABLE.sub(_secret, user)}{at}{place}"


def _secret(named: re.Match[str]) -> str:
    name = named[1]
    try:
        return quote(secret_of(name), safe="")
    except SecretFileError as error:
        raise CameraSetupError(str(error)) from error


def _stream(source: str) -> Camera:
    try:
        parts = urlsplit(source)
        complete = bool(parts.hostname) and (parts.scheme.lower() != "udp" or parts.port is not None)
    except ValueError:
        complete = False
    if not complete:
        message = f"{without_secrets(source)} is no address of a stream; give scheme://host:port/path"
        raise CameraSetupError(message)
    if parts.scheme.lower() == "udp" and (parts.query or parts.path.strip("/")):
        message = f"{without_secrets(source)}: options of FFmpeg are not taken; give udp://host:port alone"
        raise CameraSetupError(message)
    return LiveVideoCamera(source)


def _path(place: str, options: _Options) -> Camera:
    path, is_file = Path(place), os.path.isfile(place)  # noqa: PTH113 - any text may be asked for
    if os.path.isdir(place):  # noqa: PTH112
        camera: Camera = _folder(path, options)
    elif is_file and path.suffix.lower() not in FRAME_SUFFIXES:
        camera = VideoFileCamera(path, pace=options.switch("pace", default=False))
    else:
        absent = os.sep in place and "://" not in place and not os.path.exists(place)  # noqa: PTH110
        why = f"{'does not exist, and ' if absent else ''}is no camera; give {ACCEPTED}"
        if is_file:
            why = "is one picture; give its folder"
        message = f"{without_secrets(place) or 'nothing'} {why}"
        raise CameraSetupError(message)
    options.finish()
    return camera


def _folder(path: Path, options: _Options) -> Camera:
    settle = options.number("settle", 5.0)
    return FolderCamera(path, sidecar=options.switch("sidecar", default=True), settle_seconds=settle)


def _simulated(options: _Options) -> Camera:
    return SimulatedCamera(
        seed=options.whole("seed", 7),
        frames_per_second=options.number("fps", 5.0),
        defects=options.number("defects", 0.1),
        size=options.whole("size", 512),
        boards=options.whole("boards", 60),
        frames=options.whole("frames", 0) or None,
        outages=options.outages("lost"),
    )


class _Options:
    """What stands behind the `?` of an address; each is asked for once, `finish` refuses those nobody asked for."""

    def __init__(self, source: str, query: str) -> None:
        self._source = without_secrets(source)
        self._left: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name in self._left:
                self._refuse(f"{name} is given twice")
            self._left[name] = value

    def text(self, name: str) -> str | None:
        """Some text; None where it is not given or empty."""
        return self._left.pop(name, None) or None

    def whole(self, name: str, default: int) -> int:
        """A number from 0 on."""
        value = self._left.pop(name, str(default))
        if not (value.isascii() and value.isdecimal()):
            self._refuse(f"{name}={value} is no whole number")
        return int(value)

    def number(self, name: str, default: float) -> float:
        """A number from 0 on, perhaps with a fraction."""
        value = self._left.pop(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            self._refuse(f"{name}={value} is no number")
        return float(value)

    def switch(self, name: str, *, default: bool) -> bool:
        """1 or 0."""
        value = self._left.pop(name, "1" if default else "0")
        if value not in {"0", "1"}:
            self._refuse(f"{name}={value} is neither 1 nor 0")
        return value == "1"

    def size(self, name: str) -> tuple[int, int] | None:
        """WIDTHxHEIGHT."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        found = _SIZE.fullmatch(value)
        if found is None:
            self._refuse(f"{name}={value} is no size such as 1920x1080")
        return int(found[1]), int(found[2])

    def outages(self, name: str) -> list[Outage]:
        """`10:5,60:20`: after 10 s for 5 s, after 60 s for 20 s."""
        value = self._left.pop(name, None)
        if value is None:
            return []
        if not re.fullmatch(r"[0-9.]+:[0-9.]+(,[0-9.]+:[0-9.]+)*", value):
            self._refuse(f"{name}={value} is no list of SECOND:SECONDS, such as 10:5,60:20")
        try:
            pairs = [tuple(float(part) for part in pair.split(":")) for pair in value.split(",")]
        except ValueError:
            self._refuse(f"{name}={value} is no list of SECOND:SECONDS, such as 10:5,60:20")
        return [Outage(at=at, seconds=seconds) for at, seconds in pairs]

    def finish(self) -> None:
        """Refuse what is left."""
        if self._left:
            self._refuse(f"there is no option {', '.join(self._left)}")

    def _refuse(self, why: str) -> NoReturn:
        message = f"{self._source.removesuffix(':')}: {why}; docs/cameras.md lists the options of each address"
        raise CameraSetupError(message)
