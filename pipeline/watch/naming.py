"""The name of a change: which figures speak for lamp, lens, camera or product, and what is said of them."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from inspection.calibration.rates import percent
from inspection.verdicts import Reason
from pipeline.watch.charts import LEAST_MOVE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.watch.charts import Chart, Charts


class Cause(StrEnum):
    """What changed on the line, as far as the figures tell."""

    LAMP = "lamp"
    LENS = "lens"
    CAMERA = "camera"
    PRODUCT = "product"


ADVICE: Final = {
    Cause.LAMP: "Look at lamp, shutter and exposure time.",
    Cause.LENS: "Look at the lens: focus ring, dirt, distance to the part.",
    Cause.CAMERA: "Look at the camera's mount and the fixture.",
    Cause.PRODUCT: "Look at flagged parts: a new version or supplier, or a process that makes defects.",
}
"""What to do first, a line each."""

_SPEAKS_FOR: Final = {
    Reason.TOO_DARK: Cause.LAMP,
    Reason.TOO_BRIGHT: Cause.LAMP,
    Reason.BLURRED: Cause.LENS,
    Reason.NOT_REGISTERED: Cause.CAMERA,
    Reason.BLANK: Cause.CAMERA,
    Reason.WRONG_SIZE: Cause.CAMERA,
    Reason.UNREADABLE: Cause.CAMERA,
}


def signs(charts: Charts) -> dict[Cause, tuple[NDArray[np.bool_], ...]]:
    """For each cause (K,) masks of the stretches that show it, one a side: a change stays on its side.

    Frames that can't be inspected speak for what most of them suffer from.
    """
    refused = {cause: np.zeros(len(charts.spans), np.bool_) for cause in Cause}
    for at, problem in enumerate(charts.problems):
        if charts.not_inspected.out[at]:
            refused[_cause_of(problem)][at] = True
    light, focus, right, down = charts.brightness, charts.focus, charts.moved_x, charts.moved_y
    lamp = (light.below, light.above, refused[Cause.LAMP])
    # Focus is measured on grey values: where it changed no more than the light did, the lamp is enough to explain it.
    follows = light.out & (np.abs(_changes(focus)) <= np.abs(_changes(light)))
    lens = (focus.below & ~follows, focus.above & ~follows, refused[Cause.LENS])
    camera = (right.below, right.above, down.below, down.above, refused[Cause.CAMERA])
    other = np.any([*lamp, *lens, *camera], axis=0)
    product = (charts.distance.out | charts.flagged.out | refused[Cause.PRODUCT]) & ~other
    return {Cause.LAMP: lamp, Cause.LENS: lens, Cause.CAMERA: camera, Cause.PRODUCT: (product,)}


def say(cause: Cause, charts: Charts, stretches: slice) -> str:
    """What the figures of these stretches say, for people."""
    if cause is Cause.PRODUCT:
        return f"product: {_seen_of_parts(charts, stretches)}, while {_rest(charts, stretches)}"
    words = {Cause.LAMP: _lamp, Cause.LENS: _lens, Cause.CAMERA: _camera}[cause]
    told = words(charts, stretches) or _refused(charts, stretches)
    flagged = charts.flagged
    more = f"; {_share(flagged, stretches)} of parts flagged" if flagged.out[stretches].all() else ""
    return f"{cause}: {told}{more}"


def _lamp(charts: Charts, stretches: slice) -> str:
    return _change(charts.brightness, stretches, "brighter", "darker")


def _lens(charts: Charts, stretches: slice) -> str:
    return _change(charts.focus, stretches, "sharper", "less sharp")


def _camera(charts: Charts, stretches: slice) -> str:
    if not (charts.moved_x.out | charts.moved_y.out)[stretches].any():
        return ""
    right, down = (_middle(chart, stretches) - chart.centre for chart in (charts.moved_x, charts.moved_y))
    sides = [f"{_round(right)} to the {'right' if right > 0 else 'left'}"] if abs(right) > LEAST_MOVE / 2 else []
    sides += [f"{_round(down)} {'lower' if down > 0 else 'higher'}"] if abs(down) > LEAST_MOVE / 2 else []
    return f"parts lie {' and '.join(sides) or 'elsewhere'} in the picture than at calibration"


def _change(chart: Chart, stretches: slice, more: str, less: str) -> str:
    if not chart.out[stretches].any():
        return ""
    change = _middle(chart, stretches) / chart.centre - 1
    return f"{_round(change)} {more if change > 0 else less} than at calibration"


def _refused(charts: Charts, stretches: slice) -> str:
    problem = charts.problems[stretches][-1]
    also = ", or another product lies there" if problem == Reason.NOT_REGISTERED else ""
    return f"{_share(charts.not_inspected, stretches)} can't be inspected, most of them {problem}{also}"


def _seen_of_parts(charts: Charts, stretches: slice) -> str:
    seen = []
    if charts.flagged.out[stretches].any():
        limit = percent(round(float(np.median(charts.flagged.high[stretches])), 2))
        seen.append(f"{_share(charts.flagged, stretches)} flagged (limit {limit})")
    if charts.not_inspected.out[stretches].any():
        seen.append(f"{_share(charts.not_inspected, stretches)} can't be inspected")
    if charts.distance.out[stretches].any():
        typical, known = float(np.nanmedian(charts.similarity[1, stretches])), float(charts.similarity_known[1])
        less = "less" if typical < known else "more"
        seen.append(f"passed parts are {less} alike the goldens ({typical:.3f}, at calibration {known:.3f})")
    return ", ".join(seen)


def _rest(charts: Charts, stretches: slice) -> str:
    """What is in range, and how far from the calibration's it lies: a near miss shows here."""
    told = []
    for name, chart in (("light", charts.brightness), ("focus", charts.focus)):
        change = _middle(chart, stretches) / chart.centre - 1
        told.append(f"{name} ({'+' if change > 0 else '-'}{_round(change)})" if np.isfinite(change) else name)
    right, down = (_middle(chart, stretches) - chart.centre for chart in (charts.moved_x, charts.moved_y))
    apart = math.hypot(right, down)
    told.append(f"pose ({_round(apart)} moved)" if math.isfinite(apart) else "pose")
    return f"{told[0]}, {told[1]} and {told[2]} are in range"


def _changes(chart: Chart) -> NDArray[np.float64]:
    """(K,) how far each value lies from the calibration's, in parts of that."""
    return np.asarray(chart.values / chart.centre - 1, np.float64)


def _cause_of(problem: str) -> Cause:
    return _SPEAKS_FOR.get(Reason(problem), Cause.PRODUCT) if problem in set(Reason) else Cause.PRODUCT


def _middle(chart: Chart, stretches: slice) -> float:
    values = chart.values[stretches]
    return float(np.median(values[np.isfinite(values)])) if np.isfinite(values).any() else float("nan")


def _share(chart: Chart, stretches: slice) -> str:
    return _round(_middle(chart, stretches))


def _round(share: float) -> str:
    """A share without its sign, `15 %`, or `2.9 %` below 10 %."""
    return percent(round(abs(share), 2 if abs(share) >= 0.1 else 3))  # noqa: PLR2004 - two digits
