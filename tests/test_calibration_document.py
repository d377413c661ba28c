"""The calibration as a document: exact round trip, strict reading, digest and binding."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.calibration import Binding, Calibration, Policy, Rate, calibrate_scores
from inspection.errors import CalibrationError, NotCalibratedError

BINDING = Binding(encoder="e" * 12, reference_set="f" * 12, recipe="a" * 12)
LIMITS = st.none() | st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)
RATES = st.integers(1, 999).flatmap(lambda n: st.integers(0, n).map(lambda events: Rate.of(events, n)))
CALIBRATIONS = st.builds(
    Calibration,
    threshold=st.floats(0.0, 1.0),
    provisional=st.booleans(),
    binding=st.builds(Binding, encoder=st.text(), reference_set=st.text(), recipe=st.text()),
    policy=st.builds(Policy, max_overkill=LIMITS, max_escape=LIMITS, cost_escape=st.none(), cost_overkill=st.none()),
    good=st.integers(0, 10**6),
    defective=st.integers(0, 10**6),
    overkill=st.none() | RATES,
    escape=st.none() | RATES,
    statement=st.text(),
    warnings=st.lists(st.text()).map(tuple),
    created_at=st.text(),
)


def example():
    """A calibration of a small sample with both rates."""
    scores = [0.5 + 0.01 * step for step in range(30)]
    return calibrate_scores(scores, [0.1, 0.2], policy=Policy(max_overkill=0.05), binding=BINDING)


@given(CALIBRATIONS)
def test_json_gives_back_an_equal_calibration(calibration):
    """To JSON and back changes nothing, not in the last digit."""
    again = Calibration.from_json(calibration.to_json())
    assert again == calibration
    assert again.digest == calibration.digest


@pytest.mark.parametrize("path", [(), ("binding",), ("policy",), ("overkill",)])
def test_unknown_and_missing_keys_are_errors(path):
    """At every level of the document a key too many or too few is refused by name."""
    for change, reason in (
        (lambda node: node.update(colour=1), "unknown key 'colour'"),
        (_drop_first, "lacks the key"),
    ):
        data = json.loads(example().to_json())
        node = data
        for key in path:
            node = node[key]
        change(node)
        with pytest.raises(CalibrationError, match=reason):
            Calibration.from_json(json.dumps(data))


def _drop_first(node):
    del node[next(iter(node))]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threshold", "0.5"),
        ("threshold", True),
        ("threshold", float("nan")),
        ("threshold", 1.5),
        ("provisional", 0),
        ("good", 1.0),
        ("warnings", "none"),
        ("policy", {"max_overkill": 2.0, "max_escape": None, "cost_escape": None, "cost_overkill": None}),
        ("binding", []),
    ],
)
def test_values_of_the_wrong_kind_are_errors(key, value):
    """A value that is not what the key means is refused, NaN included."""
    data = json.loads(example().to_json()) | {key: value}
    with pytest.raises(CalibrationError):
        Calibration.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\u0000"])
def test_what_is_no_calibration_is_an_error(text):
    """A torn or foreign file is a typed error."""
    with pytest.raises(CalibrationError):
        Calibration.from_json(text)


def test_digest_names_what_decides_verdicts():
    """Time and wording leave the digest alone; threshold, binding, policy, counts and provisional change it."""
    calibration = example()
    for same in ({"created_at": "1970-01-01T00:00:00+00:00"}, {"statement": "x"}, {"warnings": ("x",)}):
        assert dataclasses.replace(calibration, **same).digest == calibration.digest
    changes = {
        "threshold": 0.123,
        "provisional": True,
        "binding": dataclasses.replace(BINDING, recipe="b" * 12),
        "policy": Policy(),
        "good": 31,
        "defective": 3,
    }
    digests = {dataclasses.replace(calibration, **{key: value}).digest for key, value in changes.items()}
    assert len(digests | {calibration.digest}) == len(changes) + 1
    assert len(calibration.digest) == 12


def test_created_at_is_utc():
    """The time of making is ISO 8601 with the offset of UTC."""
    assert example().created_at.endswith("+00:00")


def test_current_binding_is_accepted():
    """The very encoder, goldens and recipe it was measured with may be judged."""
    example().check(Binding(encoder="e" * 12, reference_set="f" * 12, recipe="a" * 12))


@pytest.mark.parametrize(
    ("part", "words"), [("encoder", "encoder"), ("reference_set", "reference set"), ("recipe", "recipe")]
)
def test_another_binding_is_refused_with_the_remedy(part, words):
    """What changed since is named, and so is the command to run."""
    other = dataclasses.replace(BINDING, **{part: "0123456789ab"})
    with pytest.raises(NotCalibratedError, match=f"{words} 0123456789ab .*goldentwin calibrate PRODUCT --labelled DIR"):
        example().check(other)
