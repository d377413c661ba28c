"""Open a line from what people type: addresses of a camera, of receivers, and where part ids come from."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline.cameras.addresses import open_camera
from pipeline.cameras.folder import FolderCamera
from pipeline.line.line import Line
from pipeline.line.readying import remembered_as, spool_file
from pipeline.line.settings import LineSettings, Parts, StreamError
from pipeline.records import Spool
from pipeline.signals import open_sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.cameras import Camera, Shot
    from pipeline.line.intake import Gate
    from pipeline.signals import Sink

CODE = "code"


@dataclass(frozen=True, kw_only=True)
class LineRequest:
    """What is asked of a line, as addresses.

    `source` is the camera's; `signals` are those of the receivers, the one that acts first: by default a file in the
    line's folder. `parts` says which frames are parts: by default every one of a triggered camera or a folder, and
    those that motion shows of a video. `part_ids` is `code` (read in the frame), the address of an MQTT topic, or "".
    """

    settings: LineSettings
    source: str
    signals: tuple[str, ...] = ()
    parts: Parts | None = None
    part_ids: str = ""

    def parameters(self) -> dict[str, Any]:
        """The same as parameters of the flow, in plain JSON types."""
        settings = self.settings
        return {
            "product": settings.product,
            "source": self.source,
            "line": settings.line,
            "view": settings.view,
            "signals": list(self.signals),
            "policy": settings.policy and settings.policy.value,
            "parts": self.parts and self.parts.value,
            "part_ids": self.part_ids,
            "deadline_ms": settings.deadline and 1000 * settings.deadline,
            "latency_ms": settings.latency_limit and 1000 * settings.latency_limit,
            "acknowledge_seconds": settings.acknowledge_seconds,
            "shift_hours": settings.shift_hours,
            "shift_begins": settings.shift_begins,
            "frames": settings.frames,
            "seconds": settings.seconds,
            "home": str(settings.workspace.home),
            "references": str(settings.workspace.references),
            "engine": settings.engine,
        }


@contextmanager
def opened_line(request: LineRequest, *, also: Sequence[Sink] = ()) -> Iterator[Line]:
    """The line, ready to run; `also` are told after those of the request.

    Raises:
        GoldentwinError: an address can't be understood, or the product can't be judged.
    """
    settings = request.settings
    camera = open_camera(request.source)
    if isinstance(camera, FolderCamera):
        camera.pass_over(_seen(settings, camera))
    addresses = request.signals or (f"file:{quote(str(settings.folder / 'signals.jsonl'))}",)
    sinks = [*(open_sink(address, line=settings.line) for address in addresses), *also]
    if len({sink.name for sink in sinks}) < len(sinks):
        message = "two signals go to the same address; name each once"
        raise StreamError(message)
    with ExitStack() as stack:
        identify = stack.enter_context(_part_ids(request.part_ids))
        line = Line(settings, camera, sinks, gate=_gate(request, camera), identify=identify)
        yield stack.enter_context(line)


def _gate(request: LineRequest, camera: Camera) -> Gate | None:
    parts = request.parts or (Parts.EVERY if camera.every_frame_a_part else Parts.MOTION)
    if parts is Parts.EVERY:
        return None
    from pipeline.parts import PartGate  # noqa: PLC0415 - only what is used is imported

    return PartGate()


def _seen(settings: LineSettings, camera: FolderCamera) -> set[str]:
    """Names that the line took in before; those whose files are gone are forgotten."""
    path, seen_as = spool_file(settings), remembered_as(settings, camera)
    if not camera.folder.is_dir() or not path.exists() or seen_as is None:
        return set()
    spool = Spool(path)
    try:
        seen = spool.seen(seen_as)
        gone = {name for name in seen if not (camera.folder / name).exists()}
        spool.forget_seen(seen_as, gone)
    finally:
        spool.close()
    return seen - gone


@contextmanager
def _part_ids(address: str) -> Iterator[Callable[[Shot], str]]:
    if not address:
        yield lambda _shot: ""
    elif address == CODE:
        from pipeline.parts import read_code  # noqa: PLC0415 - only what is used is imported

        yield lambda shot: (read_code(shot.image) or "") if shot.image is not None else ""
    else:
        from pipeline.parts import MqttPartIds  # noqa: PLC0415 - only what is used is imported

        with MqttPartIds(address) as ids:
            yield lambda shot: ids.for_capture(shot.captured_at) or ""
