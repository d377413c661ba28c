"""Pictures for a reviewer: where the frame is unlike the golden, how much, and beside what it was compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.heat import draw_heat, draw_scale, map_on_frame
from inspection.lettering import INK, MUTED, Colour, Picture, draw_chip, draw_text, shortened, text_width
from inspection.outline import outline_regions
from inspection.verdicts import Judgement, Region, Verdict

__all__ = ["contact_sheet", "draw_heat", "draw_overlay", "draw_strip", "map_on_frame"]

BACKGROUND: Colour = (24, 26, 31)
VERDICT_COLOURS: dict[Verdict, Colour] = {
    Verdict.PASS: (22, 138, 84),
    Verdict.FLAG: (214, 28, 74),
    Verdict.CANNOT_INSPECT: (176, 112, 8),
}
_PROVISIONAL: Colour = (72, 84, 150)
_SMALL_REGION = 0.06  # of the frame's width
_SMALLEST_ZOOM = 32  # pixels of the frame
_GAP, _MARGIN, _HEADER, _CAPTION = 8, 12, 26, 46
_ROOM_FOR_BAR = 330
_WIDEST, _NARROWEST = 1.6, 0.6  # a panel's width over its height
_LOWEST = 0.5  # of the height asked for: as flat as a strip gets with very wide frames


def draw_overlay(frame: Picture, judgement: Judgement, *, golden_size: tuple[int, int] | None = None) -> Picture:
    """The frame with each region outlined, and a bar with similarity and threshold at its foot.

    Args:
        frame: (H, W, 3) RGB uint8, as delivered; left as it is.
        judgement: what was said of it. Regions are outlined along the map where there is one, else boxed.
        golden_size: (height, width) of the golden, where the map is not of the golden's own size.

    Returns:
        (H, W, 3) RGB uint8.
    """
    height, width = frame.shape[:2]
    similarity_map = map_on_frame(judgement, (height, width), golden_size)
    drawn = outline_regions(frame, judgement, similarity_map, thickness=max(2, round(max(height, width) / 300)))
    bar_height, margin = max(6, height // 60), max(4, height // 50)
    bar = _bar(judgement, max(width // 3, 1), min(bar_height, height))
    if bar is not None and height > 2 * margin + bar_height:
        drawn[height - margin - bar_height : height - margin, margin : margin + bar.shape[1]] = bar
    return drawn


def draw_strip(  # noqa: PLR0913 - what is shown, by name
    golden: Picture,
    frame: Picture,
    judgement: Judgement,
    *,
    part_id: str = "",
    golden_name: str = "",
    height: int = 360,
) -> Picture:
    """All a reviewer needs in one picture: golden | frame with regions | similarity map, under a caption line.

    Where the worst region is small (below 6 % of the frame's width), golden and frame are enlarged there beside.

    Args:
        golden: (H, W, 3) RGB uint8, the nearest golden, in the first golden's coordinates.
        frame: (h, w, 3) RGB uint8, as delivered.
        judgement: what was said of the frame.
        part_id: shown in the caption.
        golden_name: shown above the golden.
        height: of the panels, in pixels; they are lower where the frame is very wide.

    Returns:
        RGB uint8, as wide as its panels.
    """
    panels = draw_panels(golden, frame, judgement, golden_name=golden_name, height=height)
    return _assembled(panels, judgement, part_id)


def draw_panels(
    golden: Picture, frame: Picture, judgement: Judgement, *, golden_name: str = "", height: int
) -> dict[str, Picture]:
    """The panels of `draw_strip` by their headings: golden, frame, similarity map, and the worst place where small."""
    size, scale = golden.shape[:2], _fit(frame, height)
    shown, seen = _resized(frame, scale), _through(judgement, frame, size, 1 / scale, (0, 0))
    beside = _resized(golden, _fit(golden, height))
    height = max(shown.shape[0], beside.shape[0], round(_LOWEST * height))
    similarity_map = map_on_frame(seen, shown.shape[:2], size)
    outlined = outline_regions(shown, seen, similarity_map)
    heading = f"golden: {golden_name}" if golden_name else "golden"
    panels = {heading: _panel(beside, height), "frame": _panel(outlined, height)}
    if similarity_map is not None:
        panels["similarity map"] = _panel(draw_heat(shown, similarity_map, judgement.threshold), height)
    box = _zoom_box(frame, judgement)
    if box is not None:
        panels["enlarged: golden, frame"] = _enlarged(golden, frame, judgement, box, height)
    return panels


def contact_sheet(
    pictures: Sequence[Picture],
    *,
    columns: int = 2,
    cell_width: int = 800,
    captions: Sequence[str] = (),
    title: str = "",
) -> Picture:
    """Many strips or thumbnails on one sheet, in the order given: hand over the worst first.

    Args:
        pictures: RGB uint8 of any sizes, scaled to fit cells of one size.
        columns: pictures in a row.
        cell_width: in pixels.
        captions: a line under each picture; none where the pictures carry their own.
        title: a line above all.

    Returns:
        RGB uint8. Without pictures, a sheet that says so.
    """
    lines: Sequence[str | None] = captions or [None] * len(pictures)
    height = _cell_height(pictures, cell_width)
    cells = [_cell(picture, cell_width, height, line) for picture, line in zip(pictures, lines, strict=True)]
    across = max(1, min(columns, len(cells)))
    width = across * (cell_width + _GAP) - _GAP + 2 * _MARGIN
    title = title or ("" if cells else "nothing to show")
    heading = _blank(_CAPTION if title else _MARGIN, width)
    draw_text(heading, shortened(title, width - 2 * _MARGIN, size=18, bold=True), _MARGIN, 29, size=18, bold=True)
    return np.vstack([heading, *(_row(cells[i : i + across], width) for i in range(0, len(cells), across))])


def _through(
    judgement: Judgement, frame: Picture, golden_size: tuple[int, ...], step: float, corner: tuple[int, int]
) -> Judgement:
    """The judgement seen through a window on the frame: `step` frame pixels a shown pixel, from `corner` (x, y) on."""
    window = np.array(
        [
            [step, 0.0, corner[0] + step / 2 - 0.5],
            [0.0, step, corner[1] + step / 2 - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )
    regions = tuple(_moved(region, step, corner) for region in judgement.regions)
    return replace(judgement, matrix=_to_golden(judgement, frame, golden_size) @ window, regions=regions)


def _to_golden(judgement: Judgement, frame: Picture, golden_size: tuple[int, ...]) -> NDArray[np.float64]:
    """The judgement's matrix, or a plain resizing of the frame where it has none."""
    if judgement.matrix is not None:
        return judgement.matrix
    return np.diag([golden_size[1] / frame.shape[1], golden_size[0] / frame.shape[0], 1.0])


def _moved(region: Region, step: float, corner: tuple[int, int]) -> Region:
    return replace(
        region,
        x=round((region.x - corner[0]) / step),
        y=round((region.y - corner[1]) / step),
        width=max(1, round(region.width / step)),
        height=max(1, round(region.height / step)),
    )


def _zoom_box(frame: Picture, judgement: Judgement) -> tuple[int, int, int] | None:
    """x, y and side of a square around the worst region, in frame pixels; None where it is large enough to see."""
    height, width = frame.shape[:2]
    worst = min(judgement.regions, key=lambda region: region.similarity, default=None)
    if worst is None or max(worst.width, worst.height) >= _SMALL_REGION * width:
        return None
    side = min(max(3 * max(worst.width, worst.height), _SMALLEST_ZOOM), width, height)
    x = min(max(worst.x + worst.width // 2 - side // 2, 0), width - side)
    y = min(max(worst.y + worst.height // 2 - side // 2, 0), height - side)
    return x, y, side


def _enlarged(golden: Picture, frame: Picture, judgement: Judgement, box: tuple[int, int, int], height: int) -> Picture:
    """Golden above frame at the same place, each as large as fits."""
    x, y, side = box
    shown = (height - _GAP) // 2
    seen = _through(judgement, frame, golden.shape[:2], side / shown, (x, y))
    below = cv2.resize(frame[y : y + side, x : x + side], (shown, shown), interpolation=cv2.INTER_CUBIC)
    to_golden = _to_golden(seen, frame, golden.shape[:2])
    above = cv2.warpPerspective(golden, to_golden, (shown, shown), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    similarity_map = map_on_frame(seen, (shown, shown), golden.shape[:2])
    outlined = outline_regions(np.asarray(below, np.uint8), seen, similarity_map)
    return np.vstack([above, _blank(height - 2 * shown, shown), outlined]).astype(np.uint8)


def _assembled(panels: dict[str, Picture], judgement: Judgement, part_id: str) -> Picture:
    width = 2 * _MARGIN + sum(panel.shape[1] for panel in panels.values()) + _GAP * (len(panels) - 1)
    height = next(iter(panels.values())).shape[0]
    strip = _blank(_CAPTION + _HEADER + height + _MARGIN, width)
    left, top = _MARGIN, _CAPTION + _HEADER
    for name, panel in panels.items():
        strip[top : top + height, left : left + panel.shape[1]] = panel
        draw_text(strip, shortened(name, panel.shape[1], size=13), left, top - 8, size=13, colour=MUTED)
        if name == "similarity map":
            _draw_legend(strip, left + panel.shape[1], top - 18, judgement.threshold)
        left += panel.shape[1] + _GAP
    _draw_caption(strip, judgement, part_id)
    return strip


def _draw_caption(strip: Picture, judgement: Judgement, part_id: str) -> None:
    """One line: verdict, part id, provisional on the left; figures with their bar on the right."""
    middle, width = _CAPTION // 2 + 2, strip.shape[1]
    said = judgement.verdict
    left = draw_chip(strip, said.value.replace("_", " "), _MARGIN, middle, fill=VERDICT_COLOURS[said])
    if judgement.provisional:
        left = draw_chip(strip, "PROVISIONAL", left + 6, middle, fill=_PROVISIONAL)
    figures = _figures(judgement)
    right = width - _MARGIN - text_width(figures)
    bar = _bar(judgement, 120, 10)
    if bar is not None and right - left > _ROOM_FOR_BAR:
        right -= bar.shape[1] + 12
        strip[middle - 5 : middle + 5, right : right + bar.shape[1]] = bar
        draw_text(strip, figures, right + bar.shape[1] + 12, middle + 5)
    else:
        figures = shortened(figures, (width - _MARGIN - left) * 3 // 5)
        right = width - _MARGIN - text_width(figures)
        draw_text(strip, figures, right, middle + 5)
    draw_text(strip, shortened(part_id, right - left - 32, bold=True), left + 14, middle + 5, bold=True)


def _figures(judgement: Judgement) -> str:
    if judgement.similarity is None or judgement.threshold is None:
        return judgement.reason or ""
    sign = "<" if judgement.similarity < judgement.threshold else ">="
    return f"similarity {judgement.similarity:.3f} {sign} {judgement.threshold:.3f}"


def _bar(judgement: Judgement, width: int, height: int) -> Picture | None:
    """Similarity from 0 to 1 as a filled bar, with a mark at the threshold."""
    if judgement.similarity is None:
        return None
    bar = _blank(height, width, (58, 62, 71))
    bar[:, : round(judgement.similarity * width)] = VERDICT_COLOURS[judgement.verdict]
    if judgement.threshold is not None:
        place = round(judgement.threshold * (width - 2))
        bar[:, max(place - 1, 0) : place + 2] = INK
    cv2.rectangle(bar, (0, 0), (width - 1, height - 1), BACKGROUND, 1)
    return bar


def _draw_legend(strip: Picture, right: int, top: int, threshold: float | None) -> None:
    """The colour scale, ending at `right`: 0, threshold, 1."""
    scale = draw_scale(90, 8, threshold)
    left = right - 90 - 12
    strip[top : top + 8, left : left + 90] = scale
    draw_text(strip, "0", left - 11, top + 9, size=12, colour=MUTED)
    draw_text(strip, "1", right - 8, top + 9, size=12, colour=MUTED)


def _fit(picture: Picture, height: int) -> float:
    return float(min(height / picture.shape[0], _WIDEST * height / picture.shape[1]))


def _resized(picture: Picture, scale: float) -> Picture:
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _panel(picture: Picture, height: int) -> Picture:
    """The picture in the middle of a panel `height` pixels high, no narrower than can carry its heading."""
    panel = _blank(height, max(picture.shape[1], round(_NARROWEST * height)), (36, 39, 46))
    top, left = (height - picture.shape[0]) // 2, (panel.shape[1] - picture.shape[1]) // 2
    panel[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return panel


def _cell_height(pictures: Sequence[Picture], width: int) -> int:
    """The height at which all fit into `width`, unless a few very flat ones would make the others tiny."""
    heights = [width * picture.shape[0] / picture.shape[1] for picture in pictures]
    return max(1, round(max(min(heights), 0.6 * float(np.median(heights))))) if heights else 1


def _cell(picture: Picture, width: int, height: int, caption: str | None) -> Picture:
    scaled = _resized(picture, min(width / picture.shape[1], height / picture.shape[0]))[:height, :width]
    cell = _blank(height + (0 if caption is None else 28), width)
    cell[: scaled.shape[0], : scaled.shape[1]] = scaled
    if caption is not None:
        draw_text(cell, shortened(caption, width - 8), 2, height + 19)
    return cell


def _row(cells: Sequence[NDArray[np.uint8]], width: int) -> Picture:
    row = _blank(max(cell.shape[0] for cell in cells) + _MARGIN, width)
    left = _MARGIN
    for cell in cells:
        row[: cell.shape[0], left : left + cell.shape[1]] = cell
        left += cell.shape[1] + _GAP
    return row


def _blank(height: int, width: int, colour: Colour = BACKGROUND) -> Picture:
    return np.full((height, width, 3), colour, np.uint8)
