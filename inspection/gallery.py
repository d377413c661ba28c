"""Which golden a frame is most like, and its picture to put beside the frame."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from inspection.comparison import grid_side
from inspection.decoding import decode_image
from inspection.errors import ReferenceSetError
from inspection.golden_model import describe, working_image
from inspection.prepared import scaling
from inspection.registration import warp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inspection.comparison import Comparer
    from inspection.engine import Descriptors, Engine
    from inspection.reference_set import ReferenceSet
    from inspection.registration import Registrar

logger = logging.getLogger(__name__)
_MOST_SHOWN = 8  # goldens whose placed pictures are kept in memory
_GRID = 16  # places a side that goldens and frame are brought to: enough to tell parts apart, little to keep


@dataclass(frozen=True, kw_only=True)
class ShownGolden:
    """A golden to put beside a frame: its `name`, and `picture`, RGB uint8 (H, W, 3) in the first golden's pixels."""

    name: str
    picture: NDArray[np.uint8]


class GoldenGallery:
    """The goldens as people see them. Made when a picture is first drawn, so that judging does not wait for it."""

    def __init__(  # noqa: PLR0913 - what an inspector has at hand, by name
        self,
        reference_set: ReferenceSet,
        first: NDArray[np.uint8],
        placed: Sequence[NDArray[np.uint8]],
        *,
        engine: Engine,
        comparer: Comparer,
        registrar: Registrar,
    ) -> None:
        """Describe the goldens.

        Args:
            reference_set: where pictures and names come from.
            first: (H, W, 3) RGB uint8, the first golden at its own size.
            placed: all goldens at the working size, aligned with the first: (S, S, 3) uint8 each.
            engine: runs the encoder.
            comparer: the goldens' own, whose metrics tell what counts.
            registrar: set with these goldens at the working size.
        """
        self._reference_set = reference_set
        self._first = first
        self._engine = engine
        self._comparer = comparer
        self._registrar = registrar
        self._side = placed[0].shape[0]
        self._shown: OrderedDict[int, ShownGolden] = OrderedDict()
        self._looks = self._look(describe(engine, placed)) if len(placed) > 1 else torch.empty(0)

    def nearest(self, image: NDArray[np.uint8], matrix: NDArray[np.float64] | None) -> ShownGolden:
        """The golden that a frame is most like.

        It is the one with the least median distance, place against same place, in the metrics that frames are judged
        by; the median, so that a defect does not choose its golden.

        Args:
            image: (h, w, 3) RGB uint8, the frame as delivered.
            matrix: (3, 3) from its pixels to those of the first golden; None takes it as it lies.
        """
        index = self._nearest(self._working(image, matrix)) if len(self._looks) else 0
        shown = self._shown.pop(index, None) or self._show(index)
        self._shown[index] = shown  # the latest last
        while len(self._shown) > _MOST_SHOWN:
            self._shown.popitem(last=False)
        return shown

    def _show(self, index: int) -> ShownGolden:
        """A golden placed on the first, or the first where it can't be read any more."""
        golden = self._reference_set.goldens[index]
        if index:
            try:
                picture = decode_image(self._reference_set.bytes_of(golden), source=golden.name)
                return ShownGolden(name=golden.name, picture=self._placed(picture))
            except ReferenceSetError:  # altered since the inspector read it, which judges by what it has in memory
                logger.warning("golden %r can't be shown beside frames, it was altered after enrolment", golden.name)
        return ShownGolden(name=self._reference_set.goldens[0].name, picture=self._first)

    def _nearest(self, image: NDArray[np.uint8]) -> int:
        """The number of the golden that a working image on the first golden's coordinates is most like."""
        look = self._look(self._engine.describe([image]))
        return int((self._looks - look).norm(dim=2).median(dim=1).values.argmin())

    def _working(self, image: NDArray[np.uint8], matrix: NDArray[np.float64] | None) -> NDArray[np.uint8]:
        """The frame at the working size, moved as it was when it was judged."""
        side = self._side
        working = working_image(image, side)
        if matrix is None:
            return working
        height, width = self._first.shape[:2]
        enlarge = scaling((side, side), (image.shape[1], image.shape[0]))
        return warp(working, scaling((width, height), (side, side)) @ matrix @ enlarge, (side, side))

    def _placed(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A golden at its own size brought onto the first."""
        height, width = self._first.shape[:2]
        side = self._side
        found = self._registrar.register(working_image(picture, side))
        shrink = scaling((picture.shape[1], picture.shape[0]), (side, side))
        moved = found.matrix @ shrink if found.accepted else shrink
        return warp(picture, scaling((side, side), (width, height)) @ moved, (width, height))

    @torch.inference_mode()
    def _look(self, described: Descriptors) -> torch.Tensor:
        """(B, places, D) of descriptors in the comparison's metrics, averaged to a coarse grid."""
        looks = []
        for bank, kind in zip(self._comparer.banks, described, strict=True):
            values = kind.to(bank.projection.device) @ bank.projection
            side = grid_side(values.shape[1])
            maps = values.transpose(1, 2).reshape(len(values), -1, side, side)
            pooled = functional.adaptive_avg_pool2d(maps, min(_GRID, side)).flatten(2).transpose(1, 2)
            looks.append(pooled / bank.scale.mean())
        return torch.cat(looks, dim=2).cpu()
