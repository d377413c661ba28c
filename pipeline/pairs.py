"""Pair manifests: a CSV in which each frame names its own golden.

Columns `frame, golden[, label, part_id, boxes, group]`; NVIDIA TAO's `input_path, golden_path, label, object_name` are
read too. Paths are relative to the manifest's folder.
"""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inspection.boxes import Box
from inspection.errors import PairsError
from pipeline.labelled import GOOD
from pipeline.reading import FRAME_SUFFIXES, Frame, FrameFile, natural_order, read_frame

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SAME: Final = frozenset({"1", "good", "ok", "pass", "same", "true"})
"""Labels that say that frame and golden are the same (in any case); `1` is same, as everywhere in goldentwin."""
DEFECT: Final = "defect"
"""The label of a defective part whose defect has no name."""
_UNNAMED: Final = frozenset({"0", "defect", "defective", "different", "fail", "false", "ng", "no_pass"})
_TAO: Final = {"input_path": "frame", "golden_path": "golden", "object_name": "part_id"}
_BOX_NUMBERS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One row.

    `label` is `good`, the type of defect, `defect`, or None where nothing is said; `boxes` are in pixels of the frame,
    None where nothing is said of them, which is not the same as none. `group` is what pairs have in common that new
    parts will not share, a board or a lot; None where nothing is said.
    """

    frame: FrameFile
    golden: Path
    label: str | None
    boxes: tuple[Box, ...] | None
    group: str | None = None

    @property
    def defective(self) -> bool | None:
        """Whether the part has a defect; None where it is not known."""
        if self.label is not None:
            return self.label != GOOD
        return None if self.boxes is None else bool(self.boxes)

    @property
    def same_everywhere(self) -> bool:
        """Whether it is known that there is no defect anywhere."""
        return self.defective is False


def read_pairs(path: Path) -> list[Pair]:
    """Read a pair manifest.

    Raises:
        PairsError: no such file, no CSV, a missing column or path, or a box that is none; names line and remedy.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"the pair manifest {path} can't be read: {error}"
        raise PairsError(message) from error
    reader = csv.DictReader(text.splitlines())
    columns = {_TAO.get(name.strip(), name.strip()): name for name in reader.fieldnames or ()}
    if missing := [name for name in ("frame", "golden") if name not in columns]:
        message = (
            f"{path} has no column {missing[0]!r}; a pair manifest has the columns frame, golden and, if known, label, "
            "part_id, boxes and group (or NVIDIA TAO's input_path, golden_path, label, object_name)"
        )
        raise PairsError(message)
    pairs = []
    for row in reader:
        cells = {name: (row.get(column) or "").strip() for name, column in columns.items()}
        if any(cells.values()):
            pairs.append(_pair(path, reader.line_num, cells))
    if not pairs:
        message = f"{path} names no pair"
        raise PairsError(message)
    return pairs


def read_pair(pair: Pair) -> tuple[Frame, Frame]:
    """Decode frame and golden; bad input raises nothing, see `read_frame`."""
    return read_frame(pair.frame), read_golden(pair)


def read_golden(pair: Pair) -> Frame:
    """Decode the golden alone."""
    return read_frame(FrameFile(frame=pair.golden.name, path=pair.golden, part_id=pair.golden.stem))


def digest_of_pairs(pairs: list[Pair], manifest: Path) -> str:
    """12 hex digits over what the manifest and its frames and goldens say."""
    found = hashlib.sha256(manifest.read_bytes())
    for pair in pairs:
        for path in (pair.frame.path, pair.golden):
            found.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"missing")
    return found.hexdigest()[:12]


def _pair(manifest: Path, line: int, cells: Mapping[str, str]) -> Pair:
    where = f"line {line} of {manifest}"
    if not cells["frame"] or not cells["golden"]:
        message = f"{where} names no {'frame' if not cells['frame'] else 'golden'}"
        raise PairsError(message)
    part = cells.get("part_id", "")
    path, golden = (_image(manifest.parent / cells[name], part) for name in ("frame", "golden"))
    name = cells["frame"] if path == manifest.parent / cells["frame"] else f"{cells['frame']}/{path.name}"
    return Pair(
        frame=FrameFile(frame=name, path=path, part_id=part or path.stem),
        golden=golden,
        label=_label(cells.get("label", "")),
        boxes=_boxes(manifest.parent, cells.get("boxes", ""), where),
        group=cells.get("group") or None,
    )


def _image(path: Path, part: str) -> Path:
    """The path itself, or where it is a folder, as TAO names it, the picture of that part in it."""
    if not path.is_dir() or not part:
        return path
    found = [file for file in path.iterdir() if file.stem.startswith(part) and file.suffix.lower() in FRAME_SUFFIXES]
    exact = [file for file in found if file.stem == part]
    return min(exact or found, key=lambda file: natural_order(file.name), default=path / part)


def _label(cell: str) -> str | None:
    if not cell:
        return None
    if cell.lower() in SAME:
        return GOOD
    return DEFECT if cell.lower() in _UNNAMED else cell


def _boxes(folder: Path, cell: str, where: str) -> tuple[Box, ...] | None:
    """Boxes from a text file of lines `x1 y1 x2 y2 type`, or from the cell itself, where `;` parts them."""
    if not cell:
        return None
    text = cell.replace(";", "\n")
    if not re.match(r"\s*-?[0-9.]+[\s,]+-?[0-9.]+[\s,]+", cell):
        try:
            text = (folder / cell).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"{where}: the boxes {cell!r} can't be read: {error}"
            raise PairsError(message) from error
    return tuple(_box(line, where) for line in text.splitlines() if line.strip())


def _box(line: str, where: str) -> Box:
    values = re.split(r"[\s,]+", line.strip())
    try:
        left, top, right, bottom = (float(value) for value in values[:_BOX_NUMBERS])
    except ValueError:
        left = top = right = bottom = 0.0
    if right <= left or bottom <= top:
        message = f"{where}: {line.strip()!r} is no box; write x1 y1 x2 y2 and, if known, the type"
        raise PairsError(message)
    return Box(left, top, right, bottom, type=values[_BOX_NUMBERS] if len(values) > _BOX_NUMBERS else None)
