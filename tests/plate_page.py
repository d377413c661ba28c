"""A running line of drawn plates, and a client that asks its page."""

from __future__ import annotations

import http.client
import json
from datetime import UTC, datetime, timedelta

from drawn_night import draw_part
from verdict_samples import judgement

from inspection.verdicts import Verdict
from pipeline.line.events import EventKind, LineEvent
from pipeline.line.snapshot import Health, LineSnapshot, ShownFrame
from pipeline.signals import LineState


def plate_frame(sequence=7, similarity=0.31, **changes):
    """A shown frame of a drawn plate, flagged at 0.31."""
    judged = judgement(similarity)
    values = {
        "sequence": sequence,
        "part_id": f"part {sequence}",
        "verdict": judged.verdict,
        "reason": judged.reason,
        "similarity": judged.similarity,
        "threshold": judged.threshold,
        "captured_at": datetime(2026, 3, 1, 22, 15, sequence % 60, tzinfo=UTC),
        "milliseconds": 43.0,
        "image": draw_part(sequence, scratched=similarity is not None and similarity < 0.5),
        "judgement": judged,
    }
    return ShownFrame(**(values | changes))


def plate_snapshot(**changes):
    """A running line with three frames, a lost broker and one event."""
    now = datetime.now(UTC)
    values = {
        "line": "line 3",
        "product": "plate",
        "view": "default",
        "state": LineState.RUNNING,
        "started_at": now - timedelta(hours=1),
        "now": now,
        "threshold": 0.5,
        "provisional": False,
        "calibration": "c" * 12,
        "engine": "onnx",
        "policy": "skip",
        "captured": 11,
        "counts": {Verdict.PASS: 6, Verdict.FLAG: 3, Verdict.CANNOT_INSPECT: 1},
        "skipped": 1,
        "waiting": 1,
        "frames_per_second": 2.5,
        "latency_p50": 40.0,
        "latency_p99": 90.0,
        "latency_limit": 200.0,
        "health": (
            Health(what="camera", name="rtsp://user:word@camera/1", up=True),
            Health(what="signal", name="mqtt://broker", up=False, said="refused", since=now),
        ),
        "latest": (plate_frame(9, None), plate_frame(8, 0.9), plate_frame(7)),
        "events": (
            LineEvent(line="line 3", kind=EventKind.SIGNAL_LOST, said="mqtt://a:b@broker refused", at=now, sequence=8),
        ),
    }
    values |= changes
    rejected = tuple(one for one in values["latest"] if one.verdict is not Verdict.PASS)
    flagged = next((one for one in rejected if one.verdict is Verdict.FLAG), None)
    return LineSnapshot(**({"rejected": rejected, "last_flagged": flagged} | values))


def ask(server, path, *, method="GET", **headers):
    """One request as it is given, without any client's tidying of the path: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def told(server):
    """What the page reads of its only line."""
    status, _, body = ask(server, "/api/line")
    assert status == 200
    return json.loads(body)["lines"][0]
