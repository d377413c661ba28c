"""Pictures to enrol, and the call that enrols them, for the tests of reference sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from bad_inputs import drawn_part, encoded

from pipeline.enrolment import EnrolmentReport, enrol_goldens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_pictures(folder: Path) -> list[Path]:
    """Six pictures of good parts, each a little different."""
    folder.mkdir()
    for index in range(6):
        noise = np.random.default_rng(index).normal(0, 4, (72, 96, 3))
        image = np.clip(np.roll(drawn_part(), index % 3, axis=1) + noise, 0, 255).astype(np.uint8)
        (folder / f"{index}.png").write_bytes(encoded(image, "PNG"))
    return sorted(folder.iterdir())


def enrol(references: Path, files: Sequence[Path], **options: object) -> EnrolmentReport:
    """Enrol them as the product "gear", by "anna", unless told otherwise."""
    return enrol_goldens(references, files=files, **({"product": "gear", "added_by": "anna"} | options))
