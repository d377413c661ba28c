"""Answers become labels, kappa says how well people agree, and estimates weigh each part by its chance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from pipeline.review.estimates import Stratum, defective_interval, estimate_night
from pipeline.review.items import DEFECT, GOOD, Answer
from pipeline.review.labels import DISPUTED, agreement, cohen_kappa, fleiss_kappa, resolve

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
# Fleiss 1971, as reprinted widely: 10 subjects, 14 raters, 5 categories, kappa 0.210
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def answer(key, value, reviewer="anna", *, minute=0, question="verdict", comment=""):
    """One answer."""
    at = NOON + timedelta(minutes=minute)
    name = f"{key}{reviewer}{question}{minute}"
    return Answer(id=name, key=key, question=question, value=value, comment=comment, reviewer=reviewer, answered_at=at)


def test_a_label_is_each_reviewer_s_latest_word_by_majority():
    """With type, votes, comments and the moment of the last word."""
    labels = resolve(
        [
            answer("p", GOOD, minute=1),
            answer("p", DEFECT, minute=2, comment="a scratch"),
            answer("p", DEFECT, "ben"),
            answer("p", GOOD, "cleo"),
            answer("p", "scratch", question="defect_type"),
        ]
    )
    assert [(one.value, one.defect_type, one.comments) for one in labels] == [(DEFECT, "scratch", ("a scratch",))]
    assert labels[0].votes == {"anna": DEFECT, "ben": DEFECT, "cleo": GOOD}
    assert labels[0].decided_at == NOON + timedelta(minutes=2)


def test_a_tie_is_disputed_and_a_type_alone_is_no_label():
    """A third reviewer decides the one; the other waits for its verdict. A good part has no type."""
    tie = [answer("p", GOOD), answer("p", DEFECT, "ben"), answer("q", "scratch", question="defect_type")]
    assert [(one.key, one.value, one.defect_type) for one in resolve(tie)] == [("p", DISPUTED, "")]
    decided = resolve([*tie, answer("p", GOOD, "cleo"), answer("p", "scratch", question="defect_type")])
    assert [(one.value, one.defect_type) for one in decided] == [(GOOD, "")]


def test_cohen_agrees_with_scikit_learn():
    """On random answers; 1 where all agree, nothing where chance would do that too."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        first = rng.choice([GOOD, DEFECT], 30)
        second = np.where(rng.random(30) < 0.7, first, rng.choice([GOOD, DEFECT], 30))
        pairs = list(zip(map(str, first), map(str, second), strict=True))
        assert cohen_kappa(pairs) == pytest.approx(cohen_kappa_score(first, second))
    assert cohen_kappa([(GOOD, GOOD), (DEFECT, DEFECT)]) == 1
    assert cohen_kappa([(GOOD, GOOD)] * 3) is None


def test_fleiss_agrees_with_the_published_example():
    """0.210; full agreement is 1."""
    assert fleiss_kappa(FLEISS) == pytest.approx(0.210, abs=5e-4)
    assert fleiss_kappa([[3, 0], [0, 3]]) == pytest.approx(1)
    assert fleiss_kappa([[3, 0], [2, 0]]) is None


def test_agreement_takes_the_statistic_that_fits():
    """Cohen for two people, Fleiss for three; parts that one saw say nothing."""
    two = [answer(part, value, who) for part, value in (("p", GOOD), ("q", DEFECT)) for who in ("anna", "ben")]
    found = agreement(resolve([*two, answer("r", GOOD)]))
    assert (found.statistic, found.kappa, found.parts, found.reviewers) == ("Cohen", 1, 2, 2)
    found = agreement(resolve([*two, answer("p", GOOD, "cleo")]))
    assert (found.statistic, found.reviewers) == ("Fleiss", 3)
    assert agreement([]).kappa is None


def test_an_interval_by_hand():
    """2 of 10 parts reviewed, 1 defective: 1 to 9 are left in it, and a full review knows."""
    assert defective_interval(Stratum(parts=10, reviewed=2, defective=1)) == (1, 9)
    assert defective_interval(Stratum(parts=10, reviewed=10, defective=3)) == (3, 3)
    assert defective_interval(Stratum(parts=10, reviewed=0, defective=0)) == (0, 10)
    # none of 50 among 1000: P(none | K) > 2.5 % up to K = 69 (hypergeometric)
    assert defective_interval(Stratum(parts=1000, reviewed=50, defective=0)) == (0, 69)


def test_an_estimate_by_hand():
    """40 defective of 50 flagged; 1 of 50 reviewed of 1000 passed stands for 20: escape 20 of 60."""
    found = estimate_night(Stratum(parts=50, reviewed=50, defective=40), Stratum(parts=1000, reviewed=50, defective=1))
    assert found.escape.rate == pytest.approx(20 / 60)
    assert found.overkill.rate == pytest.approx(10 / 990)
    low, high = defective_interval(found.passed)
    assert (found.escape.low, found.escape.high) == (low / (40 + low), high / (40 + high))
    assert (found.overkill.low, found.overkill.high) == (10 / (1010 - low), 10 / (1010 - high))


def test_nothing_reviewed_says_nothing():
    """No rate, and an interval that leaves all open."""
    found = estimate_night(Stratum(parts=50, reviewed=0, defective=0), Stratum(parts=1000, reviewed=0, defective=0))
    assert found.escape.rate is None
    assert (found.escape.low, found.escape.high) == (0, 1)


@pytest.mark.parametrize("reviewed_flags", [1.0, 0.7])
def test_intervals_hold_the_truth_in_200_nights(reviewed_flags):
    """93 % of 200 nights at least, with 5 % of the passed parts reviewed, and also where flagged ones wait."""
    held = {"escape": 0, "overkill": 0}
    for night in range(200):
        rng = np.random.default_rng([night, 7])
        defective = rng.random(2000) < rng.uniform(0.01, 0.08)
        flagged = rng.random(2000) < np.where(defective, rng.uniform(0.7, 0.98), rng.uniform(0.005, 0.04))
        seen = rng.random(2000) < np.where(flagged, reviewed_flags, 0.05)
        strata = [
            Stratum(
                parts=int(these.sum()),
                reviewed=int((these & seen).sum()),
                defective=int((these & seen & defective).sum()),
            )
            for these in (flagged, ~flagged)
        ]
        found = estimate_night(*strata)
        truth = {
            "escape": (defective & ~flagged).sum() / defective.sum(),
            "overkill": (flagged & ~defective).sum() / (~defective).sum(),
        }
        for name, value in truth.items():
            interval = getattr(found, name)
            held[name] += interval.low - 1e-12 <= value <= interval.high + 1e-12
            assert interval.low - 1e-12 <= interval.rate <= interval.high + 1e-12
    assert min(held.values()) >= 186
