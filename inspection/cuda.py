"""CUDA: a stream for each thread, copies that wait for nothing, and a backbone in half precision."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OwnStreams(threading.local):
    """A CUDA stream for each thread that asks: what one copies overlaps what another computes. Nothing on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def mine(self) -> AbstractContextManager[object]:
        """Within it this thread's work goes to its own stream; take results to the CPU before it ends."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


def on_device(array: NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """Copy an array to a device; to CUDA from pinned memory, so that the thread goes on meanwhile."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def float32_throughout(device: torch.device) -> None:
    """No TF32 in this process: it would move similarities by more than 1e-3."""
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


def settled(device: torch.device) -> None:
    """Wait until what was made on a device is there for every stream; call it once after setting up."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class HalfPrecision(nn.Module):
    """A network that gives levels of features, in float16 inside and float32 outside.

    Heads, metrics and distances stay in float32: lengths of features overflow float16.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.half()

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Levels (B, C, h, w) float32 of (B, 3, H, W) pixels."""
        return [level.float() for level in self.network(pixels.half())]
