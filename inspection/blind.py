"""What a reviewer sees who is not to know what the machine said: the same kind of picture for every part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inspection.calibration.scale import HALF_SIMILARITY_DISTANCE
from inspection.decision import find_regions
from inspection.heat import golden_to_map
from inspection.lettering import MUTED, draw_text, shortened
from inspection.overlay import BACKGROUND, draw_panels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspection.lettering import Picture
    from inspection.verdicts import Judgement

_DEPTH = 0.35  # how far up from the least to the middle similarity a place still counts as one to look at
_MOST_SHOWN = 3
_LOWEST = 1e-6
_PANELS = 4
_HEADING, _GAP = 30, 10


def blinded(judgement: Judgement, frame_size: tuple[int, int], golden_size: tuple[int, int]) -> Judgement:
    """The judgement with the places that differ most in this picture, whether they lie below the threshold or not.

    The level lies a fixed way between the least similar place and the middle one, so that a flagged part and one that
    passed look alike: up to three places are outlined, and the colours tell nothing of the threshold.

    Args:
        judgement: of a compared frame, with its similarity map; without one it is only stripped of its regions.
        frame_size: (height, width) of the delivered frame.
        golden_size: (height, width) of the golden that the judgement's matrix maps to.
    """
    similarity = judgement.similarity_map
    if similarity is None:
        return replace(judgement, regions=(), threshold=None)
    similarity = np.clip(np.nan_to_num(similarity, nan=1.0), _LOWEST, 1.0).astype(np.float32)
    least, middle = float(similarity.min()), float(np.median(similarity))
    level = least + _DEPTH * (middle - least)
    distances = np.asarray(HALF_SIMILARITY_DISTANCE * np.sqrt(1.0 / similarity - 1.0), np.float32)
    beyond = HALF_SIMILARITY_DISTANCE * np.sqrt(1.0 / level - 1.0)
    height, width = frame_size
    if judgement.matrix is None:
        to_map = golden_to_map(similarity.shape, frame_size)
    else:
        to_map = golden_to_map(similarity.shape, golden_size) @ judgement.matrix
    regions = find_regions(distances, float(beyond), np.linalg.inv(to_map).astype(np.float64), (width, height))
    return replace(judgement, regions=regions[:_MOST_SHOWN], threshold=level)


def draw_blind(
    golden: Picture, frame: Picture, judgement: Judgement, *, golden_name: str = "", height: int = 420
) -> Picture:
    """The picture of a review pane, which is narrow: two panels a row, and no word of verdict or similarity.

    Golden and frame above; below the similarity map, and the place that differs most enlarged where it is small, else
    the frame without outlines.

    Args:
        golden: (H, W, 3) RGB uint8, the nearest golden, in the first golden's coordinates.
        frame: (h, w, 3) RGB uint8, as delivered.
        judgement: what was said of the frame, with its map.
        golden_name: shown above the golden.
        height: of a panel, in pixels.

    Returns:
        RGB uint8.
    """
    seen = blinded(judgement, frame.shape[:2], golden.shape[:2])
    panels = list(draw_panels(golden, frame, seen, golden_name=golden_name, height=height).items())
    if len(panels) < _PANELS:
        panels.append(("frame as it is", draw_panels(golden, frame, replace(seen, regions=()), height=height)["frame"]))
    rows = [_row(panels[:2]), _row(panels[2:])]
    width = max(row.shape[1] for row in rows)
    filled = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=BACKGROUND[0]) for row in rows]
    return np.vstack(filled).astype(np.uint8)


def _row(panels: Sequence[tuple[str, Picture]]) -> Picture:
    """Two panels side by side, each under its heading, centred in cells of one width."""
    width = max(panel.shape[1] for _, panel in panels)
    row = np.full((_HEADING + panels[0][1].shape[0], len(panels) * (width + _GAP), 3), BACKGROUND, np.uint8)
    for column, (name, panel) in enumerate(panels):
        left = column * (width + _GAP) + (width - panel.shape[1]) // 2
        row[_HEADING:, left : left + panel.shape[1]] = panel
        draw_text(row, shortened(name, width, size=15), left, _HEADING - 9, size=15, colour=MUTED)
    return row
