"""A small autorouter: copper traces that join pads without touching one another."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Land = tuple[float, float, float, float]
Cell = tuple[int, int]

CELL = 0.6  # millimetres between neighbouring tracks
STEPS: tuple[Cell, ...] = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
BEND = 0.9  # what 45 degrees of bend cost, in cells
EFFORT = 2500  # cells looked at before a net is given up


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A copper track: its corners and width in millimetres from the board's centre."""

    points: tuple[Point, ...]
    width: float


class Router:
    """Finds ways on a grid over a board of `width` x `height` millimetres; each way taken is closed to the next."""

    def __init__(self, width: float, height: float, lands: list[Land], closed: list[Land]) -> None:
        self.origin = (-width / 2 + 1.0, -height / 2 + 1.0)
        self.shape = (int((height - 2.0) / CELL) + 1, int((width - 2.0) / CELL) + 1)
        self.taken: NDArray[np.int32] = np.full(self.shape, -1, np.int32)
        self.home: list[list[Cell]] = []
        for number, land in enumerate([*lands, *closed]):
            cells = self._cells(land)
            for row, column in cells:
                self.taken[row, column] = number
            self.home.append(cells)

    def join(self, start: int, goal: int) -> tuple[Point, ...] | None:
        """Corners in millimetres of a track from one land to another (by number), or None where no way is left."""
        cells = self._search(start, goal)
        if cells is None:
            return None
        net = 10_000 + start
        for row, column in cells:
            if self.taken[row, column] < 0:
                self.taken[row, column] = net
        corners = [cells[0]]
        for before, here, after in zip(cells, cells[1:], cells[2:], strict=False):
            if (here[0] - before[0], here[1] - before[1]) != (after[0] - here[0], after[1] - here[1]):
                corners.append(here)
        return tuple(self._point(cell) for cell in [*corners, cells[-1]])

    def via(self, start: int, random: np.random.Generator) -> int | None:
        """Open a via some millimetres from a land; its number as a new land, or None where there is no room."""
        row, column = self.home[start][0]
        for _ in range(12):
            there = row + int(random.integers(-7, 8)), column + int(random.integers(-7, 8))
            if self._room(there):
                self.home.append([there])
                self.taken[there] = len(self.home) - 1
                return len(self.home) - 1
        return None

    def place(self, number: int) -> Point:
        """Middle of a land in millimetres."""
        return self._point(self.home[number][0])

    def _room(self, cell: Cell) -> bool:
        row, column = cell
        inside = 1 <= row < self.shape[0] - 1 and 1 <= column < self.shape[1] - 1
        return inside and bool((self.taken[row - 1 : row + 2, column - 1 : column + 2] < 0).all())

    def _cells(self, land: Land) -> list[Cell]:
        x, y, width, height = land
        grow = 0.22
        columns = self._span(
            (x - width / 2 - grow - self.origin[0]) / CELL, (x + width / 2 + grow - self.origin[0]) / CELL
        )
        rows = self._span(
            (y - height / 2 - grow - self.origin[1]) / CELL, (y + height / 2 + grow - self.origin[1]) / CELL
        )
        inside = [(r, c) for r in rows for c in columns if 0 <= r < self.shape[0] and 0 <= c < self.shape[1]]
        return inside or [self._nearest(x, y)]

    @staticmethod
    def _span(low: float, high: float) -> range:
        return range(int(np.ceil(low)), int(np.floor(high)) + 1)

    def _nearest(self, x: float, y: float) -> Cell:
        row = int(np.clip(round((y - self.origin[1]) / CELL), 0, self.shape[0] - 1))
        column = int(np.clip(round((x - self.origin[0]) / CELL), 0, self.shape[1] - 1))
        return row, column

    def _point(self, cell: Cell) -> Point:
        return self.origin[0] + cell[1] * CELL, self.origin[1] + cell[0] * CELL

    def _search(self, start: int, goal: int) -> list[Cell] | None:
        """A* over cells and headings (Hart, Nilsson, Raphael 1968)."""
        ends = set(self.home[goal])
        centre = np.mean(self.home[goal], axis=0)
        first = self.home[start][len(self.home[start]) // 2]
        queue: list[tuple[float, float, Cell, int]] = [(0.0, 0.0, first, -1)]
        came: dict[tuple[Cell, int], tuple[Cell, int] | None] = {(first, -1): None}
        best: dict[tuple[Cell, int], float] = {(first, -1): 0.0}
        for _ in range(EFFORT):
            if not queue:
                return None
            _, cost, cell, heading = heapq.heappop(queue)
            if cell in ends:
                return _walk_back(came, (cell, heading))
            for turn, (down, right) in enumerate(STEPS):
                bend = 0 if heading < 0 else min((turn - heading) % 8, (heading - turn) % 8)
                there = (cell[0] + down, cell[1] + right)
                if bend > 1 or not self._free(there, start, goal):
                    continue
                spent = cost + float(np.hypot(down, right)) + BEND * bend
                key = (there, turn)
                if spent < best.get(key, np.inf):
                    best[key], came[key] = spent, (cell, heading)
                    left = float(np.hypot(there[0] - centre[0], there[1] - centre[1]))
                    heapq.heappush(queue, (spent + left, spent, there, turn))
        return None

    def _free(self, cell: Cell, start: int, goal: int) -> bool:
        row, column = cell
        if not (0 <= row < self.shape[0] and 0 <= column < self.shape[1]):
            return False
        return self.taken[row, column] in (-1, start, goal)


def length(points: tuple[Point, ...]) -> float:
    """Length of a track in millimetres."""
    return sum(float(np.hypot(b[0] - a[0], b[1] - a[1])) for a, b in pairwise(points))


def _walk_back(
    came: dict[tuple[Cell, int], tuple[Cell, int] | None],
    last: tuple[Cell, int],
) -> list[Cell]:
    cells: list[Cell] = []
    here: tuple[Cell, int] | None = last
    while here is not None:
        cells.append(here[0])
        here = came[here]
    return cells[::-1]
