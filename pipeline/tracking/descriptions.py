"""What a run's first page says in MLflow, as Markdown: the result before the details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inspection.calibration import Calibration
from inspection.verdicts import Verdict
from pipeline.tracking.values import encodable

WORST = 5
_GAP = "\N{EM SPACE}"  # MLflow draws tables without room between columns
_PROVISIONAL = "> **Provisional**: from goldens alone. `goldentwin calibrate PRODUCT --labelled DIR` makes it firm.\n"


def of_experiment(product: str, view: str) -> str:
    """What the experiment of a product and view holds."""
    return (
        f"Visual inspection of **{product}**, view **{view}**, by comparison with golden images.\n\n"
        "| run | what it shows |\n|---|---|\n"
        "| `calibration ...` | how the threshold was chosen, and what the labelled sample proves |\n"
        "| `night ...` / `day ...` | a judged batch: counts, contact sheet, flagged parts (*Artifacts*, `flagged/`) |\n"
        "| `evaluation ...` | figures on a labelled data set |\n"
        "| `training ...` | a network trained on pairs: curves, and pairs it was validated on |\n"
        "| `promotion ...` | a challenger held to the gates, on the same parts as the champion |\n"
        "| `rollback ...` | the champion before judges again |\n\n"
        "A part is flagged when its similarity to the goldens (0 to 1, higher is more like golden) lies below the "
        "threshold. The judged model is registered under *Models*; the alias `champion` marks the one that judges."
    )


def of_calibration(
    calibration: Calibration, goldens: int, counts: Mapping[str, int], *, before: Mapping[str, float] | None = None
) -> str:
    """What the calibration proves, in its own words, then its figures, and those of the threshold before it."""
    rows = [
        ("threshold (similarity)", f"**{calibration.threshold:.4f}**"),
        ("overkill", str(calibration.overkill or "unknown: no good parts")),
        ("escape", str(calibration.escape or "unknown: no defective parts")),
        *((name.replace("_", " "), f"{value:.4f}") for name, value in (before or {}).items()),
        ("goldens", str(goldens)),
        ("labelled parts", ", ".join(f"{count} {label}" for label, count in counts.items()) or "none"),
    ]
    warnings = "".join(f"\n- {warning}" for warning in calibration.warnings)
    first = _PROVISIONAL if calibration.provisional else ""
    return "\n".join([first, calibration.statement, "", *_table(rows), warnings])


def of_batch(metrics: Mapping[str, float], rows: Sequence[Mapping[str, Any]], *, provisional: bool) -> str:
    """How many parts got which verdict, and the worst flagged ones; `rows` are sorted, the worst first."""
    counts = ", ".join(f"{int(metrics[verdict.value.lower()])} {verdict.value}" for verdict in Verdict)
    speed = metrics.get("frames_per_second")
    took = f"{metrics['seconds']:.1f} s" + (f" ({speed:.1f} frames/s)" if speed else "")
    kind = "provisional verdicts" if provisional else "verdicts"
    parts = [f"**{int(metrics['frames'])} {kind}: {counts}**, in {took}", *(["", _PROVISIONAL] if provisional else [])]
    flagged = [row for row in rows if row["verdict"] == Verdict.FLAG][:WORST]
    if flagged:
        parts += [
            "",
            "**Flagged, the worst first**",
            "",
            f"| part{_GAP} | similarity{_GAP} | threshold |",
            "|---|---|---|",
        ]
        parts += [
            f"| {_cell(r['part_id'])}{_GAP} | {_number(r['similarity'])}{_GAP} | {_number(r['threshold'])} |"
            for r in flagged
        ]
    unseen = [row for row in rows if row["verdict"] == Verdict.CANNOT_INSPECT][:WORST]
    if unseen:
        parts += ["", "**Not inspected: look at these by eye**", "", f"| frame{_GAP} | reason |", "|---|---|"]
        parts += [f"| {_cell(row['frame'])}{_GAP} | {_cell(row['reason'])} |" for row in unseen]
    return "\n".join(parts)


def of_evaluation(figures: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    """The figures of an evaluation, those that apply."""
    rows = [(name.replace("_", " "), _figure(value)) for name, value in figures.items() if value is not None]
    labelled = ", ".join(f"{count} {label}" for label, count in counts.items())
    return "\n".join(_table([*rows, ("labelled parts", labelled)]))


def of_promotion(evidence: Mapping[str, Any], *, passed: bool, by: str) -> str:
    """Whether the challenger is champion now, and what each gate says."""
    failed = [gate["name"] for gate in evidence["gates"] if not gate["passed"]]
    head = "**Passed: the challenger is champion now**" if passed else f"**Refused by: {', '.join(failed)}**"
    lines = [head, "", f"| gate{_GAP} | | what was found |", "|---|---|---|"]
    for gate in evidence["gates"]:
        said = "passed" if gate["passed"] else "**refused**"
        lines += [f"| {gate['name']}{_GAP} | {said}{_GAP} | {_cell(gate['reason'])} |"]
    lines += [f"\n> {warning}" for warning in evidence["warnings"]]
    lines += [
        "",
        f"Asked for by {_cell(by)}; challenger `{evidence['bundle']}`, champion before `{evidence['before']}`.",
    ]
    return "\n".join(lines)


def of_rollback(evidence: Mapping[str, Any], *, by: str) -> str:
    """Which champion judges again."""
    return f"**`{evidence['bundle']}` judges again**, instead of `{evidence['before']}`, by {_cell(by)}."


def _figure(value: object) -> str:
    if isinstance(value, Mapping) and {"rate", "low", "high", "n"} <= set(value):
        return f"{value['rate']:.2%} (95 % interval {value['low']:.2%} to {value['high']:.2%}, n = {value['n']})"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_figure(entry)}" for key, entry in value.items())
    return f"{value:.4g}" if isinstance(value, float) else _cell(value)


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name}{_GAP} | {value} |" for name, value in rows)]


def _cell(value: object) -> str:
    """`value` in one cell of a Markdown table, kept short; file names are other people's text."""
    text = encodable(str(value or "")).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    for mark in "<>[]`":
        text = text.replace(mark, f"\\{mark}")
    return text if len(text) <= 160 else f"{text[:157]}..."  # noqa: PLR2004 - a cell, not a page


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def of_training(figures: Mapping[str, Any], epochs: int, pairs: int) -> str:
    """How well the held-out pairs' defects are found, and how long that took to learn."""
    rows = [("pairs", str(pairs)), ("epochs", str(epochs))]
    if not figures:
        return "\n".join(["A network trained on drawn defects alone.", "", *_table(rows)])
    rows += [
        ("precision", f"{figures['precision']:.3f}"),
        ("recall", f"{figures['recall']:.3f}"),
        ("average precision", f"{figures['average_precision']:.3f}"),
    ]
    if figures.get("mean_average_precision") is not None:
        rows.append(("mean average precision over the types", f"{figures['mean_average_precision']:.3f}"))
    head = f"**F-score {figures['f_score']:.3f}** on {figures['n']} defects of held-out pairs (IoU above 0.33)"
    return "\n".join([head, "", *_table(rows)])
