"""Any timm backbone as a source of feature levels: brought to a size that it takes, its levels channels first."""

from __future__ import annotations

import copy
import logging
import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inspection.recipe import EncoderChoice

MISFITS = (RuntimeError, KeyError, ValueError, AttributeError, TypeError, IndexError, AssertionError)
"""What timm and torch raise where a backbone, its weights, its levels and a size don't go together."""

_UNIT = 32  # pixels: working sizes are multiples of it


class FittedBackbone(NamedTuple):
    """A backbone that gives its levels for images of the side that it was fitted to.

    `strides` are pixels of the image per place of a level, None where that is no whole number; `any_size` says that
    images of other sides will do as well.
    """

    levels: nn.Module
    strides: tuple[int | None, ...]
    any_size: bool


class BackboneLevels(nn.Module):
    """A timm backbone behind a resize, giving (B, C, h, w) levels also where the backbone has its channels last.

    Args:
        body: timm's `features_only` model.
        side: the one side in pixels that it takes; None leaves images as they are.
        channels_last: whether its levels are (B, h, w, C).
    """

    def __init__(self, body: nn.Module, *, side: int | None, channels_last: bool) -> None:
        super().__init__()
        self.body, self.side, self.channels_last = body, side, channels_last

    @property
    def feature_info(self) -> Any:
        """What timm says of the levels."""
        return self.body.feature_info

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Levels of normalised (B, 3, S, S) pixels."""
        levels = self.body(pixels if self.side is None else resized(pixels, self.side))
        return [level.permute(0, 3, 1, 2) if self.channels_last else level for level in levels]


def resized(features: torch.Tensor, side: int) -> torch.Tensor:
    """(B, C, h, h) at `side`: averaged by whole numbers as long as it is at least twice as fine, then interpolated."""
    if (times := int(features.shape[-1]) // side) > 1:
        features = functional.avg_pool2d(features, times)
    if int(features.shape[-1]) == side:
        return features
    return functional.interpolate(features, size=(side, side), mode="bilinear", align_corners=False)


def with_fixed_padding(network: nn.Module, example: torch.Tensor) -> nn.Module:
    """A copy whose convolutions "same" as TensorFlow's pad by constants instead of by the size that they are given.

    In an exported graph the padding then is no arithmetic on sizes, and ONNX Runtime takes it into the convolution.
    The outputs are the same to the bit for all square images whose sides are multiples of 32, as long as levels grow
    with the image. Convolutions whose stride does not divide what such images give them stay as they are.

    Args:
        network: takes (B, S, S, 3) images; it stays as it is.
        example: such images.
    """
    from timm.layers.conv2d_same import Conv2dSame  # noqa: PLC0415 - see `_body`

    if not any(isinstance(module, Conv2dSame) for module in network.modules()):
        return network
    copied = copy.deepcopy(network)
    seen: dict[nn.Module, int] = {}
    same = [module for module in copied.modules() if isinstance(module, Conv2dSame)]
    hooks = [module.register_forward_pre_hook(lambda m, given: seen.update({m: given[0].shape[-1]})) for module in same]
    with torch.inference_mode():
        copied(example)
    for hook in hooks:
        hook.remove()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if child in seen and _divides_evenly(child, seen[child], int(example.shape[1])):
                setattr(parent, name, _padded_by_constants(child))
    return copied


def _divides_evenly(convolution: nn.Module, given: int, side: int) -> bool:
    """Whether what it is given is a multiple of its stride for every image whose side is a multiple of 32."""
    strides = cast("nn.Conv2d", convolution).stride
    return all(_UNIT * given % (side * stride) == 0 for stride in strides)


def _padded_by_constants(same: nn.Module) -> nn.Module:
    """TensorFlow's rule: what is missing of kernel over stride, the odd one behind."""
    found = cast("nn.Conv2d", same)
    plain = nn.Conv2d(
        found.in_channels,
        found.out_channels,
        cast("tuple[int, int]", found.kernel_size),
        cast("tuple[int, int]", found.stride),
        dilation=cast("tuple[int, int]", found.dilation),
        groups=found.groups,
        bias=found.bias is not None,
    )
    plain.weight, plain.bias = found.weight, found.bias
    sizes = zip(found.kernel_size, found.stride, found.dilation, strict=True)
    down, across = (max((kernel - 1) * dilation + 1 - stride, 0) for kernel, stride, dilation in sizes)
    padding = (across // 2, across - across // 2, down // 2, down - down // 2)
    return nn.Sequential(nn.ZeroPad2d(padding), plain)


def fit_backbone(choice: EncoderChoice, state: Mapping[str, torch.Tensor], side: int) -> FittedBackbone:
    """Build the backbone with its weights for images of `side` pixels.

    A backbone that is bound to a size is built for the multiple of its patch nearest to `side`; one that can't be built
    for another size than its own runs at its own. Images are resized to it inside.

    Args:
        choice: backbone and levels.
        state: its weights under timm's names, or as first published where timm knows how to rename them. A classifier
            may be among them, whatever its classes: no level depends on it.
        side: a multiple of 32.

    Raises:
        One of `MISFITS`: the weights are not this backbone's, or it can't give these levels.
    """
    with _quiet_timm():
        whole = _whole(choice.name, state)
        config = cast("dict[str, Any]", whole.pretrained_cfg)
        unit = math.lcm(*(int(level["reduction"]) for level in cast("Any", whole).feature_info))
        near = max(1, round(side / unit)) * unit
        bound = bool(config.get("fixed_input_size")) or hasattr(whole, "pos_embed")
        weights = whole.state_dict()
        try:
            body = _body(choice, weights, {"img_size": near} if bound else {})
            return _fitted(body, side=side, own=near, bound=bound)
        except MISFITS:
            body = _body(choice, weights, {})
            return _fitted(body, side=side, own=int(config["input_size"][-1]), bound=bound)


def _body(choice: EncoderChoice, weights: Mapping[str, torch.Tensor], options: dict[str, Any]) -> nn.Module:
    """The part that gives levels; timm brings weights that depend on the size to it."""
    import timm  # noqa: PLC0415 - takes seconds to import, and a cached graph does without

    overlay = {"state_dict": dict(weights), "url": "", "hf_hub_id": None}
    body = timm.create_model(
        choice.name,
        pretrained=True,
        pretrained_cfg_overlay=overlay,
        features_only=True,
        out_indices=choice.out_indices,
        **options,
    )
    return body.eval()


@contextmanager
def _quiet_timm() -> Iterator[None]:
    """Keep from the user what timm warns of: a classifier left out, and what its own code does. Errors are raised."""
    logger = logging.getLogger("timm.models._builder")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _whole(name: str, state: Mapping[str, torch.Tensor]) -> nn.Module:
    """The backbone but for its classifier, with its weights to the last one."""
    import timm  # noqa: PLC0415 - see `_body`

    classless = set(timm.create_model(name, pretrained=False, num_classes=0).state_dict())
    classifier = set(timm.create_model(name, pretrained=False).state_dict()) - classless
    kept = {key: value for key, value in state.items() if key not in classifier}
    overlay = {"state_dict": kept, "url": "", "hf_hub_id": None, "num_classes": 0, "label_offset": 0}
    return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0)


def _fitted(body: nn.Module, *, side: int, own: int, bound: bool) -> FittedBackbone:
    """See what levels really come of an image of `side`, and keep only the wrapping that is needed."""
    channels_last = str(getattr(body, "output_fmt", "")).endswith("NHWC")
    plain = own == side and not channels_last
    levels = body if plain else BackboneLevels(body, side=None if own == side else own, channels_last=channels_last)
    with torch.inference_mode():
        found = levels(torch.zeros(1, 3, side, side))
    shapes = [tuple(level.shape) for level in found]
    channels = cast("Any", body.feature_info).channels()
    if any(len(shape) != 4 or shape[1] != count for shape, count in zip(shapes, channels, strict=True)):  # noqa: PLR2004
        message = f"its levels have the shapes {shapes}, not {channels} channels in two dimensions"
        raise ValueError(message)
    strides = tuple(side // shape[-1] if side % shape[-1] == 0 else None for shape in shapes)
    return FittedBackbone(levels, strides, any_size=own == side and not bound)
