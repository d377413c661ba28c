"""Believable snapshots of a running line, of drawn boards, for the page's tests and its pictures in the docs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from verdict_samples import judgement

from inspection.verdicts import Judgement, Region, Verdict
from pipeline.line.events import EventKind, LineEvent
from pipeline.line.snapshot import Health, LineSnapshot, ShownFrame
from pipeline.signals import LineState
from pipeline.simulator import DefectKind, LineSimulator

LINE, PRODUCT, THRESHOLD = "line 3", "board", 0.742
BLURRED = "blurred: focus 11.8 below 31.5"
GOLDEN_NUMBER = 9_000
_DEFECTS = {4: DefectKind.MISSING_PART, 11: DefectKind.SCRATCH, 17: DefectKind.TOMBSTONE}
_BLURRED = (6,)


@cache
def drawn_line(size: int = 448) -> LineSimulator:
    """The simulated line that all samples come from."""
    return LineSimulator(seed=7, size=size)


def golden() -> NDArray[np.uint8]:
    """The board that frames are shown beside."""
    return drawn_line().frame(GOLDEN_NUMBER).image


def board_snapshot(*, newest: int = 18_342, now: datetime | None = None, **changes: Any) -> LineSnapshot:
    """A line of drawn boards in the middle of its shift, with one flagged and one blurred board among its latest.

    Args:
        newest: the number of the newest frame.
        now: the snapshot's moment; by default the present one.
        changes: fields of the snapshot given other values.
    """
    now = now or datetime.now(UTC)
    values: dict[str, Any] = {
        "line": LINE,
        "product": PRODUCT,
        "view": "top",
        "state": LineState.RUNNING,
        "started_at": now - timedelta(hours=3, minutes=12),
        "now": now,
        "threshold": THRESHOLD,
        "provisional": False,
        "calibration": "7d31c09e54ab",
        "engine": "onnx",
        "policy": "skip",
        "captured": newest,
        "counts": {Verdict.PASS: newest - 262, Verdict.FLAG: 214, Verdict.CANNOT_INSPECT: 46},
        "skipped": 12,
        "late": 3,
        "missed": 2,
        "waiting": 2,
        "frames_per_second": 1.6,
        "latency_p50": 61.0,
        "latency_p99": 118.0,
        "latency_limit": 180.0,
        "health": _health(now),
        "latest": tuple(board_frame(newest - back, now - timedelta(seconds=0.6 * back)) for back in range(8)),
        "events": _events(now, newest),
    }
    values |= changes
    rejected = tuple(one for one in values["latest"] if one.verdict is not Verdict.PASS)
    flagged = next((one for one in rejected if one.verdict is Verdict.FLAG), None)
    return LineSnapshot(**({"rejected": rejected, "last_flagged": flagged} | values))


def board_frame(number: int, captured_at: datetime) -> ShownFrame:
    """Frame `number` of the line: one in twenty has a defect of one of three kinds, one in twenty is blurred."""
    image, judged = _drawn(number)
    return ShownFrame(
        sequence=number,
        part_id=f"PCB-{40_000 + number:06}",
        verdict=judged.verdict,
        reason=judged.reason,
        similarity=judged.similarity,
        threshold=judged.threshold,
        captured_at=captured_at,
        milliseconds=58.0 + number % 9,
        image=image,
        judgement=judged,
    )


@cache
def _drawn(number: int) -> tuple[NDArray[np.uint8], Judgement]:
    defect = _DEFECTS.get(number % 20)
    taken = drawn_line().frame(number, defect)
    if number % 20 in _BLURRED:
        blurred = np.asarray(cv2.GaussianBlur(taken.image, (0, 0), 6), np.uint8)
        return blurred, judgement(None, reason=BLURRED, threshold=THRESHOLD)
    similarity_map = _similarity_map(number, taken.mask)
    similarity = float(similarity_map.min())
    verdict = Verdict.FLAG if defect else Verdict.PASS
    return taken.image, judgement(
        similarity,
        verdict=verdict,
        threshold=THRESHOLD,
        similarity_map=similarity_map,
        regions=_regions(taken.mask, similarity) if defect else (),
    )


def _similarity_map(number: int, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """High everywhere, with the soft unevenness of good boards, and low on the defect."""
    coarse = np.random.default_rng([3, number]).uniform(0.80, 0.97, (14, 14)).astype(np.float32)
    good = cv2.resize(coarse, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(np.float32)
    bad = cv2.GaussianBlur(grown, (0, 0), 5)
    return np.clip(good - 0.62 * bad, 0.0, 1.0).astype(np.float32)


def _regions(mask: NDArray[np.bool_], similarity: float) -> tuple[Region, ...]:
    joined = cv2.dilate(mask.astype(np.uint8), np.ones((15, 15), np.uint8))
    count, _, boxes, _ = cv2.connectedComponentsWithStats(joined)
    return tuple(
        Region(x=int(x), y=int(y), width=int(w), height=int(h), area=int(area), similarity=similarity)
        for x, y, w, h, area in boxes[1:count]
    )


def _health(now: datetime) -> tuple[Health, ...]:
    since = now - timedelta(hours=3, minutes=12)
    return (
        Health(what="camera", name="rtsp://camera-3.line/top", up=True, said="1.6 frames/s", since=since),
        Health(what="signal", name="mqtt://broker.line:1883", up=True, said="QoS 1, all acknowledged", since=since),
        Health(what="records", name="SQLite", up=True, said="0 waiting", since=since),
        Health(
            what="MLflow", name="http://127.0.0.1:5000", up=False, said="refused", since=now - timedelta(minutes=41)
        ),
    )


def _events(now: datetime, newest: int) -> tuple[LineEvent, ...]:
    told = (
        (41, EventKind.MLFLOW_LOST, "connection refused; verdicts are kept and delivered later"),
        (96, EventKind.CAUGHT_UP, "12 frames were skipped in 7 s"),
        (97, EventKind.SKIPPING, "more frames wait than can be told of in 180 ms"),
        (123, EventKind.CAMERA_BACK, "after 8 s"),
        (124, EventKind.FRAMES_MISSED, "2 frames that the camera counted never came"),
        (124, EventKind.CAMERA_LOST, "no frame for 3 s"),
        (160, EventKind.TOO_LATE, "PCB-055021 was told of after its deadline, as not inspected"),
        (192, EventKind.STARTED, "board/top, threshold 0.742, onnx"),
    )
    return tuple(
        LineEvent(line=LINE, kind=kind, said=said, at=now - timedelta(minutes=ago), sequence=max(newest - 96 * ago, 0))
        for ago, kind, said in told
    )


@dataclass
class MovingLine:
    """A line whose snapshot a test changes while it is shown."""

    shown: LineSnapshot = field(default_factory=board_snapshot)
    frozen: bool = False
    asked: int = 0

    def snapshot(self) -> LineSnapshot:
        """The line now; at the moment it was frozen, where it was."""
        self.asked += 1
        if not self.frozen:
            self.shown = replace(self.shown, now=datetime.now(UTC))
        return self.shown

    def change(self, **changes: Any) -> None:
        """Give fields of the snapshot other values."""
        self.shown = replace(self.shown, **changes)
