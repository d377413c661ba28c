"""A simulated line under a triggered camera: drawn boards, some with a defect, at a steady rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.cameras.camera import Shot
from pipeline.cameras.problems import CameraSetupError
from pipeline.cameras.trigger import Trigger
from pipeline.simulator import DefectKind, LineSimulator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.cameras.trigger import Outage

FIRST_BOARD = 2_000_000  # no board of `pipeline.simulator.files` has such a number, so that none is a golden
MOST_BYTES = 512_000_000  # of drawn boards in memory


class SimulatedCamera:
    """Boards of `pipeline.simulator` as a triggered camera gives them; what is not read in time is lost.

    `boards` different ones are drawn at the first `open`, then shown again and again; `number` goes on.

    Args:
        seed: of the simulated line; the design follows from it.
        frames_per_second: how often a board comes.
        defects: share of the boards that has a defect, 0 to 1.
        size: side of the frames in pixels.
        boards: how many different boards there are.
        frames: after how many frames the line ends; None: never.
        outages: when the camera does not answer.

    Raises:
        CameraSetupError: a value is out of range, or the boards would need more than half a gigabyte.
    """

    live = True
    every_frame_a_part = True

    def __init__(  # noqa: PLR0913 - what a simulated line is
        self,
        *,
        seed: int = 7,
        frames_per_second: float = 5.0,
        defects: float = 0.1,
        size: int = 512,
        boards: int = 60,
        frames: int | None = None,
        outages: Sequence[Outage] = (),
    ) -> None:
        self.name = f"simulated line {seed}"
        if not 0 <= defects <= 1 or seed < 0 or not 1 <= boards <= MOST_BYTES // (3 * max(size, 1) ** 2):
            message = (
                f"{self.name}: seed is 0 or more, defects a share from 0 to 1, and boards 1 or more that fit into "
                f"{MOST_BYTES // 1_000_000} MB; asked for were {seed}, {defects} and {boards} of {size} pixels a side"
            )
            raise CameraSetupError(message)
        self._seed, self._size = seed, size
        self._defects = _fates(seed, boards, defects)
        self._boards: list[NDArray[np.uint8]] = []
        self._trigger = Trigger(name=self.name, frames_per_second=frames_per_second, frames=frames, outages=outages)

    def open(self) -> None:
        """Draw the boards, once (some seconds), and start the line.

        Raises:
            CameraLostError: it simulates an outage.
            GoldentwinError: the size is too small for the defects to be seen.
        """
        if not self._boards:
            line = LineSimulator(self._seed, self._size)
            self._boards = [line.frame(FIRST_BOARD + i, defect).image for i, defect in enumerate(self._defects)]
        self._trigger.open()

    def read(self, seconds: float) -> Shot | None:
        """The next board's picture; None where none comes within `seconds`.

        Raises:
            CameraLostError: it simulates an outage, or is not open.
            EndOfFramesError: all frames were given.
        """
        tick = self._trigger.wait(seconds)
        if tick is None:
            return None
        image = self._boards[tick.number % len(self._boards)].copy()
        return Shot(image=image, captured_at=tick.captured_at, captured=tick.captured, number=tick.number)

    def close(self) -> None:
        """Stop reading; the line goes on."""
        self._trigger.close()

    def defect(self, number: int) -> DefectKind | None:
        """What is wrong with the board of a frame's number; None on a good one."""
        return self._defects[number % len(self._defects)]


def _fates(seed: int, boards: int, share: float) -> list[DefectKind | None]:
    lots = np.random.default_rng([seed, FIRST_BOARD])
    kinds = list(DefectKind)
    return [kinds[lots.integers(len(kinds))] if lots.random() < share else None for _ in range(boards)]
