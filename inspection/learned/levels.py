"""Where a trained network runs: ONNX Runtime on the CPU, torch on CUDA. One seam; the maps are the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import nn

from inspection.backbone import with_fixed_padding
from inspection.cache import keep, kept
from inspection.cuda import float32_throughout, on_device, settled
from inspection.engine import EngineChoice
from inspection.graph import exported, graph_path, open_session
from inspection.learned.architecture import PairMaps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import onnxruntime
    from numpy.typing import NDArray

    from inspection.learned.design import LevelEncoder, TrainedTwin, Twin

_TRACED_SIDE = 64  # the graph is free in size


class LevelEngine(Protocol):
    """Runs one side's encoder."""

    def levels(self, images: NDArray[np.uint8]) -> list[torch.Tensor]:
        """Feature levels of (B, H, W, 3) uint8 images, finest first."""


class OnnxLevels:
    """An encoder in ONNX Runtime: several times faster on a CPU than eager torch."""

    def __init__(self, encoder: LevelEncoder, *, threads: int, path: Path | None = None) -> None:
        self._session = _encoder_session(encoder, path, threads)

    def levels(self, images: NDArray[np.uint8]) -> list[torch.Tensor]:
        """See `LevelEngine`."""
        name = self._session.get_inputs()[0].name
        return [torch.from_numpy(level) for level in self._session.run(None, {name: images})]


class TorchLevels:
    """An encoder in eager torch, with gradients where it is trained."""

    def __init__(self, encoder: LevelEncoder, *, device: torch.device, trained: bool = False) -> None:
        self._encoder, self._device, self._trained = encoder, device, trained

    def levels(self, images: NDArray[np.uint8]) -> list[torch.Tensor]:
        """See `LevelEngine`."""
        with torch.set_grad_enabled(self._trained):
            found: list[torch.Tensor] = self._encoder(on_device(images, self._device))
            return found


def open_levels(
    encoder: LevelEncoder, *, engine: str, path: Path | None
) -> tuple[str, Callable[[NDArray[np.uint8]], list[torch.Tensor]]]:
    """An encoder on the engine named: that engine's name, and what gives levels of (B, H, W, 3) uint8 images.

    Args:
        encoder: which stays as it is.
        engine: `auto`, `onnx`, `torch`, `cuda` or `cuda-half`.
        path: where the exported graph is kept; None keeps it nowhere.
    """
    kind = EngineChoice(engine).here()
    if kind is EngineChoice.ONNX:
        torch.set_num_threads(1)  # several frames at once use the cores better
        return kind.value, OnnxLevels(encoder, threads=1, path=path).levels
    float32_throughout(kind.device)
    return kind.value, TorchLevels(encoder.to(kind.device), device=kind.device).levels


@dataclass(frozen=True)
class EncodedGolden:
    """A golden's levels, computed once, where the engine runs."""

    levels: tuple[torch.Tensor, ...]


class PairEngine:
    """Compares frames with goldens by a trained network.

    Args:
        trained: the network.
        cache: where the exported graphs are kept; None keeps nothing.
        engine: `auto`, `onnx`, `torch`, `cuda` or `cuda-half`.
        threads: of one frame, as in `inspection.engine`.
    """

    def __init__(self, trained: TrainedTwin, *, cache: Path | None, engine: str = "auto", threads: int = 1) -> None:
        kind = EngineChoice(engine).here()
        self.name = kind.value
        twin = trained.twin
        self._twin: Twin | None = None
        self._device = kind.device
        self._half = kind is EngineChoice.CUDA_HALF
        if kind is EngineChoice.ONNX:
            torch.set_num_threads(threads)
            levels = twin.encoder(_images())
            named = cache and cache / f"twin-{trained.digest}"
            self._of_frame = _encoder_session(twin.encoder, named and _part(named, "frame"), threads)
            other = twin.golden_encoder
            self._of_golden = (
                self._of_frame if other is None else _encoder_session(other, named and _part(named, "golden"), threads)
            )
            self._comparer = _session(
                _Flat(twin, len(levels)), (*levels, *levels), named and _part(named, "pair"), threads
            )
        else:
            float32_throughout(self._device)
            self._twin = twin.to(self._device).eval()
            settled(self._device)

    def encode_golden(self, golden: NDArray[np.uint8]) -> EncodedGolden:
        """Levels of one (H, W, 3) uint8 golden; H and W are multiples of 32."""
        if self._twin is None:
            return EncodedGolden(tuple(map(torch.from_numpy, _run(self._of_golden, golden[None]))))
        encoded = self._encoded(self._twin.golden_encoder or self._twin.encoder, golden)
        settled(self._device)
        return EncodedGolden(tuple(encoded))

    def compare(self, frame: NDArray[np.uint8], goldens: Sequence[EncodedGolden]) -> list[PairMaps]:
        """Compare one (H, W, 3) uint8 frame with goldens of its size.

        Returns:
            For each golden (1, H / 4, W / 4) logits and (1, K, H / 4, W / 4) logits of types, on the CPU.
        """
        if self._twin is None:
            levels = _run(self._of_frame, frame[None])
            sides = [[level.numpy() for level in golden.levels] for golden in goldens]
            return [_maps(_run(self._comparer, *levels, *side)) for side in sides]
        with torch.inference_mode():
            encoded = self._encoded(self._twin.encoder, frame)
            found = [self._twin.compare(encoded, golden.levels) for golden in goldens]
            return [PairMaps(maps.logit.cpu(), maps.types.cpu()) for maps in found]

    @torch.inference_mode()
    def _encoded(self, encoder: LevelEncoder, image: NDArray[np.uint8]) -> list[torch.Tensor]:
        """Levels of one (H, W, 3) uint8 image, float32; inside the encoder float16 where that was asked for."""
        batch = on_device(image[None], self._device)
        with torch.autocast(self._device.type, torch.float16, enabled=self._half):
            return [level.float() for level in encoder(batch)]


class _Flat(nn.Module):
    """The comparer with its levels as plain arguments, as ONNX wants them."""

    def __init__(self, twin: Twin, count: int) -> None:
        super().__init__()
        self.comparer, self.count = twin.comparer, count

    def forward(self, *levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = self.comparer(levels[: self.count], levels[self.count :])
        return maps.logit, maps.types


def export(module: nn.Module, example: tuple[torch.Tensor, ...]) -> bytes:
    """Trace a module as ONNX, free in batch, height and width of every input."""
    inputs = [f"input{index}" for index in range(len(example))]
    free = {
        name: {axis: f"{name}_{axis}" for axis in ((0, 1, 2) if tensor.dtype is torch.uint8 else (0, 2, 3))}
        for name, tensor in zip(inputs, example, strict=True)
    }
    return exported(module.eval(), example, inputs, (), free)


def _encoder_session(encoder: LevelEncoder, path: Path | None, threads: int) -> onnxruntime.InferenceSession:
    return _session(with_fixed_padding(encoder.eval(), _images()), (_images(),), path, threads)


def _session(
    module: nn.Module, example: tuple[torch.Tensor, ...], path: Path | None, threads: int
) -> onnxruntime.InferenceSession:
    model = kept(path) if path else None
    if model is None:
        model = export(module, example)
        if path:
            keep(path, model)
    return open_session(model, threads=threads)


def _part(path: Path, name: str) -> Path:
    return graph_path(path.parent, f"{path.name}-{name}")


def _run(session: onnxruntime.InferenceSession, *values: NDArray[Any]) -> list[NDArray[np.float32]]:
    names = [one.name for one in session.get_inputs()]
    return list(session.run(None, dict(zip(names, values, strict=True))))


def _maps(found: Sequence[NDArray[np.float32]]) -> PairMaps:
    return PairMaps(torch.from_numpy(found[0]), torch.from_numpy(found[1]))


def _images() -> torch.Tensor:
    return torch.zeros(1, _TRACED_SIDE, _TRACED_SIDE, 3, dtype=torch.uint8)
