"""The page of a night, in Markdown: verdicts, what they rest on, and the flagged parts with their pictures."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from inspection.verdicts import Verdict
from pipeline.batch import BatchSummary

LISTED_PARTS = 50
LARGEST_SHEET = 2_000_000  # bytes: the picture travels inside the page, which Prefect keeps in its database
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#!|~<>&])")


def headline(summary: BatchSummary) -> str:
    """`bottle/default: 300 frames in 41 s: 280 PASS, 12 FLAG, 8 CANNOT_INSPECT`."""
    found = ", ".join(f"{summary.counts.get(verdict, 0)} {verdict}" for verdict in Verdict)
    return f"{summary.product}/{summary.view}: {_total(summary)} frames in {summary.seconds:.0f} s: {found}"


def night_page(summary: BatchSummary) -> str:
    """The whole page, ready for a Markdown artifact: what this run found, and what interrupted runs of it found."""
    parts = [
        f"# {_plain(summary.product)}/{_plain(summary.view)}: {_title(summary)}",
        *_warning(summary),
        *_watched(summary),
        "\n".join(_verdict_table(summary)),
        "\n".join(_ground_table(summary)),
        *_queues(summary),
        *_contact_sheet(summary.contact_sheet),
        *_flagged(summary),
    ]
    return "\n\n".join(parts) + "\n"


def _title(summary: BatchSummary) -> str:
    flagged = summary.counts.get(Verdict.FLAG, 0)
    return f"{flagged} of {_total(summary)} frames flagged"


def _warning(summary: BatchSummary) -> Iterator[str]:
    if summary.provisional:
        yield (
            "> **Provisional**: the threshold rests on the goldens alone. "
            f"`goldentwin calibrate {summary.product} --labelled DIR` puts it on labelled parts."
        )


def _verdict_table(summary: BatchSummary) -> Iterator[str]:
    yield "| verdict | frames | share |"
    yield "|---|---:|---:|"
    total = _total(summary)
    for verdict in Verdict:
        count = summary.counts.get(verdict, 0)
        yield f"| {_plain(verdict)} | {count} | {count / total if total else 0:.1%} |"


def _ground_table(summary: BatchSummary) -> Iterator[str]:
    yield "| judged with | |"
    yield "|---|---|"
    yield f"| batch | {_plain(summary.batch)} |"
    yield f"| time | {_speed(summary)} |"
    yield f"| threshold | {_number(_threshold(summary))}{' (provisional)' if summary.provisional else ''} |"
    grounds = summary.provenance
    yield f"| encoder | `{grounds.encoder}` |"
    yield f"| reference set | `{grounds.reference_set}` |"
    yield f"| recipe | `{grounds.recipe}` |"
    yield f"| calibration | {f'`{grounds.calibration}`' if grounds.calibration else 'none'} |"
    yield f"| MLflow | {_run(summary)} |"


def _run(summary: BatchSummary) -> str:
    if summary.run is not None:
        return f"[run `{summary.run.run_id}`]({summary.run.address})"
    if not _total(summary):
        return "nothing to tell"
    return "logged" if summary.tracked else "not told yet: the next run delivers it"


def _watched(summary: BatchSummary) -> Iterator[str]:
    if summary.watched is not None:
        alarm = "> **The line has changed.** " if summary.watched.alarms else ""
        yield f"{alarm}{_plain(summary.watched.headline)}"


def _queues(summary: BatchSummary) -> Iterator[str]:
    for name, address in summary.queues.items():
        yield f"**[Review the parts of {_plain(name)} in MLflow]({address})**"


def _flagged(summary: BatchSummary) -> Iterator[str]:
    if not summary.flagged:
        return
    more = len(summary.flagged) - LISTED_PARTS
    listed = f", the {LISTED_PARTS} worst of {len(summary.flagged)}" if more > 0 else ""
    yield f"## Flagged parts, least like golden first{listed}"
    rows = ["| part | frame | similarity | threshold | regions | reason |", "|---|---|---:|---:|---:|---|"]
    rows += [_part(row) for row in summary.flagged[:LISTED_PARTS]]
    yield "\n".join(rows)


def _part(row: Mapping[str, Any]) -> str:
    cells = (
        _plain(row["part_id"]),
        _plain(row["frame"]),
        _number(row["similarity"]),
        _number(row["threshold"]),
        str(len(row["regions"])),
        _plain(row["reason"] or ""),
    )
    return f"| {' | '.join(cells)} |"


def _contact_sheet(path: Path | None) -> Iterator[str]:
    if path is None or not path.is_file():
        return
    if path.stat().st_size > LARGEST_SHEET:
        yield f"Contact sheet: {_plain(str(path))}"
        return
    kind = "png" if path.suffix == ".png" else "jpeg"
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    yield f"## Contact sheet\n\n![golden, frame and similarity map of the worst parts](data:image/{kind};base64,{data})"


def _speed(summary: BatchSummary) -> str:
    judged, seconds = summary.judged, summary.seconds
    rate = f", {judged / seconds:.1f} frames/s" if judged and seconds > 0 else ""
    return f"{judged} of {summary.total} frames judged by this run in {seconds:.1f} s{rate}"


def _threshold(summary: BatchSummary) -> float | None:
    return next((float(row["threshold"]) for row in summary.flagged if row["threshold"] is not None), None)


def _total(summary: BatchSummary) -> int:
    return sum(summary.counts.values())


def _plain(text: str) -> str:
    """`text` so that Markdown shows it as it is, on one line: file names come from outside."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
