"""Eight kinds of defects: four of mounting, four of the board's surface.

The smallest ones, at 512 pixels a frame (10.7 a millimetre; half of that in the 256 that an inspection sees): a part
0.5 mm, a chip 14 or an IC 6 degrees off its place, a solder bridge of 0.6 x 0.8 mm, a scratch of 0.3 x 5 mm, a fibre of
0.24 x 5 mm or a blob of 1.4 mm, a track cut over 0.9 mm, a bite of 1.2 mm out of the board's edge. A wrong part differs
in body colour or in the whole of its marking, whose letters are 0.8 mm tall or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np

from pipeline.simulator import layout
from pipeline.simulator.assembly import Mounted
from pipeline.simulator.parts import Part, PartKind


class DefectKind(StrEnum):
    """What can be wrong with a board."""

    MISSING_PART = "missing_part"
    MISPLACED_PART = "misplaced_part"
    WRONG_PART = "wrong_part"
    TOMBSTONE = "tombstone"
    SOLDER_BRIDGE = "solder_bridge"
    SCRATCH = "scratch"
    CONTAMINATION = "contamination"
    BROKEN_TRACE = "broken_trace"


CHIPS = frozenset({PartKind.RESISTOR, PartKind.CAPACITOR, PartKind.LED})
FIXED = frozenset({PartKind.USB, PartKind.HEADER, PartKind.SOCKET, PartKind.TRIMMER})
POLAR = frozenset({PartKind.DUAL_ROW, PartKind.QUAD, PartKind.CAN, PartKind.TANTALUM})

ZERO_OHM = Part(kind=PartKind.RESISTOR, width=2.0, height=1.25, marking=("000",))
BLUE_LED = replace(layout.GREEN_LED, colour=(70, 120, 235))
DARK_CAPACITOR = replace(layout.C100N, colour=(92, 74, 66))
SUBSTITUTES: dict[Part, tuple[Part, ...]] = {
    layout.R10K: (layout.C100N, layout.C22P),
    layout.R4K7: (layout.C100N, DARK_CAPACITOR),
    layout.R330: (layout.C100N,),
    layout.C100N: (ZERO_OHM, layout.R10K, DARK_CAPACITOR),
    layout.C22P: (layout.R4K7, DARK_CAPACITOR),
    layout.GREEN_LED: (layout.RED_LED, BLUE_LED),
    layout.RED_LED: (layout.GREEN_LED, BLUE_LED),
    layout.TANTALUM: (
        replace(layout.TANTALUM, colour=(58, 56, 54), marking=("476", "25V")),
        replace(layout.TANTALUM, colour=(214, 120, 60), marking=("336", "10V")),
    ),
    layout.INDUCTOR: (
        replace(layout.INDUCTOR, colour=(112, 110, 106), marking=("4R7",)),
        replace(layout.INDUCTOR, marking=("331",)),
    ),
    layout.OPAMP: (
        replace(layout.OPAMP, marking=("NE555", "T82")),
        replace(layout.OPAMP, colour=(70, 68, 66), marking=("TL072", "CN")),
    ),
    layout.DRIVER: (
        replace(layout.DRIVER, marking=("ULN2003", "7K")),
        replace(layout.DRIVER, colour=(68, 66, 64), marking=("CD4011", "BM 96")),
    ),
    layout.CONTROLLER: (
        replace(layout.CONTROLLER, marking=("ATX", "328")),
        replace(layout.CONTROLLER, colour=(66, 65, 66), marking=("STC", "15W4", "0451")),
    ),
    layout.CAN: (replace(layout.CAN, marking=("47", "50V"), colour=(150, 62, 40)),),
    layout.CRYSTAL: (replace(layout.CRYSTAL, marking=("8.0",)), replace(layout.CRYSTAL, colour=(206, 176, 110))),
    layout.TRIMMER: (
        replace(layout.TRIMMER, colour=(226, 226, 220)),
        replace(layout.TRIMMER, colour=(52, 128, 74), marking=("W502",)),
    ),
}


def spoil_mounting(kind: DefectKind, mounted: Sequence[Mounted], random: np.random.Generator) -> list[Mounted]:
    """Spoil one component; the mounting is returned as it was for the kinds that concern the surface."""
    match kind:
        case DefectKind.MISSING_PART:
            wanted = [m for m in mounted if m.part.kind is not PartKind.HEADER]
        case DefectKind.MISPLACED_PART:
            wanted = [m for m in mounted if m.part.kind not in FIXED]
        case DefectKind.WRONG_PART:
            bought = list(SUBSTITUTES)[int(random.integers(len(SUBSTITUTES)))]
            wanted = [m for m in mounted if m.part == bought]
        case DefectKind.TOMBSTONE:
            wanted = [m for m in mounted if m.part.kind in CHIPS]
        case _:
            return list(mounted)
    chosen = wanted[int(random.integers(len(wanted)))]
    spoilt = _spoilt(kind, replace(chosen, faulty=True), random)
    return [spoilt if m is chosen else m for m in mounted]


def _spoilt(kind: DefectKind, good: Mounted, random: np.random.Generator) -> Mounted:
    match kind:
        case DefectKind.MISSING_PART:
            return replace(good, absent=True)
        case DefectKind.TOMBSTONE:
            return replace(good, standing=True, turn=good.turn + 2 * int(random.integers(2)))
        case DefectKind.WRONG_PART:
            choice = SUBSTITUTES[good.part]
            return replace(good, part=choice[int(random.integers(len(choice)))])
        case _:
            return _misplaced(good, random)


def _misplaced(good: Mounted, random: np.random.Generator) -> Mounted:
    """Shifted, turned askew, or (where it matters) mounted the wrong way round."""
    if good.part.kind in POLAR and random.random() < 0.4:  # noqa: PLR2004 - two in five
        return replace(good, turn=good.turn + 2)
    chip = good.part.kind in CHIPS or good.part.kind is PartKind.TRANSISTOR
    heading, side = random.uniform(0, 2 * np.pi), float(random.choice((-1, 1)))
    if random.random() < 0.5:  # noqa: PLR2004 - one in two
        angle, shift = side * random.uniform(*((14, 42) if chip else (6, 14))), random.uniform(0.1, 0.4)
    else:
        angle, shift = side * random.uniform(0, 4), random.uniform(0.55, 1.0)
    dx, dy = good.dx + shift * float(np.cos(heading)), good.dy + shift * float(np.sin(heading))
    return replace(good, angle=good.angle + float(angle), dx=dx, dy=dy)
