"""What stands where on the board, and which pads its copper joins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.simulator.parts import Part, PartKind, Placement
from pipeline.simulator.routing import Land, Point, Router, Trace, length

BOARD_WIDTH, BOARD_HEIGHT = 42.0, 40.0
HOLES: tuple[Point, ...] = ((-18.2, -17.2), (18.2, -17.2), (-18.2, 17.2), (18.2, 17.2))
HOLE_RADIUS, RING_RADIUS = 1.6, 2.6
FIDUCIALS: tuple[Point, ...] = ((17.6, -11.6), (-14.3, 15.6))
TEST_POINTS: tuple[Point, ...] = ((-5.6, 0.9), (-5.6, 3.3), (13.3, 9.2), (-15.2, -3.8))
TRACE_WIDTH = 0.34
SHORTEST_TRACE = 2.0

R10K = Part(kind=PartKind.RESISTOR, width=2.0, height=1.25, marking=("103",))
R4K7 = Part(kind=PartKind.RESISTOR, width=2.0, height=1.25, marking=("472",))
R330 = Part(kind=PartKind.RESISTOR, width=2.0, height=1.25, marking=("331",))
SHUNT = Part(kind=PartKind.RESISTOR, width=3.2, height=1.6, marking=("R100",), colour=(40, 42, 46))
C100N = Part(kind=PartKind.CAPACITOR, width=2.0, height=1.25, colour=(178, 142, 106))
C22P = Part(kind=PartKind.CAPACITOR, width=2.0, height=1.25, colour=(150, 148, 140))
GREEN_LED = Part(kind=PartKind.LED, width=3.2, height=1.6, colour=(96, 206, 112))
RED_LED = Part(kind=PartKind.LED, width=3.2, height=1.6, colour=(226, 70, 58))
TANTALUM = Part(kind=PartKind.TANTALUM, width=6.0, height=3.2, colour=(224, 166, 48), marking=("107", "16V"))
INDUCTOR = Part(kind=PartKind.INDUCTOR, width=6.0, height=6.0, colour=(60, 60, 62), marking=("100",))
NPN = Part(kind=PartKind.TRANSISTOR, width=2.9, height=1.4, marking=("1AM",))
OPAMP = Part(kind=PartKind.DUAL_ROW, width=4.9, height=3.9, pins=4, marking=("LM358", "D 2417"))
DRIVER = Part(kind=PartKind.DUAL_ROW, width=8.65, height=3.9, pins=7, marking=("74HC125D", "PX 2408"))
CONTROLLER = Part(kind=PartKind.QUAD, width=7.0, height=7.0, pins=8, marking=("GT32F", "103 K8", "2419 B"))
CAN = Part(kind=PartKind.CAN, width=6.6, height=6.6, marking=("220", "16V"))
CRYSTAL = Part(kind=PartKind.CRYSTAL, width=10.0, height=4.6, colour=(188, 189, 190), marking=("16.000",))
HEADER = Part(kind=PartKind.HEADER, width=20.32, height=2.5, pins=8, colour=(42, 42, 44))
SOCKET = Part(kind=PartKind.SOCKET, width=10.0, height=4.8, pins=4, colour=(228, 220, 196))
USB = Part(kind=PartKind.USB, width=7.6, height=5.5)
TRIMMER = Part(kind=PartKind.TRIMMER, width=6.0, height=6.0, colour=(40, 92, 176), marking=("W103",))

SITES: tuple[tuple[str, Part, float, float, int], ...] = (
    ("C1", CAN, -11.4, -14.9, 1),
    ("C2", CAN, -4.0, -14.9, 1),
    ("L1", INDUCTOR, 3.8, -15.0, 0),
    ("RV1", TRIMMER, 11.4, -15.0, 0),
    ("C9", TANTALUM, -17.6, -8.9, 1),
    ("U3", DRIVER, -9.0, -5.4, 0),
    ("U1", CONTROLLER, 4.4, -3.0, 0),
    ("J2", SOCKET, 18.2, -2.6, 1),
    ("J1", USB, -18.8, 1.0, 3),
    ("Y1", CRYSTAL, 4.4, 5.3, 0),
    ("U2", OPAMP, -10.6, 9.2, 0),
    ("J3", HEADER, 2.4, 17.6, 0),
    ("Q1", NPN, -12.4, 1.8, 0),
    ("Q2", NPN, 16.3, 5.8, 1),
    ("Q3", NPN, 16.3, 10.0, 1),
    ("D1", GREEN_LED, -17.5, 8.2, 0),
    ("D2", RED_LED, -17.5, 11.8, 0),
    ("D3", GREEN_LED, 16.6, 13.4, 0),
    ("R20", SHUNT, -11.0, 17.4, 0),
    ("R1", R10K, 11.5, -9.4, 0),
    ("R2", R10K, 11.5, -7.1, 0),
    ("R3", R4K7, 11.5, -4.8, 0),
    ("R4", R4K7, 11.5, -2.5, 0),
    ("R5", R330, 11.5, -0.2, 0),
    ("C3", C100N, -2.7, -6.4, 1),
    ("C4", C100N, -2.7, -1.6, 1),
    ("C5", C100N, 1.2, -9.7, 0),
    ("C6", C100N, 6.8, -9.7, 0),
    ("C7", C22P, -3.4, 5.6, 1),
    ("C8", C22P, 12.2, 5.6, 1),
    ("R6", R330, -8.2, 2.4, 1),
    ("R7", R4K7, -5.0, 10.3, 0),
    ("R8", R10K, -5.0, 13.1, 0),
    ("C10", C100N, -0.4, 10.3, 0),
    ("C11", C100N, 4.2, 10.3, 0),
    ("R9", R330, 8.8, 10.3, 0),
    ("R10", R10K, -0.4, 13.1, 0),
    ("R11", R4K7, 4.2, 13.1, 0),
    ("C12", C100N, 8.8, 13.1, 0),
    ("C13", C100N, -11.2, -0.7, 0),
)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A board's parts, traces and vias; lengths in millimetres from the board's centre, y down."""

    placements: tuple[Placement, ...]
    traces: tuple[Trace, ...]
    vias: tuple[Point, ...]


def lay_out(seed: int) -> Layout:
    """Place the parts and route their copper; the routing depends on the seed."""
    placements = tuple(Placement(name=name, part=part, x=x, y=y, turn=turn) for name, part, x, y, turn in SITES)
    random = np.random.default_rng([seed, 1])
    lands: list[Land] = []
    owner: list[int] = []
    for number, placement in enumerate(placements):
        lands += placement.lands()
        owner += [number] * (len(lands) - len(owner))
    router = Router(BOARD_WIDTH, BOARD_HEIGHT, lands, _closed())
    traces = _join_lands(router, lands, owner, random)
    more, vias = _escape(router, len(lands), random)
    return Layout(placements=placements, traces=tuple(traces + more), vias=tuple(vias))


def _closed() -> list[Land]:
    rings = [(x, y, 2 * RING_RADIUS, 2 * RING_RADIUS) for x, y in HOLES]
    return rings + [(x, y, 2.0, 2.0) for x, y in FIDUCIALS] + [(x, y, 1.6, 1.6) for x, y in TEST_POINTS]


def _join_lands(router: Router, lands: list[Land], owner: list[int], random: np.random.Generator) -> list[Trace]:
    """Join each land with one of the nearest of other parts, short ways first."""
    places = np.array([land[:2] for land in lands])
    wishes = []
    for start in random.permutation(len(lands)):
        apart = np.hypot(*(places - places[start]).T) + random.uniform(0, 5, len(lands))
        apart[np.array(owner) == owner[start]] = np.inf
        wishes.append((float(apart.min()), int(start), int(apart.argmin())))
    used: set[int] = set()
    traces = []
    for _, start, goal in sorted(wishes):
        if start in used or goal in used:
            continue
        points = router.join(start, goal)
        if points is not None and length(points) > SHORTEST_TRACE:
            used |= {start, goal}
            traces.append(Trace(points=points, width=TRACE_WIDTH))
    return traces


def _escape(router: Router, count: int, random: np.random.Generator) -> tuple[list[Trace], list[Point]]:
    """Lead some lands to vias, as if they went on in an inner layer."""
    traces, vias = [], []
    for start in random.permutation(count)[: count * 2 // 3]:
        via = router.via(int(start), random)
        points = None if via is None else router.join(int(start), via)
        if via is not None and points is not None and len(points) > 1:
            traces.append(Trace(points=points, width=TRACE_WIDTH))
            vias.append(router.place(via))
    return traces, vias
