"""Pictures of the latest frames as JPEG, drawn when somebody looks, and never for more than a small part of a core."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from inspection.heat import map_on_frame
from inspection.outline import outline_regions
from inspection.overlay import draw_strip

if TYPE_CHECKING:
    from collections.abc import Callable

    from inspection.lettering import Picture
    from inspection.verdicts import Judgement, Region
    from pipeline.line.snapshot import ShownFrame

KEPT_PICTURES: Final = 48
_SHARE: Final = 0.05  # of one core's time
_BURST: Final = 1.0  # seconds of drawing that may come at once, as when a page is opened
_SIDE: Final = 360  # pixels, of an overlay's longer side
_STRIP_HEIGHT: Final = 300
_QUALITY: Final = 85


class Kind(StrEnum):
    """What is drawn: the frame with its regions, or all that a reviewer needs beside the golden."""

    OVERLAY = "overlay"
    STRIP = "strip"


class BusyError(RuntimeError):
    """No time for drawing is left just now; a second later there is."""


@dataclass(frozen=True, kw_only=True)
class _Key:
    """One picture; the time tells frames apart where a line counts anew."""

    line: str
    sequence: int
    captured_at: float
    kind: Kind


class PictureStore:
    """The newest pictures that were asked for, and the time that drawing may take; for one thread.

    Args:
        clock: seconds that only grow.
        spent: seconds that this thread has worked; waiting for a core costs nobody anything.
    """

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, *, spent: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock, self._spent = clock, spent
        self._drawn: OrderedDict[_Key, bytes] = OrderedDict()
        self._budget, self._counted_at = _BURST, clock()

    def jpeg(self, line: str, frame: ShownFrame, kind: Kind, golden: Picture | None) -> bytes | None:
        """The picture as JPEG; None where the frame has none.

        Raises:
            BusyError: it would have to be drawn, and enough was drawn just now.
        """
        if frame.image is None:
            return None
        key = _Key(line=line, sequence=frame.sequence, captured_at=frame.captured_at.timestamp(), kind=kind)
        if key in self._drawn:
            self._drawn.move_to_end(key)
            return self._drawn[key]
        self._allow(self._clock())
        begun = self._spent()
        self._drawn[key] = _encoded(draw(frame, kind, golden))
        self._budget -= self._spent() - begun
        if len(self._drawn) > KEPT_PICTURES:
            self._drawn.popitem(last=False)
        return self._drawn[key]

    def _allow(self, now: float) -> None:
        self._budget = min(_BURST, self._budget + _SHARE * (now - self._counted_at))
        self._counted_at = now
        if self._budget <= 0:
            message = "enough was drawn just now"
            raise BusyError(message)


def draw(frame: ShownFrame, kind: Kind, golden: Picture | None) -> Picture:
    """The picture of a frame that has an image, RGB uint8; without golden or judgement no strip but an overlay."""
    image = frame.image
    if image is None:
        message = f"frame {frame.sequence} has no image"
        raise ValueError(message)
    if frame.judgement is not None and golden is not None and kind is Kind.STRIP:
        return draw_strip(golden, image, frame.judgement, part_id=frame.part_id, height=_STRIP_HEIGHT)
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    if frame.judgement is None:
        return small
    seen = _scaled(frame.judgement, scale)
    golden_size = None if golden is None else (golden.shape[0], golden.shape[1])
    return outline_regions(small, seen, map_on_frame(seen, small.shape[:2], golden_size))


def _scaled(judgement: Judgement, scale: float) -> Judgement:
    """The judgement as of the frame made `scale` times as large."""
    matrix = None if judgement.matrix is None else judgement.matrix @ np.diag([1 / scale, 1 / scale, 1.0])
    return replace(judgement, matrix=matrix, regions=tuple(_scaled_region(one, scale) for one in judgement.regions))


def _scaled_region(region: Region, scale: float) -> Region:
    return replace(
        region,
        x=round(region.x * scale),
        y=round(region.y * scale),
        width=max(1, round(region.width * scale)),
        height=max(1, round(region.height * scale)),
    )


def _encoded(picture: Picture) -> bytes:
    done, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        message = "a picture can't be made a JPEG"
        raise RuntimeError(message)
    return encoded.tobytes()
