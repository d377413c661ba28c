"""The calibration as it is kept: one JSON document, bound by hash to what it was measured with."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, TypeVar

from inspection.calibration.policy import Policy
from inspection.calibration.rates import Rate
from inspection.errors import CalibrationError, NotCalibratedError
from inspection.recipe import digest_of

CALIBRATE_COMMAND = "goldentwin calibrate PRODUCT --labelled DIR"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Binding:
    """The digests (12 hex digits each) of encoder, reference set and recipe that similarities were measured with."""

    encoder: str
    reference_set: str
    recipe: str


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A threshold, how it was chosen, and what its sample proves.

    `threshold` is a similarity in [0, 1]: a frame is flagged when `similarity < threshold`. `good` and `defective`
    count the similarities it was chosen on. `overkill` and `escape` are the rates at the threshold on that same sample
    (None where the sample has none of that class), so they are optimistic: only parts that took no part in choosing,
    as in `goldentwin evaluate`, give unbiased rates. `statement` says in words what is proven. A `provisional`
    calibration was made from goldens alone. `created_at` is ISO 8601, UTC.
    """

    threshold: float
    provisional: bool
    binding: Binding
    policy: Policy
    good: int
    defective: int
    overkill: Rate | None
    escape: Rate | None
    statement: str
    warnings: tuple[str, ...]
    created_at: str

    def __post_init__(self) -> None:
        """Refuse a threshold that is no similarity."""
        if not (math.isfinite(self.threshold) and 0.0 <= self.threshold <= 1.0):
            message = f"a threshold is a similarity between 0 and 1, not {self.threshold}"
            raise CalibrationError(message)

    @cached_property
    def digest(self) -> str:
        """12 hex digits over what decides verdicts: threshold, provisional, binding, policy and counts."""
        decisive = ("threshold", "provisional", "binding", "policy", "good", "defective")
        values = asdict(self)
        return digest_of({name: values[name] for name in decisive})

    def check(self, binding: Binding) -> None:
        """Make sure that this calibration may judge frames compared under `binding`.

        Raises:
            NotCalibratedError: encoder, reference set or recipe changed since; names them and the remedy.
        """
        changed = [
            f"{field.name.replace('_', ' ')} {getattr(binding, field.name)} "
            f"(calibrated with {getattr(self.binding, field.name)})"
            for field in fields(Binding)
            if getattr(binding, field.name) != getattr(self.binding, field.name)
        ]
        if changed:
            message = f"the calibration does not fit the current {', '.join(changed)}; run `{CALIBRATE_COMMAND}`"
            raise NotCalibratedError(message)

    def to_json(self) -> str:
        """Readable JSON, keys in declaration order; `from_json` gives back an equal calibration."""
        return json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read a calibration back. Unknown and missing keys are errors.

        Raises:
            CalibrationError: not JSON, an unknown or missing key, or a value of the wrong kind.
        """
        try:
            return _calibration(json.loads(text))
        except (ValueError, TypeError) as error:
            message = f"the calibration can't be read: {error}; make it anew with `{CALIBRATE_COMMAND}`"
            raise CalibrationError(message) from error


_NUMBER = (int, float)
_OPTIONAL_NUMBER = (int, float, type(None))
_KINDS: dict[type, dict[str, type | tuple[type, ...]]] = {
    Binding: {"encoder": str, "reference_set": str, "recipe": str},
    Policy: dict.fromkeys(("max_overkill", "max_escape", "cost_escape", "cost_overkill"), _OPTIONAL_NUMBER),
    Rate: {"rate": _NUMBER, "low": _NUMBER, "high": _NUMBER, "n": int},
    Calibration: {
        "threshold": _NUMBER,
        "provisional": bool,
        "binding": dict,
        "policy": dict,
        "good": int,
        "defective": int,
        "overkill": (dict, type(None)),
        "escape": (dict, type(None)),
        "statement": str,
        "warnings": list,
        "created_at": str,
    },
}


def _calibration(data: object) -> Calibration:
    values = _checked(Calibration, data)
    values["binding"] = Binding(**_checked(Binding, values["binding"]))
    values["policy"] = Policy(**_checked(Policy, values["policy"]))
    for name in ("overkill", "escape"):
        if values[name] is not None:
            values[name] = Rate(**_checked(Rate, values[name]))
    values["warnings"] = tuple(str(warning) for warning in values["warnings"])
    return Calibration(**values)


def _checked(kind: type[T], data: object) -> dict[str, Any]:
    expected = _KINDS[kind]
    if not isinstance(data, dict):
        message = f"{kind.__name__} must be a JSON object"
        raise CalibrationError(message)
    if unknown := sorted(set(data) - set(expected)):
        message = f"unknown key {unknown[0]!r}; {kind.__name__} knows {', '.join(expected)}"
        raise CalibrationError(message)
    if missing := [name for name in expected if name not in data]:
        message = f"{kind.__name__} lacks the key {missing[0]!r}; make it anew with `{CALIBRATE_COMMAND}`"
        raise CalibrationError(message)
    for name, value in data.items():
        if not _is_of_kind(value, expected[name]):
            message = f"{kind.__name__}.{name} can't be {value!r}"
            raise CalibrationError(message)
    return dict(data)


def _is_of_kind(value: object, kind: type | tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, kind)
