"""What a PLC's variables are called, and how a signal is put into the types that the PLC gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from asyncua import ua

from inspection.verdicts import Verdict
from pipeline.signals.message import LineState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.signals.message import Signal

_Type = ua.VariantType
VERDICT_CODES = {Verdict.PASS: 1, Verdict.FLAG: 2, Verdict.CANNOT_INSPECT: 3}
STATE_CODES = {LineState.RUNNING: 1, LineState.STOPPED: 2, LineState.LOST: 3}
NO_SIMILARITY = -1.0
_LONGEST_TEXT = 200  # a PLC's STRING holds 254
_WHOLE_BITS = {
    _Type.SByte: 7,
    _Type.Byte: 8,
    _Type.Int16: 15,
    _Type.UInt16: 16,
    _Type.Int32: 31,
    _Type.UInt32: 32,
    _Type.Int64: 63,
    _Type.UInt64: 64,
}
_COUNTER_BITS = 31

BEGIN, SEQUENCE, HEARTBEAT, STATE, ACKNOWLEDGED = "Begin", "Sequence", "Heartbeat", "State", "Acknowledged"
REQUIRED = frozenset({"Verdict", SEQUENCE, HEARTBEAT, STATE})
OPTIONAL = frozenset({BEGIN, "PartId", "Similarity", "Reason", "Late", "Provisional"})

Forms: TypeAlias = str | float | tuple[str, int, bool]


def signal_values(signal: Signal) -> dict[str, Forms]:
    """What is written between `Begin` and `Sequence`; a tuple is what a text, a number or a Boolean gets."""
    return {
        "Verdict": (signal.verdict.value, VERDICT_CODES[signal.verdict], signal.verdict is Verdict.PASS),
        "PartId": signal.part_id[:_LONGEST_TEXT],
        "Similarity": NO_SIMILARITY if signal.similarity is None else signal.similarity,
        "Reason": (signal.reason or "")[:_LONGEST_TEXT],
        "Late": ("late" if signal.late else "", int(signal.late), signal.late),
        "Provisional": ("provisional" if signal.provisional else "", int(signal.provisional), signal.provisional),
    }


def state_value(state: LineState) -> Forms:
    """What `State` gets."""
    return state.value, STATE_CODES[state], state is LineState.RUNNING


def unusable(types: Mapping[str, ua.VariantType]) -> list[str]:
    """What is wrong with the variables that are there, in words; empty where nothing is."""
    problems = [f"{name} is missing" for name in sorted(REQUIRED - types.keys())]
    samples: dict[str, Forms] = {
        "Verdict": ("", 0, False),
        STATE: ("", 0, False),
        "Late": ("", 0, False),
        "Provisional": ("", 0, False),
        "PartId": "",
        "Reason": "",
        "Similarity": 0.0,
    }
    for name, kind in sorted(types.items()):
        counts = name in {BEGIN, SEQUENCE, ACKNOWLEDGED}
        if counts and _WHOLE_BITS.get(kind, 0) < _COUNTER_BITS:
            problems.append(f"{name} is {kind.name} and must be a whole number of 32 or 64 bits")
        elif name == HEARTBEAT and kind not in _WHOLE_BITS:
            problems.append(f"{name} is {kind.name} and must be a whole number")
        elif name in samples and _fitting(samples[name], kind) is None:
            problems.append(f"{name} is {kind.name}, which can't hold it")
    return problems


def data_value(value: Forms, kind: ua.VariantType) -> ua.DataValue:
    """The value in the variable's own type; without status and stamps, which many a PLC refuses to be written."""
    return ua.DataValue(Value=ua.Variant(_fitting(value, kind), kind), StatusCode=None)


def next_beat(beat: int, kind: ua.VariantType) -> int:
    """The heartbeat after `beat`; at the type's end it begins again with 0."""
    return (beat + 1) % (1 << _WHOLE_BITS[kind])


def _fitting(value: Forms, kind: ua.VariantType) -> str | float | bool | None:
    """The form of `value` that a variable of type `kind` takes; None where it takes none."""
    text, whole, truth = value if isinstance(value, tuple) else (value, value, None)
    if kind is _Type.String:
        return text if isinstance(text, str) else None
    if kind is _Type.Boolean:
        return truth
    if kind in _WHOLE_BITS:
        return whole if isinstance(whole, int) else None
    if kind in {_Type.Float, _Type.Double}:
        return float(whole) if isinstance(value, int | float) else None
    return None
