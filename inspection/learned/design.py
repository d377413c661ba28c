"""What a trained comparer consists of, and the file it is kept in: safetensors and JSON, nothing that executes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from inspection.encoder import IMAGENET_MEAN, IMAGENET_STD, encoder_digest, load_encoder
from inspection.errors import TwinError
from inspection.learned.architecture import Architecture, Distance, PairMaps, PseudoSiamese, Siamese, TwoChannel
from inspection.learned.losses import Loss
from inspection.recipe import DIGEST_LENGTH, EncoderChoice, digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

TRAINING_LEVELS = EncoderChoice(out_indices=(0, 1, 2, 3))
"""The embedded encoder with its finest level too: strides 2, 4, 8, 16."""
_STRIDES = (2, 4, 8, 16, 32)
_LEVELS = [_STRIDES[first:last] for first in (0, 1) for last in range(2, 6)]
DESIGN_VERSION = 1
"""To be raised whenever the same weights would give other maps."""


@dataclass(frozen=True, kw_only=True)
class TwinDesign:
    """Architecture, distance and loss; the encoder below; the types of defects told apart, in the maps' order.

    With `fine_tuned` the encoder's weights were trained too, and belong to the twin's own.
    """

    architecture: Architecture = Architecture.SIAMESE
    distance: Distance = Distance.WEIGHTED_L1
    loss: Loss = Loss.BCE
    types: tuple[str, ...] = ()
    encoder: EncoderChoice = field(default=TRAINING_LEVELS)
    fine_tuned: bool = False

    @property
    def digest(self) -> str:
        """12 hex digits over the design and the encoder's weights."""
        known = None if self.architecture is Architecture.TWO_CHANNEL else encoder_digest(self.encoder)
        return digest_of([DESIGN_VERSION, asdict(self), known])[:DIGEST_LENGTH]


class LevelEncoder(nn.Module):
    """Images to feature levels: (B, H, W, 3) uint8 RGB to [(B, C, H / stride, W / stride)], finest first.

    Without a backbone the only level is the picture itself, normalised.
    """

    def __init__(self, backbone: nn.Module | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("scale", 1.0 / (255.0 * torch.tensor(IMAGENET_STD)).view(1, 3, 1, 1), persistent=False)
        offset = -(torch.tensor(IMAGENET_MEAN) / torch.tensor(IMAGENET_STD)).view(1, 3, 1, 1)
        self.register_buffer("offset", offset, persistent=False)
        self.scale: torch.Tensor
        self.offset: torch.Tensor

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Encode a batch."""
        pixels = images.permute(0, 3, 1, 2).to(self.scale.dtype) * self.scale + self.offset
        return [pixels] if self.backbone is None else list(self.backbone(pixels))


class Twin(nn.Module):
    """Encoder and comparer. `encoder` serves both sides; a fine-tuned pseudo-Siamese has `golden_encoder` besides."""

    def __init__(self, design: TwinDesign) -> None:
        super().__init__()
        self.design = design
        self.encoder = _encoder(design)
        two = design.fine_tuned and design.architecture is Architecture.PSEUDO_SIAMESE
        self.golden_encoder = _encoder(design) if two else None
        self.comparer = _comparer(design, self.encoder)

    def forward(self, frames: torch.Tensor, goldens: torch.Tensor) -> PairMaps:
        """Compare (B, H, W, 3) uint8 frames with their goldens; H and W are multiples of 32."""
        return self.compare(self.encoder(frames), (self.golden_encoder or self.encoder)(goldens))

    def compare(self, frame: Sequence[torch.Tensor], golden: Sequence[torch.Tensor]) -> PairMaps:
        """The same on levels that the encoders gave."""
        return cast("PairMaps", self.comparer(frame, golden))

    def train(self, mode: bool = True) -> Twin:  # noqa: FBT001, FBT002 - torch's signature
        """Switch to training; an encoder that is not fine-tuned stays as it is."""
        super().train(mode)
        if not self.design.fine_tuned:
            self.encoder.eval()
        return self

    def own_weights(self) -> dict[str, torch.Tensor]:
        """What was trained: all but an encoder that stays as delivered."""
        state = self.state_dict()
        return {k: v for k, v in state.items() if self.design.fine_tuned or not k.startswith("encoder.")}


@dataclass(frozen=True, kw_only=True)
class TrainedTwin:
    """A trained network with what is needed to judge by it.

    `side` is the working size in pixels of the frames' longer side it was trained at; `threshold` the similarity below
    which a place belongs to a defect, and `support` the side in places that it is averaged over, both chosen on pairs
    that took no part in the training; `fusion` the weights by which a product's network goes together with the
    untrained comparison, None where it judges alone; `trained_on` the digest of the pairs; `learned_from` the SHA-256
    of a product's labelled frames that the weights were learned from; `figures` what the pairs kept back gave.
    """

    twin: Twin
    side: int
    threshold: float
    trained_on: str
    support: int = 1
    fusion: dict[str, float] | None = None
    learned_from: Sequence[str] = ()
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """12 hex digits over design, trained weights and fusion; the threshold is the calibration's concern."""
        weights = hashlib.sha256()
        for name, values in sorted(self.twin.own_weights().items()):
            weights.update(name.encode() + values.cpu().numpy().tobytes())
        return digest_of([self.twin.design.digest, self.side, self.fusion, weights.hexdigest()])

    def to_files(self) -> tuple[bytes, str]:
        """The weights as safetensors, and everything else as JSON."""
        about = {
            "design": asdict(self.twin.design),
            "side": self.side,
            "threshold": self.threshold,
            "support": self.support,
            "fusion": self.fusion,
            "trained_on": self.trained_on,
            "learned_from": list(self.learned_from),
            "figures": self.figures,
        }
        weights = {k: v.detach().cpu().contiguous() for k, v in self.twin.own_weights().items()}
        return save(weights), json.dumps(about, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_files(cls, weights: bytes, about: str) -> TrainedTwin:
        """Read it back.

        Raises:
            TwinError: the two are damaged or don't fit each other.
        """
        try:
            values = json.loads(about)
            twin = Twin(design_from(values.pop("design")))
            _load(twin, load(weights))
            return cls(twin=twin.eval().requires_grad_(requires_grad=False), **values)
        except (ValueError, TypeError, KeyError, SafetensorError, RuntimeError) as error:
            message = f"the trained network can't be read ({error}); train it anew with `goldentwin train`"
            raise TwinError(message) from error


def design_from(values: dict[str, Any]) -> TwinDesign:
    """The design that JSON tells of; unknown keys are errors."""
    encoder = dict(values["encoder"])
    encoder["out_indices"] = tuple(encoder["out_indices"])
    return TwinDesign(
        **{
            **values,
            "architecture": Architecture(values["architecture"]),
            "distance": Distance(values["distance"]),
            "loss": Loss(values["loss"]),
            "types": tuple(values["types"]),
            "encoder": EncoderChoice(**encoder),
        }
    )


def _encoder(design: TwinDesign) -> LevelEncoder:
    if design.architecture is Architecture.TWO_CHANNEL:
        return LevelEncoder(None)
    network = load_encoder(design.encoder)
    if not network.any_size or network.strides not in _LEVELS:
        message = (
            f"no network can be trained on encoder {design.encoder.name!r} at these out_indices: it takes one size of "
            "image only, or the strides of its levels are not 4, 8, ... or 2, 4, 8, ...; "
            "train with the embedded encoder"
        )
        raise TwinError(message)
    return LevelEncoder(network.backbone.requires_grad_(requires_grad=design.fine_tuned))


def _comparer(design: TwinDesign, encoder: LevelEncoder) -> nn.Module:
    types = max(1, len(design.types))
    if design.architecture is Architecture.TWO_CHANNEL:
        return TwoChannel(types=types)
    levels = cast("Any", encoder.backbone).feature_info
    kind = Siamese if design.architecture is Architecture.SIAMESE else PseudoSiamese
    return kind(levels.channels(), levels.reduction(), distance=design.distance, types=types)


def _load(twin: Twin, weights: dict[str, torch.Tensor]) -> None:
    expected = set(twin.own_weights())
    if set(weights) != expected:
        message = f"{len(expected ^ set(weights))} of its weights are missing or unknown"
        raise ValueError(message)
    twin.load_state_dict(weights, strict=False)
