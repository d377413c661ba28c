"""The gates on made-up verdicts: what counts as escape, what the paired test says, where each limit lies."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from inspection.errors import CalibrationError
from pipeline.gates import Compared, Limits, Paired, Told, compare

PASS, FLAG, UNSEEN = Told(verdict="PASS", similarity=0.9), Told(verdict="FLAG", similarity=0.3), None
LIMITS = Limits(good=1, defective=1)


def part(champion, challenger, *, defective=True, logged=None, name="part"):
    """A part on which the three say this; without a third, the logged model says what the challenger says."""
    unseen = Told(verdict="CANNOT_INSPECT", similarity=None, reason="blurred")
    champion, challenger = champion or unseen, challenger or unseen
    return Compared(
        name=name,
        sha256="a" * 64,
        label="scratch" if defective else "good",
        defective=defective,
        champion=champion,
        challenger=challenger,
        logged=logged or challenger,
    )


def good(champion, challenger, **changes):
    """The same of a good part."""
    return part(champion, challenger, defective=False, **changes)


def failed(parts, limits=LIMITS):
    """The gates that are not passed."""
    return [gate.name for gate in compare(parts, limits).gates if not gate.passed]


USUAL = [part(FLAG, FLAG)] * 5 + [good(PASS, PASS)] * 5


def test_paired_test_by_hand():
    """Five parts that only the challenger misses: 2 * (1/2)**5; three against one: 2 * 5/16; none: 1."""
    missed = [part(FLAG, PASS)] * 5
    assert Paired.of(missed, lambda told: told.escapes).p == pytest.approx(2 / 32)
    mixed = [part(FLAG, PASS)] * 3 + [part(PASS, FLAG)]
    assert Paired.of(mixed, lambda told: told.escapes).p == pytest.approx(10 / 16)
    assert Paired.of(USUAL, lambda told: told.escapes).p == 1.0


@pytest.mark.parametrize(("ours", "theirs"), [(0, 7), (7, 0), (3, 3), (2, 9), (40, 60), (0, 1)])
def test_paired_test_is_the_binomial_test(ours, theirs):
    """As SciPy has it."""
    parts = [part(PASS, FLAG)] * ours + [part(FLAG, PASS)] * theirs
    found = Paired.of(parts, lambda told: told.escapes)
    assert found.p == pytest.approx(binomtest(theirs, ours + theirs, 0.5).pvalue)
    assert (found.only_champion, found.only_challenger, found.more) == (ours, theirs, theirs - ours)


def test_equals_pass():
    """Who is no worse passes every gate."""
    assert failed(USUAL) == []


def test_net_escapes_count():
    """One more missed is refused; one missed for one found is not; a stated limit allows as many."""
    assert failed([*USUAL, part(FLAG, PASS)]) == ["escape"]
    assert failed([*USUAL, part(FLAG, PASS), part(PASS, FLAG)]) == []
    assert failed([*USUAL, part(FLAG, PASS)], Limits(good=1, defective=1, more_escapes=1)) == []


def test_a_defect_that_can_not_be_inspected_is_no_escape_but_counts():
    """It does not pass; but it may not be more of them."""
    contest = compare([*USUAL, part(FLAG, UNSEEN)], LIMITS)
    assert (contest.escape.challenger, contest.unseen.challenger) == (0, 1)
    assert [gate.name for gate in contest.gates if not gate.passed] == ["inspected"]
    assert failed([*USUAL, part(FLAG, UNSEEN), part(UNSEEN, FLAG)]) == []


def test_a_defect_the_champion_did_not_inspect_escapes_if_it_passes_now():
    """Before, somebody looked at it."""
    assert failed([*USUAL, part(UNSEEN, PASS)]) == ["escape"]


def test_overkill_is_a_share_of_good_parts_both_inspected():
    """One of a hundred is 1 %, and allowed; two are not; one that the champion could not inspect does not count."""
    many = [good(PASS, PASS)] * 99 + [part(FLAG, FLAG)]
    assert failed([*many, good(PASS, FLAG)]) == []
    assert failed([*many[1:], good(PASS, FLAG), good(PASS, FLAG)]) == ["overkill"]
    assert failed([*many, good(UNSEEN, FLAG)]) == []
    assert compare([*many, good(UNSEEN, FLAG)], LIMITS).overkill.n == 99


def test_parts_that_neither_inspects_are_no_sample():
    """Twenty pictures that nobody can read prove nothing."""
    parts = [*USUAL, *[good(UNSEEN, UNSEEN)] * 20]
    assert failed(parts, Limits(good=5, defective=5)) == []
    assert failed(parts, Limits(good=6, defective=5)) == ["sample"]
    assert failed(parts, Limits(good=5, defective=6)) == ["sample"]


@pytest.mark.parametrize(
    ("logged", "refused"),
    [
        (Told(verdict="FLAG", similarity=0.3009), []),
        (Told(verdict="FLAG", similarity=0.3011), ["parity"]),
        (Told(verdict="PASS", similarity=0.3), ["parity"]),
        (Told(verdict="FLAG", similarity=None), ["parity"]),
        (Told(verdict="ValueError: no", similarity=None), ["parity"]),
    ],
    ids=["near enough", "another similarity", "another verdict", "no similarity", "an error"],
)
def test_logged_model_says_the_same(logged, refused):
    """The verdict itself, and the similarity to a thousandth."""
    found = compare([*USUAL, part(FLAG, FLAG, logged=logged, name="odd")], LIMITS)
    assert [gate.name for gate in found.gates if not gate.passed] == refused
    assert [gate.offending for gate in found.gates if not gate.passed] == [("odd",)] * len(refused)


@pytest.mark.parametrize("wrong", [{"more_escapes": -1}, {"more_overkill": 1.5}, {"good": 0}, {"defective": 0}])
def test_limits_that_are_none_are_refused(wrong):
    """Nothing is promoted on an empty set."""
    with pytest.raises(CalibrationError, match="limits"):
        Limits(**wrong)
