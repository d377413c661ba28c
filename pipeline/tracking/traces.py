"""One MLflow trace per reviewed part. Its id follows from the verdict's key, so that none is ever made twice."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pipeline.evidence import read_evidence
from pipeline.records.reviews import trace_of
from pipeline.tracking.values import encodable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.entities import Span, TraceInfo

    from pipeline.review.items import ReviewItem
    from pipeline.workspace import Workspace

_JPEG = "image/jpeg"
_ASKED = "Outlined is what differs most from the golden, which need not be a defect."  # says nothing of the verdict
_MOST_REGIONS = 10
_MARKDOWN = re.compile(r"[\\`*\[\]()#!|<>~]|(?<![^\W_])_|_(?![^\W_])")  # no underscore within a word, which is plain
_SPAN_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where traces go: the experiment, the batch's run ("" where there is none) and the address reviewers reach.

    `time` (milliseconds) is that of the first part in the queue.
    """

    experiment: str
    time: int
    run: str
    address: str


@dataclass(frozen=True, kw_only=True)
class PartTrace:
    """A trace ready to be sent: `pictures` are JPEGs by the id of their attachment."""

    span: Span
    info: TraceInfo
    pictures: dict[str, bytes]


def build_trace(item: ReviewItem, workspace: Workspace, to: Destination, *, place: int, tells: bool) -> PartTrace:
    """The trace of one part.

    The review pane shows request and response, in a narrow and a wide box: what part it is, and its picture; with
    `tells` also the verdict. Everything else (similarity, threshold, regions, hashes) is in the span that the trace's
    own page shows. The pane goes from the latest trace back, so the part at `place` 0 is given the latest time: a
    millisecond a place after it was judged, counted from the end.

    Raises:
        FileNotFoundError: the picture that the reviewer is to see is gone.
        EvidenceError: it can't be read now.
    """
    from mlflow.entities import TraceInfo, TraceLocation, TraceState  # noqa: PLC0415 - seconds, and only once needed

    row: Mapping[str, Any] = item.row or {}
    trace = trace_of(item.key)
    pictures = _pictures(item, workspace)
    moment = datetime.fromisoformat(row["judged_at"])
    references = {name: _reference(trace, name, item.key, len(data)) for name, data in pictures.items()}
    shown = _address(to.address, trace, _attachment(item.key, "review"))
    info = TraceInfo(
        trace_id=trace,
        trace_location=TraceLocation.from_experiment_id(to.experiment),
        request_time=to.time - place,
        execution_duration=int(row["milliseconds"] or 0),
        state=TraceState.OK,
        request_preview=_facts(row),
        response_preview="\n\n".join(_response(row, shown, tells=tells)),
        tags=_tags(item, row),
        trace_metadata={"mlflow.trace_schema.version": "3", **({"mlflow.sourceRun": to.run} if to.run else {})},
    )
    inputs = {"part_id": row["part_id"], "frame": row["frame"], "station": row["station"], **references}
    return PartTrace(
        span=_span(item.key, moment, inputs, _outputs(row), float(row["milliseconds"] or 0)),
        info=info,
        pictures={_attachment(item.key, name): data for name, data in pictures.items()},
    )


def _pictures(item: ReviewItem, workspace: Workspace) -> dict[str, bytes]:
    """What the reviewer sees, and the evidence with verdict and threshold where there is another picture of it."""
    shown = read_evidence(workspace, item.picture)
    if shown is None:
        message = f"the picture {item.picture} of a part to be reviewed is gone from {workspace.home}"
        raise FileNotFoundError(message)
    evidence = (item.row or {}).get("evidence")
    other = read_evidence(workspace, evidence) if evidence and evidence != item.picture else None
    return {"review": shown} if other is None else {"review": shown, "evidence": other}


def _span(key: str, moment: datetime, inputs: Mapping[str, Any], outputs: Mapping[str, Any], took: float) -> Span:
    from mlflow.entities import Span  # noqa: PLC0415 - seconds, and only once needed
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - comes with MLflow
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags  # noqa: PLC0415

    start = int(moment.timestamp() * 1e9)
    context = SpanContext(
        trace_id=int(key, 16),
        span_id=int(key[:_SPAN_DIGITS], 16) or 1,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    attributes = {
        "mlflow.traceRequestId": json.dumps(trace_of(key)),
        "mlflow.spanType": json.dumps("EVALUATOR"),
        "mlflow.spanInputs": json.dumps(inputs),
        "mlflow.spanOutputs": json.dumps(outputs),
    }
    return Span(
        ReadableSpan(
            name="inspection",
            context=context,
            attributes=attributes,
            resource=Resource.get_empty(),
            start_time=start,
            end_time=start + max(1, int(took * 1e6)),
            status=Status(StatusCode.OK),
        )
    )


def _outputs(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("verdict", "similarity", "threshold", "distance", "provisional", "regions", "registration_quality")
    grounds = ("encoder", "reference_set", "recipe", "calibration")
    return {**{name: row[name] for name in (*names, *grounds)}, "nearest_golden": row.get("nearest_golden")}


def _tags(item: ReviewItem, row: Mapping[str, Any]) -> dict[str, str]:
    part = encodable(str(row["part_id"]))
    values = {
        "mlflow.traceName": part[:200],
        "goldentwin.key": item.key,
        "goldentwin.product": item.product,
        "goldentwin.view": item.view,
        "goldentwin.batch": item.batch,
        "goldentwin.part_id": part,
        "goldentwin.frame": encodable(str(row["frame"])),
        "goldentwin.station": str(row["station"]),
        "goldentwin.captured_at": str(row["captured_at"] or ""),
        "goldentwin.nearest_golden": encodable(row.get("nearest_golden") or ""),
        "goldentwin.reference_set": str(row["reference_set"]),
        "goldentwin.calibration": str(row["calibration"] or ""),
    }
    return {name: value[:500] for name, value in values.items() if value}


def _response(row: Mapping[str, Any], picture: str, *, tells: bool) -> list[str]:
    """A line that can be read in the queue's list too, which shows Markdown raw; the picture; the regions."""
    said = (
        f"{row['verdict']}: similarity {row['similarity']:.3f}, threshold {row['threshold']:.3f}" if tells else _ASKED
    )
    shown = [said, f"![golden, frame, similarity map]({picture})"]
    return [*shown, _regions(row)] if tells and row["regions"] else shown


def _regions(row: Mapping[str, Any]) -> str:
    lines = ["| x | y | width | height | area | similarity | type |", "|---:|---:|---:|---:|---:|---:|---|"]
    for region in row["regions"][:_MOST_REGIONS]:
        cells = [region[name] for name in ("x", "y", "width", "height", "area")]
        lines.append(f"| {' | '.join(map(str, cells))} | {region['similarity']:.3f} | {region['type'] or ''} |")
    return "\n".join(lines)


def _facts(row: Mapping[str, Any]) -> str:
    """What part it is, in words that read well as they are: the queue's list shows them raw."""
    facts = [_escaped(row["part_id"]), f"{row['product']}/{row['view']}"]
    facts += [f"station {row['station']}"] if row["station"] else []
    facts += [f"captured {row['captured_at'][:16].replace('T', ' ')} UTC"] if row["captured_at"] else []
    return ", ".join(facts)


def _escaped(text: str) -> str:
    """A part's name as Markdown that can't break out of its place."""
    return _MARKDOWN.sub(r"\\\g<0>", encodable(text).replace("\n", " "))


def _attachment(key: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"goldentwin:{key}:{name}"))


def _reference(trace: str, name: str, key: str, size: int) -> str:
    query = urlencode({"content_type": _JPEG, "trace_id": trace, "size": size})
    return f"mlflow-attachment://{_attachment(key, name)}?{query}"


def _address(server: str, trace: str, attachment: str) -> str:
    query = urlencode({"request_id": trace, "path": attachment})
    return f"{server.rstrip('/')}/ajax-api/3.0/mlflow/get-trace-artifact?{query}"
