"""Where the encoder runs: ONNX Runtime on the CPU, torch on CUDA. One seam; the descriptors are the same."""

from __future__ import annotations

import warnings
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, Protocol

import cv2
import numpy as np
import torch

from inspection.cache import keep, kept
from inspection.encoder import USUAL_SIDE, DescriptorNetwork, encoder_digest, load_encoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnxruntime
    from numpy.typing import NDArray

    from inspection.recipe import EncoderChoice

_OPSET = 17


class EngineChoice(StrEnum):
    """`auto` takes CUDA where there is a device and ONNX Runtime otherwise; `torch` is eager torch on the CPU."""

    AUTO = "auto"
    ONNX = "onnx"
    TORCH = "torch"
    CUDA = "cuda"


class Descriptors(NamedTuple):
    """What the encoder says of B images: (B, P, ·) float32 each, P = (S / 8)^2 places row by row."""

    direction: NDArray[np.float32]
    intensity: NDArray[np.float32]

    def take(self, index: int) -> Descriptors:
        """Those of one image, still with the leading axis."""
        return Descriptors(self.direction[index : index + 1], self.intensity[index : index + 1])


class Engine(Protocol):
    """Runs the encoder."""

    name: str
    device: torch.device

    def describe(self, images: Sequence[NDArray[np.uint8]]) -> Descriptors:
        """Describe (S, S, 3) uint8 RGB images."""


class OnnxEngine:
    """ONNX Runtime on the CPU; the exported graph is kept in `cache`, if there is one.

    By default a frame has one thread: several frames at once use the cores better than several threads on one frame,
    which wait for each other after every layer. torch and OpenCV follow.
    """

    name = "onnx"
    device = torch.device("cpu")

    def __init__(self, choice: EncoderChoice, *, cache: Path | None, side: int = USUAL_SIDE, threads: int = 1) -> None:
        path = cache and cache / f"encoder-{encoder_digest(choice)}-{side}.cached"
        model = kept(path) if path else None
        if model is None:
            model = export_onnx(load_encoder(choice, side=side), side=side)
            if path:
                keep(path, model)
        self._session = open_session(model, threads=threads)
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)

    def describe(self, images: Sequence[NDArray[np.uint8]]) -> Descriptors:
        """One image a call: batches gain nothing on the CPU, and a frame's verdict can't depend on its batch."""
        outputs = [self._session.run(None, {"images": image[None]}) for image in images]
        return Descriptors(*(np.concatenate(column) for column in zip(*outputs, strict=True)))


class TorchEngine:
    """Eager torch, on the CPU or on CUDA (channels last, whole batches)."""

    def __init__(self, choice: EncoderChoice, *, device: str, side: int = USUAL_SIDE) -> None:
        self.name = "cuda" if device.startswith("cuda") else "torch"
        self.device = torch.device(device)
        self._network = load_encoder(choice, side=side).to(self.device)

    @torch.inference_mode()
    def describe(self, images: Sequence[NDArray[np.uint8]]) -> Descriptors:
        """Encode the whole batch at once."""
        batch = torch.from_numpy(np.stack(images)).to(self.device)
        direction, intensity = self._network(batch)
        return Descriptors(direction.float().cpu().numpy(), intensity.float().cpu().numpy())


def open_engine(choice: EncoderChoice, *, engine: str, cache: Path | None, side: int = USUAL_SIDE) -> Engine:
    """Open the engine named, or the best one here for `auto`.

    Args:
        choice: which encoder.
        engine: a value of `EngineChoice`.
        cache: where ONNX Runtime's engine keeps its export, if anywhere.
        side: the working size in pixels; images of other sizes work for convolutional backbones only.

    Raises:
        WeightsError: the encoder's weights are missing or don't fit.
        ValueError: `engine` is no engine's name.
    """
    kind = EngineChoice(engine)
    if kind is EngineChoice.AUTO:
        kind = EngineChoice.CUDA if torch.cuda.is_available() else EngineChoice.ONNX
    if kind is EngineChoice.ONNX:
        return OnnxEngine(choice, cache=cache, side=side)
    return TorchEngine(choice, device="cuda" if kind is EngineChoice.CUDA else "cpu", side=side)


def export_onnx(network: DescriptorNetwork, *, side: int) -> bytes:
    """The network as ONNX: traced at `side` pixels, with free batch and, where the backbone has it, image size."""
    example = torch.zeros((1, side, side, 3), dtype=torch.uint8)
    axes = {
        "images": {0: "batch", 1: "side", 2: "side"},
        "direction": {0: "batch", 1: "places"},
        "intensity": {0: "batch", 1: "places"},
    }
    with TemporaryDirectory(prefix="goldentwin-") as folder, warnings.catch_warnings():
        path = Path(folder, "encoder.onnx")
        warnings.simplefilter("ignore", DeprecationWarning)  # it is the old exporter: the new one needs onnxscript
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined] # other backbones' sizes
        torch.onnx.export(
            network,
            (example,),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["images"],
            output_names=["direction", "intensity"],
            dynamic_axes=axes,
        )
        return path.read_bytes()


def open_session(model: bytes, *, threads: int) -> onnxruntime.InferenceSession:
    """Open an ONNX Runtime session on the CPU with `threads` threads."""
    import onnxruntime  # noqa: PLC0415 - slow to import, and not needed on CUDA

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
