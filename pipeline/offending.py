"""Pictures of the parts that stand in a challenger's way: what the champion sees above what the challenger sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspection.overlay import contact_sheet, draw_strip
from pipeline.evidence import write_evidence
from pipeline.reading import read_frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from inspection.inspector import Inspector
    from pipeline.contest import Held
    from pipeline.gates import Compared, Gate

MOST_PICTURES = 12
_WIDTH = 1200


def draw_offending(folder: Path, held: Held, gates: Sequence[Gate]) -> dict[str, Path]:
    """Draw the first offending parts of each gate that is not passed; gives the files by artifact path.

    Raises:
        RecordsError: a picture can't be written.
    """
    found = {part.name: (frame, part) for frame, part in zip(held.frames, held.parts, strict=True)}
    drawn: dict[str, Path] = {}
    for gate in gates:
        for name in gate.offending[:MOST_PICTURES]:
            frame, part = found[name]
            read = read_frame(frame.file)
            if read.image is None:
                continue
            strips = [
                _strip(inspector, read.image, f"{role}: {name}")
                for role, inspector in (("champion", held.champion), ("challenger", held.challenger_inspector))
            ]
            sheet = contact_sheet(strips, columns=1, cell_width=_WIDTH, title=f"{gate.name}: {_title(part)}")
            path = write_evidence(folder / gate.name, name, sheet)
            drawn[f"refused/{gate.name}/{path.name}"] = path
    return drawn


def _strip(inspector: Inspector, image: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    (judgement,) = inspector.judge([image])
    golden = inspector.gallery.nearest(image, judgement.matrix)
    return draw_strip(golden.picture, image, judgement, part_id=caption, golden_name=golden.name)


def _title(part: Compared) -> str:
    logged = f", logged model {part.logged.verdict}" if part.logged is not None else ""
    return f"{part.name}: champion {part.champion.verdict}, challenger {part.challenger.verdict}{logged}"
