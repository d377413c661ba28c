"""Losses on pairs, worked out by hand. The label: 1 = same, 0 = defect."""

from __future__ import annotations

import math

import pytest
import torch

from inspection.learned.architecture import PairMaps
from inspection.learned.losses import (
    DEFECT_WEIGHT,
    MARGIN,
    UNKNOWN,
    UNNAMED,
    Loss,
    bce,
    contrastive,
    distance_of_logit,
    pair_loss,
    triplet,
)


def logit_of(distance):
    """The logit whose distance this is."""
    return 2 * math.log(distance)


def test_distance_and_similarity_say_the_same():
    """Similarity is 1 / (1 + distance^2) and the sigmoid of minus the logit."""
    logit = torch.tensor([-3.0, 0.0, 1.5])
    distance = distance_of_logit(logit)
    assert torch.allclose(1 / (1 + distance**2), torch.sigmoid(-logit))


def test_bce_on_a_same_and_a_defective_pair():
    """A same pair of similarity 0.8 costs -ln 0.8, a defect of similarity 0.25 three times -ln 0.75."""
    logit = torch.tensor([math.log(0.2 / 0.8), math.log(0.75 / 0.25)])
    by_hand = (-math.log(0.8) - DEFECT_WEIGHT * math.log(0.75)) / 2
    assert bce(logit, torch.tensor([1.0, 0.0])) == pytest.approx(by_hand, rel=1e-6)


def test_contrastive_draws_same_together_and_defects_apart():
    """Same at distance 0.5 costs 0.125; a defect at 1.5 costs 3 * 0.5^2 / 2; one beyond the margin costs nothing."""
    logit = torch.tensor([logit_of(0.5), logit_of(1.5), logit_of(MARGIN + 1)])
    by_hand = (0.5**2 / 2 + DEFECT_WEIGHT * (MARGIN - 1.5) ** 2 / 2 + 0) / 3
    assert contrastive(logit, torch.tensor([1.0, 0.0, 0.0])) == pytest.approx(by_hand, rel=1e-5)


def test_triplet_takes_the_next_farther_defect():
    """Same at 1.0; of the defects at 0.4, 1.5 and 6 the one at 1.5 is semi-hard: 1.0 - 1.5 + margin."""
    logit = torch.tensor([logit_of(1.0), logit_of(0.4), logit_of(1.5), logit_of(6.0)])
    found = triplet(logit, torch.tensor([1.0, 0.0, 0.0, 0.0]))
    assert found == pytest.approx(1.0 - 1.5 + MARGIN, rel=1e-5)


def test_triplet_without_a_farther_defect_takes_the_farthest():
    """All defects lie nearer than the same place: the worst case, told by the farthest of them."""
    logit = torch.tensor([logit_of(3.0), logit_of(0.5), logit_of(1.0)])
    found = triplet(logit, torch.tensor([1.0, 0.0, 0.0]))
    assert found == pytest.approx(3.0 - 1.0 + MARGIN, rel=1e-5)


@pytest.mark.parametrize("loss", list(Loss))
def test_a_label_turned_round_costs_more(loss):
    """Every loss is smaller where distances fit the labels than where they contradict them."""
    targets = torch.tensor([[[0, 0], [1, UNNAMED]]], dtype=torch.uint8)
    fits = PairMaps(torch.tensor([[[-4.0, -4.0], [4.0, 4.0]]]), torch.zeros(1, 1, 2, 2))
    contradicts = PairMaps(-fits.logit, fits.types)
    assert pair_loss(fits, targets, loss) < pair_loss(contradicts, targets, loss)


@pytest.mark.parametrize("loss", list(Loss))
def test_unknown_places_count_for_nothing(loss):
    """Whatever is said where nothing is known, the loss is the same; where nothing at all is known it is 0."""
    targets = torch.tensor([[[0, UNKNOWN], [1, UNKNOWN]]], dtype=torch.uint8)
    types = torch.zeros(1, 1, 2, 2)
    one = pair_loss(PairMaps(torch.tensor([[[-1.0, 9.0], [1.0, 3.0]]]), types), targets, loss)
    other = pair_loss(PairMaps(torch.tensor([[[-1.0, -9.0], [1.0, 0.0]]]), types), targets, loss)
    assert torch.equal(one, other)
    nothing = torch.full_like(targets, UNKNOWN)
    assert pair_loss(PairMaps(torch.zeros(1, 2, 2), types), nothing, loss) == 0


def test_names_of_types_are_learned_where_they_are_known():
    """Cross-entropy over the named defects alone: two of three types, ln 3 each where nothing is preferred."""
    targets = torch.tensor([[[0, UNNAMED], [1, 3]]], dtype=torch.uint8)
    maps = PairMaps(torch.zeros(1, 2, 2), torch.zeros(1, 3, 2, 2))
    bare = PairMaps(maps.logit, torch.zeros(1, 1, 2, 2))
    names = pair_loss(maps, targets, Loss.BCE) - pair_loss(bare, targets, Loss.BCE)
    assert float(names) == pytest.approx(math.log(3), rel=1e-5)
