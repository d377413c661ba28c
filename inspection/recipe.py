"""The recipe of one view: how its frames are prepared, registered, encoded and judged."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from inspection.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DIGEST_LENGTH = 12
_ROUNDING = 1e-9
_TYPE_NAME = re.compile(r"[\w][\w .-]{0,63}")
_NO_TYPES = ("good", "ground_truth")
T = TypeVar("T")


class RegistrationMethod(StrEnum):
    """How a frame is brought onto the golden's coordinates; `auto` takes the simplest that fits the goldens."""

    NONE = "none"
    SHIFT = "shift"
    RIGID = "rigid"
    HOMOGRAPHY = "homography"
    AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class EncoderChoice:
    """Which network encodes: the embedded EfficientNet-Lite0, or any timm backbone with a local weights file.

    `weights` is None for the embedded weights, else the path of a `.safetensors` (or `.pth`, read with
    `weights_only=True`) file, as seen from the recipe's folder; `out_indices` are the timm feature levels used, finest
    first.
    """

    name: str = "tf_efficientnet_lite0"
    weights: str | None = None
    out_indices: tuple[int, ...] = (1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class QualityLimits:
    """Outside these a frame is CANNOT_INSPECT. All but `min_contrast` are relative to the goldens' own figures.

    A frame's mean brightness must lie within `min_brightness` to `max_brightness` times the goldens' range, its
    focus at least `min_focus` times the goldens' (near the least sharp), its aspect ratio within `max_aspect_change` of
    theirs; its grey values must spread by `min_contrast` (standard deviation, 0 to 255) or it is blank.
    """

    min_brightness: float = 0.5
    max_brightness: float = 1.8
    min_focus: float = 0.2
    min_contrast: float = 2.0
    min_size_ratio: float = 0.5
    max_aspect_change: float = 0.1


@dataclass(frozen=True, kw_only=True)
class InspectionRegion:
    """A named box in the golden's coordinates (fractions of width and height, 0 to 1) judged more or less strictly.

    Distances inside are multiplied by `sensitivity`, which is the same as a threshold of its own.
    """

    name: str
    x: float
    y: float
    width: float
    height: float
    sensitivity: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a box that reaches outside the golden, and a sensitivity that would make any distance good."""
        spans = ((self.x, self.width), (self.y, self.height))
        if not all(start >= 0 and length > 0 and start + length <= 1 + _ROUNDING for start, length in spans):
            message = f"region {self.name!r} must lie inside the golden: x, y, width and height are fractions, 0 to 1"
            raise RecipeError(message)
        if not (math.isfinite(self.sensitivity) and self.sensitivity >= 0):
            message = f"region {self.name!r}: sensitivity must be 0 (not inspected) or more, not {self.sensitivity}"
            raise RecipeError(message)


def is_type_name(name: str) -> bool:
    """Whether a type of defect may be called so: it names a folder of labelled parts, and is none of its other ones."""
    return bool(_TYPE_NAME.fullmatch(name)) and name not in _NO_TYPES


@dataclass(frozen=True, kw_only=True)
class ReviewSettings:
    """Which parts people see, and what they see of them; decides no verdict, and so is not part of the recipe's digest.

    `share` of the parts that passed is chosen at random, seeded by `seed`, to be reviewed beside all flagged ones.
    `shows_verdict` lets the reviewer see what the machine said. `defect_types` are offered as answers; without any,
    none is asked for.
    """

    share: float = 0.05
    seed: int = 0
    shows_verdict: bool = False
    defect_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a share that is none, and names that a folder of labelled parts could not have."""
        if not 0.0 <= self.share <= 1.0:
            message = f"review: share must lie in 0 to 1, not {self.share}"
            raise RecipeError(message)
        bad = [name for name in self.defect_types if not is_type_name(name)]
        if bad or len(set(self.defect_types)) != len(self.defect_types):
            message = "review: defect_types must be different names of letters, digits, dots, dashes, underscores and "
            message += f"spaces, other than good and ground_truth, not {', '.join(map(repr, bad or self.defect_types))}"
            raise RecipeError(message)


@dataclass(frozen=True, kw_only=True)
class WatchSettings:
    """What follows when frames drift out of the range of their calibration; not part of the recipe's digest.

    With `holds_pass`, no part passes automatically any more until the view is calibrated anew: it is CANNOT_INSPECT.
    """

    holds_pass: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides how frames of one view are judged, besides goldens, encoder weights and calibration.

    `image_size` is the side in pixels of the square that frames are resized to before encoding, a multiple of 32.
    `roi_mask` and `ignore_mask` are file names beside the recipe (white = inspect / white = ignore). `twin` is the
    digest of the trained network that judges too, in `twin-<digest>.safetensors` and `.json` beside the recipe; None
    where the goldens alone are compared.
    """

    image_size: int = 256
    registration: RegistrationMethod = RegistrationMethod.AUTO
    roi_mask: str | None = None
    ignore_mask: str | None = None
    encoder: EncoderChoice = field(default_factory=EncoderChoice)
    quality: QualityLimits = field(default_factory=QualityLimits)
    regions: tuple[InspectionRegion, ...] = ()
    twin: str | None = None
    review: ReviewSettings = field(default_factory=ReviewSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if self.image_size % 32 or not 64 <= self.image_size <= 2048:  # noqa: PLR2004 - the stated range
            message = f"image_size must be a multiple of 32 between 64 and 2048, not {self.image_size}"
            raise RecipeError(message)

    @property
    def digest(self) -> str:
        """12 hex digits over all that decides a verdict, but where a weights file lies, so that it may be moved.

        The weights themselves are hashed by the encoder's digest, masks by the reference set, which holds them.
        """
        values = asdict(self)
        del values["encoder"]["weights"], values["review"], values["watch"]
        if self.twin is None:
            del values["twin"]  # so that recipes without one keep the digest they always had
        return digest_of(values)

    def to_json(self) -> str:
        """Readable JSON, keys in declaration order."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read a recipe back. Unknown keys are errors.

        Raises:
            RecipeError: not JSON, an unknown key, or a value outside its range.
        """
        try:
            return _recipe(json.loads(text))
        except (ValueError, TypeError) as error:
            message = f"the recipe can't be read: {error}"
            raise RecipeError(message) from error

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read the recipe file at `path`."""
        return cls.from_json(path.read_text(encoding="utf-8"))


def digest_of(value: object) -> str:
    """12 hex digits of SHA-256 over the canonical JSON of `value`."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGEST_LENGTH]


def _recipe(data: dict[str, Any]) -> Recipe:
    known = dict(data)
    if "registration" in known:
        known["registration"] = RegistrationMethod(known["registration"])
    if "encoder" in known:
        encoder = dict(known["encoder"])
        if "out_indices" in encoder:
            encoder["out_indices"] = tuple(encoder["out_indices"])
        known["encoder"] = _checked(EncoderChoice, encoder)
    if "quality" in known:
        known["quality"] = _checked(QualityLimits, known["quality"])
    if "regions" in known:
        known["regions"] = tuple(_checked(InspectionRegion, region) for region in known["regions"])
    if "review" in known:
        review = dict(known["review"])
        review["defect_types"] = tuple(review.get("defect_types", ()))
        known["review"] = _checked(ReviewSettings, review)
    if "watch" in known:
        known["watch"] = _checked(WatchSettings, known["watch"])
    return _checked(Recipe, known)


def _checked(kind: type[T], values: Mapping[str, Any]) -> T:
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - names):
        message = f"unknown key {unknown[0]!r}; {kind.__name__} knows {', '.join(sorted(names))}"
        raise RecipeError(message)
    return kind(**values)
