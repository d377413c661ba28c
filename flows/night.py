"""What is asked of one night: which frames of which product and view, judged how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.opening import keep_inspector
from pipeline.planning import BatchPlan, plan_batch
from pipeline.sharding import WHOLE, Shard
from pipeline.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Night:
    """A folder of frames of one product and view.

    `chunk_size` frames make a portion; `engine` is auto, onnx, torch, cuda or cuda-half; `shard` says which of the
    frames.
    """

    workspace: Workspace
    product: str
    frames: Path
    view: str = "default"
    chunk_size: int = 64
    engine: str = "auto"
    shard: Shard = WHOLE

    def open(self) -> None:
        """Load network and goldens, which this process then keeps; what is wrong with them shows here.

        Raises:
            GoldentwinError: there are no goldens, or they or the network's weights can't be used.
        """
        keep_inspector(self.workspace, self.product, self.view, engine=self.engine)

    def plan(self) -> BatchPlan:
        """The frames that have no verdict yet, in portions."""
        return plan_batch(
            self.workspace,
            self.product,
            self.view,
            self.frames,
            chunk_size=self.chunk_size,
            engine=self.engine,
            shard=self.shard,
        )

    def parameters(self) -> dict[str, Any]:
        """The same as parameters of the flow, in plain JSON types."""
        return {
            "product": self.product,
            "frames": str(self.frames),
            "view": self.view,
            "home": str(self.workspace.home),
            "references": str(self.workspace.references),
            "chunk_size": self.chunk_size,
            "engine": self.engine,
        }
