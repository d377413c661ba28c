"""Where the encoder runs: ONNX Runtime on the CPU, torch on CUDA. One seam; the descriptors are the same."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

import cv2
import numpy as np
import torch

from inspection.backbone import with_fixed_padding
from inspection.cache import keep, kept
from inspection.cuda import HalfPrecision, OwnStreams, float32_throughout, on_device, settled
from inspection.encoder import USUAL_SIDE, DescriptorNetwork, encoder_digest, load_encoder
from inspection.errors import EngineError
from inspection.graph import exported, graph_path, open_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inspection.recipe import EncoderChoice


class EngineChoice(StrEnum):
    """`auto` takes CUDA where there is a device and ONNX Runtime otherwise; `torch` is eager torch on the CPU.

    `cuda` computes in float32 throughout (no TF32), `cuda-half` has its backbones in float16: mixed precision.
    """

    AUTO = "auto"
    ONNX = "onnx"
    TORCH = "torch"
    CUDA = "cuda"
    CUDA_HALF = "cuda-half"

    def here(self) -> EngineChoice:
        """What it comes to on this machine.

        Raises:
            EngineError: CUDA was asked for, and there is no device.
        """
        has_device = torch.cuda.is_available()
        if self is EngineChoice.AUTO:
            return EngineChoice.CUDA if has_device else EngineChoice.ONNX
        if self.device.type == "cuda" and not has_device:
            message = f"the engine {self.value} needs a CUDA device and none is usable here: see `goldentwin doctor`"
            raise EngineError(message)
        return self

    @property
    def device(self) -> torch.device:
        """Where torch's tensors of this engine lie."""
        return torch.device("cuda" if self in {EngineChoice.CUDA, EngineChoice.CUDA_HALF} else "cpu")


class Descriptors(NamedTuple):
    """What the encoder says of B images: (B, P, ·) float32 each, P = (S / 8)^2 places row by row, where it ran."""

    direction: torch.Tensor
    intensity: torch.Tensor

    def take(self, index: int) -> Descriptors:
        """Those of one image, still with the leading axis."""
        return Descriptors(self.direction[index : index + 1], self.intensity[index : index + 1])

    def cpu(self) -> Descriptors:
        """The same on the CPU."""
        return Descriptors(self.direction.cpu(), self.intensity.cpu())


class Engine(Protocol):
    """Runs the encoder."""

    name: str
    device: torch.device

    def describe(self, images: Sequence[NDArray[np.uint8]]) -> Descriptors:
        """Describe (S, S, 3) uint8 RGB images."""

    def own_stream(self) -> AbstractContextManager[object]:
        """Within it the work of this thread waits for no other thread's, where the device can do that."""


class OnnxEngine:
    """ONNX Runtime on the CPU; the exported graph is kept in `cache`, if there is one.

    By default a frame has one thread: several frames at once use the cores better than several threads on one frame,
    which wait for each other after every layer. torch and OpenCV follow. `threads` tells how many a frame has.
    """

    name = "onnx"
    device = torch.device("cpu")

    def __init__(self, choice: EncoderChoice, *, cache: Path | None, side: int = USUAL_SIDE, threads: int = 1) -> None:
        path = cache and graph_path(cache, f"encoder-{encoder_digest(choice)}-{side}")
        model = kept(path) if path else None
        if model is None:
            model = export_onnx(load_encoder(choice, side=side), side=side)
            if path:
                keep(path, model)
        self.threads = threads
        self._session = open_session(model, threads=threads)
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)

    def describe(self, images: Sequence[NDArray[np.uint8]]) -> Descriptors:
        """One image a call: batches gain nothing on the CPU, and a frame's verdict can't depend on its batch."""
        outputs = [self._session.run(None, {"images": image[None]}) for image in images]
        columns = zip(*outputs, strict=True)
        return Descriptors(*(torch.from_numpy(one[0] if len(one) == 1 else np.concatenate(one)) for one in columns))

    def own_stream(self) -> AbstractContextManager[object]:
        """Threads share nothing on a CPU."""
        return nullcontext()


class TorchEngine:
    """Eager torch, on the CPU or on CUDA: whole batches, channels last there.

    Args:
        choice: which encoder.
        kind: `torch`, `cuda` or `cuda-half`.
        side: the working size in pixels.
    """

    def __init__(self, choice: EncoderChoice, kind: EngineChoice, *, side: int = USUAL_SIDE) -> None:
        self.name, self.device = kind.value, kind.device
        network = load_encoder(choice, side=side)
        if kind is EngineChoice.CUDA_HALF:
            network.backbone = HalfPrecision(network.backbone)
        if self.device.type == "cuda":
            network = network.to(memory_format=torch.channels_last)
        float32_throughout(self.device)
        self._network = network.to(self.device)
        self._streams = OwnStreams(self.device)
        settled(self.device)

    @torch.inference_mode()
    def describe(self, images: Sequence[NDArray[np.uint8]]) -> Descriptors:
        """Encode the whole batch at once."""
        return Descriptors(*self._network(on_device(np.stack(images), self.device)))

    def own_stream(self) -> AbstractContextManager[object]:
        """See `OwnStreams`."""
        return self._streams.mine()


def open_engine(choice: EncoderChoice, *, engine: str, cache: Path | None, side: int = USUAL_SIDE) -> Engine:
    """Open the engine named, or the best one here for `auto`.

    Args:
        choice: which encoder.
        engine: a value of `EngineChoice`.
        cache: where ONNX Runtime's engine keeps its export, if anywhere.
        side: the working size in pixels; images of other sizes work for convolutional backbones only.

    Raises:
        WeightsError: the encoder's weights are missing or don't fit.
        EngineError: it needs a device that is not there.
        ValueError: `engine` is no engine's name.
    """
    kind = EngineChoice(engine).here()
    if kind is EngineChoice.ONNX:
        return OnnxEngine(choice, cache=cache, side=side)
    return TorchEngine(choice, kind, side=side)


def export_onnx(network: DescriptorNetwork, *, side: int) -> bytes:
    """The network as ONNX: traced at `side` pixels, with free batch and, where the backbone has it, image size."""
    example = torch.zeros((1, side, side, 3), dtype=torch.uint8)
    axes = {
        "images": {0: "batch", 1: "side", 2: "side"},
        "direction": {0: "batch", 1: "places"},
        "intensity": {0: "batch", 1: "places"},
    }
    return exported(with_fixed_padding(network, example), (example,), ("images",), ("direction", "intensity"), axes)
