"""The simulated line: frame by frame, good boards and boards with a defect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspection.errors import GoldentwinError
from pipeline.simulator.assembly import Scene, good_mounting, occupied
from pipeline.simulator.board import draw_board
from pipeline.simulator.camera import expose, seen_mask, take
from pipeline.simulator.defects import DefectKind, spoil_mounting
from pipeline.simulator.surface_defects import spoil_surface

SMALLEST_SIZE = 192  # pixels; below it some defects vanish


@dataclass(frozen=True, kw_only=True)
class SimulatedFrame:
    """One picture of the line.

    `image` is (H, W, 3) uint8 RGB; `mask` is (H, W) bool in the same pixels, True on the defect and empty on a good
    board; `defect` is None on a good board; `seed` is the line's.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    defect: DefectKind | None
    seed: int


class LineSimulator:
    """A line that makes one board design under one camera; every frame follows from the seed and its number.

    The board's parts stand where `pipeline.simulator.layout` puts them; the seed decides its copper and all variation.
    Frames may be drawn in any order and from several threads.

    Args:
        seed: what all of it follows from.
        size: side of the square frames in pixels, at least 192; 512 is 10.7 pixels a millimetre.
        light: factor on the light, for a line that has changed (0.85 is 15 % darker).
        camera_shift: how far the camera was moved, right and down, in parts of the frame's side.

    Raises:
        GoldentwinError: the size is too small for the defects to be seen.
    """

    def __init__(
        self, seed: int, size: int = 512, *, light: float = 1.0, camera_shift: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        if size < SMALLEST_SIZE:
            message = f"a simulated frame has at least {SMALLEST_SIZE} pixels a side, not {size}; ask for more"
            raise GoldentwinError(message)
        self.seed = seed
        self.size = size
        self.light = light
        self.camera_shift = camera_shift
        self._design = draw_board(seed, size)
        self._occupied = occupied(self._design)

    def frame(self, number: int, defect: DefectKind | None = None) -> SimulatedFrame:
        """Draw frame `number`, good or with a defect.

        The same number gives the same board, pose, light and noise with and without a defect, so that two such frames
        differ in the defect alone.
        """
        on_board, at_camera = (np.random.default_rng([self.seed, number, use]) for use in (0, 1))
        scene = Scene(self._design, on_board)
        mounted = good_mounting(self._design.layout.placements, on_board)
        fate = np.random.default_rng([self.seed, number, 2])
        if defect is not None:
            fate = np.random.default_rng([self.seed, number, 2, list(DefectKind).index(defect)])
            mounted = spoil_mounting(defect, mounted, fate)
        for component in mounted:
            scene.mount(component)
        if defect is not None:
            spoil_surface(defect, scene, self._occupied, fate)
        side = scene.picture.shape[0]
        exposure = expose(at_camera, size=self.size, side=side, light=self.light, shift=self.camera_shift)
        return SimulatedFrame(
            image=take(scene.picture, exposure, self.size, at_camera),
            mask=seen_mask(scene.mask, exposure, self.size),
            defect=defect,
            seed=self.seed,
        )
